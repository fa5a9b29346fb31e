"""Retrain a model every week on spot capacity, and let it through only if it is good enough."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import DAG, task
from digits.config import BUCKET, DATA, RUN, SCRIPT, training_config

from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator

LEAST_ACCURACY = 0.85

log = logging.getLogger(__name__)

with DAG(
    dag_id="recurring_retraining",
    schedule="@weekly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=5)},
    tags=["spot", "sagemaker"],
    doc_md="""
    Every week: train on managed spot capacity with checkpoints, fail if the published accuracy is below 0.85, report.

    Needs the connection `aws_default` and the variables `spot_training_bucket` and `spot_training_role_arn`.
    """,
):

    @task
    def upload(script_uri: str, data_uri: str) -> None:
        """Upload the training script and this week's data."""
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook
        from digits.package import upload_digits, upload_script

        upload_script(S3Hook(), script_uri)
        upload_digits(S3Hook(), data_uri)

    @task(retries=0)
    def is_good_enough(result: dict[str, Any]) -> float:
        """Fail, and so keep back what follows, unless the model is accurate enough."""
        accuracy: float = result["metrics"]["accuracy"]
        if accuracy < LEAST_ACCURACY:
            raise ValueError(f"accuracy is {accuracy:.3f}; {LEAST_ACCURACY} or more is let through")
        return accuracy

    @task
    def report(result: dict[str, Any], accuracy: float) -> dict[str, Any]:
        """What came out, and what it saved."""
        keys = ("model_artifacts", "savings_percent", "interruptions", "training_seconds", "billable_seconds")
        summary = {"accuracy": accuracy, **{key: result[key] for key in keys}}
        log.info("Retrained: %s", summary)
        return summary

    train = SageMakerSpotTrainingOperator(
        task_id="train",
        config=training_config(epochs=8, seconds_per_epoch=0.2, learning_rate=0.003),
        max_wait=timedelta(hours=2),
        checkpoint_s3_uri=f"{BUCKET}/{RUN}/checkpoints",
        poll_interval=2,
    )
    upload(SCRIPT, DATA) >> train
    report(train.output, is_good_enough(train.output))
