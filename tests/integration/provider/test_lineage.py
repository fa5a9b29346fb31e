"""Lineage for OpenLineage: asked of the operators by its own extractor, after a real job."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from airflow.providers.openlineage.extractors.base import DefaultExtractor
from openlineage.client.serde import Serde

from airflow_spot_provider.lineage import FACET
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.training import TrainingJobFailed
from tests.integration.provider.task_instance import FakeTaskInstance

pytestmark = pytest.mark.usefixtures("aws_connection")

SECRET = "hunter2-is-not-a-password"


def _operator(job_config: dict[str, Any], lifecycle: str) -> SageMakerSpotTrainingOperator:
    channel = {
        "S3DataType": "S3Prefix",
        "S3Uri": "s3://integration/data/churn",
        "S3DataDistributionType": "FullyReplicated",
    }
    config = {
        **job_config,
        "Environment": {"SECRET": SECRET},
        "HyperParameters": {"token": SECRET},
        "InputDataConfig": [{"ChannelName": "training", "DataSource": {"S3DataSource": channel}}],
        "Tags": [*job_config["Tags"], {"Key": "emulator:lifecycle", "Value": lifecycle}],
    }
    return SageMakerSpotTrainingOperator(
        task_id="train",
        config=config,
        max_wait=1200,
        poll_interval=1,
        deferrable=False,
        region_name="us-east-1",
    )


@pytest.fixture
def data(emulator: Any) -> None:
    emulator.client("s3").put_object(Bucket="integration", Key="data/churn/points.csv", Body=b"1,2\n")


@pytest.mark.usefixtures("data")
def test_completed_training_tells_its_data_its_model_and_its_figures(
    job_config: dict[str, Any], unique: str
) -> None:
    ti = FakeTaskInstance(f"manual__{unique}")
    operator = _operator(job_config, "interrupted-once")
    result = operator.execute(ti.context)

    lineage = DefaultExtractor(operator).extract_on_complete(ti)

    assert lineage is not None
    told = json.loads(Serde.to_json(lineage))
    assert [(each["namespace"], each["name"]) for each in told["inputs"]] == [
        ("s3://integration", "data/churn")
    ]
    [model] = told["outputs"]
    assert f"{model['namespace']}/{model['name']}" == result["model_artifacts"]
    facet = told["run_facets"][FACET]
    for name in ("job_name", "savings_percent", "interruptions", "cost", "currency", "instance_type"):
        assert facet[name] == result[name]
    assert facet["interruptions"] == 1
    assert SECRET not in json.dumps(told)


@pytest.mark.usefixtures("data")
def test_failed_training_tells_its_figures_too(job_config: dict[str, Any], unique: str) -> None:
    ti = FakeTaskInstance(f"manual__{unique}")
    operator = _operator(job_config, "failed")
    with pytest.raises(TrainingJobFailed):
        operator.execute(ti.context)

    lineage = DefaultExtractor(operator).extract_on_failure(ti)

    assert lineage is not None
    assert lineage.run_facets[FACET].outcome == "Failed"
    assert lineage.outputs == []


def test_task_that_has_no_job_tells_nothing(job_config: dict[str, Any]) -> None:
    lineage = DefaultExtractor(_operator(job_config, "uninterrupted")).extract_on_complete(None)
    assert lineage is not None
    assert (lineage.inputs, lineage.outputs, lineage.run_facets) == ([], [], {})


def test_nothing_of_openlineage_is_imported_unless_it_asks() -> None:
    program = (
        "import sys, airflow_spot_provider.operators.training, airflow_spot_provider.sensors.training\n"
        "print([name for name in sys.modules if name.startswith(('openlineage', 'airflow_spot_provider.lineage'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
