"""Automatic model tuning on a real Airflow, the second tuning job starting from what the first has found."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_spot_provider.demo.local_airflow import LocalAirflow
from airflow_spot_provider.emulator import SageMakerEmulator
from tests.e2e.conftest import Run

pytestmark = [pytest.mark.e2e, pytest.mark.search, pytest.mark.timeout(900)]


def test_example_reports_the_best_training_job_and_what_all_of_them_saved(
    airflow: LocalAirflow, emulator: SageMakerEmulator, run_id: str, jobs: Any
) -> None:
    run = Run(airflow, "automatic_model_tuning", run_id)

    assert run.start() == "success"

    report, descriptions = run.result("report"), jobs.descriptions()
    assert report["jobs"] == len(descriptions) == 10
    billed = sum(job["BillableTimeInSeconds"] for job in descriptions)
    trained = sum(job["TrainingTimeInSeconds"] for job in descriptions)
    assert report["savings_percent"] == pytest.approx((1 - billed / trained) * 100)
    assert report["interruptions"] == 10
    explore, refine = run.result("explore"), run.result("refine")
    parents = emulator.client("sagemaker").describe_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=refine["job_name"]
    )["WarmStartConfig"]["ParentHyperParameterTuningJobs"]
    assert parents == [{"HyperParameterTuningJobName": explore["job_name"]}]
    assert report["best"]["value"] == max(explore["best"]["value"], refine["best"]["value"])
    assert report["best"]["job_name"] in {job["TrainingJobName"] for job in descriptions}
