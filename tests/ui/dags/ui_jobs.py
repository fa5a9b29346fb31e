"""DAGs of the browser tests. Their jobs have no script; the tests move the clock that they go by."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.task_groups import spot_training_group

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def config(seconds: int, lifecycle: str = "uninterrupted") -> dict[str, Any]:
    return {
        "RoleArn": "arn:aws:iam::123456789012:role/ui",
        "AlgorithmSpecification": {"TrainingImage": "local/image:1", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://ui-tests/models"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 36_000},
        "HyperParameters": {"note": HOSTILE},
        "Tags": [
            {"Key": "emulator:training-seconds", "Value": str(seconds)},
            {"Key": "emulator:lifecycle", "Value": lifecycle},
        ],
    }


ARGUMENTS: dict[str, Any] = {
    "max_wait": 72_000,
    "checkpoint_s3_uri": "s3://ui-tests/checkpoints/{{ dag.dag_id }}",
    "poll_interval": 1,
}

with DAG("ui_live", schedule=None):
    SageMakerSpotTrainingOperator(task_id="train", config=config(3_600), **ARGUMENTS)

with DAG("ui_two_rungs", schedule=None):
    spot_training_group("churn", config(3_600), **ARGUMENTS)

with DAG("ui_fan_out", schedule=None, dag_display_name=f"Fan-out {HOSTILE}"):
    SageMakerSpotTrainingOperator.partial(
        task_id="train",
        task_display_name=f"Train {HOSTILE}",
        config=config(600),
        publish_hyperparameters=["note", "rate"],
        **ARGUMENTS,
    ).expand(hyperparameters=[{"rate": 0.1}, {"rate": HOSTILE}])

with DAG("secret_dag", schedule=None):
    SageMakerSpotTrainingOperator(task_id="secret_train", config=config(600), **ARGUMENTS)

with DAG("ui_strangers", schedule=None):

    @task
    def others(**context: Any) -> list[dict[str, Any]]:
        """What each member of the next task writes, as the run was told."""
        told: list[dict[str, Any]] = context["dag_run"].conf["xcoms"]
        return told

    @task
    def writes_what_it_likes(xcoms: dict[str, Any], **context: Any) -> None:
        """XComs under our keys that are none of ours, or of an older version."""
        for key, value in xcoms.items():
            context["ti"].xcom_push(key=key, value=value)

    writes_what_it_likes.expand(xcoms=others())
