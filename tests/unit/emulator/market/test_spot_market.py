"""Jobs compete for capacity, and are interrupted because it went."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_spot_provider.emulator.jobs.training_job import TrainingJob
from airflow_spot_provider.emulator.jobs.world import World
from airflow_spot_provider.emulator.market.settings import MarketSettings, OnDemand, PoolSettings
from airflow_spot_provider.emulator.market.spot_market import ON_DEMAND

Start = Callable[..., TrainingJob]
Pass = Callable[[float], None]
M5 = "ml.m5.large"


@pytest.fixture
def market_settings() -> MarketSettings:
    return MarketSettings(
        zones=["a", "b"],
        pools=[
            PoolSettings(instance_type=M5, zone="a", script=[(0, 2), (600, 1), (1200, 3)]),
            PoolSettings(instance_type=M5, zone="b", capacity=0),
            PoolSettings(instance_type="ml.c5.large", script=[(0, 0), (300, 1)]),
        ],
        on_demand=[
            OnDemand(instance_type="ml.p3.*", capacity=0),
            OnDemand(instance_type="ml.p4d.*", capacity=0, capacity_error_after_seconds=900),
        ],
    )


def _job(
    start: Start, name: str, *, count: int = 1, kind: str = M5, work: int = 1500, **members: Any
) -> TrainingJob:
    return start(
        "market",
        TrainingJobName=name,
        ResourceConfig={"InstanceType": kind, "InstanceCount": count, "VolumeSizeInGB": 1},
        Tags=[{"Key": "emulator:training-seconds", "Value": str(work)}],
        **members,
    )


def _on_demand(start: Start, kind: str, **stopping: int) -> TrainingJob:
    return _job(
        start,
        "on-demand",
        kind=kind,
        EnableManagedSpotTraining=False,
        StoppingCondition={"MaxRuntimeInSeconds": 3600, **stopping},
    )


def _statuses(job: TrainingJob) -> list[str]:
    return [entry["Status"] for entry in (job.describe() or {})["SecondaryStatusTransitions"]]


def test_job_waits_in_starting_until_there_is_capacity(start: Start, pass_time: Pass) -> None:
    job = _job(start, "waits", kind="ml.c5.large")
    pass_time(299)
    assert _statuses(job) == ["Starting"]
    assert (
        "Insufficient capacity" in (job.describe() or {})["SecondaryStatusTransitions"][-1]["StatusMessage"]
    )
    pass_time(60)
    assert job.secondary_status == "Training"


def test_jobs_that_find_no_room_wait_for_those_that_have_it(start: Start, pass_time: Pass) -> None:
    jobs = [_job(start, f"job-{number}", work=100) for number in range(3)]
    pass_time(100)
    assert [job.secondary_status for job in jobs] == ["Training", "Training", "Starting"]
    pass_time(100)
    assert [job.training_job_status for job in jobs] == ["Completed", "Completed", "InProgress"]
    assert jobs[2].secondary_status == "Training"


def test_job_of_several_instances_takes_all_or_none(start: Start, pass_time: Pass) -> None:
    small, large = _job(start, "small"), _job(start, "large", count=3)
    other = _job(start, "other")
    pass_time(100)
    assert [job.secondary_status for job in (small, large, other)] == ["Training", "Starting", "Training"]
    small.stop()
    other.stop()
    pass_time(1190)
    assert large.secondary_status == "Training"


def test_interruption_comes_because_capacity_went_and_ends_when_it_is_back(
    start: Start, pass_time: Pass, world: World
) -> None:
    jobs = [_job(start, f"job-{number}", work=3000) for number in range(2)]
    pass_time(599)
    assert {job.secondary_status for job in jobs} == {"Training"}
    pass_time(2)
    assert sorted(job.secondary_status for job in jobs) == ["Interrupted", "Training"]
    [pool] = [pool for pool in world.market.told() if pool["zone"] == "a"]
    assert (pool["capacity"], pool["used"]) == (1, 1)
    pass_time(620)
    assert {job.secondary_status for job in jobs} == {"Training"}
    [interrupted] = [job for job in jobs if "Interrupted" in _statuses(job)]
    assert _statuses(interrupted) == [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training"),
    ]


def test_max_wait_ends_a_job_that_never_got_capacity(start: Start, pass_time: Pass) -> None:
    job = _job(
        start,
        "never",
        count=9,
        StoppingCondition={"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900},
    )
    pass_time(1000)
    assert _statuses(job) == ["Starting", "Stopping", "MaxWaitTimeExceeded"]


def test_capacity_that_goes_while_an_instance_starts_is_waited_for_again(
    start: Start, pass_time: Pass
) -> None:
    pass_time(590)
    jobs = [_job(start, f"job-{number}") for number in range(2)]
    pass_time(300)
    assert sorted(_statuses(job) for job in jobs) == [["Starting"], ["Starting", "Downloading", "Training"]]


def test_capacity_can_be_held_and_let_go(start: Start, pass_time: Pass, world: World) -> None:
    job = _job(start, "held", work=3000)
    pass_time(60)
    world.market.hold(M5, "a", "us-east-1", 0)
    pass_time(60)
    assert job.secondary_status == "Interrupted"
    world.market.hold(M5, "b", "us-east-1", 1)
    pass_time(60)
    assert job.secondary_status == "Training"
    world.market.hold(M5, "b", "us-east-1", None)
    pass_time(1)
    assert job.secondary_status == "Interrupted"
    world.market.hold(M5, "a", "us-east-1", None)
    pass_time(60)
    assert job.secondary_status == "Training"


def test_on_demand_job_without_capacity_stays_in_starting(
    start: Start, pass_time: Pass, world: World
) -> None:
    job = _on_demand(start, "ml.p3.2xlarge")
    pass_time(86_400)
    assert _statuses(job) == ["Starting"]
    world.market.hold("ml.p3.2xlarge", ON_DEMAND, "us-east-1", 1)
    pass_time(60)
    assert job.secondary_status == "Training"


def test_on_demand_job_fails_with_a_capacity_error_where_the_market_says_so(
    start: Start, pass_time: Pass
) -> None:
    job = _on_demand(start, "ml.p4d.24xlarge")
    pass_time(1000)
    assert job.training_job_status == "Failed"
    assert str((job.describe() or {})["FailureReason"]).startswith("CapacityError: ")
    assert "TrainingTimeInSeconds" not in (job.describe() or {})


def test_max_pending_time_stops_a_job_that_waits(start: Start, pass_time: Pass) -> None:
    job = _on_demand(start, "ml.p3.2xlarge", MaxPendingTimeInSeconds=7200)
    pass_time(7100)
    assert job.training_job_status == "InProgress"
    pass_time(200)
    assert (job.training_job_status, job.secondary_status) == ("Stopped", "Stopped")


def test_cheapest_zone_with_room_is_taken_and_billed(start: Start, pass_time: Pass, world: World) -> None:
    world.market.hold(M5, "b", "us-east-1", 1)
    now = world.clock.now()
    cheaper = min("ab", key=lambda zone: world.prices.share(M5, now, zone))
    job = _job(start, "cheap", work=600)
    pass_time(1)
    [pool] = [pool for pool in world.market.told() if pool["used"]]
    assert pool["zone"] == cheaper
    pass_time(590)
    world.market.hold(M5, cheaper, "us-east-1", 1)
    pass_time(100)
    description = job.describe() or {}
    share = description["BillableTimeInSeconds"] / description["TrainingTimeInSeconds"]
    assert share == pytest.approx(world.prices.share(M5, now, cheaper), abs=0.02)
