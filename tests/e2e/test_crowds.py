"""Crowds on a real Airflow: a user's kill of hundreds of deferred tasks, and triggers that go to another triggerer."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.demo.local_airflow import SEPARATE, LocalAirflow
from airflow_spot_provider.demo.processes import end_session, free_ports
from airflow_spot_provider.emulator import SageMakerEmulator

pytestmark = [pytest.mark.e2e, pytest.mark.crowd, pytest.mark.timeout(3_600)]

CROWD = int(os.environ.get("CROWD", "40"))
BUCKET = "crowd"
DAG_ID = "crowd"
DAG_FILE = """
from airflow.sdk import DAG
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator

LONG = 2_000_000
CONFIG = {
    "RoleArn": "arn:aws:iam::123456789012:role/e2e",
    "AlgorithmSpecification": {"TrainingImage": "local/image:1", "TrainingInputMode": "File"},
    "OutputDataConfig": {"S3OutputPath": "s3://crowd/output"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    "StoppingCondition": {"MaxRuntimeInSeconds": LONG},
    "Tags": [{"Key": "emulator:lifecycle", "Value": "never-launched"}],
}

with DAG("crowd", schedule=None, max_active_tasks=1_000):
    SageMakerSpotTrainingOperator.partial(
        task_id="train", config=CONFIG, max_wait=LONG, allow_no_checkpoint=True, poll_interval=30
    ).expand(hyperparameters=[{"rate": str(number)} for number in range(MEMBERS)])
"""


@pytest.fixture(scope="module")
def emulator() -> Iterator[SageMakerEmulator]:
    with SageMakerEmulator(speed=1) as running:
        running.client("s3").create_bucket(Bucket=BUCKET)
        yield running


@pytest.fixture(scope="module")
def airflow(emulator: SageMakerEmulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    root = tmp_path_factory.mktemp("crowds")
    dags = root / "dags"
    dags.mkdir()
    (dags / "crowd.py").write_text(DAG_FILE.replace("MEMBERS", str(CROWD)))
    environment = {
        "AIRFLOW_CONN_AWS_DEFAULT": emulator.airflow_connection(),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
    }
    with LocalAirflow(root / "home", dags, environment=environment, components=SEPARATE) as running:
        yield running
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def second_triggerer(airflow: LocalAirflow) -> Iterator[subprocess.Popen[bytes]]:
    [port] = free_ports(1)
    log = Path(airflow.home, "logs", "second-triggerer.out")
    with log.open("wb") as output:
        process = subprocess.Popen(
            airflow._command("triggerer"),
            env={**airflow._environment, "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            end_session(process, signal.SIGKILL)


class Crowd:
    """A DAG run of many deferred tasks, and the jobs that they wait for."""

    def __init__(self, airflow: LocalAirflow, emulator: SageMakerEmulator) -> None:
        self._airflow = airflow
        self._emulator = emulator
        self._sagemaker = emulator.client("sagemaker")
        self.run_id = f"crowd-{uuid.uuid4().hex[:8]}"
        self.path = f"/dags/{DAG_ID}/dagRuns/{self.run_id}"

    def start(self) -> None:
        """Start it, and wait until all of it is deferred and watched."""
        self._airflow.trigger(DAG_ID, self.run_id)
        self._airflow.wait_for(
            lambda: self.states() == {"deferred": CROWD}, what="all to be deferred", timeout=1_500
        )
        self._airflow.wait_for(lambda: self._triggers() == CROWD, what="all to be watched", timeout=120)

    def states(self) -> dict[str | None, int]:
        """How many tasks are in which state."""
        counted: dict[str | None, int] = {}
        for each in self.tasks():
            counted[each["state"]] = counted.get(each["state"], 0) + 1
        return counted

    def tasks(self) -> list[dict[str, Any]]:
        """The task instances, without the summary of those that are not expanded yet."""
        found: list[dict[str, Any]] = []
        while True:
            listed = self._airflow.get(f"{self.path}/taskInstances", limit=100, offset=len(found))
            found += listed["task_instances"]
            if len(found) >= listed["total_entries"] or not listed["task_instances"]:
                return [each for each in found if each["map_index"] >= 0]

    def running(self) -> list[str]:
        """The jobs that nobody has stopped; those of runs before were."""
        pages = self._sagemaker.get_paginator("list_training_jobs").paginate(
            PaginationConfig={"PageSize": 100}
        )
        return [
            job["TrainingJobName"]
            for page in pages
            for job in page["TrainingJobSummaries"]
            if job["TrainingJobStatus"] == "InProgress"
        ]

    def stop_all(self) -> None:
        for name in self.running():
            self._sagemaker.stop_training_job(TrainingJobName=name)

    def _triggers(self) -> int:
        """Tasks whose trigger says that it has begun."""
        return sum(
            1
            for each in self.tasks()
            if each.get("triggerer_job") is not None and each.get("trigger") is not None
        )


@pytest.fixture
def crowd(airflow: LocalAirflow, emulator: SageMakerEmulator) -> Iterator[Crowd]:
    found = Crowd(airflow, emulator)
    yield found
    emulator.set_faults()
    found.stop_all()


def _as_slow_as_aws(emulator: SageMakerEmulator) -> None:
    emulator.set_faults({"operation": "sagemaker:*", "latency_seconds": 0.1})


def test_run_marked_failed_leaves_no_job_running(
    airflow: LocalAirflow, emulator: SageMakerEmulator, crowd: Crowd
) -> None:
    crowd.start()
    assert len(crowd.running()) == CROWD
    _as_slow_as_aws(emulator)

    airflow.patch(crowd.path, {"state": "failed"})

    airflow.wait_for(lambda: not crowd.running(), what="all jobs to be stopped", timeout=60)
    assert crowd.states() == {"failed": CROWD}


def test_deleted_dag_leaves_no_job_running(
    airflow: LocalAirflow, emulator: SageMakerEmulator, crowd: Crowd
) -> None:
    """Airflow deletes a DAG with deferred tasks, and not a run that is still running."""
    crowd.start()
    _as_slow_as_aws(emulator)

    airflow._api().delete(f"/api/v2/dags/{DAG_ID}").raise_for_status()

    airflow.wait_for(lambda: not crowd.running(), what="all jobs to be stopped", timeout=60)


def test_cleared_crowd_has_one_job_for_each_task(airflow: LocalAirflow, crowd: Crowd) -> None:
    crowd.start()
    first = set(crowd.running())

    airflow.post(
        f"/dags/{DAG_ID}/clearTaskInstances",
        {"dag_run_id": crowd.run_id, "dry_run": False, "only_failed": False, "only_running": False},
    )

    def _second_try_waits() -> bool:
        return all(each["try_number"] == 2 and each["state"] == "deferred" for each in crowd.tasks())

    airflow.wait_for(_second_try_waits, what="all to be deferred again", timeout=1_500)
    airflow.wait_for(lambda: len(crowd.running()) == CROWD, what="one job for each task", timeout=120)
    assert first  # some are kept by the second try, if it came before the kill; the others were stopped


def test_triggerer_that_stood_still_and_wakes_up_stops_nothing(
    airflow: LocalAirflow, crowd: Crowd, second_triggerer: subprocess.Popen[bytes]
) -> None:
    """A long garbage collection, a paused container: its triggers are another's meanwhile (apache/airflow#73454)."""
    assert second_triggerer.poll() is None
    crowd.start()
    first = airflow._processes["triggerer"].pid
    owners = {each["triggerer_job"]["id"] for each in crowd.tasks()}

    os.killpg(first, signal.SIGSTOP)
    try:
        airflow.wait_for(
            lambda: (
                len({each["triggerer_job"]["id"] for each in crowd.tasks() if each.get("triggerer_job")}) == 1
            ),
            what="the second triggerer to have all triggers",
            timeout=120,
        )
    finally:
        os.killpg(first, signal.SIGCONT)
    assert owners
    log = Path(airflow.home, "logs", "triggerer.out")
    airflow.wait_for(
        lambda: "so it is waited for elsewhere now" in log.read_text(errors="replace"),
        what="the first triggerer to let go of its triggers",
        timeout=120,
    )

    assert len(crowd.running()) == CROWD
    assert crowd.states() == {"deferred": CROWD}
