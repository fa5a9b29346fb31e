"""Search hyperparameters with Optuna on spot capacity: every trial is a training job, and those that lose are stopped early."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task
from digits.config import BUCKET, DATA, RUN, SCRIPT, training_config

from airflow_spot_provider.plots import plot_sweep_task
from airflow_spot_provider.sweeps import spot_sweep
from airflow_spot_provider.training import Categorical, Integers, LogUniform

STUDIES = "sqlite:///{{ var.value.get('spot_training_folder', '/tmp') }}/studies.db"

log = logging.getLogger(__name__)

with DAG(
    dag_id="hyperparameter_sweep",
    schedule=None,
    catchup=False,
    tags=["spot", "sagemaker"],
    doc_md="""
    Three slots train ten trials between them. Each asks Optuna for its next trial as soon as its last one has ended, so that an
    interrupted one holds up nobody. The pruner reads the accuracy from the training log after each epoch, and stops what loses.

    The tag `emulator:lifecycle` makes the local SageMaker interrupt every training; AWS does not look at it.
    Needs the connection `aws_default`, the variables `spot_training_bucket` and `spot_training_role_arn`, and, for the study, a
    folder `spot_training_folder` that scheduler and triggerer share (or a database: pass `storage` a connection's id).
    """,
):

    @task
    def upload(script_uri: str, data_uri: str) -> None:
        """Upload the training script and the digits."""
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook
        from digits.package import upload_digits, upload_script

        upload_script(S3Hook(), script_uri)
        upload_digits(S3Hook(), data_uri)

    @task(multiple_outputs=False)
    def report(sweep: dict[str, Any]) -> dict[str, Any]:
        """The best trial, and what the sweep saved."""
        summary = {**sweep, "best": sweep["best"][0]}
        log.info("Swept: %s", summary)
        return summary

    swept = spot_sweep(
        "sweep",
        training_config(epochs=10, seconds_per_epoch=0.7)
        | {"Tags": [{"Key": "emulator:lifecycle", "Value": "interrupted-once"}]},
        space={
            "model": Categorical(("mlp", "linear")),
            "learning-rate": LogUniform(1e-4, 1e-1),
            "batches": Integers(5, 40, log=True),
        },
        metric="accuracy",
        mode="max",
        storage=STUDIES,
        budget={"trials": 10},
        slots=3,
        prune={"pruner": "median", "n_startup_trials": 3, "n_warmup_steps": 2},
        max_wait=timedelta(hours=2),
        checkpoint_s3_uri=f"{BUCKET}/{RUN}/checkpoints",
        poll_interval=1,
    )
    upload(SCRIPT, DATA) >> swept
    report(swept.output)
    plot_sweep_task(swept, path=f"{BUCKET}/{RUN}/plots", task_id="plots")
