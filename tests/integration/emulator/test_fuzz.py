"""Every operation with every member wrong in turn: SageMaker's words, and nothing left behind."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_spot_provider.emulator import SageMakerEmulator
from tests.integration.emulator.conftest import BUCKET
from tests.integration.emulator.shapes import (
    MODEL,
    OPERATIONS,
    having,
    members,
    training_job,
    tuning_job,
    without,
    wrong_values,
)

LEAST_REQUESTS = 2_000
LEAKS = (b"Traceback", b'File "', b"airflow_spot", b"site-packages", b"botocore", b"<html", b"<!doctype")
CODES = {"ValidationException", "SerializationException", "ResourceNotFound"}
SECRET = "do-not-tell"
OTHER_MEMBERS = {
    "ResourceConfig": {
        "InstanceGroups": [
            {"InstanceGroupName": "all", "InstanceType": "ml.m5.large", "InstanceCount": 1},
        ],
        "VolumeSizeInGB": 1,
        "InstancePlacementConfig": {"EnableMultipleJobs": True},
    },
    "DebugHookConfig": {
        "S3OutputPath": "s3://integration/debug",
        "CollectionConfigurations": [{"CollectionName": "all", "CollectionParameters": {"a": "b"}}],
    },
    "DebugRuleConfigurations": [
        {"RuleConfigurationName": "rule", "RuleEvaluatorImage": "image", "VolumeSizeInGB": 1}
    ],
    "TensorBoardOutputConfig": {"S3OutputPath": "s3://integration/board"},
    "ExperimentConfig": {"ExperimentName": "one", "TrialName": "first"},
    "ProfilerConfig": {"S3OutputPath": "s3://integration/p", "ProfilingParameters": {"a": "b"}},
    "ProfilerRuleConfigurations": [{"RuleConfigurationName": "rule", "RuleEvaluatorImage": "image"}],
    "RemoteDebugConfig": {"EnableRemoteDebug": True},
    "InfraCheckConfig": {"EnableInfraCheck": True},
    "SessionChainingConfig": {"EnableSessionTagChaining": True},
    "EnableNetworkIsolation": True,
    "EnableInterContainerTrafficEncryption": True,
}
SEVERAL = {
    **tuning_job("fuzzed"),
    "WarmStartConfig": {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "there"}],
        "WarmStartType": "TransferLearning",
    },
    "Autotune": {"Mode": "Enabled"},
    "TrainingJobDefinitions": [
        {
            **tuning_job("fuzzed")["TrainingJobDefinition"],
            "DefinitionName": "one",
            "TuningObjective": {"Type": "Minimize", "MetricName": "loss"},
            "HyperParameterRanges": {
                "CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b"]}],
                "AutoParameters": [{"Name": "rate", "ValueHint": "0.1"}],
            },
            "HyperParameterTuningResourceConfig": {
                "InstanceConfigs": [
                    {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
                ],
                "AllocationStrategy": "Prioritized",
            },
        }
    ],
}
MORE_BASES = {
    "CreateTrainingJob": [training_job("fuzzed", **OTHER_MEMBERS)],
    "CreateHyperParameterTuningJob": [SEVERAL],
}
"""Requests with the members that exclude those of the first."""
BASE: dict[str, dict[str, Any]] = {
    "CreateTrainingJob": training_job("fuzzed"),
    "UpdateTrainingJob": {
        "TrainingJobName": "there",
        "ProfilerConfig": {"S3OutputPath": "s3://integration/p", "ProfilingIntervalInMilliseconds": 500},
        "RemoteDebugConfig": {"EnableRemoteDebug": True},
        "ResourceConfig": {"KeepAlivePeriodInSeconds": 60},
    },
    "ListTrainingJobs": {
        "MaxResults": 5,
        "CreationTimeAfter": 1,
        "NameContains": "a",
        "StatusEquals": "Completed",
        "SortBy": "Name",
        "SortOrder": "Ascending",
    },
    "CreateHyperParameterTuningJob": tuning_job("fuzzed"),
    "ListHyperParameterTuningJobs": {"MaxResults": 5, "SortBy": "Name", "NameContains": "a"},
    "ListTrainingJobsForHyperParameterTuningJob": {
        "HyperParameterTuningJobName": "there",
        "SortBy": "Name",
        "StatusEquals": "Completed",
    },
    "AddTags": {
        "ResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:training-job/there",
        "Tags": [{"Key": "a", "Value": "b"}],
    },
    "DeleteTags": {
        "ResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:training-job/there",
        "TagKeys": ["a"],
    },
    "ListTags": {
        "ResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:training-job/there",
        "MaxResults": 60,
    },
    "Search": {
        "Resource": "TrainingJob",
        "SearchExpression": {
            "Filters": [{"Name": "TrainingJobName", "Operator": "Contains", "Value": "a"}],
            "NestedFilters": [
                {
                    "NestedPropertyName": "InputDataConfig",
                    "Filters": [{"Name": "InputDataConfig.ChannelName", "Operator": "Exists"}],
                }
            ],
            "Operator": "And",
        },
        "SortBy": "CreationTime",
        "SortOrder": "Ascending",
        "MaxResults": 5,
    },
}


@pytest.fixture(scope="module")
def emulator() -> Iterator[SageMakerEmulator]:
    """An emulator on which nothing happens by itself."""
    with SageMakerEmulator(clock="stepped") as running:
        running.client("s3").create_bucket(Bucket=BUCKET)
        sagemaker = running.client("sagemaker")
        sagemaker.create_training_job(**training_job("there"))
        sagemaker.create_hyper_parameter_tuning_job(**tuning_job("there"))
        yield running


class Wire:
    """Sends requests as they are: botocore would refuse them itself."""

    def __init__(self, emulator: SageMakerEmulator) -> None:
        address = urlsplit(emulator.endpoint_url)
        self._address = (address.hostname or "", address.port)

    def send(self, operation: str, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(*self._address, timeout=30)
        try:
            headers = {"X-Amz-Target": f"SageMaker.{operation}", "Content-Type": "application/x-amz-json-1.1"}
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def _base(operation: str) -> dict[str, Any]:
    """A request that is right as far as its shape goes."""
    kind = "HyperParameterTuningJobName" if "Tuning" in operation else "TrainingJobName"
    return BASE.get(operation, {kind: "there"})


def _wrong_requests() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Operation, what is wrong, and the request."""
    for operation in OPERATIONS:
        shape = MODEL.operation_model(operation).input_shape
        done: set[str] = set()
        for request in (_base(operation), *MORE_BASES.get(operation, ())):
            for path, member, required in members(shape, request):
                place = ".".join(str(step) for step in path)
                if place in done:
                    continue
                done.add(place)
                if required:
                    yield operation, f"{place} is missing", without(request, path)
                    yield operation, f"{place} is null", having(request, path, None)
                for what, value in wrong_values(member):
                    yield operation, f"{place} is {what}", having(request, path, value)


WRONG = list(_wrong_requests())


def test_there_are_as_many_as_promised() -> None:
    assert len(WRONG) >= LEAST_REQUESTS
    assert {operation for operation, _, _ in WRONG} == set(OPERATIONS)


def test_requests_that_are_right_are_taken(emulator: SageMakerEmulator) -> None:
    wire = Wire(emulator)
    for operation in ("ListTrainingJobs", "ListHyperParameterTuningJobs", "AddTags", "ListTags", "Search"):
        status, answer = wire.send(operation, json.dumps(_base(operation)).encode())
        assert status == 200, (operation, answer)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_member_wrong_in_turn_is_refused_and_leaves_nothing_behind(
    emulator: SageMakerEmulator, operation: str
) -> None:
    wire, sagemaker = Wire(emulator), emulator.client("sagemaker")

    def _state() -> Any:
        jobs = sagemaker.list_training_jobs(MaxResults=100)["TrainingJobSummaries"]
        tuning = sagemaker.list_hyper_parameter_tuning_jobs(MaxResults=100)
        names = [job["HyperParameterTuningJobName"] for job in tuning["HyperParameterTuningJobSummaries"]]
        tags = sagemaker.list_tags(ResourceArn=BASE["ListTags"]["ResourceArn"])["Tags"]
        description = sagemaker.describe_training_job(TrainingJobName="there")
        del description["ResponseMetadata"]
        return jobs, names, tags, description

    before = _state()
    wrong = []
    for name, what, request in WRONG:
        if name != operation:
            continue
        status, answer = wire.send(operation, json.dumps(request).encode())
        told = json.loads(answer)
        if status != 400 or told.get("__type") not in CODES or not told.get("message"):
            wrong.append((what, status, told))
        elif any(leak in answer for leak in LEAKS):
            wrong.append((what, "leaks", told))
    assert wrong == []
    assert _state() == before


@pytest.mark.parametrize("operation", OPERATIONS)
def test_member_that_is_null_is_one_that_is_not_there(emulator: SageMakerEmulator, operation: str) -> None:
    wire, shape = Wire(emulator), MODEL.operation_model(operation).input_shape
    for request in (_base(operation), *MORE_BASES.get(operation, ())):
        # A name that is taken, or nobody has: nothing comes of a request that is taken.
        if operation.startswith("Create"):
            request = {**request, f"{operation.removeprefix('Create')}Name": "there"}
        elif operation.startswith(("Stop", "Delete")) and operation != "DeleteTags":
            request = dict.fromkeys(request, "nowhere")
        for path, _, required in members(shape, request):
            if not required:
                null = wire.send(operation, json.dumps(having(request, path, None)).encode())
                assert null[0] < 500, (path, null)
                if not isinstance(path[-1], int):
                    assert null == wire.send(operation, json.dumps(without(request, path)).encode()), path


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b'{"TrainingJobName": NaN}',
        b'{"TrainingJobName": "\\ud800"}',
        b"[" * 50_000,
        b'{"a":' * 50_000,
        b"",
        b'{"TrainingJobName": "there", "TrainingJobName": 1}',
    ],
    ids=lambda body: repr(body[:20]),
)
def test_body_that_is_no_request_is_refused(emulator: SageMakerEmulator, body: bytes) -> None:
    for operation in OPERATIONS:
        status, answer = Wire(emulator).send(operation, body)
        if status == 200:
            # A list has no required members, and members that are none of its own are ignored.
            assert body[:1] in (b"", b"{")
            assert operation.startswith("List")
            continue
        assert status == 400, (operation, answer)
        assert json.loads(answer)["__type"] in CODES
        assert not any(leak in answer for leak in LEAKS)


def test_values_that_may_be_secret_are_not_repeated(emulator: SageMakerEmulator) -> None:
    for member in ("Environment", "HyperParameters"):
        for value in ({"a": SECRET * 1000}, {SECRET * 100: "x"}, {"key": [SECRET]}, {"key": {SECRET: 1}}):
            body = json.dumps(training_job("fuzzed", **{member: value})).encode()
            status, answer = Wire(emulator).send("CreateTrainingJob", body)
            assert status == 400
            assert SECRET.encode() not in answer.replace(f"{SECRET * 100}".encode(), b"")
