"""The DAGs that the pictures of the documentation show; tests/ui/story.py tells what becomes of their jobs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from airflow_spot_provider.operators.report import SpotSavingsReportOperator
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.sweeps import spot_sweep
from airflow_spot_provider.task_groups import spot_training_group
from airflow_spot_provider.training import Integers, LogUniform

SCRIPT = Path(__file__).parents[1] / "scripts" / "epochs.py"
METRICS = [
    {"Name": "loss", "Regex": "loss=([0-9.]+)"},
    {"Name": "accuracy", "Regex": "accuracy=([0-9.]+)"},
]


def config(
    instance_type: str, *, minutes: int = 90, runtime: timedelta = timedelta(hours=5)
) -> dict[str, Any]:
    """A job without a script, on the spot market."""
    return {
        "RoleArn": "arn:aws:iam::123456789012:role/training",
        "AlgorithmSpecification": {"TrainingImage": "local/image:1", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://ui-tests/models/{{ dag.dag_id }}"},
        "ResourceConfig": {"InstanceType": instance_type, "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": int(runtime.total_seconds())},
        "Tags": [
            {"Key": "emulator:training-seconds", "Value": str(minutes * 60)},
            {"Key": "emulator:lifecycle", "Value": "random"},
        ],
    }


def with_script(instance_type: str, epochs: int, *, forgets_after: int = 1_000) -> dict[str, Any]:
    """A job with a script whose epochs take five minutes."""
    given = config(instance_type)
    given["AlgorithmSpecification"] |= {
        "ContainerEntrypoint": ["python", str(SCRIPT)],
        "ContainerArguments": [
            str(epochs),
            "300",
            str(forgets_after),
            "{{ dag_run.conf.get('fails_after', 0) }}",
        ],
        "MetricDefinitions": METRICS,
    }
    return given


COMMON: dict[str, Any] = {
    "aws_conn_id": "aws_pictured",
    "checkpoint_s3_uri": "s3://ui-tests/checkpoints/{{ dag.dag_id }}/{{ run_id[-14:-6] }}",
    "poll_interval": 1,
}
LARGE: dict[str, Any] = {"max_wait": timedelta(hours=8), **COMMON}

with DAG("churn_retraining", schedule=None):
    SageMakerSpotTrainingOperator(
        task_id="train",
        config=with_script("ml.g5.xlarge", 60),
        checkpoint_interval=timedelta(minutes=6),
        **LARGE,
    )

with DAG("fraud_nightly", schedule=None):
    SageMakerSpotTrainingOperator(
        task_id="train", config=config("ml.m5.4xlarge"), **LARGE
    ) >> SpotSavingsReportOperator(
        task_id="report",
        training_task_ids=["train"],
        last_n_runs=10,
        path="{{ var.value.spot_training_folder }}/reports/{{ ds_nodash }}",
        formats=["html"],
    )

with DAG("llm_fine_tune", schedule=None):
    SageMakerSpotTrainingOperator(
        task_id="fine_tune",
        config=with_script("ml.g5.12xlarge", 90, forgets_after=14),
        checkpoint_interval=timedelta(minutes=6),
        **LARGE,
    )

with DAG("ranker_search", schedule=None):
    SageMakerSpotTrainingOperator.partial(
        task_id="train",
        config=config("ml.g4dn.2xlarge", minutes=300, runtime=timedelta(hours=2, minutes=30)),
        max_wait=timedelta(hours=2, minutes=40),
        **COMMON,
    ).expand(hyperparameters=[{"depth": 4}, {"depth": 6}, {"depth": 8}])

with DAG("vision_nightly", schedule=None):
    spot_training_group(
        "vision",
        config("ml.p3.2xlarge", minutes=70, runtime=timedelta(minutes=90)),
        max_wait=timedelta(minutes=90),
        **COMMON,
    )

with DAG("tabular_sweep", schedule=None):
    swept = config("ml.c5.2xlarge", minutes=25)
    swept["AlgorithmSpecification"] |= {"MetricDefinitions": METRICS[:1]}
    spot_sweep(
        "search",
        swept,
        space={"learning_rate": LogUniform(0.001, 0.3), "depth": Integers(3, 10)},
        metric="loss",
        mode="min",
        storage="sqlite:///{{ var.value.spot_training_folder }}/studies.db",
        budget={"trials": 6},
        slots=3,
        **LARGE,
    )
