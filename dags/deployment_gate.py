"""Let a new model through only if it is good enough: scheduled on the asset that `recurring_retraining` updates."""

from __future__ import annotations

import logging
import math
from typing import Any

from airflow.sdk import DAG, task
from digits.assets import MODEL
from digits.config import BUCKET

from airflow_spot_provider.assets import training_of_event
from airflow_spot_provider.training import SpotTrainingResult

LEAST_ACCURACY = 0.85

log = logging.getLogger(__name__)

with DAG(
    dag_id="deployment_gate",
    schedule=[MODEL],
    catchup=False,
    max_active_runs=1,
    tags=["spot", "sagemaker"],
    doc_md="""
    Reads what the training came to from the asset's event: a model whose accuracy is below 0.85 fails here and goes no further, a good one
    is copied to where it is served from.

    Needs the connection `aws_default` and the variable `spot_training_bucket`.
    """,
):

    @task
    def is_good_enough(**context: Any) -> str:
        """Fail, and so keep back what follows, unless the newest model is accurate enough."""
        events = context["triggering_asset_events"][MODEL]
        training = training_of_event(events[-1])
        if not isinstance(training, SpotTrainingResult) or training.model_artifacts is None:
            raise ValueError("The asset's newest event tells of no trained model: was it created by hand?")
        accuracy = training.metrics.get("accuracy")
        if accuracy is None or not math.isfinite(accuracy):
            raise ValueError(f"{training.job_name} tells no accuracy that can be judged: {accuracy}.")
        saved = training.savings_percent
        log.info(
            "%s: accuracy %.3f, %s saved",
            training.job_name,
            accuracy,
            "not known" if saved is None else f"{saved:.1f}%",
        )
        if accuracy < LEAST_ACCURACY:
            raise ValueError(f"accuracy is {accuracy:.3f}; {LEAST_ACCURACY} or more is let through")
        return training.model_artifacts

    @task
    def promote(model: str, served_from: str) -> str:
        """Copy the model to where it is served from."""
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        S3Hook().copy_object(model, served_from)
        return served_from

    promote(is_good_enough(), f"{BUCKET}/models/digits_classifier/model.tar.gz")
