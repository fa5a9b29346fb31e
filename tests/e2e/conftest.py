"""One real Airflow (scheduler, triggerer, DAG processor, API server) and one emulator for all end-to-end tests."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.demo.local_airflow import SEPARATE, LocalAirflow
from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.training import outcome_of

ROOT = Path(__file__).parents[2]
BUCKET = "e2e"


@pytest.fixture(scope="session")
def emulator() -> Iterator[SageMakerEmulator]:
    with SageMakerEmulator(speed=60) as running:
        running.client("s3").create_bucket(Bucket=BUCKET)
        yield running


@pytest.fixture(scope="session")
def airflow(emulator: SageMakerEmulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    root = tmp_path_factory.mktemp("airflow")  # two runs of these tests at a time do not share a home
    dags = root / "dags"
    shutil.copytree(ROOT / "dags", dags)
    shutil.copytree(ROOT / "tests" / "e2e" / "dags", dags, dirs_exist_ok=True)
    environment = {
        "AIRFLOW_CONN_AWS_DEFAULT": emulator.airflow_connection(),
        "AIRFLOW_VAR_SPOT_TRAINING_BUCKET": BUCKET,
        "AIRFLOW_VAR_SPOT_TRAINING_ROLE_ARN": "arn:aws:iam::123456789012:role/e2e",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    }
    with LocalAirflow(root / "home", dags, environment=environment, components=SEPARATE) as running:
        yield running


@pytest.fixture
def run_id() -> str:
    return f"e2e-{uuid.uuid4().hex[:10]}"


class Jobs:
    """The training jobs of one DAG run, found by their tags."""

    def __init__(self, emulator: SageMakerEmulator, run_id: str) -> None:
        self._sagemaker = emulator.client("sagemaker")
        self._run_id = run_id

    def descriptions(self) -> list[dict[str, Any]]:
        pages = self._sagemaker.get_paginator("list_training_jobs").paginate(SortOrder="Ascending")
        found = []
        for job in (job for page in pages for job in page["TrainingJobSummaries"]):
            tags = self._sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
            if {"Key": "airflow-spot:run-id", "Value": self._run_id} in tags:
                found.append(self._sagemaker.describe_training_job(TrainingJobName=job["TrainingJobName"]))
        return found

    def outcomes(self) -> list[str | None]:
        return [outcome_of(description) for description in self.descriptions()]

    def are_running(self) -> bool:
        return [job["TrainingJobStatus"] for job in self.descriptions()] == ["InProgress"]

    def stop_all(self) -> None:
        for job in self.descriptions():
            if job["TrainingJobStatus"] == "InProgress":
                self._sagemaker.stop_training_job(TrainingJobName=job["TrainingJobName"])


@pytest.fixture
def jobs(emulator: SageMakerEmulator, run_id: str) -> Iterator[Jobs]:
    found = Jobs(emulator, run_id)
    yield found
    found.stop_all()
