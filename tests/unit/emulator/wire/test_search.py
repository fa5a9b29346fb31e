"""Search over training jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from moto.sagemaker.models import sagemaker_backends

from airflow_spot_provider.emulator.clock import SteppedClock
from airflow_spot_provider.emulator.exceptions import ValidationException
from airflow_spot_provider.emulator.jobs.lifecycles import lifecycle_named
from airflow_spot_provider.emulator.jobs.plans import Plans
from airflow_spot_provider.emulator.jobs.registry import Registry
from airflow_spot_provider.emulator.jobs.world import World
from airflow_spot_provider.emulator.market.quotas import Quotas
from airflow_spot_provider.emulator.spec import JobSpec
from airflow_spot_provider.emulator.wire.protocol import Call, NotOurs
from airflow_spot_provider.emulator.wire.search import SearchAPI

ACCOUNT, REGION = "123456789012", "ap-south-1"
Search = Callable[..., list[str]]


@pytest.fixture
def search(world: World, request_of: Callable[..., dict[str, Any]], clock: SteppedClock) -> Iterator[Search]:
    """Searches among three jobs: one that has completed, one that failed, one that trains on demand."""
    registry = Registry(world, Plans(lifecycle_named("uninterrupted")), Quotas())

    def _create(name: str, **members: Any) -> None:
        registry.create(JobSpec(request_of(TrainingJobName=name, **members), ACCOUNT, REGION))

    channel = {"DataSource": {"S3DataSource": {"S3Uri": "s3://bucket/a", "S3DataType": "S3Prefix"}}}
    registry.plans.plan(lifecycle_named("failed"), "failed")
    _create("completed", Tags=[{"Key": "team", "Value": "a"}], HyperParameters={"rate": "0.1"})
    _create("failed", Tags=[{"Key": "team", "Value": "b"}], HyperParameters={"rate": "0.5"})
    clock.advance(timedelta(minutes=30))
    _create(
        "training",
        EnableManagedSpotTraining=False,
        StoppingCondition={"MaxRuntimeInSeconds": 7200},
        InputDataConfig=[{"ChannelName": "train", **channel}],
    )

    def _search(*filters: dict[str, Any], **sent: Any) -> list[str]:
        parameters = {"Resource": "TrainingJob", "SearchExpression": {"Filters": list(filters)}, **sent}
        if not filters and "SearchExpression" not in sent:
            del parameters["SearchExpression"]
        answer = SearchAPI().operations["Search"](Call("Search", parameters, ACCOUNT, REGION))
        return [result["TrainingJob"]["TrainingJobName"] for result in answer["Results"]]

    yield _search
    sagemaker_backends[ACCOUNT][REGION].training_jobs.clear()


def _filter(name: str, operator: str, value: str | None = None) -> dict[str, Any]:
    entry = {"Name": name, "Operator": operator, "Value": value}
    return {key: item for key, item in entry.items() if item is not None}


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        (_filter("TrainingJobName", "Contains", "ed"), {"completed", "failed"}),
        (_filter("TrainingJobStatus", "Equals", "InProgress"), {"training"}),
        (_filter("TrainingJobStatus", "NotEquals", "InProgress"), {"completed", "failed"}),
        (_filter("TrainingJobStatus", "In", "Failed,InProgress"), {"failed", "training"}),
        (_filter("Tags.team", "Equals", "a"), {"completed"}),
        (_filter("Tags.team", "Exists"), {"completed", "failed"}),
        (_filter("Tags.team", "NotExists"), {"training"}),
        (_filter("HyperParameters.rate", "GreaterThan", "0.2"), {"failed"}),
        (_filter("EnableManagedSpotTraining", "Equals", "true"), {"completed", "failed"}),
        (_filter("BillableTimeInSeconds", "GreaterThanOrEqualTo", "1"), {"completed", "failed"}),
        (_filter("CreationTime", "LessThan", "2026-03-01T12:10:00Z"), {"completed", "failed"}),
        (
            _filter("ResourceConfig.InstanceType", "Equals", "ml.m5.large"),
            {"completed", "failed", "training"},
        ),
        (_filter("FailureReason", "Contains", "internal error"), {"failed"}),
        (_filter("InputDataConfig.ChannelName", "Equals", "train"), {"training"}),
    ],
)
def test_filter_finds_what_it_says(search: Search, entry: dict[str, Any], found: set[str]) -> None:
    assert set(search(entry)) == found


def test_expressions_are_joined_as_they_say(search: Search) -> None:
    either = {
        "Operator": "Or",
        "Filters": [_filter("Tags.team", "Equals", "b")],
        "SubExpressions": [
            {"Filters": [_filter("TrainingJobName", "Contains", "t"), _filter("Tags.team", "NotExists")]}
        ],
    }
    assert set(search(SearchExpression=either)) == {"failed", "training"}
    nested = {
        "NestedFilters": [
            {
                "NestedPropertyName": "InputDataConfig",
                "Filters": [
                    _filter("InputDataConfig.ChannelName", "Equals", "train"),
                    _filter("InputDataConfig.DataSource.S3DataSource.S3Uri", "Contains", "/a"),
                ],
            }
        ]
    }
    assert search(SearchExpression=nested) == ["training"]


def test_results_are_sorted_and_in_pages(search: Search) -> None:
    assert search(SortBy="TrainingJobName", SortOrder="Ascending") == ["completed", "failed", "training"]
    assert search(SortBy="CreationTime")[0] == "training"
    assert len(search(MaxResults=2)) == 2


@pytest.mark.parametrize(
    "entry",
    [
        _filter("Colour", "Equals", "red"),
        _filter("TrainingJobName", "Equals"),
        _filter("TrainingJobName", "Exists", "x"),
        _filter("CreationTime", "LessThan", "yesterday"),
    ],
)
def test_filter_that_makes_no_sense_is_refused(search: Search, entry: dict[str, Any]) -> None:
    with pytest.raises(ValidationException):
        search(entry)


def test_what_else_there_is_to_search_is_left_to_moto(search: Search) -> None:
    with pytest.raises(NotOurs):
        search(Resource="Experiment")
