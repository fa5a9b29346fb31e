"""Find the best hyperparameters of two models with SageMaker automatic model tuning on spot capacity."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task
from digits.config import BUCKET, DATA, RUN, SCRIPT, training_config

from airflow_spot_provider.operators.tuning import SageMakerSpotTuningOperator

MODELS = ("mlp", "linear")

log = logging.getLogger(__name__)


def definition_of(model: str) -> dict[str, Any]:
    """What the training jobs of one model share, and what of it is tuned, as CreateHyperParameterTuningJob takes it."""
    config = training_config(epochs=6, seconds_per_epoch=0.2)
    static = config.pop("HyperParameters") | {"model": model}
    return config | {
        "DefinitionName": model,
        "StaticHyperParameters": static,
        "TuningObjective": {"Type": "Maximize", "MetricName": "accuracy"},
        "HyperParameterRanges": {
            "ContinuousParameterRanges": [
                {
                    "Name": "learning-rate",
                    "MinValue": "0.0003",
                    "MaxValue": "0.03",
                    "ScalingType": "Logarithmic",
                }
            ],
            "IntegerParameterRanges": [{"Name": "batches", "MinValue": "10", "MaxValue": "40"}],
        },
    }


def tuning_config(strategy: str, jobs: int) -> dict[str, Any]:
    """A config for a tuning job over both models.

    :param strategy: how hyperparameters are chosen.
    :param jobs: how many training jobs there are.
    """
    return {
        "HyperParameterTuningJobConfig": {
            "Strategy": strategy,
            "RandomSeed": 7,
            "ResourceLimits": {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": 2},
        },
        "TrainingJobDefinitions": [definition_of(model) for model in MODELS],
        "Tags": [{"Key": "emulator:lifecycle", "Value": "interrupted-once"}],
    }


with DAG(
    dag_id="automatic_model_tuning",
    schedule=None,
    catchup=False,
    tags=["spot", "sagemaker"],
    doc_md="""
    A random search over two models on managed spot capacity, and a Bayesian one that goes on from what it has found (warm start).
    `report` tells the best training job of both, and what spot has saved over all of them.

    The tag `emulator:lifecycle` makes the local SageMaker interrupt every training job once; AWS does not look at it.
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
    def report(tuned: list[dict[str, Any]]) -> dict[str, Any]:
        """The best of all training jobs, and what they saved together."""
        from airflow_spot_provider.training import Savings, SpotTuningResult

        results = [SpotTuningResult.from_json(each) for each in tuned]
        savings = Savings.total(result.savings for result in results)
        best = max(
            (result.best for result in results if result.best is not None and result.best.value is not None),
            key=lambda each: each.value or 0.0,
        )
        summary = {
            "savings_percent": savings.percent,
            "savings_unknown": savings.unknown,
            "best": best.model_dump(mode="json"),
            "jobs": sum(result.jobs for result in results),
            "interruptions": sum(result.interruptions for result in results),
            "tuning_jobs": [[result.job_name, str(result.outcome)] for result in results],
        }
        log.info("Tuned: %s", summary)
        return summary

    arguments: dict[str, Any] = {
        "max_wait": timedelta(hours=3),
        "checkpoint_s3_uri": f"{BUCKET}/{RUN}/checkpoints",
        "poll_interval": 2,
    }
    explore = SageMakerSpotTuningOperator(
        task_id="explore", config=tuning_config("Random", jobs=6), **arguments
    )
    refine = SageMakerSpotTuningOperator(
        task_id="refine", config=tuning_config("Bayesian", jobs=4), warm_start=explore.output, **arguments
    )
    upload(SCRIPT, DATA) >> explore >> refine
    report([explore.output, refine.output])
