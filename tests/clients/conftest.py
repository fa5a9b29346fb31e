"""Unchanged clients on a running emulator: each in an environment of its own, with nothing of ours in it.

``make test-clients`` makes the environments under ``build/clients/`` from the pins in this folder.
"""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.emulator import SageMakerEmulator

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / "build" / "clients"
SOURCE = HERE / "source"
DATA = HERE / "data"
REGION = "us-east-1"
LONGEST_RUN_SECONDS = 300
ROLE_NAME = "training"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
PERMISSIONS = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
SDK_BUCKET = "clients-of-sagemaker"
SDK_DEFAULTS = f"""\
SchemaVersion: '1.0'
SageMaker:
  PythonSDK:
    Modules:
      TelemetryOptOut: true
      Session:
        DefaultS3Bucket: {SDK_BUCKET}
"""
INTERRUPTED_ONCE = [
    *("Starting", "Downloading", "Training", "Interrupted"),
    *("Starting", "Downloading", "Training", "Uploading", "Completed"),
]
NEVER_LAUNCHED = ["Starting", "Stopping", "MaxWaitTimeExceeded"]


@dataclass(frozen=True)
class Run:
    """What a program of a client did.

    :param status: its exit status.
    :param output: its standard output.
    :param errors: its standard error.
    """

    status: int
    output: str
    errors: str

    @property
    def result(self) -> Any:
        """The JSON on its last line."""
        assert self.status == 0, f"exit status {self.status}\n{self.output[-4000:]}\n{self.errors[-4000:]}"
        return json.loads(self.output.strip().splitlines()[-1])


class Client:
    """The programs of one client's environment, with the settings that a user of AWS has and none of ours.

    :param name: of its folder under ``build/clients/``.
    :param home: its home folder.
    :param settings: environment variables, such as ``AWS_ENDPOINT_URL``.
    """

    def __init__(self, name: str, home: Path, settings: dict[str, str]) -> None:
        self._bin = ENVIRONMENTS / name / "bin"
        if not (self._bin / "python").exists():
            pytest.fail(f"There is no {self._bin}: make test-clients makes it, and runs these tests.")
        home.mkdir(exist_ok=True)
        self._home = home
        self._settings = settings

    def program(self, name: str, *arguments: str, **settings: str) -> Run:
        """Run one of the programs in ``programs/``."""
        return self.command("python", str(HERE / "programs" / name), *arguments, **settings)

    def command(self, name: str, *arguments: str, **settings: str) -> Run:
        """Run a command of the client."""
        ran = subprocess.run(
            [self._bin / name, *arguments],
            cwd=self._home,
            env={
                "PATH": f"{self._bin}:{os.environ['PATH']}",
                "HOME": str(self._home),
                "LANG": "C.UTF-8",
                **self._settings,
                **settings,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST_RUN_SECONDS,
            check=False,
        )
        return Run(ran.returncode, ran.stdout, ran.stderr)


@pytest.fixture(scope="session")
def emulator() -> Iterator[SageMakerEmulator]:
    """A SageMaker on which spot jobs are interrupted once, and an account that is set up for training."""
    with SageMakerEmulator(lifecycle="interrupted-once", speed=60) as running:
        iam = running.client("iam")
        iam.create_role(RoleName=ROLE_NAME, AssumeRolePolicyDocument=json.dumps(TRUST))
        iam.put_role_policy(RoleName=ROLE_NAME, PolicyName="training", PolicyDocument=json.dumps(PERMISSIONS))
        yield running


@pytest.fixture(scope="session")
def role(emulator: SageMakerEmulator) -> str:
    """ARN of the role that jobs are given."""
    return str(emulator.client("iam").get_role(RoleName=ROLE_NAME)["Role"]["Arn"])


@pytest.fixture(scope="session")
def aws_settings(emulator: SageMakerEmulator) -> dict[str, str]:
    """What points a client of AWS at the emulator; nothing of it is particular to one client."""
    return {
        "AWS_ENDPOINT_URL": emulator.endpoint_url,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "something",
        "AWS_DEFAULT_REGION": REGION,
    }


@pytest.fixture(scope="session")
def sdk_settings(aws_settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Settings for AWS's SDKs of SageMaker, as docs/clients.md says.

    They ask AWS's own STS about the account, at an address that cannot be set, unless a bucket is given; and tell AWS
    how they are used.
    """
    config = tmp_path_factory.mktemp("sagemaker") / "config.yaml"
    config.write_text(SDK_DEFAULTS)
    return {**aws_settings, "SAGEMAKER_USER_CONFIG_OVERRIDE": str(config)}


@pytest.fixture
def unique() -> str:
    """A name that no other test uses."""
    return unique_name()


@pytest.fixture
def bucket(emulator: SageMakerEmulator, unique: str) -> str:
    """A bucket of this test's own, with the data under ``data/`` in it."""
    name = f"clients-{unique}"
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket=name)
    s3.upload_file(str(DATA / "points.csv"), name, "data/points.csv")
    return name


def unique_name() -> str:
    """A name for a job, or to begin those of several with."""
    return f"t{uuid.uuid4().hex[:8]}"


def describe(emulator: SageMakerEmulator, job_name: str) -> dict[str, Any]:
    """The job as SageMaker tells it, whatever the client made of it."""
    description: dict[str, Any] = emulator.client("sagemaker").describe_training_job(TrainingJobName=job_name)
    return description


def statuses(description: dict[str, Any]) -> list[str]:
    """Its SecondaryStatusTransitions."""
    return [transition["Status"] for transition in description["SecondaryStatusTransitions"]]


def savings_percent(description: dict[str, Any]) -> float:
    """SageMaker's own formula, of its own two numbers."""
    return (1 - description["BillableTimeInSeconds"] / description["TrainingTimeInSeconds"]) * 100


def log_lines(emulator: SageMakerEmulator, job_name: str) -> list[list[str]]:
    """The lines of each start of the job, in the order of the starts."""
    logs = emulator.client("logs")
    group = "/aws/sagemaker/TrainingJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job_name}/")["logStreams"]
    return [
        [
            event["message"]
            for page in logs.get_paginator("filter_log_events").paginate(
                logGroupName=group, logStreamNames=[name]
            )
            for event in page["events"]
        ]
        for name in sorted(stream["logStreamName"] for stream in streams)
    ]


def assert_interrupted_and_resumed(emulator: SageMakerEmulator, job_name: str, epochs: int) -> dict[str, Any]:
    """Check that a job lost its instance, went on from its checkpoint, and finished; returns its description."""
    description = describe(emulator, job_name)
    assert statuses(description) == INTERRUPTED_ONCE
    assert description["EnableManagedSpotTraining"] is True
    assert 0 < description["BillableTimeInSeconds"] < description["TrainingTimeInSeconds"]
    first, second = log_lines(emulator, job_name)
    assert "starting from scratch" in first
    resumed = [line for line in second if line.startswith("resumed after epoch ")]
    assert resumed, second
    epoch = int(resumed[0].rpartition(" ")[2])
    assert 0 < epoch < epochs
    trained = [line.split()[0] for line in second if line.startswith("epoch=")]
    assert trained == [f"epoch={number}" for number in range(epoch + 1, epochs + 1)]
    assert "trained" in second
    assert "trained" not in first
    return description
