"""Waiting jobs on a real Airflow with two triggerers: one crashes, the other takes its jobs over."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_spot_provider.demo.local_airflow import LocalAirflow
from airflow_spot_provider.demo.processes import end_session, free_ports
from airflow_spot_provider.emulator import SageMakerEmulator

pytestmark = pytest.mark.e2e

DAG = "e2e_long"
SILENCE_SECONDS = 10
"""What a triggerer may be silent before the other takes it for dead; each tells every second that it lives."""


@contextlib.contextmanager
def _another_triggerer(airflow: LocalAirflow, emulator: SageMakerEmulator) -> Iterator[None]:
    """A triggerer beside Airflow's own, with a port of its own for its logs."""
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(airflow.home),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{airflow.home}/airflow.db",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_ports(1)[0]),
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": str(SILENCE_SECONDS),
        "AIRFLOW_CONN_AWS_DEFAULT": emulator.airflow_connection(),
        "NO_PROXY": "127.0.0.1,localhost",
    }
    with (airflow.home / "logs" / "another-triggerer.out").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", "triggerer"],
            env=environment,
            cwd=airflow.home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
    finally:
        end_session(process, signal.SIGTERM)


def _task(airflow: LocalAirflow, run_id: str) -> dict[str, Any]:
    task: dict[str, Any] = airflow.get(f"/dags/{DAG}/dagRuns/{run_id}/taskInstances/train")
    return task


def _holders(airflow: LocalAirflow, run_ids: list[str]) -> set[int | None]:
    """The triggerers that hold the tasks' triggers; None for a task that has none."""
    triggers = [_task(airflow, run_id)["trigger"] for run_id in run_ids]
    return {trigger and trigger["triggerer_id"] for trigger in triggers}


def _triggerers(airflow: LocalAirflow) -> set[int]:
    """All that were ever started."""
    return {job["id"] for job in airflow.get("/jobs", job_type="TriggererJob", limit=100)["jobs"]}


def _events(airflow: LocalAirflow, run_id: str) -> int:
    """How often a trigger of the run has fired.

    Airflow puts its last lines into the task's log, or, if they come after the trigger's end, into the triggerer's own.
    """
    outputs = "\n".join(path.read_text() for path in (airflow.home / "logs").glob("*triggerer.out"))
    lines = airflow.task_log(DAG, run_id, "train").count("Trigger fired event")
    return lines + sum(
        "Trigger fired event" in line and f"/{run_id}/" in line for line in outputs.splitlines()
    )


def test_jobs_of_a_killed_triggerer_are_watched_to_their_end_by_another(
    airflow: LocalAirflow, emulator: SageMakerEmulator, run_id: str, jobs: Any
) -> None:
    run_ids = [f"{run_id}-{number}" for number in range(3)]
    jobs_of = {each: type(jobs)(emulator, each) for each in run_ids}
    for each in run_ids:
        airflow.trigger(DAG, each)
    airflow.wait_for(
        lambda: all(_task(airflow, each)["state"] == "deferred" for each in run_ids),
        what="all tasks to be deferred",
        timeout=120,
    )
    airflow.wait_for(
        lambda: all("Training;" in airflow.task_log(DAG, each, "train") for each in run_ids),
        what="all jobs to be seen training",
        timeout=120,
    )
    [first] = _holders(airflow, run_ids)
    assert first is not None
    known = _triggerers(airflow)

    with _another_triggerer(airflow, emulator):
        [second] = airflow.wait_for(
            lambda: _triggerers(airflow) - known, what="another triggerer", timeout=60
        )
        assert _holders(airflow, run_ids) == {first}
        names = {each: jobs_of[each].descriptions()[0]["TrainingJobName"] for each in run_ids}
        airflow.kill("triggerer")
        try:
            for name in names.values():
                emulator.interrupt(name)  # nobody watches; and none ends before the other has taken over
            airflow.wait_for(
                lambda: _holders(airflow, run_ids) == {second}, what="the other to take over", timeout=40
            )
            assert all(jobs_of[each].are_running() for each in run_ids)
            airflow.wait_for(
                lambda: all(airflow.run_state(DAG, each) in ("success", "failed") for each in run_ids),
                what="all runs to end",
                timeout=180,
            )
        finally:
            airflow.start("triggerer")  # the other tests' own

    for each in run_ids:
        assert _task(airflow, each)["state"] == "success"
        result = airflow.xcom(DAG, each, "train")
        assert (result["job_name"], result["outcome"], result["interruptions"]) == (
            names[each],
            "Completed",
            1,
        )
        assert _events(airflow, each) == 1
        [description] = jobs_of[each].descriptions()
        assert "Stopping" not in {
            transition["Status"] for transition in description["SecondaryStatusTransitions"]
        }
