"""Four trainings on spot capacity side by side, one for each lifecycle that AWS documents."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import DAG, task
from digits.config import BUCKET, DATA, RUN, SCRIPT, training_config

from airflow_spot_provider.task_groups import spot_training_group

LIFECYCLES = ("uninterrupted", "interrupted-once", "interrupted-twice-then-max-wait", "never-launched")

log = logging.getLogger(__name__)

with DAG(
    dag_id="spot_training_branching",
    schedule=None,
    catchup=False,
    tags=["spot", "sagemaker"],
    doc_md="""
    Each group trains the handwritten digits on managed spot capacity and branches on how that ended: **Completed** goes
    on, **MaxWaitTimeExceeded** finishes the same training on demand, from the same checkpoint. `report` reads the savings.

    The tag `emulator:lifecycle` makes the local SageMaker play one lifecycle each; AWS does not look at it.
    Needs the connection `aws_default` and the variables `spot_training_bucket` and `spot_training_role_arn`.
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
    def report(**context: Any) -> dict[str, Any]:
        """What each training saved, from XCom."""
        savings = {
            lifecycle: context["ti"].xcom_pull(
                task_ids=f"{lifecycle.replace('-', '_')}.train_on_spot", key="savings_percent"
            )
            for lifecycle in LIFECYCLES
        }
        for lifecycle, percent in savings.items():
            log.info(
                "%-34s %s",
                lifecycle,
                "not known: it never trained" if percent is None else f"{percent:.1f}% saved",
            )
        return savings

    uploaded, reported = upload(SCRIPT, DATA), report()
    for lifecycle in LIFECYCLES:
        config = training_config(epochs=12, seconds_per_epoch=0.8, learning_rate=0.003)
        trained = spot_training_group(
            lifecycle.replace("-", "_"),
            config | {"Tags": [{"Key": "emulator:lifecycle", "Value": lifecycle}]},
            max_wait=3600,
            checkpoint_s3_uri=f"{BUCKET}/{RUN}/checkpoints/{lifecycle}",
            poll_interval=2,
        )
        uploaded >> trained >> reported
