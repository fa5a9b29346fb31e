"""A fan-out and the tasks that read it, as an author tries a DAG: ``dag.test()``, twice, the second run learning from the first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.tasks import best_of, hyperparameter_budget
from airflow_spot_provider.training import InvalidSpotRequest, SpotTrainingError

DAG_FILE = """
import json
import pendulum
from airflow.sdk import DAG
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.tasks import best_of, hyperparameter_budget, savings_of
from airflow_spot_provider.training import hyperparameter_grid

with DAG("fan_out_test", schedule=None) as dag:
    train = SageMakerSpotTrainingOperator.partial(
        task_id="train", config={config!r}, max_wait=36_000, poll_interval=1, print_log=False,
        publish_hyperparameters=["rate"],
    ).expand(hyperparameters=hyperparameter_grid({{"rate": [0.1, 0.01]}}))
    savings_of(train.output)
    best_of(train.output, metric="accuracy", mode="max")
    hyperparameter_budget(train.output, billable_seconds=600, task_id="this_run")
    hyperparameter_budget(previous_run_of="train", billable_seconds=600, first_jobs=7)

if __name__ == "__main__":
    for day in (1, 2):
        run = dag.test(logical_date=pendulum.datetime(2026, 1, day))
        tis = run.get_task_instances()
        print("RESULT", json.dumps({{
            "states": {{f"{{ti.task_id}} {{ti.map_index}}": ti.state for ti in tis}},
            "xcoms": {{f"{{ti.task_id}} {{ti.map_index}}": ti.xcom_pull(ti.task_id, map_indexes=ti.map_index) for ti in tis}},
        }}, default=str))
"""


@pytest.fixture(scope="module")
def runs(emulator: SageMakerEmulator, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    root = tmp_path_factory.mktemp("fan-out")
    config = {
        "RoleArn": "arn:aws:iam::123456789012:role/training",
        "AlgorithmSpecification": {"TrainingImage": "local/image:1", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://integration/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3_600},
        "Tags": [
            {"Key": "emulator:training-seconds", "Value": "60"},
            {"Key": "emulator:lifecycle", "Value": "interrupted-once"},
        ],
    }
    (root / "dags").mkdir()
    file = root / "dags" / "fan_out_test.py"
    file.write_text(DAG_FILE.format(config=config))
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(root),
        "AIRFLOW__CORE__DAGS_FOLDER": str(root / "dags"),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW_CONN_AWS_DEFAULT": emulator.airflow_connection(),
    }
    migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(migrate, env=environment, check=True, capture_output=True)
    tried = subprocess.run(
        [sys.executable, str(file)], env=environment, capture_output=True, text=True, check=False
    )
    results = [
        json.loads(line.removeprefix("RESULT "))
        for line in tried.stdout.splitlines()
        if line.startswith("RESULT ")
    ]
    assert len(results) == 2, (tried.stdout + tried.stderr)[-3000:]
    return results


def test_savings_of_a_fan_out_are_the_sum_over_its_members(
    runs: list[dict[str, Any]], emulator: SageMakerEmulator
) -> None:
    xcoms = runs[0]["xcoms"]
    members = [xcoms["train 0"], xcoms["train 1"]]
    assert [member["hyperparameters"] for member in members] == [{"rate": "0.1"}, {"rate": "0.01"}]
    described = [
        emulator.client("sagemaker").describe_training_job(TrainingJobName=member["job_name"])
        for member in members
    ]
    trained = sum(job["TrainingTimeInSeconds"] for job in described)
    billed = sum(job["BillableTimeInSeconds"] for job in described)
    savings = xcoms["savings_of -1"]
    assert savings["savings_percent"] == pytest.approx((1 - billed / trained) * 100)
    assert (savings["jobs"], savings["interruptions"]) == (2, 2)


def test_metric_that_no_member_published_fails_the_task(runs: list[dict[str, Any]]) -> None:
    assert runs[0]["states"]["best_of -1"] == "failed"


def test_width_is_chosen_by_what_this_run_billed(runs: list[dict[str, Any]]) -> None:
    xcoms = runs[0]["xcoms"]
    billed = xcoms["savings_of -1"]["billable_instance_seconds"]
    assert xcoms["this_run -1"]["jobs"] == 600 // (billed / 2)


def test_width_is_chosen_by_what_the_run_before_billed(runs: list[dict[str, Any]]) -> None:
    first, second = (run["xcoms"]["hyperparameter_budget -1"] for run in runs)
    assert first["jobs"] == 7
    billed = runs[0]["xcoms"]["savings_of -1"]["billable_instance_seconds"]
    assert second["jobs"] == 600 // (billed / 2)


def test_what_is_wrong_is_found_at_dag_parse() -> None:
    with pytest.raises(InvalidSpotRequest, match="mode is 'most'"):
        best_of([], metric="accuracy", mode="most")  # type: ignore[arg-type]  # what a user may pass
    with pytest.raises(InvalidSpotRequest, match="billable_seconds is 0"):
        hyperparameter_budget([], billable_seconds=0)
    for neither_or_both in ({}, {"results": [], "previous_run_of": "train"}):
        with pytest.raises(SpotTrainingError, match="one earlier round"):
            hyperparameter_budget(**neither_or_both, billable_seconds=1)
