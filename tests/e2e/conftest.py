"""One real Airflow (scheduler, triggerer, DAG processor, API server) and one emulator for all end-to-end tests."""

from __future__ import annotations

import json
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
        "AIRFLOW_VAR_SPOT_TRAINING_FOLDER": str(root),
        "AIRFLOW_VAR_SPOT_TRAINING_ROLE_ARN": "arn:aws:iam::123456789012:role/e2e",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        # What a killed scheduler's workers were running is taken over by this check, not by their missing heartbeats.
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
    }
    with LocalAirflow(root / "home", dags, environment=environment, components=SEPARATE) as running:
        yield running


class Run:
    """A run of a DAG, asked over the REST API."""

    def __init__(self, airflow: LocalAirflow, dag_id: str, run_id: str) -> None:
        self._airflow = airflow
        self._dag_id, self._run_id = dag_id, run_id

    @property
    def _path(self) -> str:
        return f"/dags/{self._dag_id}/dagRuns/{self._run_id}/taskInstances"

    def start(self) -> str:
        """Start it, and give the state in which it ended."""
        self._airflow.trigger(self._dag_id, self._run_id)
        return self.end()

    def end(self) -> str:
        def _ended() -> str | None:
            state = self._airflow.run_state(self._dag_id, self._run_id)
            return state if state in ("success", "failed") else None

        return str(self._airflow.wait_for(_ended, what="the run to end", timeout=840))

    def members(self, task_id: str) -> list[dict[str, Any]]:
        """The members of a mapped task, by map index."""
        listed = self._airflow.get(self._path, limit=100)["task_instances"]
        return sorted((ti for ti in listed if ti["task_id"] == task_id), key=lambda ti: ti["map_index"])

    def result(self, task_id: str, map_index: int = -1) -> Any:
        """What a task returned."""
        path = f"{self._path}/{task_id}/xcomEntries/return_value"
        return self._airflow.get(path, map_index=map_index, deserialize="true")["value"]

    def results(self, task_id: str) -> list[Any]:
        """What the members of a mapped task returned."""
        return [self.result(task_id, ti["map_index"]) for ti in self.members(task_id)]

    def log(self, task_id: str, map_index: int) -> str:
        path = f"{self._path}/{task_id}/logs/1"
        return json.dumps(self._airflow.get(path, map_index=map_index, full_content="true"))

    def clear(self, task_id: str, map_index: int) -> None:
        """Have one member of a mapped task tried again."""
        body = {"dag_run_id": self._run_id, "task_ids": [[task_id, map_index]], "dry_run": False}
        self._airflow.post(f"/dags/{self._dag_id}/clearTaskInstances", {**body, "only_failed": False})


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
