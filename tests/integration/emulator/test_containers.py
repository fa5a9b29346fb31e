"""What programs see of their container: paths, hosts, input, what is run, and what is too much."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.emulator import SageMakerEmulator
from tests.integration.emulator.conftest import BUCKET, Jobs, until

ONE_HOST = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/{}:1"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SageMakerEmulator]:
    """An emulator that knows an image."""
    program = tmp_path_factory.mktemp("image") / "run.py"
    program.write_text(
        "import sys, pathlib\n"
        "pathlib.Path('/opt/ml/model/arguments').write_text(' '.join(sys.argv[1:]))\n"
        "print(sorted(path.name for path in pathlib.Path('/opt/ml/input/config').iterdir()))\n"
    )
    with SageMakerEmulator(speed=60, images={"*/known:*": f"python {program}"}) as running:
        running.client("s3").create_bucket(Bucket=BUCKET)
        yield running


def _algorithm(entry_point: list[str] | None = None, arguments: list[str] | None = None) -> dict[str, Any]:
    members = {
        "TrainingImage": "local/image:1",
        "TrainingInputMode": "File",
        "ContainerEntrypoint": entry_point,
        "ContainerArguments": arguments,
    }
    return {name: value for name, value in members.items() if value is not None}


def _channel(name: str, uri: str, **members: Any) -> dict[str, Any]:
    source = {
        "S3DataType": members.pop("S3DataType", "S3Prefix"),
        "S3Uri": uri,
        "S3DataDistributionType": members.pop("Distribution", "FullyReplicated"),
    }
    if attributes := members.pop("AttributeNames", None):
        source["AttributeNames"] = attributes
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **members}


def _put(jobs: Jobs, **objects: bytes | str) -> str:
    """Put objects under a prefix of the test's own; double underscores are slashes."""
    for name, content in objects.items():
        body = content.encode() if isinstance(content, str) else content
        jobs.s3.put_object(Bucket=BUCKET, Key=f"{jobs.prefix}/data/{name.replace('__', '/')}", Body=body)
    return f"s3://{BUCKET}/{jobs.prefix}/data"


def _completed(jobs: Jobs, name: str) -> dict[str, bytes]:
    """What is in the model of a job that completed."""
    description = jobs.ended(name)
    assert description["TrainingJobStatus"] == "Completed", (
        description.get("FailureReason"),
        jobs.log_of(name),
    )
    return jobs.model_of(description)


def test_script_finds_what_it_needs_at_absolute_paths(jobs: Jobs) -> None:
    uri = _put(jobs, a="one")
    script = """
import json, os, pathlib
ml = pathlib.Path("/opt/ml")
found = {
    "cwd": os.getcwd(),
    "data": (ml / "input/data/train/a").read_text(),
    "parameters": json.loads((ml / "input/config/hyperparameters.json").read_text())["rate"],
    "variables": [os.environ["SM_MODEL_DIR"], os.environ["SM_CHANNEL_TRAIN"], os.environ["SM_CHECKPOINT_DIR"]],
}
(ml / "checkpoints/state").write_text("saved")
(ml / "model/found.json").write_text(json.dumps(found))
"""
    name = jobs.submit_script(
        script, InputDataConfig=[_channel("train", uri)], HyperParameters={"rate": "0.1"}
    )
    assert json.loads(_completed(jobs, name)["found.json"]) == {
        "cwd": "/opt/ml/code",
        "data": "one",
        "parameters": "0.1",
        "variables": ["/opt/ml/model", "/opt/ml/input/data/train", "/opt/ml/checkpoints"],
    }
    assert jobs.read(f"s3://{BUCKET}/{jobs.prefix}/checkpoints/state") == b"saved"
    assert not Path("/opt/ml/model/found.json").exists()


def test_two_jobs_at_the_same_time_each_see_their_own_root(jobs: Jobs) -> None:
    script = """
import os, pathlib, time
place = pathlib.Path("/opt/ml/model/who")
place.write_text(os.environ["TRAINING_JOB_NAME"])
time.sleep(1)
print("still", place.read_text())
"""
    names = [jobs.submit_script(script) for _ in range(2)]
    for name in names:
        assert _completed(jobs, name) == {"who": name.encode()}
        assert jobs.log_of(name)[0] == [f"still {name}"]


def test_checkpoints_are_at_the_local_path(jobs: Jobs) -> None:
    script = """
import pathlib
place = pathlib.Path("/srv/my/checkpoints")
print("found", [path.name for path in place.iterdir()])
(place / "step-1").write_text("1")
"""
    checkpoints = {"S3Uri": f"s3://{BUCKET}/{jobs.prefix}/own", "LocalPath": "/srv/my/checkpoints"}
    _completed(jobs, jobs.submit_script(script, CheckpointConfig=checkpoints))
    second = jobs.submit_script(script, CheckpointConfig=checkpoints)
    _completed(jobs, second)
    assert jobs.log_of(second) == [["found ['step-1']"]]
    assert not Path("/srv/my").exists()


def test_entry_point_is_run_with_its_arguments(jobs: Jobs) -> None:
    uri = _put(
        jobs,
        run__sh='#!/bin/bash\nset -e\necho "$@" > /opt/ml/model/said\npython -c "import moto; print(1)"\n',
    )
    entry_point = [
        "/bin/bash",
        "-c",
        'chmod +x /opt/ml/input/data/code/sh && exec /opt/ml/input/data/code/sh "$@"',
        "x",
    ]
    name = jobs.submit(
        AlgorithmSpecification=_algorithm(entry_point, ["--epochs", "3"]),
        InputDataConfig=[_channel("code", f"{uri}/run/")],
    )
    assert _completed(jobs, name) == {"said": b"--epochs 3\n"}
    assert jobs.log_of(name) == [["1"]]


def test_sigterm_reaches_the_program_of_an_entry_point(jobs: Jobs) -> None:
    program = (
        "import pathlib, signal, sys\n"
        "def save(*_):\n"
        "    pathlib.Path('/opt/ml/model/last-words').write_text('saved'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, save)\n"
        "print('ready', flush=True)\n"
        "signal.pause()\n"
    )
    name = jobs.submit(AlgorithmSpecification=_algorithm(["python", "-c", program]))
    jobs.in_status(name, "Training")
    until(lambda: jobs.log_of(name) == [["ready"]])
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    description = jobs.ended(name)
    assert description["SecondaryStatus"] == "Stopped"
    assert jobs.model_of(description) == {"last-words": b"saved"}
    [stay] = jobs.emulator.job(name)["stays"]
    assert (stay["why"], stay["exit_status"], stay["killed"]) == ("stopped", 0, False)


def test_known_image_runs_its_command_and_others_are_simulated(jobs: Jobs) -> None:
    known = jobs.submit(
        AlgorithmSpecification={"TrainingImage": IMAGE.format("known"), "TrainingInputMode": "File"}
    )
    other = jobs.submit(
        AlgorithmSpecification={"TrainingImage": IMAGE.format("other"), "TrainingInputMode": "File"}
    )
    assert _completed(jobs, known) == {"arguments": b"train"}
    assert "hyperparameters.json" in jobs.log_of(known)[0][0]
    assert _completed(jobs, other) == {}


def test_shell_script_is_a_program_too(jobs: Jobs) -> None:
    uri = jobs.upload_code({"train.sh": "#!/bin/sh\necho $1 $2 > /opt/ml/model/said\n"})
    parameters = {"sagemaker_program": "train.sh", "sagemaker_submit_directory": uri, "epochs": "2"}
    assert _completed(jobs, jobs.submit(HyperParameters=parameters)) == {"said": b"--epochs 2\n"}


HOSTS = """
import json, os, pathlib
config = json.loads(pathlib.Path("/opt/ml/input/config/resourceconfig.json").read_text())
assert config["current_host"] == os.environ["SM_CURRENT_HOST"]
assert config["hosts"] == json.loads(os.environ["SM_HOSTS"])
data = sorted(path.name for path in pathlib.Path("/opt/ml/input/data/train").iterdir())
pathlib.Path("/opt/ml/model", config["current_host"]).write_text(json.dumps([config, data]))
pathlib.Path("/opt/ml/model/shared").write_text(config["current_host"])
"""


def test_job_of_several_instances_runs_on_each_and_shards_its_input(jobs: Jobs) -> None:
    uri = _put(jobs, **{f"part{number}": str(number) for number in range(5)})
    name = jobs.submit_script(
        HOSTS,
        InputDataConfig=[_channel("train", uri, Distribution="ShardedByS3Key")],
        ResourceConfig={**ONE_HOST, "InstanceCount": 2},
    )
    model = _completed(jobs, name)
    assert model.pop("shared") == b"algo-1"
    assert set(model) == {"algo-1", "algo-2"}
    shards = {host: json.loads(content)[1] for host, content in model.items()}
    assert shards == {"algo-1": ["part0", "part2", "part4"], "algo-2": ["part1", "part3"]}
    streams = jobs.logs.describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/"
    )
    assert [stream["logStreamName"].rpartition("-")[0] for stream in streams["logStreams"]] == [
        f"{name}/algo-1",
        f"{name}/algo-2",
    ]


def test_instance_groups_are_told_apart(jobs: Jobs) -> None:
    uri = _put(jobs, a="1")
    groups = [
        {"InstanceGroupName": "gpu", "InstanceType": "ml.p3.2xlarge", "InstanceCount": 1},
        {"InstanceGroupName": "cpu", "InstanceType": "ml.m5.large", "InstanceCount": 1},
    ]
    name = jobs.submit_script(
        HOSTS,
        InputDataConfig=[_channel("train", uri)],
        ResourceConfig={"InstanceGroups": groups, "VolumeSizeInGB": 1},
    )
    second = json.loads(_completed(jobs, name)["algo-2"])[0]
    assert second["current_instance_type"] == "ml.m5.large"
    assert second["current_group_name"] == "cpu"
    assert [group["hosts"] for group in second["instance_groups"]] == [["algo-1"], ["algo-2"]]


def test_job_fails_with_the_first_of_its_hosts(jobs: Jobs) -> None:
    script = """
import os, pathlib, signal, sys
if os.environ["SM_CURRENT_HOST"] == "algo-2":
    pathlib.Path("/opt/ml/output/failure").write_text("no GPU here")
    sys.exit(3)
signal.pause()
"""
    name = jobs.submit_script(script, ResourceConfig={**ONE_HOST, "InstanceCount": 2})
    description = jobs.ended(name)
    assert description["TrainingJobStatus"] == "Failed"
    assert "no GPU here, exit code: 3" in description["FailureReason"]


READ = """
import json, os, pathlib
config = json.loads(pathlib.Path("/opt/ml/input/config/inputdataconfig.json").read_text())
data = pathlib.Path("/opt/ml/input/data/train")
found = {path.relative_to(data).as_posix(): path.read_text() for path in data.rglob("*") if path.is_file()}
pathlib.Path("/opt/ml/model/found.json").write_text(json.dumps([found, config]))
"""


@pytest.mark.parametrize("mode", ["File", "FastFile"])
def test_files_of_a_manifest_are_where_it_says(jobs: Jobs, mode: str) -> None:
    uri = _put(jobs, a="one", deep__b="two", c="three")
    manifest = json.dumps([{"prefix": f"{uri}/"}, "a", "deep/b"])
    jobs.s3.put_object(Bucket=BUCKET, Key=f"{jobs.prefix}/manifest", Body=manifest.encode())
    channel = _channel(
        "train",
        f"s3://{BUCKET}/{jobs.prefix}/manifest",
        S3DataType="ManifestFile",
        InputMode=mode,
        ContentType="text/csv",
    )
    found, config = json.loads(
        _completed(jobs, jobs.submit_script(READ, InputDataConfig=[channel]))["found.json"]
    )
    assert found == {"a": "one", "deep/b": "two"}
    assert config["train"]["TrainingInputMode"] == mode
    assert config["train"]["ContentType"] == "text/csv"


PIPE = """
import json, pathlib
epochs = []
for epoch in range(2):
    with open(f"/opt/ml/input/data/train_{epoch}", "rb") as pipe:
        epochs.append(pipe.read().hex())
pathlib.Path("/opt/ml/model/epochs.json").write_text(json.dumps(epochs))
"""


def _epochs(jobs: Jobs, channel: dict[str, Any]) -> list[bytes]:
    name = jobs.submit_script(PIPE, InputDataConfig=[{**channel, "InputMode": "Pipe"}])
    return [bytes.fromhex(epoch) for epoch in json.loads(_completed(jobs, name)["epochs.json"])]


def test_pipe_gives_all_objects_in_each_epoch(jobs: Jobs) -> None:
    uri = _put(jobs, a=gzip.compress(b"one"), b=gzip.compress(b"three"))
    assert _epochs(jobs, _channel("train", uri, CompressionType="Gzip")) == [b"onethree"] * 2
    framed = _epochs(jobs, _channel("train", uri, CompressionType="Gzip", RecordWrapperType="RecordIO"))
    magic = 0xCED7230A
    assert (
        framed[0] == struct.pack("<II", magic, 3) + b"one\0" + struct.pack("<II", magic, 5) + b"three\0\0\0"
    )


def test_pipe_gives_what_an_augmented_manifest_names(jobs: Jobs) -> None:
    uri = _put(jobs, a="pixels")
    line = json.dumps({"image-ref": f"{uri}/a", "label": 7, "note": "not asked for"})
    _put(jobs, lines=f"{line}\n")
    channel = _channel(
        "train", f"{uri}/lines", S3DataType="AugmentedManifestFile", AttributeNames=["image-ref", "label"]
    )
    assert _epochs(jobs, channel)[0] == b"pixels7"


def test_what_does_not_fit_on_the_volume_fails_the_job(jobs: Jobs) -> None:
    script = """
import pathlib, signal
pathlib.Path("/opt/ml/model/large").write_bytes(bytes(200_000))
signal.pause()
"""
    tags = [{"Key": "emulator:volume-bytes", "Value": "100000"}]
    description = jobs.ended(jobs.submit_script(script, Tags=tags))
    assert description["TrainingJobStatus"] == "Failed"
    assert "No space left on device" in description["FailureReason"]
    assert "increase VolumeSizeInGB" in description["FailureReason"]


def test_names_that_lead_out_of_the_root_fail_the_job(jobs: Jobs) -> None:
    jobs.s3.put_object(Bucket=BUCKET, Key=f"{jobs.prefix}/tricks/../../../../escaped", Body=b"x")
    manifest = json.dumps([{"prefix": f"s3://{BUCKET}/{jobs.prefix}/tricks/"}, "../../../../escaped"])
    jobs.s3.put_object(Bucket=BUCKET, Key=f"{jobs.prefix}/manifest", Body=manifest.encode())
    for channel in (
        _channel("train", f"s3://{BUCKET}/{jobs.prefix}/tricks/"),
        _channel("train", f"s3://{BUCKET}/{jobs.prefix}/manifest", S3DataType="ManifestFile"),
    ):
        description = jobs.ended(jobs.submit_script("print(1)", InputDataConfig=[channel]))
        assert description["TrainingJobStatus"] == "Failed"
        assert "leads out of" in description["FailureReason"]
