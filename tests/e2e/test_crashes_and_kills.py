"""Kills and crashes on a real Airflow: one job, no orphan, no lost result."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_spot_provider.demo.local_airflow import LocalAirflow
from airflow_spot_provider.emulator import SageMakerEmulator
from tests.airflow_versions import needs_airflow

pytestmark = pytest.mark.e2e


def _is(airflow: LocalAirflow, dag_id: str, run_id: str, *states: str) -> bool:
    return airflow.task_states(dag_id, run_id).get("train") in states


def _deferred(airflow: LocalAirflow, dag_id: str, run_id: str, jobs: Any) -> str:
    """Start a run, wait until its task is deferred and watched, and name its job."""
    airflow.trigger(dag_id, run_id)
    airflow.wait_for(
        lambda: _is(airflow, dag_id, run_id, "deferred"), what="the task to be deferred", timeout=90
    )
    airflow.wait_for(
        lambda: "Starting;" in airflow.task_log(dag_id, run_id, "train"),
        what="the trigger to watch",
        timeout=60,
    )
    [job] = jobs.descriptions()
    return str(job["TrainingJobName"])


def test_deferred_task_marked_failed_has_its_job_stopped(
    airflow: LocalAirflow, run_id: str, jobs: Any
) -> None:
    _deferred(airflow, "e2e_long", run_id, jobs)

    airflow.patch(f"/dags/e2e_long/dagRuns/{run_id}/taskInstances/train", {"new_state": "failed"})

    airflow.wait_for(lambda: jobs.outcomes() == ["Stopped"], what="the job to be stopped", timeout=60)
    assert _is(airflow, "e2e_long", run_id, "failed")


def test_cleared_deferred_task_has_its_job_stopped_and_gets_a_new_one(
    airflow: LocalAirflow, run_id: str, jobs: Any
) -> None:
    first = _deferred(airflow, "e2e_long", run_id, jobs)

    airflow.post(
        "/dags/e2e_long/clearTaskInstances",
        {"dag_run_id": run_id, "task_ids": ["train"], "dry_run": False, "only_failed": False},
    )

    # Either the kill came first (that job is stopped, and a new one runs), or the new try did (it keeps the job).
    def _one_job_runs() -> bool:
        running = [job for job in jobs.descriptions() if job["TrainingJobStatus"] == "InProgress"]
        states = airflow.get(f"/dags/e2e_long/dagRuns/{run_id}/taskInstances/train")
        return len(running) == 1 and states["try_number"] == 2 and states["state"] == "deferred"

    airflow.wait_for(_one_job_runs, what="one job to run for the second try", timeout=120)
    described = jobs.descriptions()
    assert described[0]["TrainingJobName"] == first
    if len(described) > 1:
        assert described[0]["TrainingJobStatus"] == "Stopped"
        assert described[1]["CreationTime"] >= described[0]["SecondaryStatusTransitions"][-1]["StartTime"]


def test_triggerer_killed_and_started_again_still_brings_the_result(
    airflow: LocalAirflow, run_id: str, jobs: Any
) -> None:
    job = _deferred(airflow, "e2e_minute", run_id, jobs)

    airflow.kill("triggerer")
    assert jobs.are_running()
    airflow.start("triggerer")

    airflow.wait_for(
        lambda: airflow.run_state("e2e_minute", run_id) in ("success", "failed"),
        what="the run to end",
        timeout=240,
    )
    result = airflow.xcom("e2e_minute", run_id, "train")
    assert (result["job_name"], result["outcome"], result["interruptions"]) == (job, "Completed", 1)
    assert len(jobs.descriptions()) == 1


def test_progress_and_training_log_are_seen_while_the_task_is_deferred(
    airflow: LocalAirflow, emulator: SageMakerEmulator, run_id: str, jobs: Any
) -> None:
    job = _deferred(airflow, "e2e_long", run_id, jobs)
    airflow.wait_for(
        lambda: "Training;" in airflow.task_log("e2e_long", run_id, "train"), what="the training", timeout=60
    )

    emulator.interrupt(job)

    def _statuses() -> list[str]:
        progress = airflow.xcom("e2e_long", run_id, "train", "spot_progress")
        assert progress["job_name"] == job
        return [status for status, _, _ in progress["timeline"]]

    airflow.wait_for(
        lambda: "Interrupted" in _statuses(), what="the interruption to be published", timeout=90
    )
    assert _statuses()[:4] == ["Starting", "Downloading", "Training", "Interrupted"]
    assert _is(airflow, "e2e_long", run_id, "deferred")


@needs_airflow("3.1", "a killed process is not retried before: `airflow-spot jobs` finds its job")
def test_worker_killed_between_submit_and_deferral_has_its_job_adopted_by_the_retry(
    airflow: LocalAirflow, run_id: str, jobs: Any
) -> None:
    dag_id = "e2e_dies_after_submit"
    airflow.trigger(dag_id, run_id)
    airflow.wait_for(
        lambda: airflow.run_state(dag_id, run_id) in ("success", "failed"), what="the run to end", timeout=180
    )

    assert airflow.run_state(dag_id, run_id) == "success"
    task = airflow.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/train")
    assert task["try_number"] == 2
    [job] = jobs.descriptions()
    assert airflow.xcom(dag_id, run_id, "train")["job_name"] == job["TrainingJobName"]
    assert "taking it up" in airflow.task_log(dag_id, run_id, "train", 2)


def test_secrets_are_in_no_log_no_xcom_and_no_rendered_field(
    airflow: LocalAirflow, run_id: str, jobs: Any
) -> None:
    job = _deferred(airflow, "e2e_long", run_id, jobs)

    task = airflow.get(f"/dags/e2e_long/dagRuns/{run_id}/taskInstances/train")
    seen = "\n".join(
        (
            str(task),
            airflow.task_log("e2e_long", run_id, "train"),
            str(airflow.xcom("e2e_long", run_id, "train", "sagemaker_training_job")),
        )
    )
    assert job in seen
    assert task["rendered_fields"]["config"]["Environment"] == {"SECRET": "***"}
    assert "hunter2-is-not-a-password" not in seen
