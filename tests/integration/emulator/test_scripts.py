"""Scripts that really train: interrupted, resumed, stopped, failed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.emulator.conftest import BUCKET, LONG, Jobs, statuses, until

STEPS = """
import argparse, json, os, pathlib, signal
parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=20)
parser.add_argument("--to-be-interrupted", type=int, default=0)
arguments = parser.parse_args()
state = pathlib.Path(os.environ["SM_CHECKPOINT_DIR"], "state.json")
step, starts = json.loads(state.read_text()) if state.exists() else (0, 0)
print(f"resuming at step {step}" if step else "starting from scratch", flush=True)
last = min(arguments.steps, step + 5) if starts < arguments.to_be_interrupted else arguments.steps
while step < last:
    step += 1
    print(f"step {step} accuracy={step / 100}", flush=True)
    new = state.with_suffix(".new")
    new.write_text(json.dumps([step, starts + 1]))
    new.replace(state)
if step < arguments.steps:
    signal.pause()
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.json").write_text(json.dumps(step))
"""
"""So many starts do five steps at most, and then wait for what ends them: none is over before it comes, however late that is."""
WAITS = """
import os, pathlib, signal, sys, threading
def end(*_):
    pathlib.Path(os.environ["SM_MODEL_DIR"], "model.json").write_text("saved on SIGTERM")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
signal.pause()
"""
IGNORES = WAITS.replace("    sys.exit(0)\n", "").replace("signal.pause()", "while True: signal.pause()")
ONCE = {"to-be-interrupted": "1"}
METRICS = {
    "TrainingImage": "local/image:1",
    "TrainingInputMode": "File",
    "MetricDefinitions": [
        {"Name": "accuracy", "Regex": "accuracy=([0-9.]+)"},
        {"Name": "word", "Regex": "(step)"},
        {"Name": "no-group", "Regex": "step"},
    ],
}


def _resumed_at(lines: list[str]) -> int:
    assert lines[0].startswith("resuming at step "), lines
    return int(lines[0].split()[-1])


def test_interrupted_job_resumes_from_its_checkpoint(jobs: Jobs) -> None:
    name = jobs.submit_script(STEPS, "interrupted-once", HyperParameters=ONCE, AlgorithmSpecification=METRICS)
    description = jobs.ended(name)
    assert statuses(description) == [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ]
    first, second = jobs.log_of(name)
    assert first[0] == "starting from scratch"
    resumed = _resumed_at(second)
    assert 0 < resumed <= 5
    assert second[1].startswith(f"step {resumed + 1} ")
    assert second[-1] == "step 20 accuracy=0.2"
    assert "step 20 accuracy=0.2" not in first
    assert json.loads(jobs.model_of(description)["model.json"]) == 20
    metrics = {metric["MetricName"]: metric["Value"] for metric in description["FinalMetricDataList"]}
    assert metrics == {"accuracy": pytest.approx(0.2)}


def test_job_that_is_interrupted_twice_resumes_twice_and_another_takes_up_what_it_left(jobs: Jobs) -> None:
    limits = {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 600}
    name = jobs.submit_script(
        STEPS,
        "interrupted-twice-then-max-wait",
        HyperParameters={"to-be-interrupted": "3"},
        StoppingCondition=limits,
    )
    description = jobs.ended(name)
    assert statuses(description) == [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Downloading", "Training", "Stopping", "MaxWaitTimeExceeded"),
    ]
    first, second, third = jobs.log_of(name)
    assert first[0] == "starting from scratch"
    assert 0 < _resumed_at(second) < _resumed_at(third)
    assert len(third) > 1
    assert description["TrainingTimeInSeconds"] > description["BillableTimeInSeconds"] > 0

    on_demand = {"EnableManagedSpotTraining": False, "StoppingCondition": {"MaxRuntimeInSeconds": 1800}}
    fallback = jobs.submit_script(STEPS, **on_demand)
    assert jobs.ended(fallback)["TrainingJobStatus"] == "Completed"
    assert _resumed_at(jobs.log_of(fallback)[0]) > _resumed_at(third)


def test_script_that_ends_before_its_planned_interruption_is_interrupted_all_the_same(jobs: Jobs) -> None:
    name = jobs.submit_script("print('quick')", "interrupted-once")
    assert "Interrupted" in statuses(jobs.ended(name))
    assert jobs.log_of(name) == [["quick"], ["quick"]]


def test_first_start_restores_the_checkpoints_that_are_there(jobs: Jobs) -> None:
    key = f"{jobs.prefix}/checkpoints/state.json"
    jobs.s3.put_object(Bucket=BUCKET, Key=key, Body=b"[17, 1]")
    name = jobs.submit_script(STEPS)
    jobs.ended(name)
    assert _resumed_at(jobs.log_of(name)[0]) == 17
    assert jobs.read(f"s3://{BUCKET}/{key}") == b"[20, 2]"


def test_log_can_be_read_while_the_script_runs(jobs: Jobs) -> None:
    name = jobs.submit_script(WAITS)
    until(lambda: jobs.log_of(name) == [["ready"]])
    assert jobs.describe(name)["SecondaryStatus"] == "Training"
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    jobs.ended(name)


@pytest.mark.parametrize("script", [WAITS, IGNORES], ids=["ends on SIGTERM", "ignores SIGTERM"])
def test_stopped_script_gets_sigterm_and_its_model_is_kept(jobs: Jobs, script: str) -> None:
    name = jobs.submit_script(script)
    until(lambda: jobs.log_of(name) == [["ready"]])
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    description = jobs.ended(name)
    assert statuses(description) == ["Starting", "Downloading", "Training", "Stopping", "Stopped"]
    assert jobs.model_of(description) == {"model.json": b"saved on SIGTERM"}


def test_script_that_takes_too_long_is_ended_by_max_runtime(jobs: Jobs) -> None:
    name = jobs.submit_script(
        WAITS, StoppingCondition={"MaxRuntimeInSeconds": 8, "MaxWaitTimeInSeconds": LONG}
    )
    description = jobs.ended(name)
    assert statuses(description)[-2:] == ["Stopping", "MaxRuntimeExceeded"]
    assert jobs.model_of(description) == {"model.json": b"saved on SIGTERM"}


def test_failing_script_fails_its_job_with_what_it_wrote(jobs: Jobs) -> None:
    script = """
import os, pathlib, sys
pathlib.Path(os.environ["SM_OUTPUT_DIR"], "failure").write_text("no such column: price")
sys.exit(3)
"""
    description = jobs.ended(jobs.submit_script(script))
    assert statuses(description) == ["Starting", "Downloading", "Training", "Uploading", "Failed"]
    assert description["FailureReason"] == (
        "AlgorithmError: ExecuteUserScriptError: no such column: price, exit code: 3"
    )
    assert "ModelArtifacts" not in description


def test_script_that_a_signal_ends_fails_with_its_number(jobs: Jobs) -> None:
    script = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert jobs.ended(jobs.submit_script(script))["FailureReason"].endswith(", exit code: 137")


def test_script_finds_its_inputs_where_the_container_contract_says(jobs: Jobs) -> None:
    script = """
import json, os, pathlib, boto3
print("train", sorted(str(p.relative_to(os.environ["SM_CHANNEL_TRAIN"]))
                      for p in pathlib.Path(os.environ["SM_CHANNEL_TRAIN"]).rglob("*") if p.is_file()))
config = pathlib.Path(os.environ["SM_INPUT_CONFIG_DIR"])
print(json.loads((config / "hyperparameters.json").read_text())["depth"], os.environ["SM_HP_DEPTH"])
print(json.loads((config / "resourceconfig.json").read_text())["current_host"], os.getcwd().endswith("code"))
print(sorted(json.loads((config / "inputdataconfig.json").read_text())), os.environ["MODE"])
import helper
boto3.client("s3").put_object(Bucket=os.environ["BUCKET"], Key=os.environ["TRAINING_JOB_NAME"], Body=b"hello")
pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "report.txt").write_text("fine")
"""
    for key in ("data/a.csv", "data/deep/b.csv", "data-2/c.csv"):
        jobs.s3.put_object(Bucket=BUCKET, Key=f"{jobs.prefix}/{key}", Body=b"1")
    uri = jobs.upload_code({"train.py": script, "helper.py": "print('helped')"})
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{jobs.prefix}/data/"}
    name = jobs.submit(
        HyperParameters={"sagemaker_program": "train.py", "sagemaker_submit_directory": uri, "depth": "3"},
        InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        Environment={"MODE": "full", "BUCKET": BUCKET},
    )
    description = jobs.ended(name)
    assert description["TrainingJobStatus"] == "Completed", jobs.log_of(name)
    assert jobs.log_of(name) == [
        ["train ['a.csv', 'deep/b.csv']", "3 3", "algo-1 True", "['train'] full", "helped"]
    ]
    assert jobs.read(f"s3://{BUCKET}/{name}") == b"hello"
    assert jobs.read(f"s3://{BUCKET}/{jobs.prefix}/output/{name}/output/output.tar.gz")


def test_process_that_a_script_leaves_behind_ends_with_it(jobs: Jobs) -> None:
    script = """
import os, subprocess, sys
left = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print(left.pid)
"""
    name = jobs.submit_script(script)
    assert jobs.ended(name)["TrainingJobStatus"] == "Completed"
    [[pid]] = jobs.log_of(name)
    until(lambda: not _runs(int(pid)))


def _runs(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent to take note does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"other.py": ""}, "sagemaker_program is 'train.py'"),
        ({"train.py": "", "../../../escaped.py": ""}, "could not be unpacked"),
        ({"/tmp/escaped.py": "", "train.py": "raise SystemExit(9)"}, "exit code: 9"),
    ],
)
def test_archive_with_other_things_in_it_fails_the_job_inside_its_root(
    jobs: Jobs, files: dict[str, str], told: str
) -> None:
    uri = jobs.upload_code(files)
    parameters = {"sagemaker_program": "train.py", "sagemaker_submit_directory": uri}
    description = jobs.ended(jobs.submit(HyperParameters=parameters))
    assert description["TrainingJobStatus"] == "Failed"
    assert told in description["FailureReason"]
    assert not Path("/tmp/escaped.py").exists()


@pytest.mark.parametrize("uri", [f"s3://{BUCKET}/nothing/here", "s3://no-such-bucket/x"])
def test_channel_without_objects_fails_the_job_as_sagemaker_says_it(jobs: Jobs, uri: str) -> None:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri}
    channel = {"ChannelName": "train", "DataSource": {"S3DataSource": source}}
    for name in (jobs.submit_script("", InputDataConfig=[channel]), jobs.submit(InputDataConfig=[channel])):
        description = jobs.ended(name)
        assert statuses(description) == ["Starting", "Downloading", "Failed"]
        assert description["FailureReason"].startswith("ClientError: ")
        assert uri in description["FailureReason"]


def test_script_that_is_not_on_s3_fails_the_job(jobs: Jobs) -> None:
    parameters = {"sagemaker_program": "train.py", "sagemaker_submit_directory": f"s3://{BUCKET}/none.tar.gz"}
    description = jobs.ended(jobs.submit(HyperParameters=parameters))
    assert statuses(description) == ["Starting", "Downloading", "Failed"]
    assert f"s3://{BUCKET}/none.tar.gz" in description["FailureReason"]


def test_interruption_on_request_takes_the_instance_of_a_running_script(jobs: Jobs) -> None:
    name = jobs.submit_script(STEPS, HyperParameters=ONCE)
    until(lambda: jobs.log_of(name) and len(jobs.log_of(name)[0]) > 5)
    jobs.emulator.interrupt(name)
    description = jobs.ended(name)
    assert statuses(description).count("Interrupted") == 1
    assert description["TrainingJobStatus"] == "Completed"
    assert _resumed_at(jobs.log_of(name)[1]) > 0
