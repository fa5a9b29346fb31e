"""Search hyperparameters in two rounds of mapped trainings on spot capacity: what the first bills decides how wide the second is."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task
from digits.config import BUCKET, DATA, RUN, SCRIPT, training_config

from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.plots import plot_results_task
from airflow_spot_provider.tasks import best_of, hyperparameter_budget, savings_of
from airflow_spot_provider.training import hyperparameter_grid

SEARCHED = ("model", "learning-rate")
EVERY_OTHER = "{{ 'interrupted-once' if ti.map_index % 2 else 'uninterrupted' }}"

log = logging.getLogger(__name__)


def round_of_trainings(name: str) -> Any:
    """A mapped task without its hyperparameters; its members have checkpoints of their own below one prefix."""
    return SageMakerSpotTrainingOperator.partial(
        task_id=name,
        config=training_config(epochs=8, seconds_per_epoch=0.3)
        | {"Tags": [{"Key": "emulator:lifecycle", "Value": EVERY_OTHER}]},
        max_wait=timedelta(hours=2),
        checkpoint_s3_uri=f"{BUCKET}/{RUN}/checkpoints/{name}",
        accept=("Completed", "MaxWaitTimeExceeded"),
        publish_hyperparameters=SEARCHED,
        poll_interval=2,
    )


with DAG(
    dag_id="hyperparameter_fan_out",
    schedule=None,
    catchup=False,
    tags=["spot", "sagemaker"],
    doc_md="""
    The first round trains a grid of models and learning rates. What its jobs billed, interruptions included, decides how many
    more a budget of billable seconds allows: so many samples are trained around the best of the first round. `report` tells the
    best of both rounds, what spot has saved, and how the width of the second round was chosen.

    The tag `emulator:lifecycle` makes the local SageMaker interrupt every other training; AWS does not look at it.
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

    @task
    def around_the_best(best: dict[str, Any], budget: dict[str, Any]) -> list[dict[str, Any]]:
        """Samples of the best model's learning rate, as many as the budget allows."""
        from airflow_spot_provider.training import LogUniform, hyperparameter_samples

        found = best["hyperparameters"]
        rate = float(found["learning-rate"])
        return hyperparameter_samples(
            {"learning-rate": LogUniform(rate / 4, rate * 4)},
            budget["jobs"],
            seed=6,
            fixed={"model": found["model"]},
        )

    @task(multiple_outputs=False)
    def report(best: dict[str, Any], savings: dict[str, Any], budget: dict[str, Any]) -> dict[str, Any]:
        """What was found, what it saved, and why the second round was as wide as it was."""
        summary = {
            "best": {key: best[key] for key in ("job_name", "hyperparameters", "metrics", "model_artifacts")},
            "width": budget,
            **savings,
        }
        log.info("Searched: %s", summary)
        return summary

    first_round = round_of_trainings("first_round").expand(
        hyperparameters=hyperparameter_grid({"model": ["mlp", "linear"], "learning-rate": [0.001, 0.01]})
    )
    width = hyperparameter_budget(first_round.output, billable_seconds=600, max_jobs=4, task_id="width")
    best_so_far = best_of(first_round.output, metric="accuracy", mode="max", task_id="best_so_far")
    second_round = round_of_trainings("second_round").expand(
        hyperparameters=around_the_best(best_so_far, width)
    )
    both_rounds = first_round.output.concat(second_round.output)
    report(best_of(both_rounds, metric="accuracy", mode="max"), savings_of(both_rounds), width)
    plot_results_task(
        both_rounds, path=f"{BUCKET}/{RUN}/plots", metric="accuracy", mode="max", task_id="plots"
    )
    upload(SCRIPT, DATA) >> first_round
