"""The operations on training jobs, without a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from moto.core.exceptions import ServiceException
from moto.sagemaker.models import sagemaker_backends

from airflow_spot_provider.emulator.clock import SteppedClock
from airflow_spot_provider.emulator.jobs.liberties import Liberties
from airflow_spot_provider.emulator.jobs.lifecycles import lifecycle_named
from airflow_spot_provider.emulator.jobs.plans import Plans
from airflow_spot_provider.emulator.jobs.registry import Registry
from airflow_spot_provider.emulator.jobs.world import World
from airflow_spot_provider.emulator.market.quotas import Quotas
from airflow_spot_provider.emulator.wire.protocol import Call
from airflow_spot_provider.emulator.wire.training import TrainingAPI

ACCOUNT, REGION = "123456789012", "eu-central-1"
Make = Callable[..., dict[str, Any]]


@pytest.fixture
def quotas() -> Quotas:
    return Quotas()


@pytest.fixture
def call(world: World, quotas: Quotas) -> Iterator[Callable[..., dict[str, Any]]]:
    """Calls an operation; keyword arguments are its parameters."""
    registry = Registry(world, Plans(lifecycle_named("uninterrupted")), quotas)
    liberties: dict[str, Any] = {}
    operations = TrainingAPI(registry, lambda: Liberties(**liberties)).operations

    def _call(operation: str, *, account_id: str = ACCOUNT, region: str = REGION, **parameters: Any) -> Any:
        if operation == "liberties":
            return liberties.update(parameters)
        return operations[operation](Call(operation, parameters, account_id, region))

    yield _call
    for account in (ACCOUNT, "210987654321"):
        for region in (REGION, "us-west-2"):
            sagemaker_backends[account][region].training_jobs.clear()


def _code(call: Callable[[], object]) -> str:
    with pytest.raises(ServiceException) as caught:
        call()
    return str(caught.value.code)


@pytest.mark.parametrize("sort_by", ["Name", "CreationTime", "Status"])
@pytest.mark.parametrize("sort_order", ["Ascending", "Descending"])
def test_pages_hold_each_job_once_although_jobs_come_and_go_between_them(
    call: Any, request_of: Make, clock: SteppedClock, sort_by: str, sort_order: str
) -> None:
    for number in range(9):
        call("CreateTrainingJob", **request_of(TrainingJobName=f"job-{number}"))
        clock.advance(timedelta(seconds=3))
    sort = {"SortBy": sort_by, "SortOrder": sort_order, "MaxResults": 4}
    page = call("ListTrainingJobs", **sort)
    names = [summary["TrainingJobName"] for summary in page["TrainingJobSummaries"]]
    call("CreateTrainingJob", **request_of(TrainingJobName="late"))
    while page["NextToken"]:
        page = call("ListTrainingJobs", **sort, NextToken=page["NextToken"])
        names += [summary["TrainingJobName"] for summary in page["TrainingJobSummaries"]]
    assert len(names) == len(set(names))
    assert {f"job-{number}" for number in range(9)} <= set(names)


@pytest.mark.parametrize("token", ["x", "bm9wZQ==", "WzEsIDJd", "e30=", "WyJhIl0="])
def test_token_of_no_list_is_refused(call: Any, request_of: Make, token: str) -> None:
    call("CreateTrainingJob", **request_of())
    assert _code(lambda: call("ListTrainingJobs", NextToken=token)) == "ValidationException"


def test_names_of_one_account_and_region_are_apart_from_anothers(call: Any, request_of: Make) -> None:
    for account_id, region in ((ACCOUNT, REGION), (ACCOUNT, "us-west-2"), ("210987654321", REGION)):
        answer = call("CreateTrainingJob", account_id=account_id, region=region, **request_of())
        assert f":{region}:{account_id}:" in answer["TrainingJobArn"]
        listed = call("ListTrainingJobs", account_id=account_id, region=region)
        assert len(listed["TrainingJobSummaries"]) == 1
    assert _code(lambda: call("CreateTrainingJob", **request_of())) == "ResourceInUse"


def test_quota_that_would_be_passed_refuses_the_job_until_there_is_room(
    call: Any, request_of: Make, quotas: Quotas, clock: SteppedClock
) -> None:
    quotas.set("ml.m5.large for spot training job usage", 2)
    for name in ("one", "two"):
        call("CreateTrainingJob", **request_of(TrainingJobName=name))
    third = request_of(TrainingJobName="three")
    with pytest.raises(
        ServiceException, match="is 2 Instances, with current utilization of 2 Instances"
    ) as caught:
        call("CreateTrainingJob", **third)
    assert caught.value.code == "ResourceLimitExceeded"
    assert _code(lambda: call("DescribeTrainingJob", TrainingJobName="three")) == "ValidationException"
    on_demand = request_of(
        TrainingJobName="other",
        EnableManagedSpotTraining=False,
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    call("CreateTrainingJob", **on_demand)
    clock.advance(timedelta(hours=2))
    call("CreateTrainingJob", **third)


def test_description_lags_behind_when_asked_to(call: Any, request_of: Make, clock: SteppedClock) -> None:
    call("liberties", lag_seconds=10.0)
    call("CreateTrainingJob", **request_of())
    assert _code(lambda: call("DescribeTrainingJob", TrainingJobName="job")) == "ValidationException"
    assert call("ListTrainingJobs")["TrainingJobSummaries"] == []
    clock.advance(timedelta(seconds=16))
    lagging = call("DescribeTrainingJob", TrainingJobName="job")
    assert lagging["SecondaryStatus"] == "Starting"
    assert "EndTime" not in lagging["SecondaryStatusTransitions"][-1]
    call("liberties", lag_seconds=0.0)
    assert call("DescribeTrainingJob", TrainingJobName="job")["SecondaryStatus"] == "Downloading"


def test_update_changes_what_may_change_while_the_job_runs(
    call: Any, request_of: Make, clock: SteppedClock
) -> None:
    call("CreateTrainingJob", **request_of())
    call("UpdateTrainingJob", TrainingJobName="job", ProfilerConfig={"DisableProfiler": True})
    assert call("DescribeTrainingJob", TrainingJobName="job")["ProfilerConfig"] == {"DisableProfiler": True}
    warm = {"KeepAlivePeriodInSeconds": 60}
    assert (
        _code(lambda: call("UpdateTrainingJob", TrainingJobName="job", ResourceConfig=warm))
        == "ValidationException"
    )
    clock.advance(timedelta(hours=1))
    again = {"TrainingJobName": "job", "ProfilerConfig": {"DisableProfiler": False}}
    assert _code(lambda: call("UpdateTrainingJob", **again)) == "ValidationException"


def test_tags_are_of_the_caller_s_own_resources(call: Any, request_of: Make) -> None:
    arn = call("CreateTrainingJob", **request_of(Tags=[{"Key": "team", "Value": "a"}]))["TrainingJobArn"]
    call("AddTags", ResourceArn=arn, Tags=[{"Key": "team", "Value": "b"}, {"Key": "more", "Value": "c"}])
    assert call("ListTags", ResourceArn=arn)["Tags"] == [
        {"Key": "more", "Value": "c"},
        {"Key": "team", "Value": "b"},
    ]
    call("DeleteTags", ResourceArn=arn, TagKeys=["team"])
    assert [tag["Key"] for tag in call("ListTags", ResourceArn=arn)["Tags"]] == ["more"]
    for stranger in (arn.replace(ACCOUNT, "210987654321"), arn + "x", arn.replace("training-job", "thing")):
        assert (
            _code(lambda stranger=stranger: call("ListTags", ResourceArn=stranger)) == "ValidationException"
        )
    many = [{"Key": f"key-{number}", "Value": ""} for number in range(50)]
    assert _code(lambda: call("AddTags", ResourceArn=arn, Tags=many)) == "ValidationException"
