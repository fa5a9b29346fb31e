"""DAGs of the browser tests. Their jobs have no script; the tests hold the capacity that they wait for."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param, task

from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.task_groups import spot_training_group

HOSTILE = "<script>document.title='taken over'</script>"


def config(seconds: int, lifecycle: str, instance_type: str = "ml.m5.large") -> dict[str, Any]:
    return {
        "RoleArn": "arn:aws:iam::123456789012:role/ui",
        "AlgorithmSpecification": {"TrainingImage": "local/image:1", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://ui-tests/models"},
        "ResourceConfig": {"InstanceType": instance_type, "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "HyperParameters": {"note": HOSTILE},
        "Tags": [
            {"Key": "emulator:training-seconds", "Value": str(seconds)},
            {"Key": "emulator:lifecycle", "Value": lifecycle},
        ],
    }


ARGUMENTS: dict[str, Any] = {
    "max_wait": 7200,
    "checkpoint_s3_uri": "s3://ui-tests/checkpoints/{{ run_id }}",
    "poll_interval": 1,
}

with DAG("ui_live", schedule=None):
    SageMakerSpotTrainingOperator(task_id="train", config=config(40, "random", "ml.m5.4xlarge"), **ARGUMENTS)

with DAG("ui_done", schedule=None):
    SageMakerSpotTrainingOperator(task_id="train", config=config(40, "interrupted-once"), **ARGUMENTS)

with DAG("ui_group", schedule=None):
    spot_training_group("churn", config(40, "random", "ml.c5.4xlarge"), **ARGUMENTS)

with DAG("ui_failed", schedule=None):
    SageMakerSpotTrainingOperator(task_id="train", config=config(20, "failed"), **ARGUMENTS)

with DAG("ui_fan_out", schedule=None):
    SageMakerSpotTrainingOperator.partial(
        task_id="train",
        config=config(20, "uninterrupted"),
        publish_hyperparameters=["note", "rate"],
        **ARGUMENTS,
    ).expand(hyperparameters=[{"rate": 0.1}, {"rate": HOSTILE}])

with DAG("secret_dag", schedule=None):
    SageMakerSpotTrainingOperator(task_id="secret_train", config=config(20, "uninterrupted"), **ARGUMENTS)

with DAG("ui_strangers", schedule=None, params={"values": Param([], type="array")}):

    @task
    def writes_what_it_likes(**context: Any) -> None:
        """Somebody else's XCom under our key: given as the run's parameter."""
        context["ti"].xcom_push(key="spot_progress", value=context["params"]["values"][0])

    writes_what_it_likes()
