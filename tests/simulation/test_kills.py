"""Kills on virtual time: whatever a user does to deferred tasks, no job runs on that nobody waits for, and no other is stopped."""

from __future__ import annotations

import asyncio

import pytest

from tests.simulation.airflow import Task
from tests.simulation.sagemaker import Fault, Liberties, Spec
from tests.simulation.world import World


def _crowd(world: World, count: int) -> list[Task]:
    return [
        world.defer(Spec(f"job-{n}", "never-launched", max_wait=80_000), map_index=n, poll_interval=30.0)
        for n in range(count)
    ]


@pytest.mark.parametrize("state", ["failed", "success", None, "deleted"])
@pytest.mark.parametrize("count", [1, 60, 500])
def test_crowd_of_kills_stops_every_job(count: int, state: str | None) -> None:
    world = World(count, Liberties(latency=(0.1, 0.1)))

    async def _story(_: World) -> None:
        tasks = _crowd(world, count)
        await asyncio.sleep(30.0)
        for task in tasks:
            world.triggerer.kill(task, state)
        assert await world.until(lambda: not world.sagemaker.running(), at_most=60.0), (
            f"{len(world.sagemaker.running())} of {count} still run"
        )

    world.run(_story)


@pytest.mark.parametrize("kind", ["throttled", "unavailable", "dropped", "expired"])
def test_kills_are_carried_out_when_sagemaker_can_be_asked_again(kind: str) -> None:
    world = World(7, Liberties(latency=(0.1, 0.1)))
    world.sagemaker.faults = [Fault(29.0, 329.0, kind, 0.9)]

    async def _story(_: World) -> None:
        tasks = _crowd(world, 100)
        await asyncio.sleep(30.0)
        for task in tasks:
            world.triggerer.kill(task)
        assert await world.until(lambda: not world.sagemaker.running(), at_most=420.0)

    world.run(_story)


@pytest.mark.parametrize("state", ["deferred", "running", "up_for_retry"])
def test_triggers_that_another_triggerer_has_now_stop_nothing(state: str) -> None:
    """Airflow 3.3.0 to 3.3.2 calls on_kill for them, too (apache/airflow#73454)."""
    world = World(8)

    async def _story(_: World) -> None:
        tasks = _crowd(world, 60)
        await asyncio.sleep(30.0)
        for task in tasks:
            world.triggerer.kill(task, state)
        await asyncio.sleep(300.0)
        assert len(world.sagemaker.running()) == 60
        assert not world.sagemaker.calls["StopTrainingJob"]

    world.run(_story)


def test_shutdown_stops_nothing() -> None:
    world = World(9)

    async def _story(_: World) -> None:
        _crowd(world, 60)
        await asyncio.sleep(30.0)
        world.supervisor.silent = True
        world.triggerer.crash()
        await asyncio.sleep(120.0)
        assert len(world.sagemaker.running()) == 60

    world.run(_story)


def test_job_of_a_later_try_is_left_alone() -> None:
    world = World(10)

    async def _story(_: World) -> None:
        spec = Spec("job", "never-launched", max_wait=80_000, tags={"airflow-spot:try": "2"})
        task = world.defer(spec, poll_interval=5.0)
        await asyncio.sleep(10.0)
        world.triggerer.kill(task)
        await asyncio.sleep(60.0)
        assert world.sagemaker.running() == ["job"]

    world.run(_story)


def test_cancel_on_kill_false_leaves_the_job_alone() -> None:
    world = World(11)

    async def _story(_: World) -> None:
        task = world.defer(
            Spec("job", "never-launched", max_wait=80_000), poll_interval=5.0, cancel_on_kill=False
        )
        await asyncio.sleep(10.0)
        world.triggerer.kill(task)
        await asyncio.sleep(60.0)
        assert world.sagemaker.running() == ["job"]

    world.run(_story)
