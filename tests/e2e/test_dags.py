"""The example DAGs on a real Airflow."""

from __future__ import annotations

import pytest

from airflow_spot_provider.demo.local_airflow import LocalAirflow
from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.training import SpotTrainingResult, Timeline, savings_percent

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

STARTED = ["Starting", "Downloading", "Training"]
LIFECYCLES = {
    "uninterrupted": ("Completed", [*STARTED, "Uploading", "Completed"]),
    "interrupted_once": ("Completed", [*STARTED, "Interrupted", *STARTED, "Uploading", "Completed"]),
    "interrupted_twice_then_max_wait": (
        "MaxWaitTimeExceeded",
        [*STARTED, "Interrupted", *STARTED, "Interrupted", *STARTED[1:], "Stopping", "MaxWaitTimeExceeded"],
    ),
    "never_launched": ("MaxWaitTimeExceeded", ["Starting", "Stopping", "MaxWaitTimeExceeded"]),
}


def _run(airflow: LocalAirflow, dag_id: str, run_id: str) -> None:
    airflow.trigger(dag_id, run_id)
    airflow.wait_for(
        lambda: airflow.run_state(dag_id, run_id) in ("success", "failed"),
        what=f"{dag_id} to end",
        timeout=840,
    )
    assert airflow.run_state(dag_id, run_id) == "success", airflow.task_states(dag_id, run_id)


def test_spot_training_branching(airflow: LocalAirflow, emulator: SageMakerEmulator, run_id: str) -> None:
    dag_id = "spot_training_branching"
    _run(airflow, dag_id, run_id)

    states = airflow.task_states(dag_id, run_id)
    report = airflow.xcom(dag_id, run_id, "report")
    sagemaker = emulator.client("sagemaker")
    logs = {}
    for group, (outcome, statuses) in LIFECYCLES.items():
        result = SpotTrainingResult.from_json(airflow.xcom(dag_id, run_id, f"{group}.train_on_spot"))
        description = sagemaker.describe_training_job(TrainingJobName=result.job_name)
        assert result.outcome == outcome
        assert [str(entry.status) for entry in Timeline.of(description).transitions] == statuses
        expected = savings_percent(
            description.get("TrainingTimeInSeconds"), description.get("BillableTimeInSeconds")
        )
        published = airflow.xcom(dag_id, run_id, f"{group}.train_on_spot", "savings_percent")
        assert published == report[group.replace("_", "-")] == pytest.approx(expected)
        fallback = "skipped" if outcome == "Completed" else "success"
        assert states[f"{group}.train_on_demand"] == fallback
        final = SpotTrainingResult.from_json(airflow.xcom(dag_id, run_id, f"{group}.result"))
        assert (final.outcome, final.managed_spot) == ("Completed", outcome == "Completed")
        assert final.model_artifacts
        logs[group] = airflow.task_log(dag_id, run_id, f"{group}.train_on_spot")
    assert report["never-launched"] is None

    # The same training, however often it was interrupted, gives the same model.
    accuracies = {
        airflow.xcom(dag_id, run_id, f"{group}.result")["metrics"]["accuracy"] for group in LIFECYCLES
    }
    assert len(accuracies) == 1
    assert "resumed from epoch" in logs["interrupted_once"]
    assert "resumed from epoch" not in logs["uninterrupted"]
    fallback_log = airflow.task_log(dag_id, run_id, "interrupted_twice_then_max_wait.train_on_demand")
    assert "resumed from epoch" in fallback_log
    for status in ("Starting;", "Downloading;", "Training;", "Interrupted after", "Uploading;", "Completed;"):
        assert status in logs["interrupted_once"]


@pytest.mark.search
def test_fan_out_and_branch_over_mapped_trainings(airflow: LocalAirflow, run_id: str) -> None:
    dag_id = "e2e_fan_out"
    _run(airflow, dag_id, run_id)

    states = airflow.task_states(dag_id, run_id)
    assert (states["good"], states["bad"]) == ("success", "skipped")
