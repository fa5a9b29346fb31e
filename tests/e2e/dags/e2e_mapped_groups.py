"""Mapped task groups, each of whose members spot capacity treats differently, for the end-to-end tests."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task, task_group

from airflow_spot_provider.operators.branch import SageMakerSpotBranchOperator
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.task_groups import spot_training_group

LIFECYCLES = ["uninterrupted", "never-launched", "failed", "uninterrupted"]
# What reaches a task as an argument of its group is not rendered: nothing here is a template.
CONFIG: dict[str, Any] = {
    "RoleArn": "arn:aws:iam::123456789012:role/e2e",
    "AlgorithmSpecification": {"TrainingImage": "local/image:1", "TrainingInputMode": "File"},
    "OutputDataConfig": {"S3OutputPath": "s3://e2e/mapped"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    "StoppingCondition": {"MaxRuntimeInSeconds": 600},
}
TRAINING: dict[str, Any] = {"poll_interval": 1, "allow_no_checkpoint": True}


def config(lifecycle: str) -> dict[str, Any]:
    tags = {"emulator:training-seconds": "60", "emulator:lifecycle": lifecycle}
    return {**CONFIG, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


with DAG("e2e_mapped_group", schedule=None):

    @task_group
    def member(configuration: Any) -> None:
        """One configuration, on spot and then on demand."""
        spot_training_group("model", configuration, max_wait=1200, **TRAINING)

    member.expand(configuration=[config(each) for each in LIFECYCLES])

with DAG("e2e_mapped_branch", schedule=None):

    @task_group
    def by_hand(configuration: Any) -> None:
        """The same with the branch operator, and a task that is none of ours."""
        spot = SageMakerSpotTrainingOperator(
            task_id="spot", config=configuration, max_wait=1200, accept=("MaxWaitTimeExceeded",), **TRAINING
        )
        branch = SageMakerSpotBranchOperator(
            task_id="branch",
            training_task_id="by_hand.spot",
            on_completed="by_hand.deploy",
            on_max_wait_time_exceeded="by_hand.demand",
            on_failed=None,
        )
        demand = SageMakerSpotTrainingOperator(
            task_id="demand", config=configuration, managed_spot=False, **TRAINING
        )

        @task
        def deploy() -> str:
            """Completed on spot."""
            return "deployed"

        spot >> branch >> [demand, deploy()]

    by_hand.expand(configuration=[config(each) for each in LIFECYCLES])
