"""DAGs of single trainings for the end-to-end tests; the jobs have no script and train for some emulated seconds.

A minute of them passes in a second. What a test has to be in time for is LONG; no limit is so short that a busy machine could reach it.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from airflow.sdk import DAG, task

from airflow_spot_provider.operators.branch import SageMakerSpotBranchOperator
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.sweeps import spot_sweep
from airflow_spot_provider.training import Uniform, hyperparameter_grid

LONG = 2_000_000
PATIENT: dict[str, Any] = {"max_wait": LONG, "poll_interval": 1, "allow_no_checkpoint": True}


def config(seconds: int, lifecycle: str = "uninterrupted") -> dict[str, Any]:
    return {
        "RoleArn": "{{ var.value.spot_training_role_arn }}",
        "AlgorithmSpecification": {"TrainingImage": "local/image:1", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://{{ var.value.spot_training_bucket }}/e2e"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": LONG},
        "Environment": {"SECRET": "hunter2-is-not-a-password"},
        "Tags": [
            {"Key": "emulator:training-seconds", "Value": str(seconds)},
            {"Key": "emulator:lifecycle", "Value": lifecycle},
        ],
    }


class DiesAfterSubmit(SageMakerSpotTrainingOperator):
    """Its worker is killed between submit and deferral, the first time."""

    def defer(self, **kwargs: Any) -> Any:
        if self._try_number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().defer(**kwargs)


with DAG("e2e_long", schedule=None):
    SageMakerSpotTrainingOperator(task_id="train", config=config(LONG), **PATIENT)

with DAG("e2e_minute", schedule=None):
    SageMakerSpotTrainingOperator(task_id="train", config=config(1800, "interrupted-once"), **PATIENT)

with DAG("e2e_dies_after_submit", schedule=None):
    DiesAfterSubmit(task_id="train", config=config(600), **PATIENT, retries=1, retry_delay=0)

with DAG("e2e_fan_out", schedule=None):
    train = SageMakerSpotTrainingOperator.partial(task_id="train", config=config(600), **PATIENT).expand(
        hyperparameters=[{"rate": 0.1}, {"rate": 0.2}]
    )
    branch = SageMakerSpotBranchOperator(
        task_id="branch", training_task_id="train", on_completed="good", on_failed="bad"
    )

    @task
    def good() -> None:
        """Every member completed."""

    @task
    def bad() -> None:
        """Some member failed."""

    train >> branch >> [good(), bad()]

with DAG("e2e_turns", schedule=None):
    SageMakerSpotTrainingOperator.partial(
        task_id="train",
        config=config(
            240, "{{ 'never-launched' if ti.map_index == 3 and ti.try_number == 1 else 'uninterrupted' }}"
        )
        | {"StoppingCondition": {"MaxRuntimeInSeconds": 1800}},
        instance_type="ml.c5.9xlarge",
        max_wait=1800,
        checkpoint_s3_uri="s3://{{ var.value.spot_training_bucket }}/e2e/{{ run_id }}",
        poll_interval=1,
    ).expand(hyperparameters=hyperparameter_grid({"rate": [0.1, 0.2, 0.3], "depth": [1, 2]}))

with DAG("e2e_sweep", schedule=None, default_args={"retries": 3, "retry_delay": 0}):
    sweep_config = config(240, "interrupted-once")
    sweep_config["AlgorithmSpecification"] = {
        **sweep_config["AlgorithmSpecification"],
        "ContainerEntrypoint": ["/bin/sh", "-c", "sleep 4; echo loss=0.5"],
        "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
    }
    spot_sweep(
        "sweep",
        sweep_config,
        space={"rate": Uniform(0, 1)},
        metric="loss",
        mode="min",
        storage="sqlite:///{{ var.value.spot_training_folder }}/studies.db",
        budget={"trials": 4},
        slots=2,
        max_wait=LONG,
        checkpoint_s3_uri="s3://{{ var.value.spot_training_bucket }}/e2e/{{ run_id }}",
        poll_interval=1,
    )
