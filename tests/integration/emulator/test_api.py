"""The training operations over HTTP: what they answer, and what they refuse."""

from __future__ import annotations

import json
import urllib.request
from datetime import timedelta
from typing import Any
from urllib.error import HTTPError

import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.model import ListShape, MapShape, StructureShape

from tests.integration.emulator.conftest import LONG, Jobs, until

ON_DEMAND = {"EnableManagedSpotTraining": False, "StoppingCondition": {"MaxRuntimeInSeconds": 600}}
FOR_LONG = [{"Key": "emulator:training-seconds", "Value": str(LONG)}]


def _error(call: Any, **arguments: Any) -> dict[str, str]:
    with pytest.raises(ClientError) as refusal:
        call(**arguments)
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    error: dict[str, str] = refusal.value.response["Error"]
    return error


def _listed(jobs: Jobs, **parameters: Any) -> list[dict[str, Any]]:
    pages = jobs.sagemaker.get_paginator("list_training_jobs").paginate(**parameters)
    return [summary for page in pages for summary in page["TrainingJobSummaries"]]


def _post(endpoint_url: str, operation: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """What a client that checks nothing sends."""
    request = urllib.request.Request(  # noqa: S310 - loopback
        endpoint_url,
        data=body,
        headers={
            "X-Amz-Target": f"SageMaker.{operation}",
            "Content-Type": "application/x-amz-json-1.1",
            "Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/sagemaker/aws4_request, SignedHeaders=host, Signature=0",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_used_name_is_refused_whatever_became_of_its_job(jobs: Jobs) -> None:
    name = jobs.submit()
    jobs.ended(name)
    error = _error(jobs.sagemaker.create_training_job, **jobs.request(TrainingJobName=name))
    assert error["Code"] == "ResourceInUse"
    assert error["Message"] == (
        "Training job names must be unique within an AWS account and region, and a training job with this name already "
        f"exists (arn:aws:sagemaker:us-east-1:123456789012:training-job/{name})"
    )


@pytest.mark.parametrize("operation", ["describe_training_job", "stop_training_job", "delete_training_job"])
def test_unknown_name_is_not_found(jobs: Jobs, operation: str) -> None:
    error = _error(getattr(jobs.sagemaker, operation), TrainingJobName="nobody")
    assert error == {"Code": "ValidationException", "Message": "Requested resource not found."}


def test_deleted_jobs_name_is_free_again(jobs: Jobs) -> None:
    name = jobs.submit(Tags=FOR_LONG)
    error = _error(jobs.sagemaker.delete_training_job, TrainingJobName=name)
    assert (error["Code"], "InProgress" in error["Message"]) == ("ResourceInUse", True)
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    jobs.ended(name)
    jobs.sagemaker.delete_training_job(TrainingJobName=name)
    assert _error(jobs.sagemaker.describe_training_job, TrainingJobName=name)["Code"] == "ValidationException"
    jobs.submit(TrainingJobName=name)


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"EnableManagedSpotTraining": False}, "Invalid MaxWaitTimeInSeconds. It is only supported when"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 60}}, "MaxWaitTimeInSeconds is required"),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 59}},
            "equal to or greater",
        ),
        (
            {
                "ResourceConfig": {
                    "InstanceType": "ml.m5.large",
                    "InstanceCount": 1,
                    "VolumeSizeInGB": 1,
                    "KeepAlivePeriodInSeconds": 60,
                }
            },
            "KeepAlivePeriodInSeconds is not supported",
        ),
        ({"TrainingJobName": "no_underscores"}, "failed to satisfy constraint"),
        (
            {"Tags": [{"Key": "emulator:lifecycle", "Value": "nope"}]},
            "choose one of uninterrupted, interrupted-once",
        ),
        ({"Tags": [{"Key": "emulator:training-seconds", "Value": "nope"}]}, "no number of seconds"),
    ],
)
def test_bad_request_leaves_nothing_behind(jobs: Jobs, members: dict[str, Any], told: str) -> None:
    request = jobs.request(**members)
    error = _error(jobs.sagemaker.create_training_job, **request)
    assert error["Code"] == "ValidationException"
    assert told in error["Message"]
    assert _listed(jobs, NameContains=jobs.prefix) == []


@pytest.mark.parametrize(
    ("operation", "body", "code"),
    [
        ("CreateTrainingJob", b"{", "SerializationException"),
        ("CreateTrainingJob", b"[]", "SerializationException"),
        ("CreateTrainingJob", b"\xff", "SerializationException"),
        ("CreateTrainingJob", b"{}", "ValidationException"),
        ("CreateTrainingJob", b'{"TrainingJobName": {"a": 1}, "Tags": "x"}', "ValidationException"),
        ("DescribeTrainingJob", b"", "ValidationException"),
        ("DescribeTrainingJob", b'{"TrainingJobName": null}', "ValidationException"),
        ("StopTrainingJob", b'{"TrainingJobName": 7}', "ValidationException"),
        ("ListTrainingJobs", b'{"MaxResults": 101}', "ValidationException"),
        ("ListTrainingJobs", b'{"MaxResults": 0}', "ValidationException"),
        ("ListTrainingJobs", b'{"SortBy": "Age"}', "ValidationException"),
        ("ListTrainingJobs", b'{"StatusEquals": "Sleeping"}', "ValidationException"),
        ("ListTrainingJobs", b'{"NextToken": "of another list"}', "ValidationException"),
        ("ListTrainingJobs", b'{"NextToken": "WzEsMl0="}', "ValidationException"),
        ("ListTrainingJobs", b'{"NextToken": "e30="}', "ValidationException"),
        ("ListTrainingJobs", b'{"CreationTimeAfter": "yesterday"}', "ValidationException"),
        ("ListTrainingJobs", b'{"LastModifiedTimeBefore": 1e99}', "ValidationException"),
        ("ListTrainingJobs", b'{"LastModifiedTimeBefore": NaN}', "SerializationException"),
        ("AddTags", b'{"ResourceArn": "nonsense", "Tags": []}', "ValidationException"),
        ("ListTags", b"{}", "ValidationException"),
        (
            "DeleteTags",
            b'{"ResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:a/b/c", "TagKeys": ["a"]}',
            "ValidationException",
        ),
        ("MakeCoffee", b"{}", "UnknownOperationException"),
        ("CreateAIBenchmarkJob", b"{}", "UnknownOperationException"),
    ],
)
def test_clients_mistake_is_answered_with_an_aws_error(
    jobs: Jobs, operation: str, body: bytes, code: str
) -> None:
    status, answer = _post(jobs.emulator.endpoint_url, operation, body)
    assert (status, answer["__type"]) == (400, code)
    assert answer.get("message") or answer.get("Message")
    assert "Traceback" not in json.dumps(answer)


WRONG = [None, 5, -1, 0.5, True, "", "x" * 3000, "\u00e9\u0000", [], [None], [{}], {}, {"": ""}]


def _unexpected(shape: Any, value: Any, path: str = "") -> list[str]:
    """Members of an answer that its output shape does not have."""
    match shape:
        case StructureShape():
            return [
                problem
                for name, member in value.items()
                for problem in (
                    _unexpected(shape.members[name], member, f"{path}.{name}")
                    if name in shape.members
                    else [f"{path}.{name}"]
                )
            ]
        case ListShape():
            return [problem for item in value for problem in _unexpected(shape.member, item, f"{path}[]")]
        case MapShape():
            return [
                problem
                for item in value.values()
                for problem in _unexpected(shape.value, item, f"{path}{{}}")
            ]
    types = {"string": str, "integer": int, "float": (int, float), "timestamp": (int, float), "boolean": bool}
    return [] if isinstance(value, types.get(shape.type_name, object)) else [f"{path}: {value!r}"]


def test_answers_have_sagemakers_shapes(jobs: Jobs) -> None:
    name = jobs.submit_script("print('accuracy=0.5')", "interrupted-once", Environment={"A": "b"})
    jobs.ended(name)
    model = botocore.session.get_session().get_service_model("sagemaker")
    for operation, body in (
        ("DescribeTrainingJob", {"TrainingJobName": name}),
        ("ListTrainingJobs", {"NameContains": name}),
    ):
        status, answer = _post(jobs.emulator.endpoint_url, operation, json.dumps(body).encode())
        assert status == 200
        shape = model.operation_model(operation).output_shape
        assert _unexpected(shape, answer) == []
        assert set(shape.required_members) <= set(answer)


def test_description_gives_back_what_was_asked_for(jobs: Jobs) -> None:
    request = jobs.request(
        HyperParameters={"epochs": "3"},
        Environment={"MODE": "full"},
        RetryStrategy={"MaximumRetryAttempts": 2},
    )
    jobs.sagemaker.create_training_job(**request)
    description = jobs.describe(request["TrainingJobName"])
    for member, value in request.items():
        assert member in ("Tags", "OutputDataConfig") or description[member] == value
    assert "Tags" not in description
    assert description["OutputDataConfig"].items() >= request["OutputDataConfig"].items()


def test_list_filters_sorts_and_shows_the_secondary_status(jobs: Jobs) -> None:
    done, running = jobs.submit(**ON_DEMAND), jobs.submit(Tags=FOR_LONG)
    ended = jobs.ended(done)
    jobs.in_status(running, "Training")

    def _names(**filters: Any) -> list[str]:
        return [job["TrainingJobName"] for job in _listed(jobs, NameContains=jobs.prefix, **filters)]

    assert _names() == [running, done]
    assert _names(SortOrder="Ascending") == [done, running]
    assert _names(SortBy="Name", SortOrder="Ascending") == sorted([done, running])
    assert _names(SortBy="Status", SortOrder="Ascending") == [done, running]
    assert _names(StatusEquals="Completed") == [done]
    assert _names(StatusEquals="InProgress") == [running]
    assert _names(WarmPoolStatusEquals="Available") == []
    created, modified = ended["CreationTime"], ended["LastModifiedTime"]
    second = timedelta(seconds=1)
    assert done not in _names(CreationTimeAfter=created + second)
    assert _names(CreationTimeBefore=created - second) == []
    assert done in _names(LastModifiedTimeAfter=modified - second, LastModifiedTimeBefore=modified + second)
    assert done not in _names(LastModifiedTimeAfter=modified + second)
    [summary] = _listed(jobs, NameContains=running)
    assert summary["SecondaryStatus"] == "Training"
    assert summary["LastModifiedTime"] >= summary["CreationTime"]
    assert "TrainingEndTime" not in summary
    jobs.sagemaker.stop_training_job(TrainingJobName=running)


@pytest.mark.parametrize("order", ["Ascending", "Descending"])
@pytest.mark.parametrize("sort_by", ["Name", "CreationTime", "Status"])
def test_pages_hold_every_job_once(jobs: Jobs, order: str, sort_by: str) -> None:
    names = {jobs.submit("never-launched") for _ in range(7)}
    sort = {"SortBy": sort_by, "SortOrder": order, "PaginationConfig": {"PageSize": 3}}
    listed = [job["TrainingJobName"] for job in _listed(jobs, NameContains=jobs.prefix, **sort)]
    assert len(listed) == 7
    assert set(listed) == names


def test_page_goes_on_where_the_last_one_ended_though_jobs_were_added(jobs: Jobs) -> None:
    first, second = jobs.submit("never-launched"), jobs.submit("never-launched")
    page = jobs.sagemaker.list_training_jobs(MaxResults=1)
    assert page["TrainingJobSummaries"][0]["TrainingJobName"] == second
    jobs.submit("never-launched")
    page = jobs.sagemaker.list_training_jobs(MaxResults=1, NextToken=page["NextToken"])
    assert page["TrainingJobSummaries"][0]["TrainingJobName"] == first


def test_tags_can_be_listed_changed_and_searched_for(jobs: Jobs) -> None:
    tags = [{"Key": "team", "Value": jobs.prefix}, {"Key": "emulator:lifecycle", "Value": "never-launched"}]
    name = jobs.submit(Tags=tags)
    arn = jobs.describe(name)["TrainingJobArn"]

    def _tags() -> dict[str, str]:
        return {tag["Key"]: tag["Value"] for tag in jobs.sagemaker.list_tags(ResourceArn=arn)["Tags"]}

    assert _tags() == {"team": jobs.prefix, "emulator:lifecycle": "never-launched"}
    jobs.sagemaker.add_tags(
        ResourceArn=arn, Tags=[{"Key": "team", "Value": "new"}, {"Key": "seen", "Value": "1"}]
    )
    assert _tags() == {"team": "new", "emulator:lifecycle": "never-launched", "seen": "1"}
    jobs.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["seen"])
    assert "seen" not in _tags()
    expression = {"Filters": [{"Name": "TrainingJobName", "Operator": "Equals", "Value": name}]}
    [found] = jobs.sagemaker.search(Resource="TrainingJob", SearchExpression=expression)["Results"]
    assert found["TrainingJob"]["SecondaryStatus"] == "Starting"
    assert {"Key": "team", "Value": "new"} in found["TrainingJob"]["Tags"]


def test_tags_of_an_unknown_job_are_not_found(jobs: Jobs) -> None:
    arn = "arn:aws:sagemaker:us-east-1:123456789012:training-job/nobody"
    sagemaker = jobs.sagemaker
    for call, more in (
        (sagemaker.list_tags, {}),
        (sagemaker.add_tags, {"Tags": [{"Key": "a", "Value": "b"}]}),
        (sagemaker.delete_tags, {"TagKeys": ["a"]}),
    ):
        assert _error(call, ResourceArn=arn, **more)["Message"] == "Requested resource not found."


def test_jobs_of_one_region_are_not_anothers(jobs: Jobs) -> None:
    name = jobs.submit("never-launched")
    elsewhere = jobs.emulator.client("sagemaker", region_name="eu-west-1")
    assert _error(elsewhere.describe_training_job, TrainingJobName=name)["Code"] == "ValidationException"
    answer = elsewhere.create_training_job(**jobs.request("never-launched", TrainingJobName=name))
    assert ":eu-west-1:" in answer["TrainingJobArn"]


def test_botos_own_waiter_sees_the_end(jobs: Jobs) -> None:
    name = jobs.submit(**ON_DEMAND)
    until(lambda: jobs.describe(name)["SecondaryStatus"] != "Starting")
    jobs.sagemaker.get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 300}
    )
    assert jobs.describe(name)["TrainingJobStatus"] == "Completed"
