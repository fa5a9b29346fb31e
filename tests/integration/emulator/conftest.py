"""Jobs on a running emulator, over HTTP."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_spot_provider.emulator import SageMakerEmulator

BUCKET = "integration"
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
ENDED = ("Completed", "Failed", "Stopped")
LONG = 2_000_000
"""Emulated seconds that no test waits for: nine hours, where a minute passes in a second."""


def until(condition: Callable[[], Any], seconds: float = 300) -> Any:
    """Ask until the answer is yes, and return it."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.05)
    return answer


class Jobs:
    """Submits jobs to one emulator, and looks at them."""

    def __init__(self, emulator: SageMakerEmulator, prefix: str) -> None:
        self.emulator = emulator
        self.sagemaker = emulator.client("sagemaker")
        self.s3 = emulator.client("s3")
        self.logs = emulator.client("logs")
        self.prefix = prefix
        self._count = 0

    def request(self, lifecycle: str | None = None, **members: Any) -> dict[str, Any]:
        """A CreateTrainingJob request for spot; keyword arguments are members that win, None leaves one out."""
        self._count += 1
        tags = [{"Key": "emulator:training-seconds", "Value": "30"}]
        if lifecycle is not None:
            tags.append({"Key": "emulator:lifecycle", "Value": lifecycle})
        request = {
            "TrainingJobName": f"{self.prefix}-{self._count}",
            "RoleArn": "arn:aws:iam::123456789012:role/training",
            "AlgorithmSpecification": {"TrainingImage": "local/image:1", "TrainingInputMode": "File"},
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/{self.prefix}/output"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "EnableManagedSpotTraining": True,
            "CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/{self.prefix}/checkpoints"},
            "StoppingCondition": {"MaxRuntimeInSeconds": LONG, "MaxWaitTimeInSeconds": LONG},
            "Tags": tags,
            **members,
        }
        return {name: value for name, value in request.items() if value is not None}

    def submit(self, lifecycle: str | None = None, **members: Any) -> str:
        """Create a job, and return its name."""
        request = self.request(lifecycle, **members)
        self.sagemaker.create_training_job(**request)
        return str(request["TrainingJobName"])

    def submit_script(self, script: str, lifecycle: str | None = None, **members: Any) -> str:
        """Create a job that runs a script, as the SageMaker SDK hands it over."""
        uri = self.upload_code({"train.py": script})
        parameters = {"sagemaker_program": '"train.py"', "sagemaker_submit_directory": f'"{uri}"'}
        parameters |= members.pop("HyperParameters", {})
        return self.submit(lifecycle, HyperParameters=parameters, **members)

    def upload_code(self, files: dict[str, str]) -> str:
        """Put a sourcedir.tar.gz on S3."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content.encode())
                tar.addfile(member, io.BytesIO(content.encode()))
        key = f"{self.prefix}/code-{self._count}.tar.gz"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=archive.getvalue())
        return f"s3://{BUCKET}/{key}"

    def describe(self, name: str) -> dict[str, Any]:
        description: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        return description

    def ended(self, name: str) -> dict[str, Any]:
        """Its description, when it has ended."""
        until(lambda: self.describe(name)["TrainingJobStatus"] in ENDED)
        return self.describe(name)

    def in_status(self, name: str, secondary_status: str) -> dict[str, Any]:
        """Its description, when it is in a status."""
        until(lambda: self.describe(name)["SecondaryStatus"] == secondary_status)
        return self.describe(name)

    def log_of(self, name: str) -> list[list[str]]:
        """The lines of each start of the job."""
        if not self.logs.describe_log_groups(logGroupNamePrefix=LOG_GROUP)["logGroups"]:
            return []
        streams = self.logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{name}/")
        names = sorted(stream["logStreamName"] for stream in streams["logStreams"])
        return [
            [
                event["message"]
                for event in self.logs.get_log_events(
                    logGroupName=LOG_GROUP, logStreamName=stream, startFromHead=True
                )["events"]
            ]
            for stream in names
        ]

    def read(self, uri: str) -> bytes:
        """An object on S3."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        content: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def model_of(self, description: dict[str, Any]) -> dict[str, bytes]:
        """What is in model.tar.gz."""
        archive = self.read(description["ModelArtifacts"]["S3ModelArtifacts"])
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            return {
                member.name: tar.extractfile(member).read() for member in tar.getmembers() if member.isfile()
            }


def statuses(description: dict[str, Any]) -> list[str]:
    """Its SecondaryStatusTransitions."""
    return [entry["Status"] for entry in description["SecondaryStatusTransitions"]]


@pytest.fixture
def jobs(emulator: SageMakerEmulator, unique: str) -> Jobs:
    """Jobs with names of this test's own."""
    return Jobs(emulator, unique)
