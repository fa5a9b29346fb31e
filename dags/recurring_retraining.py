"""Retrain a model every week on spot capacity, or when there is new data; a report tells how it went against the week before."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG, task
from digits.assets import DATA_SET, MODEL
from digits.config import BUCKET, DATA, RUN, SCRIPT, training_config

from airflow_spot_provider.operators.report import SpotSavingsReportOperator
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator

try:
    from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable
except ImportError:  # before Airflow 3.2
    from airflow.timetables.assets import AssetOrTimeSchedule
    from airflow.timetables.trigger import CronTriggerTimetable

WEEKLY = "@weekly"

with DAG(
    dag_id="recurring_retraining",
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable(WEEKLY, timezone="UTC"), assets=[DATA_SET]),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(minutes=5)},
    tags=["spot", "sagemaker"],
    doc_md="""
    Every week, and whenever the asset `digits` is updated (by a task with `outlets=[DATA_SET]`, or under Assets with *Create Asset
    Event*): train on managed spot capacity with checkpoints. The asset `digits_classifier` is the new model; `deployment_gate` is
    scheduled on it. `report` compares the run with the one before.

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

    train = SageMakerSpotTrainingOperator(
        task_id="train",
        config=training_config(epochs=8, seconds_per_epoch=0.2, learning_rate=0.003),
        max_wait=timedelta(hours=2),
        checkpoint_s3_uri=f"{BUCKET}/{RUN}/checkpoints",
        poll_interval=2,
        inlets=[DATA_SET],
        outlets=[MODEL],
    )
    report = SpotSavingsReportOperator(task_id="report", last_n_runs=2)
    upload(SCRIPT, DATA) >> train >> report
