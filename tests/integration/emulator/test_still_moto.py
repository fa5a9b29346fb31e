"""What moto's server answers for SageMaker and the services around it, the emulator answers too: its users can switch."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.parsers import ResponseParserError
from moto.core.utils import camelcase_to_underscores

from airflow_spot_provider.emulator import SageMakerEmulator

MOTO = {
    "sagemaker": ("moto.sagemaker.responses", "SageMakerResponse"),
    "sts": ("moto.sts.responses", "TokenResponse"),
    "iam": ("moto.iam.responses", "IamResponse"),
    "logs": ("moto.logs.responses", "LogsResponse"),
    "sqs": ("moto.sqs.responses", "SQSResponse"),
    "events": ("moto.events.responses", "EventsHandler"),
    "cloudwatch": ("moto.cloudwatch.responses", "CloudWatchResponse"),
}
OURS = {
    "sagemaker": {
        "CreateTrainingJob",
        "DescribeTrainingJob",
        "UpdateTrainingJob",
        "StopTrainingJob",
        "DeleteTrainingJob",
        "ListTrainingJobs",
        "CreateHyperParameterTuningJob",
        "DescribeHyperParameterTuningJob",
        "StopHyperParameterTuningJob",
        "DeleteHyperParameterTuningJob",
        "ListHyperParameterTuningJobs",
        "ListTrainingJobsForHyperParameterTuningJob",
        "AddTags",
        "DeleteTags",
        "ListTags",
        "Search",
    },
}
"""Answered by the emulator, as SageMaker does it; moto's answers to these are what it is there to mend."""
NOT_COMPARED = {
    "cloudwatch": {"GetMetricWidgetImage"},  # moto draws pictures only where more is installed
}
SERVER = """
import sys, time
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """The address of moto's own server."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait()


@pytest.fixture(scope="module")
def emulator() -> Iterator[SageMakerEmulator]:
    """An emulator as empty as moto's server."""
    with SageMakerEmulator() as running:
        yield running


def _smallest(shape: Shape, depth: int = 0) -> Any:
    """The smallest value of a shape: required members alone, of the least length."""
    match shape:
        case StructureShape():
            return {name: _smallest(shape.members[name], depth + 1) for name in shape.required_members}
        case ListShape():
            return [_smallest(shape.member, depth + 1)] * int(shape.metadata.get("min", 0))
        case MapShape():
            return {}
        case _:
            pass
    if shape.type_name in ("integer", "long"):
        return int(shape.metadata.get("min", 1))
    if shape.type_name in ("float", "double"):
        return float(shape.metadata.get("min", 1))
    if shape.type_name == "boolean":
        return True
    if shape.type_name == "timestamp":
        return 1_700_000_000
    if shape.type_name == "blob":
        return b"x"
    if enum := shape.metadata.get("enum"):
        return enum[0]
    return "a" * max(1, int(shape.metadata.get("min", 1)))


def _answer(endpoint_url: str, service: str, operation: str) -> tuple[int, str]:
    """Status and error code of the smallest call."""
    build: Any = boto3.client
    client = build(
        service,
        region_name="us-east-1",
        endpoint_url=endpoint_url,
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )
    shape = client.meta.service_model.operation_model(operation).input_shape
    parameters = {} if shape is None else _smallest(shape)
    method = {model: name for name, model in client.meta.method_to_api_mapping.items()}[operation]
    try:
        return int(getattr(client, method)(**parameters)["ResponseMetadata"]["HTTPStatusCode"]), ""
    except ClientError as error:
        return int(error.response["ResponseMetadata"]["HTTPStatusCode"]), str(
            error.response.get("Error", {}).get("Code")
        )
    except (BotoCoreError, ResponseParserError) as error:
        return 0, type(error).__name__


def _of_moto(service: str) -> list[str]:
    """The operations that moto has."""
    module, name = MOTO[service]
    response = getattr(importlib.import_module(module), name)
    model = botocore.session.get_session().get_service_model(service)
    left_out = OURS.get(service, set()) | NOT_COMPARED.get(service, set())
    return [
        operation
        for operation in model.operation_names
        if hasattr(response, camelcase_to_underscores(operation)) and operation not in left_out
    ]


@pytest.mark.parametrize("service", MOTO)
def test_moto_s_operations_answer_as_on_moto_s_server(
    moto: str, emulator: SageMakerEmulator, service: str
) -> None:
    operations = _of_moto(service)
    with ThreadPoolExecutor(1) as theirs, ThreadPoolExecutor(1) as ours:
        expected = dict(
            zip(operations, theirs.map(lambda name: _answer(moto, service, name), operations), strict=True)
        )
        found = dict(
            zip(
                operations,
                ours.map(lambda name: _answer(emulator.endpoint_url, service, name), operations),
                strict=True,
            )
        )
    # Where moto's server falls over, with a page of HTML, the emulator answers in AWS's words.
    comparable = {name for name, (status, _) in expected.items() if status not in (0, 500)}
    assert comparable, expected
    assert {name: found[name] for name in comparable} == {name: expected[name] for name in comparable}
