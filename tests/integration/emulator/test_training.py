"""Scripts that really run, are really interrupted, and find what SageMaker's container would give them."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any
from urllib.parse import urlsplit

import pytest

# Counts to --steps, a checkpoint after each; what a real training script does, in small.
COUNTING = """
import argparse, os, pathlib, signal, sys, time
arguments = argparse.ArgumentParser()
arguments.add_argument("--steps", type=int)
steps = arguments.parse_args().steps
asked = []
signal.signal(signal.SIGTERM, lambda *_: (print("SIGTERM", flush=True), asked.append(1)))
checkpoint = pathlib.Path(os.environ["SM_CHECKPOINT_DIR"]) / "step"
done = int(checkpoint.read_text()) if checkpoint.exists() else 0
print(f"starting at step {done}")
for step in range(done + 1, steps + 1):
    time.sleep(0.2)
    temporary = checkpoint.with_suffix(".tmp")
    temporary.write_text(str(step))
    temporary.replace(checkpoint)
    print(f"step {step} score={step / steps}")
    if asked:
        sys.exit()
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.txt").write_text(str(steps))
"""


def _checkpointed(name: str) -> dict[str, Any]:
    return {
        "CheckpointConfig": {"S3Uri": f"s3://integration/checkpoints/{name}"},
        "HyperParameters": {"steps": "12"},
    }


def _model(jobs: Any, description: dict[str, Any]) -> dict[str, str]:
    uri = urlsplit(description["ModelArtifacts"]["S3ModelArtifacts"])
    body = jobs.s3.get_object(Bucket=uri.netloc, Key=uri.path[1:])["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {
            member.name.removeprefix("./"): tar.extractfile(member).read().decode()  # type: ignore[union-attr]
            for member in tar.getmembers()
            if member.isfile()
        }


def test_interrupted_script_resumes_from_its_checkpoint(jobs: Any, unique: str) -> None:
    definitions = [{"Name": "score", "Regex": r"score=([0-9.]+)"}]
    name = jobs.submit_script(
        COUNTING,
        "interrupted-once",
        AlgorithmSpecification={
            "TrainingImage": "local/image:1",
            "TrainingInputMode": "File",
            "MetricDefinitions": definitions,
        },
        **_checkpointed(unique),
    )
    description = jobs.until_ended(name)

    assert description["TrainingJobStatus"] == "Completed", description
    log = jobs.log(name)
    starts = [int(line.rpartition(" ")[2]) for line in log if line.startswith("starting at step")]
    assert len(starts) == 2
    assert starts[0] == 0 < starts[1] < 12
    assert "SIGTERM" in log
    assert _model(jobs, description) == {"model.txt": "12"}
    assert [(metric["MetricName"], metric["Value"]) for metric in description["FinalMetricDataList"]] == [
        ("score", 1.0)
    ]


def test_two_starts_of_a_job_have_log_streams_of_their_own(jobs: Any, unique: str) -> None:
    name = jobs.submit_script(COUNTING, "interrupted-once", **_checkpointed(unique))
    jobs.until_ended(name)

    streams = jobs.logs.describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/algo-1-"
    )
    assert len(streams["logStreams"]) == 2


def test_job_cut_by_max_wait_leaves_a_checkpoint_that_another_job_takes_up(jobs: Any, unique: str) -> None:
    stopping = {"MaxRuntimeInSeconds": 1800, "MaxWaitTimeInSeconds": 1800}
    members = {**_checkpointed(unique), "HyperParameters": {"steps": "80"}}
    cut = jobs.submit_script(
        COUNTING, "interrupted-twice-then-max-wait", StoppingCondition=stopping, **members
    )
    assert jobs.until_ended(cut)["SecondaryStatus"] == "MaxWaitTimeExceeded"

    on_demand = jobs.submit_script(
        COUNTING, EnableManagedSpotTraining=False, StoppingCondition={"MaxRuntimeInSeconds": 1800}, **members
    )
    assert jobs.until_ended(on_demand)["TrainingJobStatus"] == "Completed"
    starts = [line for line in jobs.log(on_demand) if line.startswith("starting at step")]
    assert starts != ["starting at step 0"]


def test_script_that_ends_before_its_interruption_is_interrupted_all_the_same(jobs: Any) -> None:
    description = jobs.until_ended(jobs.submit_script("print('done')", "interrupted-once"))

    assert [entry["Status"] for entry in description["SecondaryStatusTransitions"]].count("Interrupted") == 1
    assert description["TrainingJobStatus"] == "Completed"


def test_failing_script_fails_the_job_with_its_own_reason(jobs: Any) -> None:
    script = """
import os, pathlib, sys
pathlib.Path(os.environ["SM_OUTPUT_DIR"], "failure").write_text("KeyError: 'tenure'")
sys.exit(3)
"""
    description = jobs.until_ended(jobs.submit_script(script, "interrupted-once"))

    assert description["TrainingJobStatus"] == "Failed"
    assert description["FailureReason"].startswith("AlgorithmError")
    assert "KeyError: 'tenure'" in description["FailureReason"]
    assert "exit code: 3" in description["FailureReason"]
    statuses = [entry["Status"] for entry in description["SecondaryStatusTransitions"]]
    assert statuses == ["Starting", "Downloading", "Training", "Uploading", "Failed"]


def test_missing_input_fails_the_job_and_names_it(jobs: Any) -> None:
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": "s3://integration/nothing-here",
        "S3DataDistributionType": "FullyReplicated",
    }
    channels = [{"ChannelName": "training", "DataSource": {"S3DataSource": source}}]
    description = jobs.until_ended(jobs.submit_script("print('never runs')", InputDataConfig=channels))

    assert description["TrainingJobStatus"] == "Failed"
    assert "s3://integration/nothing-here" in description["FailureReason"]
    assert description["FailureReason"].startswith("ClientError")


def test_script_finds_the_contract_of_sagemakers_container(jobs: Any, unique: str) -> None:
    jobs.s3.put_object(Bucket="integration", Key=f"{unique}/data/sub/a.txt", Body=b"data")
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": f"s3://integration/{unique}/data",
        "S3DataDistributionType": "FullyReplicated",
    }
    script = """
import json, os, pathlib, sys
environment = {key: value for key, value in os.environ.items() if key.startswith(("SM_", "TRAINING_", "OWN_", "AWS_"))}
config = pathlib.Path(os.environ["SM_INPUT_CONFIG_DIR"])
print(json.dumps({
    "environment": environment,
    "arguments": sys.argv[1:],
    "files": sorted(path.name for path in config.iterdir()),
    "hyperparameters": json.loads((config / "hyperparameters.json").read_text()),
    "data": pathlib.Path(os.environ["SM_CHANNEL_TRAINING"], "sub", "a.txt").read_text(),
}))
"""
    name = jobs.submit_script(
        script,
        HyperParameters={"learning-rate": "0.1"},
        Environment={"OWN_SETTING": "x"},
        InputDataConfig=[{"ChannelName": "training", "DataSource": {"S3DataSource": source}}],
    )
    jobs.until_ended(name)
    [seen] = [json.loads(line) for line in jobs.log(name)]

    assert seen["arguments"] == ["--learning-rate", "0.1"]
    assert seen["data"] == "data"
    assert seen["hyperparameters"]["learning-rate"] == "0.1"
    assert seen["files"] == [
        "checkpointconfig.json",
        "hyperparameters.json",
        "inputdataconfig.json",
        "resourceconfig.json",
    ]
    environment = seen["environment"]
    assert environment["TRAINING_JOB_NAME"] == name
    assert json.loads(environment["SM_HPS"]) == {"learning-rate": 0.1}
    assert (environment["SM_CURRENT_HOST"], environment["SM_HOSTS"]) == ("algo-1", '["algo-1"]')
    assert (environment["OWN_SETTING"], environment["SM_HP_LEARNING_RATE"]) == ("x", "0.1")
    assert environment["AWS_ENDPOINT_URL"] == jobs.emulator.endpoint_url


def test_script_of_a_stopped_job_gets_sigterm_and_its_model_is_kept(jobs: Any) -> None:
    script = """
import os, pathlib, signal, sys, time
def stop(*_):
    pathlib.Path(os.environ["SM_MODEL_DIR"], "partial").write_text("saved in time")
    sys.exit()
signal.signal(signal.SIGTERM, stop)
print("ready")
time.sleep(600)
"""
    name = jobs.submit_script(script)
    jobs.until(name, lambda _d: _has_logged(jobs, name))
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    description = jobs.until_ended(name)

    assert description["SecondaryStatus"] == "Stopped"
    assert _model(jobs, description) == {"partial": "saved in time"}


def test_archive_that_would_write_outside_its_folder_is_refused(jobs: Any, unique: str) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../../escaped.txt"), io.BytesIO())
    jobs.s3.put_object(Bucket="integration", Key=f"{unique}/evil.tar.gz", Body=archive.getvalue())
    parameters = {
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": f"s3://integration/{unique}/evil.tar.gz",
    }
    description = jobs.until_ended(jobs.submit(HyperParameters=parameters))

    assert description["TrainingJobStatus"] == "Failed"
    assert "outside the destination" in description["FailureReason"]


def _has_logged(jobs: Any, name: str) -> bool:
    try:
        return bool(jobs.log(name))
    except jobs.logs.exceptions.ResourceNotFoundException:
        return False


@pytest.mark.parametrize("value", ["many", "-1", "nan"])
def test_training_seconds_that_are_none_are_refused(jobs: Any, value: str) -> None:
    with pytest.raises(jobs.sagemaker.exceptions.ClientError, match="emulator:training-seconds"):
        jobs.submit(seconds=value)
