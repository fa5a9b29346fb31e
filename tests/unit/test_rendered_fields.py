"""What Airflow shows under "Rendered templates" of a config that holds secrets, however it was given."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_spot_provider.operators import _job
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.operators.tuning import SageMakerSpotTuningOperator
from airflow_spot_provider.training.secrets import MASK

DEFINITION = {
    "AlgorithmSpecification": {
        "TrainingImage": "x/y:1",
        "TrainingInputMode": "File",
        "ContainerArguments": ["--token", "s3cr3t"],
    },
    "RoleArn": "arn:aws:iam::123456789012:role/training",
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    "Environment": {"DB_HOST": "db", "DB_PASSWORD": "s3cr3t"},
}
CONFIG = {
    **DEFINITION,
    "HyperParameters": {"api-token": "s3cr3t"},
    "DebugHookConfig": {"S3OutputPath": "s3://bucket/debug", "HookParameters": {"token": "s3cr3t"}},
}
TUNING = {
    "HyperParameterTuningJobConfig": {"Strategy": "Random", "ResourceLimits": {"MaxParallelTrainingJobs": 1}},
    "TrainingJobDefinition": {**DEFINITION, "StaticHyperParameters": {"api-token": "s3cr3t"}},
}


def _rendered(operator: Any, config: Any, *, native: bool, given: Any) -> Any:
    with DAG("d", schedule=None, render_template_as_native_obj=native):
        task = operator(task_id="train", config=config, max_wait=3600, region_name="us-east-1")
    task.render_template_fields({"given": given})
    return task


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize(
    ("operator", "given"),
    [(SageMakerSpotTrainingOperator, CONFIG), (SageMakerSpotTuningOperator, TUNING)],
    ids=["training", "tuning"],
)
@pytest.mark.parametrize("write", [dict, json.dumps, repr], ids=["dict", "JSON", "Python"])
def test_config_that_a_template_renders_shows_names_and_no_secret(
    operator: Any, given: dict[str, Any], write: Any, native: bool
) -> None:
    task = _rendered(operator, "{{ given }}", native=native, given=write(given))

    assert "s3cr3t" not in str(task.config)
    assert "DB_PASSWORD" in str(task.config)
    assert "s3cr3t" in str(task._value("config"))


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("member", ["Environment", "HyperParameters", "AlgorithmSpecification"])
def test_member_that_a_template_renders_shows_no_secret(member: str, native: bool) -> None:
    config = {**CONFIG, member: "{{ given }}"}
    task = _rendered(SageMakerSpotTrainingOperator, config, native=native, given=CONFIG[member])

    assert "s3cr3t" not in str(task.config)


def test_airflow_masks_in_logs_what_is_secret_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[Any] = []
    monkeypatch.setattr(_job, "mask_secret", handed.append)

    _rendered(SageMakerSpotTrainingOperator, CONFIG, native=False, given=None)

    assert DEFINITION["Environment"] in handed
    assert CONFIG["HyperParameters"] in handed


def test_config_of_text_that_cannot_be_read_is_not_shown() -> None:
    task = _rendered(SageMakerSpotTrainingOperator, "{{ given }}", native=False, given="DB_PASSWORD=s3cr3t")

    assert task.config == MASK
