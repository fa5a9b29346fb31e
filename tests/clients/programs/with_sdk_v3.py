"""Managed spot training with the SageMaker Python SDK v3."""

from __future__ import annotations

import json
import sys

from sagemaker.core.helper.session_helper import Session, _logs_for_job
from sagemaker.core.shapes import CheckpointConfig, MetricDefinition, StoppingCondition
from sagemaker.core.training.configs import Compute, InputData, SourceCode
from sagemaker.core.utils.exceptions import FailedStatusError
from sagemaker.train import ModelTrainer


def trainer(source: str, role: str, name: str, **hyperparameters: object) -> ModelTrainer:
    bucket = Session().default_bucket()
    return (
        ModelTrainer(
            training_image="123456789012.dkr.ecr.us-east-1.amazonaws.com/line:1",
            role=role,
            base_job_name=name,
            source_code=SourceCode(source_dir=source, entry_script="train.py"),
            compute=Compute(
                instance_type="ml.m5.large",
                instance_count=1,
                volume_size_in_gb=1,
                enable_managed_spot_training=True,
            ),
            stopping_condition=StoppingCondition(
                max_runtime_in_seconds=14_400, max_wait_time_in_seconds=28_800
            ),
            hyperparameters=hyperparameters,
        )
        .with_checkpoint_config(CheckpointConfig(s3_uri=f"s3://{bucket}/checkpoints/{name}"))
        .with_metric_definitions(
            [MetricDefinition(name="validation:loss", regex="validation:loss=([0-9.e-]+)")]
        )
    )


def train(source: str, data: str, role: str, name: str) -> dict[str, object]:
    """Train, with the job's log on the screen; then once more as the SDK prints it for remote functions: with the savings."""
    training = trainer(source, role, name, epochs=12)
    training.train([InputData(channel_name="training", data_source=data)], wait=True, logs=True)
    job = training._latest_training_job  # the SDK has no public name for it
    _logs_for_job(Session(), job.training_job_name, wait=True)
    return {
        "job": job.training_job_name,
        "status": job.training_job_status,
        "statuses": [transition.status for transition in job.secondary_status_transitions],
        "billable": job.billable_time_in_seconds,
        "model": job.model_artifacts.s3_model_artifacts,
        "loss": job.final_metric_data_list[0].value,
        "command": [
            *job.algorithm_specification.container_entrypoint,
            *job.algorithm_specification.container_arguments,
        ],
    }


def fail(source: str, data: str, role: str, name: str) -> dict[str, object]:
    """What the SDK raises for a script that fails."""
    training = trainer(source, role, name, fail="the points are not on a line")
    try:
        training.train([InputData(channel_name="training", data_source=data)], wait=True, logs=False)
    except FailedStatusError as error:
        return {"error": str(error)}
    raise AssertionError("the job did not fail")


if __name__ == "__main__":
    what = {"train": train, "fail": fail}[sys.argv[1]]
    print(json.dumps(what(*sys.argv[2:])))
