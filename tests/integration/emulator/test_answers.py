"""Every answer has the shape that botocore's service model gives it, at every moment of a job's life."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.emulator.jobs.lifecycles import LIFECYCLES
from tests.integration.emulator.conftest import BUCKET
from tests.integration.emulator.shapes import MODEL, OPERATIONS, misfits, training_job, tuning_job

Ask = Callable[..., dict[str, Any]]
SAID_LATER = {"answer.ModelArtifacts is missing"}
"""The model calls it required; SageMaker tells it of jobs that have left a model."""
ARN = "arn:aws:sagemaker:us-east-1:123456789012:training-job/uninterrupted"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SageMakerEmulator]:
    market = tmp_path_factory.mktemp("market") / "market.json"
    market.write_text(json.dumps({"default": {"script": [[0, 16], [300, 0], [600, 16]]}}))
    with SageMakerEmulator(clock="stepped", market=market) as running:
        running.client("s3").create_bucket(Bucket=BUCKET)
        running.client("s3").put_object(Bucket=BUCKET, Key="data/one", Body=b"1")
        yield running


@pytest.fixture(scope="module")
def asked() -> set[str]:
    """The operations whose answers have been looked at."""
    return set()


@pytest.fixture(scope="module")
def ask(emulator: SageMakerEmulator, asked: set[str]) -> Ask:
    """Calls an operation as it is on the wire, and looks at the shape of its answer."""
    address = urlsplit(emulator.endpoint_url)

    def _ask(operation: str, **parameters: Any) -> dict[str, Any]:
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        try:
            connection.request(
                "POST", "/", json.dumps(parameters), {"X-Amz-Target": f"SageMaker.{operation}"}
            )
            response = connection.getresponse()
            body = json.loads(response.read())
        finally:
            connection.close()
        assert response.status == 200, (operation, body)
        shape = MODEL.operation_model(operation).output_shape
        assert [misfit for misfit in misfits(shape, body) if misfit not in SAID_LATER] == []
        asked.add(operation)
        return dict(body)

    return _ask


def _look(ask: Ask, names: list[str], tuning: str) -> None:
    """Everything that can be asked at a moment."""
    for name in names:
        ask("DescribeTrainingJob", TrainingJobName=name)
    page = ask("ListTrainingJobs", MaxResults=3)
    while "NextToken" in page:
        page = ask("ListTrainingJobs", MaxResults=3, NextToken=page["NextToken"])
    ask("Search", Resource="TrainingJob", SortBy="CreationTime")
    ask("Search", Resource="HyperParameterTuningJob")
    ask("DescribeHyperParameterTuningJob", HyperParameterTuningJobName=tuning)
    ask("ListHyperParameterTuningJobs")
    ask("ListTrainingJobsForHyperParameterTuningJob", HyperParameterTuningJobName=tuning)
    ask("ListTags", ResourceArn=ARN)


def test_answers_have_their_shapes_through_every_lifecycle(
    ask: Ask, emulator: SageMakerEmulator, asked: set[str]
) -> None:
    names = [name for name in LIFECYCLES if name != "trace"]
    for name in names:
        emulator.plan(name, name)
        ask("CreateTrainingJob", **training_job(name))
    ask("CreateHyperParameterTuningJob", **tuning_job("tune"))
    ask("AddTags", ResourceArn=ARN, Tags=[{"Key": "more", "Value": "x"}])
    ask("UpdateTrainingJob", TrainingJobName="uninterrupted", ProfilerConfig={"DisableProfiler": True})
    for _ in range(60):
        _look(ask, names, "tune")
        emulator.clock.advance(timedelta(seconds=25))
    ask("CreateTrainingJob", **training_job("stopped"))
    ask("StopTrainingJob", TrainingJobName="stopped")
    ask("CreateHyperParameterTuningJob", **tuning_job("stopped"))
    ask("StopHyperParameterTuningJob", HyperParameterTuningJobName="stopped")
    emulator.clock.advance(timedelta(minutes=10))
    _look(ask, ["stopped"], "stopped")
    ask("DeleteTags", ResourceArn=ARN, TagKeys=["more"])
    ask("DeleteTrainingJob", TrainingJobName="stopped")
    ask("DeleteHyperParameterTuningJob", HyperParameterTuningJobName="stopped")
    assert asked == set(OPERATIONS)
    ended = {ask("DescribeTrainingJob", TrainingJobName=name)["TrainingJobStatus"] for name in names}
    assert ended == {"Completed", "Failed", "Stopped"}
