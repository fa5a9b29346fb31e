"""The liberties that SageMaker takes with a job, and the refusal of an instance type that a region does not have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
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
from airflow_spot_provider.emulator.market.availability import Availability, Lack
from airflow_spot_provider.emulator.market.quotas import Quotas
from airflow_spot_provider.emulator.market.settings import MarketSettings
from airflow_spot_provider.emulator.tuning.tuning_jobs import TuningJobs
from airflow_spot_provider.emulator.wire.protocol import Call
from airflow_spot_provider.emulator.wire.training import TrainingAPI
from airflow_spot_provider.emulator.wire.tuning import TuningAPI
from tests.unit.emulator.conftest import tuning_request_of

ACCOUNT, REGION = "123456789012", "us-west-1"
ON_DEMAND = {"EnableManagedSpotTraining": False, "StoppingCondition": {"MaxRuntimeInSeconds": 600}}
STARTED = ["Starting", "Downloading", "Training"]


class Service:
    """SageMaker without a server, whose liberties the test chooses."""

    def __init__(self, world: World) -> None:
        self.liberties = Liberties()
        self.availability = Availability([Lack("ml.p2.*", REGION)])
        own = replace(world, liberties=lambda: self.liberties, announce=self._announce)
        self.registry = Registry(
            own, Plans(lifecycle_named("uninterrupted")), Quotas(), availability=self.availability
        )
        self.tuning_jobs = TuningJobs(self.registry, world.clock)
        self._operations = {
            **TrainingAPI(self.registry, lambda: self.liberties).operations,
            **TuningAPI(self.tuning_jobs, lambda: self.liberties).operations,
        }

    def _announce(self, job: Any) -> None:
        self.tuning_jobs.training_job_changed(job)

    def __call__(self, operation: str, *, region: str = REGION, **parameters: Any) -> Any:
        return self._operations[operation](Call(operation, parameters, ACCOUNT, region))

    def refusal(self, operation: str, **parameters: Any) -> tuple[str, str]:
        with pytest.raises(ServiceException) as caught:
            self(operation, **parameters)
        return str(caught.value.code), str(caught.value.message)

    def statuses(self, name: str = "job") -> list[str]:
        entries = self("DescribeTrainingJob", TrainingJobName=name)["SecondaryStatusTransitions"]
        return [entry["Status"] for entry in entries]

    def both(self, name: str = "job") -> tuple[str, str]:
        """TrainingJobStatus and SecondaryStatus."""
        description = self("DescribeTrainingJob", TrainingJobName=name)
        summary = self("ListTrainingJobs", NameContains=name)["TrainingJobSummaries"][0]
        found = description["TrainingJobStatus"], description["SecondaryStatus"]
        assert found == (summary["TrainingJobStatus"], summary["SecondaryStatus"])
        return found


@pytest.fixture
def market_settings() -> MarketSettings:
    return MarketSettings.model_validate(
        {
            "default": {"script": [(0, 0), (300, 8), (600, 0), (900, 8)]},
            "on_demand": [{"instance_type": "ml.m5.large", "capacity": 0}],
        }
    )


@pytest.fixture
def service(world: World) -> Iterator[Service]:
    yield Service(world)
    for region in (REGION, "us-west-2"):
        sagemaker_backends[ACCOUNT][region].training_jobs.clear()
        sagemaker_backends[ACCOUNT][region].hyper_parameter_tuning_jobs.clear()


@pytest.fixture
def create(service: Service, request_of: Callable[..., dict[str, Any]]) -> Callable[..., str]:
    def _create(lifecycle: str = "uninterrupted", **members: Any) -> str:
        tags = [{"Key": "emulator:lifecycle", "Value": lifecycle}, {"Key": "team", "Value": "a"}]
        return str(service("CreateTrainingJob", **request_of(**{"Tags": tags, **members}))["TrainingJobArn"])

    return _create


def _pass(clock: SteppedClock, seconds: float) -> None:
    clock.advance(timedelta(seconds=seconds))


# What may be seen of a new job


def test_tags_of_a_new_job_and_of_a_changed_one_come_later(
    service: Service, create: Any, clock: SteppedClock
) -> None:
    service.liberties = Liberties(tags_lag_seconds=20)
    arn = create()

    def _keys() -> list[str]:
        return [tag["Key"] for tag in service("ListTags", ResourceArn=arn)["Tags"]]

    assert _keys() == []
    _pass(clock, 19)
    service("AddTags", ResourceArn=arn, Tags=[{"Key": "seen", "Value": "1"}])
    assert _keys() == []
    _pass(clock, 1)
    assert _keys() == ["emulator:lifecycle", "team"]
    _pass(clock, 19)
    assert _keys() == ["emulator:lifecycle", "seen", "team"]
    service("DeleteTags", ResourceArn=arn, TagKeys=["seen"])
    assert "seen" in _keys()
    service.liberties = Liberties()
    assert _keys() == ["emulator:lifecycle", "team"]


def test_new_jobs_of_both_kinds_may_not_be_described_at_first(
    service: Service, create: Any, clock: SteppedClock, request_of: Callable[..., dict[str, Any]]
) -> None:
    service.liberties = Liberties(denied_seconds=30)
    arn = create()
    service("CreateHyperParameterTuningJob", **tuning_request_of(request_of()))
    described = {
        "DescribeTrainingJob": {"TrainingJobName": "job"},
        "DescribeHyperParameterTuningJob": {"HyperParameterTuningJobName": "tune"},
    }
    for operation, name in described.items():
        code, message = service.refusal(operation, **name)
        assert code == "AccessDeniedException"
        assert (
            f"is not authorized to perform: sagemaker:{operation} on resource: arn:aws:sagemaker:" in message
        )
    assert arn in service.refusal("DescribeTrainingJob", TrainingJobName="job")[1]
    assert service.refusal("DescribeTrainingJob", TrainingJobName="nobody")[0] == "ValidationException"
    assert len(service("ListTrainingJobs")["TrainingJobSummaries"]) == 1
    _pass(clock, 30)
    for operation, name in described.items():
        service(operation, **name)


# Waits for capacity


@pytest.mark.parametrize("pending", [True, False])
def test_wait_for_the_first_spot_capacity_is_pending_where_asked_for(
    service: Service, create: Any, clock: SteppedClock, *, pending: bool
) -> None:
    service.liberties = Liberties(pending=pending)
    create("market")
    assert service.both() == ("InProgress", "Pending" if pending else "Starting")
    _pass(clock, 310)
    assert service.both() == ("InProgress", "Starting")
    _pass(clock, 2000)
    waited = ["Starting", "Pending"] if pending else []
    assert service.statuses() == [*waited, *STARTED, "Uploading", "Completed"]


def test_wait_on_demand_is_pending_and_ends_with_what_ends_it(
    service: Service, create: Any, clock: SteppedClock, world: World
) -> None:
    service.liberties = Liberties(pending=True)
    patient = {"StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxPendingTimeInSeconds": 1800}}
    create(TrainingJobName="gets", **ON_DEMAND)
    create(TrainingJobName="gives-up", **ON_DEMAND | patient)
    create(TrainingJobName="stopped", **ON_DEMAND)
    for name in ("gets", "gives-up", "stopped"):
        assert service.both(name) == ("InProgress", "Pending")
    service("StopTrainingJob", TrainingJobName="stopped")
    _pass(clock, 1795)
    assert service.statuses("stopped") == ["Starting", "Pending", "Stopping", "Stopped"]
    _pass(clock, 10)
    assert service.statuses("gives-up") == ["Starting", "Pending", "Stopping", "Stopped"]
    world.market.hold("ml.m5.large", "on-demand", REGION, 1)
    _pass(clock, 400)
    assert service.statuses("gets") == ["Starting", "Pending", *STARTED, "Uploading", "Completed"]
    description = service("DescribeTrainingJob", TrainingJobName="gets")
    assert description["TrainingTimeInSeconds"] < 100


def test_job_that_is_never_launched_is_pending_until_max_wait(
    service: Service, create: Any, clock: SteppedClock
) -> None:
    service.liberties = Liberties(pending=True)
    create("never-launched")
    assert service.both() == ("InProgress", "Pending")
    _pass(clock, 4000)
    assert service.statuses() == ["Starting", "Pending", "Stopping", "MaxWaitTimeExceeded"]


def test_capacity_that_goes_while_the_job_starts_makes_it_pending_again(
    service: Service, create: Any, clock: SteppedClock, world: World
) -> None:
    service.liberties = Liberties(pending=True)
    create("market")
    _pass(clock, 305)
    for zone in ("a", "b", "c"):
        world.market.hold("ml.m5.large", zone, REGION, 0)
    _pass(clock, 5)
    assert service.statuses() == ["Starting", "Pending", "Starting", "Pending"]
    world.market.hold("ml.m5.large", "a", REGION, 1)
    _pass(clock, 1000)
    assert service.statuses()[-3:] == ["Training", "Uploading", "Completed"]


# How a job is told to be stopping


def test_stopping_may_be_in_the_status_alone(service: Service, create: Any, clock: SteppedClock) -> None:
    service.liberties = Liberties(stopping_in_status_only=True)
    create()
    _pass(clock, 30)
    before = service("DescribeTrainingJob", TrainingJobName="job")
    service("StopTrainingJob", TrainingJobName="job")
    assert service.both() == ("Stopping", "Training")
    described = service("DescribeTrainingJob", TrainingJobName="job")
    assert described["SecondaryStatusTransitions"] == before["SecondaryStatusTransitions"]
    assert "TrainingEndTime" not in described
    assert "TrainingTimeInSeconds" not in described
    assert service.refusal("StopTrainingJob", TrainingJobName="job")[0] == "ValidationException"
    _pass(clock, 10)
    assert service.both() == ("Stopped", "Stopped")
    assert service.statuses() == [*STARTED, "Uploading", "Stopped"]


@pytest.mark.parametrize(
    ("lifecycle", "seconds", "secondary"),
    [
        ("uninterrupted", 5, "Starting"),
        ("interrupted-once", 60, "Interrupted"),
        ("never-launched", 5, "Starting"),
    ],
)
def test_job_on_no_instance_stops_in_the_status_that_it_is_in(
    service: Service, create: Any, clock: SteppedClock, lifecycle: str, seconds: float, secondary: str
) -> None:
    service.liberties = Liberties(stopping_in_status_only=True)
    create(lifecycle)
    _pass(clock, seconds)
    service("StopTrainingJob", TrainingJobName="job")
    _pass(clock, 1)
    assert service.both() == ("Stopping", secondary)
    _pass(clock, 10)
    assert service.both() == ("Stopped", "Stopped")


def test_capacity_that_goes_in_that_moment_interrupts_nothing_any_more(
    service: Service, create: Any, clock: SteppedClock, world: World
) -> None:
    service.liberties = Liberties(stopping_in_status_only=True)
    create("market")
    _pass(clock, 330)
    assert service.both() == ("InProgress", "Training")
    for zone in ("a", "b", "c"):
        world.market.hold("ml.m5.large", zone, REGION, 0)
    service("StopTrainingJob", TrainingJobName="job")
    _pass(clock, 60)
    assert service.statuses() == [*STARTED, "Uploading", "Stopped"]


def test_max_wait_is_exceeded_after_a_stop_in_the_status_alone_too(
    service: Service, create: Any, clock: SteppedClock
) -> None:
    service.liberties = Liberties(stopping_in_status_only=True)
    create("interrupted-twice-then-max-wait")
    _pass(clock, 3600)
    assert service.statuses()[-1] in ("Training", "Uploading", "MaxWaitTimeExceeded")
    _pass(clock, 10)
    assert service.both() == ("Stopped", "MaxWaitTimeExceeded")
    assert "Stopping" not in service.statuses()


def test_lagging_description_does_not_know_of_the_stop_yet(
    service: Service, create: Any, clock: SteppedClock
) -> None:
    service.liberties = Liberties(stopping_in_status_only=True, lag_seconds=5)
    create("never-launched")
    _pass(clock, 30)
    service("StopTrainingJob", TrainingJobName="job")
    assert service.both() == ("InProgress", "Starting")
    _pass(clock, 5.5)
    assert service.both() == ("Stopping", "Starting")


# What a region does not have


def test_instance_type_that_the_region_does_not_have_is_refused_in_sagemakers_words(
    service: Service, request_of: Callable[..., dict[str, Any]]
) -> None:
    resources = {"InstanceType": "ml.p2.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1}
    for members in ({}, ON_DEMAND):
        request = request_of(ResourceConfig=resources, **members)
        assert service.refusal("CreateTrainingJob", **request) == (
            "ResourceLimitExceeded",
            "The requested resource training-job/ml.p2.xlarge is not available in this region",
        )
    assert service("ListTrainingJobs")["TrainingJobSummaries"] == []
    service("CreateTrainingJob", region="us-west-2", **request_of(ResourceConfig=resources))


def test_what_was_said_last_of_a_region_counts(service: Service) -> None:
    has = service.availability.has
    service.availability.set("ml.*", "us-*", available=False)
    service.availability.set("ml.m5.*", REGION, available=True)
    assert [has("ml.m5.large", REGION), has("ml.c5.large", REGION), has("ml.c5.large", "eu-west-1")] == [
        True,
        False,
        True,
    ]
    service.availability.set("ml.p2.xlarge", REGION, available=True)
    assert has("ml.p2.xlarge", REGION)
    service.availability.set("ml.*", "us-*", available=None)
    service.availability.set("ml.p2.xlarge", REGION, available=None)
    assert has("ml.c5.large", REGION)
    assert not has("ml.p2.xlarge", REGION)
    assert service.availability.told() == [
        {"instance_type": "ml.p2.*", "region": REGION, "available": False},
        {"instance_type": "ml.m5.*", "region": REGION, "available": True},
    ]


def test_tuning_job_of_such_instances_is_refused_and_one_that_loses_them_fails(
    service: Service, clock: SteppedClock, request_of: Callable[..., dict[str, Any]]
) -> None:
    request = tuning_request_of(request_of(), jobs=4)
    request["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxParallelTrainingJobs"] = 1
    service.availability.set("ml.m5.*", REGION, available=False)
    said = "The requested resource training-job/ml.m5.large is not available in this region"
    assert service.refusal("CreateHyperParameterTuningJob", **request) == ("ResourceLimitExceeded", said)
    assert service("ListHyperParameterTuningJobs")["HyperParameterTuningJobSummaries"] == []
    service.availability.set("ml.m5.*", REGION, available=None)
    service("CreateHyperParameterTuningJob", **request)
    _pass(clock, 60)
    service.availability.set("ml.m5.*", REGION, available=False)
    _pass(clock, 600)
    described = service("DescribeHyperParameterTuningJob", HyperParameterTuningJobName="tune")
    assert described["HyperParameterTuningJobStatus"] == "Failed"
    assert described["FailureReason"] == f"ClientError: {said}"
