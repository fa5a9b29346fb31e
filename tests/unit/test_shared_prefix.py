"""A scheduled DAG whose checkpoint prefix cannot differ from run to run is warned of when it is parsed."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.task_groups import spot_training_group
from airflow_spot_provider.training import SharedCheckpointPrefix

CONFIG = {
    "RoleArn": "arn:aws:iam::123456789012:role/training",
    "AlgorithmSpecification": {"TrainingImage": "x/y:1", "TrainingInputMode": "File"},
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
}


def _parsed(schedule: Any, uri: Any, **arguments: Any) -> None:
    with DAG("d", schedule=schedule) as dag:
        SageMakerSpotTrainingOperator(
            task_id="train", **{"config": CONFIG, "max_wait": 7200, "checkpoint_s3_uri": uri, **arguments}
        )
    dag.resolve_template_files()


@pytest.mark.parametrize(
    "uri", ["s3://b/c", "s3://b/{{ dag.dag_id }}", "{{ var.value.bucket }}/c/", "s3://b/{{ params.model }}"]
)
def test_prefix_that_is_the_same_for_every_run_is_warned_of(uri: str) -> None:
    with pytest.warns(SharedCheckpointPrefix, match=r"prefix of train is .* run_id \}\}'"):
        _parsed("@weekly", uri)


def test_prefix_in_the_config_and_in_a_group_is_looked_at_too() -> None:
    with pytest.warns(SharedCheckpointPrefix):
        _parsed("@weekly", None, config={**CONFIG, "CheckpointConfig": {"S3Uri": "s3://b/c"}})
    with DAG("d", schedule="@weekly") as dag:
        spot_training_group("g", CONFIG, max_wait=7200, checkpoint_s3_uri="s3://b/c")
    with pytest.warns(SharedCheckpointPrefix, match=r"g\.train_on_spot"):
        dag.resolve_template_files()


@pytest.mark.parametrize(
    ("schedule", "uri", "arguments"),
    [
        ("@weekly", "s3://b/{{ run_id }}", {}),
        ("@weekly", "s3://b/{{ ds_nodash }}", {}),
        ("@weekly", "s3://b/{{ ti.run_id }}", {}),
        ("@weekly", "s3://b/{{ oh", {}),
        ("@weekly", None, {}),
        ("@weekly", "s3://b/c", {"resume_from_checkpoint": True}),
        ("@once", "s3://b/c", {}),
        (None, "s3://b/c", {}),
    ],
)
def test_no_warning_where_it_differs_or_nothing_runs_again(
    schedule: Any, uri: Any, arguments: dict[str, Any]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _parsed(schedule, uri, **arguments)
