"""A user who does not want to wait for spot capacity any longer: the group goes on with its next training."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_spot_provider.aws.kinds import TRAINING_JOBS
from airflow_spot_provider.aws.ownership import stop_for_next_rung
from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.operators.branch import SageMakerSpotBranchOperator
from airflow_spot_provider.task_groups import spot_training_group
from airflow_spot_provider.training import TrainingJobStopped
from tests.airflow_versions import TaskDeferred
from tests.integration.provider.task_instance import FakeTaskInstance

pytestmark = pytest.mark.usefixtures("aws_connection")

TRAINING, DEMAND = "g.train_on_spot", "g.train_on_demand"


@pytest.fixture
def dag(job_config: dict[str, Any]) -> DAG:
    tags = [*job_config["Tags"], {"Key": "emulator:lifecycle", "Value": "never-launched"}]
    with DAG("integration", schedule=None) as dag:
        spot_training_group(
            "g", {**job_config, "Tags": tags}, max_wait=100_000, poll_interval=1, region_name="us-east-1"
        )
    dag.resolve_template_files()
    return dag


@pytest.fixture
def ti(unique: str) -> FakeTaskInstance:
    return FakeTaskInstance(f"manual__{unique}", task_id=TRAINING)


def _waits(dag: DAG, ti: FakeTaskInstance) -> tuple[Any, str]:
    """The training task, and the job that it waits for."""
    training: Any = dag.get_task(TRAINING)
    with pytest.raises(TaskDeferred) as deferral:
        training.execute(ti.context)
    return training, deferral.value.trigger.job_name  # type: ignore[attr-defined]


def test_group_goes_on_with_the_next_rung_when_a_user_asks_for_it(dag: DAG, ti: FakeTaskInstance) -> None:
    training, job = _waits(dag, ti)
    assert ti.xcoms["spot_progress"]["next_rung"] == DEMAND

    assert stop_for_next_rung(SageMakerSpotHook(region_name="us-east-1").jobs(TRAINING_JOBS), job, DEMAND)
    result = training.execute_complete(ti.context, {"job_name": job, "outcome": "Stopped"})

    assert result["outcome"] == "Stopped"
    branch = dag.get_task("g.how_it_ended")
    assert isinstance(branch, SageMakerSpotBranchOperator)
    ti.pullable[TRAINING] = result
    assert branch.choose_branch(ti.context) == DEMAND


def test_job_that_somebody_stopped_for_another_reason_still_fails_the_group(
    dag: DAG, ti: FakeTaskInstance, emulator: SageMakerEmulator
) -> None:
    training, job = _waits(dag, ti)

    emulator.client("sagemaker").stop_training_job(TrainingJobName=job)

    with pytest.raises(TrainingJobStopped):
        training.execute_complete(ti.context, {"job_name": job, "outcome": "Stopped"})
    assert ti.xcoms["return_value"]["outcome"] == "Stopped"


def test_job_that_waits_from_its_submit_on_tells_since_when_and_until_when(
    dag: DAG, ti: FakeTaskInstance
) -> None:
    _waits(dag, ti)

    begun = ti.xcoms["spot_progress"]
    assert (begun["phase"], begun["since"]) == ("waiting", begun["created"])
    left = datetime.fromisoformat(begun["max_wait_ends"]) - datetime.fromisoformat(begun["created"])
    assert left == timedelta(seconds=100_000)
