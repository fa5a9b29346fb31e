"""Fan-outs on a real Airflow: members wait their turn, one that failed is tried again alone, one round decides on the next."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_spot_provider.demo.local_airflow import LocalAirflow
from airflow_spot_provider.emulator import SageMakerEmulator
from tests.e2e.conftest import Run

pytestmark = [pytest.mark.e2e, pytest.mark.search, pytest.mark.timeout(900)]

INSTANCE_TYPE = "ml.c5.9xlarge"
QUOTA = f"{INSTANCE_TYPE} for spot training job usage"


@pytest.fixture
def another_s_job(emulator: SageMakerEmulator, run_id: str) -> Iterator[None]:
    """The quota is 1, and somebody else's job has it until the test raises it to 3."""
    emulator.set_quota(QUOTA, 1)
    sagemaker = emulator.client("sagemaker")
    sagemaker.create_training_job(
        TrainingJobName=f"another-s-{run_id}",
        RoleArn="arn:aws:iam::123456789012:role/e2e",
        AlgorithmSpecification={"TrainingImage": "local/image:1", "TrainingInputMode": "File"},
        OutputDataConfig={"S3OutputPath": "s3://e2e/another"},
        ResourceConfig={"InstanceType": INSTANCE_TYPE, "InstanceCount": 1, "VolumeSizeInGB": 1},
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 2_000_000, "MaxWaitTimeInSeconds": 2_000_000},
        Tags=[{"Key": "emulator:training-seconds", "Value": "2000000"}],
    )
    yield
    sagemaker.stop_training_job(TrainingJobName=f"another-s-{run_id}")


@pytest.mark.usefixtures("another_s_job")
def test_members_wait_their_turn_and_the_one_that_failed_is_tried_again_alone(
    airflow: LocalAirflow, emulator: SageMakerEmulator, run_id: str, jobs: Any
) -> None:
    run = Run(airflow, "e2e_turns", run_id)

    def _logs() -> list[str]:
        return [run.log("train", index) for index in range(6)]

    airflow.trigger("e2e_turns", run_id)
    airflow.wait_for(
        lambda: [each["state"] for each in run.members("train")] == ["deferred"] * 6,
        what="all of them to wait",
        timeout=600,
    )
    assert jobs.descriptions() == []
    emulator.set_quota(QUOTA, 3)
    assert run.end() == "failed"

    members, results = run.members("train"), run.results("train")
    assert [each["state"] == "success" for each in members] == [index != 3 for index in range(6)]
    assert Counter(jobs.outcomes()) == {"Completed": 5, "MaxWaitTimeExceeded": 1}
    assert results[3]["outcome"] == "MaxWaitTimeExceeded"
    assert {each["try_number"] for each in members} == {1}  # no retry was spent
    assert all(result["checkpoint_s3_uri"].endswith(f"/{index}") for index, result in enumerate(results))
    assert all(len(json.dumps(result)) < 8_000 for result in results)
    assert all("waits its turn" in log and "It is this task's turn" in log for log in _logs())

    run.clear("train", 3)

    assert run.end() == "success"
    assert [each["try_number"] for each in run.members("train")] == [1, 1, 1, 2, 1, 1]
    assert Counter(jobs.outcomes()) == {"Completed": 6, "MaxWaitTimeExceeded": 1}


def test_second_round_is_as_wide_as_the_first_one_s_bill_allows(
    airflow: LocalAirflow, run_id: str, jobs: Any
) -> None:
    run = Run(airflow, "hyperparameter_fan_out", run_id)

    assert run.start() == "success"

    report, descriptions = run.result("report"), jobs.descriptions()
    first, second = run.results("first_round"), run.results("second_round")
    assert len(first) == 4
    assert len(second) == report["width"]["jobs"] == len(descriptions) - 4
    billed = sum(job["BillableTimeInSeconds"] for job in descriptions)
    trained = sum(job["TrainingTimeInSeconds"] for job in descriptions)
    assert report["savings_percent"] == pytest.approx((1 - billed / trained) * 100)
    assert report["jobs"] == len(descriptions)
    interrupted = [result["interruptions"] for result in (*first, *second)]
    assert report["interruptions"] == sum(interrupted) >= 2
    best = max(result["metrics"]["accuracy"] for result in (*first, *second))
    assert report["best"]["metrics"]["accuracy"] == best >= 0.85
    assert set(report["best"]["hyperparameters"]) == {"model", "learning-rate"}
    assert (
        f"{sum(result['billable_seconds'] for result in first):,} instance-seconds" in report["width"]["why"]
    )
    prefixes = [job["CheckpointConfig"]["S3Uri"] for job in descriptions]
    assert len(set(prefixes)) == len(prefixes)
