"""One emulator for the integration tests; each test has job names of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_spot_provider.emulator import SageMakerEmulator

BUCKET = "integration"


@pytest.fixture(scope="session")
def emulator() -> Iterator[SageMakerEmulator]:
    """A local SageMaker on which a minute passes in a second."""
    with SageMakerEmulator(speed=60) as running:
        running.client("s3").create_bucket(Bucket=BUCKET)
        yield running


@pytest.fixture(autouse=True)
def patience_with_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take longer to make a client of the price list than a training's end waits for a price."""
    monkeypatch.setattr("airflow_spot_provider.aws.prices.DEADLINE_SECONDS", 300.0)


@pytest.fixture
def aws_connection(emulator: SageMakerEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow's connection ``aws_default`` leads to the emulator."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", emulator.airflow_connection())
    # Airflow keeps the filesystem of a connection for the life of the process, wherever the connection led then.
    monkeypatch.setattr("airflow.sdk.io.store._STORE_CACHE", {})


@pytest.fixture
def unique() -> str:
    """A name that no other test uses."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def job_config() -> dict[str, Any]:
    """A job without a script: it trains for some emulated seconds and ends."""
    return {
        "RoleArn": "arn:aws:iam::123456789012:role/training",
        "AlgorithmSpecification": {"TrainingImage": "local/image:1", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "Tags": [{"Key": "emulator:training-seconds", "Value": "30"}],
    }
