"""A sweep on a real Airflow whose scheduler is killed in the middle of it: no trial is lost, told twice or trained twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest

from airflow_spot_provider.demo.local_airflow import LocalAirflow
from tests.e2e.conftest import Run

pytestmark = [pytest.mark.e2e, pytest.mark.search, pytest.mark.timeout(1800)]


@pytest.mark.parametrize("killed", [False, True])
def test_sweep_trains_the_same_number_of_trials_whether_or_not_the_scheduler_dies(
    airflow: LocalAirflow, run_id: str, jobs: Any, *, killed: bool
) -> None:
    run = Run(airflow, "e2e_sweep", run_id)
    if killed:
        airflow.trigger("e2e_sweep", run_id)
        airflow.wait_for(lambda: len(jobs.descriptions()) >= 3, what="a third trial", timeout=600)
        airflow.kill("scheduler")
        airflow.wait_for(
            lambda: "InProgress" not in {job["TrainingJobStatus"] for job in jobs.descriptions()},
            what="the running trials to end with nobody there",
            timeout=600,
        )
        airflow.start("scheduler")
        assert run.end() == "success"
    else:
        assert run.start() == "success"

    result, descriptions = run.result("sweep.results"), jobs.descriptions()
    assert jobs.outcomes() == ["Completed"] * 4
    assert result["states"] == {"COMPLETE": 4, "PRUNED": 0, "FAIL": 0}
    assert (result["jobs"], result["given_up"]) == (4, 0)
    objectives = airflow.xcom("e2e_sweep", run_id, "sweep.prepare", "spot_objectives")
    assert objectives == {"metrics": result["metrics"], "modes": result["modes"]}
    billed = sum(job["BillableTimeInSeconds"] for job in descriptions)
    trained = sum(job["TrainingTimeInSeconds"] for job in descriptions)
    assert result["savings_percent"] == pytest.approx((1 - billed / trained) * 100)
    study = optuna.load_study(study_name=result["study"], storage=f"sqlite:///{_folder(airflow)}/studies.db")
    told = [trial for trial in study.get_trials() if trial.state is optuna.trial.TrialState.COMPLETE]
    assert sorted(trial.user_attrs["airflow-spot:job"] for trial in told) == sorted(
        job["TrainingJobName"] for job in descriptions
    )


def test_example_reports_the_best_trial_and_what_all_of_them_saved(
    airflow: LocalAirflow, run_id: str, jobs: Any
) -> None:
    run = Run(airflow, "hyperparameter_sweep", run_id)

    assert run.start() == "success"

    report, descriptions = run.result("report"), jobs.descriptions()
    assert report["jobs"] == len(descriptions) == 10
    billed = sum(job["BillableTimeInSeconds"] for job in descriptions)
    trained = sum(job["TrainingTimeInSeconds"] for job in descriptions)
    assert report["savings_percent"] == pytest.approx((1 - billed / trained) * 100)
    assert report["interruptions"] >= 10 - report["states"]["PRUNED"]
    [best] = [job for job in descriptions if job["TrainingJobName"] == report["best"]["job_name"]]
    chosen = {
        name: str(report["best"]["hyperparameters"][name]) for name in ("model", "learning-rate", "batches")
    }
    assert chosen.items() <= best["HyperParameters"].items()
    accuracy = {metric["MetricName"]: metric["Value"] for metric in best["FinalMetricDataList"]}["accuracy"]
    assert report["best"]["values"] == [pytest.approx(accuracy, abs=1e-6)]
    assert accuracy >= 0.8


def _folder(airflow: LocalAirflow) -> Path:
    """The variable spot_training_folder."""
    return airflow.home.parent
