"""What a DAG that used Amazon's own operators passes: taken with its meaning, or refused when it is parsed."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.amazon.aws.operators.sagemaker import (
    SageMakerTrainingOperator,
    SageMakerTuningOperator,
)
from airflow.sdk import DAG

from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.operators.tuning import SageMakerSpotTuningOperator
from airflow_spot_provider.training import InvalidSpotRequest

CONFIG: dict[str, Any] = {
    "RoleArn": "training",
    "AlgorithmSpecification": {"TrainingImage": "local/image:1", "TrainingInputMode": "File"},
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
    "StoppingCondition": {"MaxRuntimeInSeconds": 600},
}
TUNING: dict[str, Any] = {
    "HyperParameterTuningJobConfig": {
        "Strategy": "Random",
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1},
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "accuracy"},
    },
    "TrainingJobDefinition": CONFIG,
}
OPERATORS = [
    (SageMakerTrainingOperator, SageMakerSpotTrainingOperator, CONFIG),
    (SageMakerTuningOperator, SageMakerSpotTuningOperator, TUNING),
]


def _operator(**arguments: Any) -> SageMakerSpotTrainingOperator:
    return SageMakerSpotTrainingOperator(task_id="train", config=CONFIG, max_wait=900, **arguments)


@pytest.mark.parametrize(("stock", "ours", "config"), OPERATORS, ids=["training", "tuning"])
def test_every_argument_of_the_stock_operator_is_known_at_its_default(
    stock: Any, ours: Any, config: dict[str, Any]
) -> None:
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(stock.__init__).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }

    operator = ours(task_id="it", config=config, max_wait=900, **defaults)

    assert operator.poll_interval == defaults["check_interval"]
    assert operator.execution_timeout is None


def test_every_argument_is_known_to_a_mapped_task() -> None:
    with DAG("d", schedule=None):
        SageMakerSpotTrainingOperator.partial(
            task_id="train", config=CONFIG, max_wait=900, check_interval=60, wait_for_completion=True
        ).expand(instance_type=["ml.m5.large"])


@pytest.mark.parametrize(
    ("arguments", "timeout"),
    [
        ({"max_ingestion_time": 3600}, 3600),
        ({"max_attempts": 100}, 3000),
        ({"max_attempts": 100, "check_interval": 60}, 6000),
        ({"max_attempts": 100, "max_ingestion_time": 600}, 600),
        ({"max_ingestion_time": 3600, "execution_timeout": timedelta(seconds=60)}, 60),
    ],
    ids=repr,
)
def test_how_long_the_task_waits_is_its_execution_timeout(arguments: dict[str, Any], timeout: int) -> None:
    assert _operator(**arguments).execution_timeout == timedelta(seconds=timeout)


@pytest.mark.parametrize(
    ("arguments", "unique"),
    [
        ({}, False),
        ({"action_if_job_exists": "timestamp"}, True),
        ({"action_if_job_exists": "timestamp", "check_if_job_exists": False}, False),
        ({"action_if_job_exists": "fail"}, False),
    ],
    ids=repr,
)
def test_a_name_is_made_unique_where_that_is_asked_for(arguments: dict[str, Any], unique: bool) -> None:
    assert _operator(**arguments).makes_names_unique is unique


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            {"wait_for_completion": False},
            "wait_for_completion is False; .* True alone.*leave the argument out",
        ),
        (
            {"check_interval": "soon"},
            "check_interval is 'soon'; it takes a number.*poll_interval replaces it",
        ),
        (
            {"check_interval": 60, "poll_interval": 10},
            "check_interval is 60 and poll_interval 10.*leave check_int",
        ),
        (
            {"max_attempts": 0},
            "max_attempts is 0; it takes a number, 1 or more.*execution_timeout replaces it",
        ),
        ({"max_ingestion_time": True}, "max_ingestion_time is True; it takes a number"),
        (
            {"check_if_job_exists": "yes"},
            "check_if_job_exists is 'yes'; it takes True or False. Leave it out",
        ),
        ({"action_if_job_exists": "increment"}, "action_if_job_exists is 'increment'; it takes 'timestamp'"),
        ({"xcom": "raw"}, "xcom is 'raw'; it takes 'result', or 'stock'"),
    ],
    ids=repr,
)
def test_what_has_no_meaning_is_refused_with_what_replaces_it(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidSpotRequest, match=says):
        _operator(**arguments)


@pytest.mark.parametrize(
    ("operations", "says"),
    [
        ("later", "S3Operations is of type str; it takes a dict of S3Operations's members."),
        ({"S3Delete": []}, "S3Delete is no member of S3Operations"),
        ({"S3Upload": [{"Path": "/tmp", "Bucket": "b"}]}, r"S3Upload\[0\].Key is missing"),
        ({"S3CreateBucket": "bucket"}, "S3CreateBucket is of type str; it takes a list"),
    ],
    ids=repr,
)
def test_s3_operations_that_cannot_be_carried_out_are_refused_at_parse(operations: Any, says: str) -> None:
    with pytest.raises(InvalidSpotRequest, match=says) as raised:
        SageMakerSpotTrainingOperator(
            task_id="train", config={**CONFIG, "S3Operations": operations}, max_wait=900
        )

    assert len(raised.value.problems) == 1
