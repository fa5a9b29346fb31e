"""A job whose script takes real seconds, while a minute passes in each: the machine may be slow, and the plan holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_spot_provider.emulator.clock import SteppedClock
from airflow_spot_provider.emulator.instances.instance import Listener
from airflow_spot_provider.emulator.instances.simulated import SimulatedInstance
from airflow_spot_provider.emulator.jobs.liberties import Liberties
from airflow_spot_provider.emulator.jobs.lifecycles import lifecycle_named
from airflow_spot_provider.emulator.jobs.training_job import TrainingJob
from airflow_spot_provider.emulator.jobs.world import World
from airflow_spot_provider.emulator.spec import JobSpec
from tests.unit.emulator.conftest import NOON

MINUTE = 60.0
"""Emulated seconds in a real one."""
STARTED = ["Starting", "Downloading", "Training"]
ONCE = [*STARTED, "Interrupted", *STARTED, "Uploading", "Completed"]
TWICE = [
    *(*STARTED, "Interrupted", *STARTED, "Interrupted"),
    *("Downloading", "Training", "Stopping", "MaxWaitTimeExceeded"),
]
LIMITS = {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900}


class FastClock(SteppedClock):
    """Stepped by the test; scripts take it for one on which a minute passes in a second."""

    def real_seconds(self, emulated: float) -> float:
        return emulated / MINUTE

    def emulated_seconds(self, real: float) -> float:
        return real * MINUTE


class Script(SimulatedInstance):
    """An instance on which a script runs, as far as its job can tell: the test does what the script does."""

    runs_script = True

    def __init__(self, listener: Listener, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._listener = listener

    def saves(self) -> None:
        self._listener.checkpoint()

    def ends(self) -> None:
        self._listener.exited(0)


class Stage:
    """One job, and the script of its present stay."""

    def __init__(self, world: World, storage: Any, request: dict[str, Any], lifecycle: str) -> None:
        self._clock = world.clock
        self.scripts: list[Script] = []

        def _launch(spec: JobSpec, _number: int, listener: Listener) -> Script:
            self.scripts.append(Script(listener, spec, storage))
            return self.scripts[-1]

        spec = JobSpec(request, "123456789012", "us-east-1")
        self.job = TrainingJob(spec, lifecycle_named(lifecycle), replace(world, launch=_launch))
        self.job.begin()

    def after(self, seconds: float, act: Callable[[Script], None] | None = None) -> None:
        assert isinstance(self._clock, FastClock)
        self._clock.advance(timedelta(seconds=seconds))
        if act is not None:
            act(self.scripts[-1])
            self._clock.advance(timedelta(0))

    @property
    def statuses(self) -> list[str]:
        description = self.job.describe()
        assert description is not None
        return [entry["Status"] for entry in description["SecondaryStatusTransitions"]]

    def began(self, status: str) -> float:
        """After how many seconds the job came into a status for the last time."""
        description = self.job.describe()
        assert description is not None
        entries = [entry for entry in description["SecondaryStatusTransitions"] if entry["Status"] == status]
        return float((entries[-1]["StartTime"] - self.job.creation_time).total_seconds())


@pytest.fixture
def clock() -> SteppedClock:
    return FastClock(NOON)


@pytest.fixture
def liberties() -> list[Liberties]:
    """Those that SageMaker takes, as the only entry."""
    return [Liberties()]


@pytest.fixture
def stage(
    world: World, storage: Any, request_of: Callable[..., dict[str, Any]], liberties: list[Liberties]
) -> Callable[..., Stage]:
    own = replace(world, liberties=lambda: liberties[0])

    def _stage(lifecycle: str, **members: Any) -> Stage:
        return Stage(own, storage, request_of(**{"StoppingCondition": LIMITS, **members}), lifecycle)

    return _stage


@pytest.mark.parametrize("seconds", [100, 1000, 3000])
def test_interruption_waits_for_the_checkpoint_of_a_slow_script_and_max_wait_lets_it_go_on(
    stage: Callable[..., Stage], seconds: float
) -> None:
    slow = stage("interrupted-once")
    slow.after(seconds)
    assert slow.statuses == STARTED
    slow.after(0, Script.saves)
    slow.after(seconds + 100, Script.ends)
    slow.after(100)
    assert slow.statuses == ONCE


@pytest.mark.parametrize("seconds", [30, 200, 2500])
def test_max_wait_that_is_planned_comes_when_the_last_stay_has_gone_on_from_its_checkpoint(
    stage: Callable[..., Stage], seconds: float
) -> None:
    slow = stage("interrupted-twice-then-max-wait")
    for _ in range(2):
        slow.after(seconds + 100, Script.saves)
    slow.after(900 + seconds)
    if seconds > 30:
        assert slow.statuses == TWICE[:-2]
    slow.scripts[-1].saves()
    slow.after(0)
    slow.after(10)
    assert slow.statuses == TWICE


def test_max_wait_that_is_planned_comes_on_time_to_a_script_that_is_in_time(
    stage: Callable[..., Stage],
) -> None:
    quick = stage("interrupted-twice-then-max-wait")
    quick.after(30, Script.saves)
    quick.after(100, Script.saves)
    while quick.statuses != TWICE[:-2]:
        quick.after(5)
    quick.after(0, Script.saves)
    quick.after(900)
    assert quick.statuses == TWICE
    assert quick.began("Stopping") == 900


def test_max_wait_that_is_planned_comes_also_where_the_script_has_nothing_left_to_do(
    stage: Callable[..., Stage],
) -> None:
    done = stage("interrupted-twice-then-max-wait")
    done.after(100, Script.ends)
    done.after(100, Script.ends)
    done.after(2000, Script.ends)
    done.after(100)
    assert done.statuses == TWICE


def test_script_that_saves_nothing_is_interrupted_after_a_real_minute(stage: Callable[..., Stage]) -> None:
    idle = stage("interrupted-once")
    idle.after(3 * 3600)
    assert idle.statuses[3] == "Interrupted"
    assert len(idle.scripts) == 2
    assert idle.job.stays.told()[0]["checkpoints"] == 0
    training = idle.job.record.transitions[2]
    assert (training["EndTime"] - training["StartTime"]).total_seconds() == 60 * MINUTE


@pytest.mark.parametrize(
    ("limit", "real_seconds"), [(10, 10), (300, 300), (3000, 300), (100_000, 100_000 / 60)]
)
@pytest.mark.parametrize("spot", [True, False])
def test_limit_gives_a_script_that_never_ends_as_many_real_seconds_up_to_five_minutes(
    stage: Callable[..., Stage], *, spot: bool, limit: int, real_seconds: float
) -> None:
    conditions = {"MaxRuntimeInSeconds": limit} | ({"MaxWaitTimeInSeconds": limit + 1000} if spot else {})
    endless = stage("uninterrupted", EnableManagedSpotTraining=spot, StoppingCondition=conditions)
    endless.after(200_000)
    assert endless.statuses == [*STARTED, "Stopping", "MaxRuntimeExceeded"]
    assert endless.began("Stopping") - endless.began("Training") == pytest.approx(real_seconds * MINUTE)


def test_max_wait_ends_a_script_that_never_ends_after_its_real_seconds(stage: Callable[..., Stage]) -> None:
    endless = stage(
        "uninterrupted", StoppingCondition={"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 100}
    )
    endless.after(200_000)
    assert endless.statuses == [*STARTED, "Stopping", "MaxWaitTimeExceeded"]
    assert endless.began("Stopping") == 100 * MINUTE


def test_script_that_ends_while_its_job_is_stopping_in_its_status_only_completes_nothing(
    stage: Callable[..., Stage], liberties: list[Liberties]
) -> None:
    liberties[:] = [Liberties(stopping_in_status_only=True)]
    stopped = stage("uninterrupted")
    stopped.after(100)
    stopped.scripts[-1].ends()
    assert stopped.job.stop()
    stopped.after(0, Script.saves)
    assert not stopped.job.interrupt()
    stopped.after(10)
    assert stopped.statuses == [*STARTED, "Uploading", "Stopped"]


def test_job_that_waits_for_capacity_on_the_market_waits_no_longer_for_having_a_script(
    stage: Callable[..., Stage], world: World
) -> None:
    waiting = stage("market")
    waiting.after(100)
    assert waiting.statuses == STARTED
    for zone in ("a", "b", "c"):
        world.market.hold("ml.m5.large", zone, "us-east-1", 0)
    waiting.after(10_000)
    assert waiting.statuses == [*STARTED, "Interrupted", "Stopping", "MaxWaitTimeExceeded"]
    assert waiting.began("Stopping") == 900


def test_nothing_in_a_job_without_a_script_waits_for_a_thread(
    world: World, request_of: Callable[..., dict[str, Any]], pass_time: Callable[[float], None]
) -> None:
    never = replace(world, background=lambda _work: None)
    spec = JobSpec(request_of(), "123456789012", "us-east-1")
    job = TrainingJob(spec, lifecycle_named("interrupted-once"), never)
    job.begin()
    pass_time(1000)
    assert job.training_job_status == "Completed"
