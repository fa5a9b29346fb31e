"""The watcher on virtual time: every change is told in time, whatever liberties SageMaker takes, with no more calls than needed."""

from __future__ import annotations

import asyncio
import gc
import os
import random
from collections import Counter
from types import FunctionType, ModuleType
from typing import Any

import pytest

from airflow_spot_provider.triggers import _watching
from tests.simulation.judgement import complaints_about
from tests.simulation.sagemaker import Fault, Liberties, Spec
from tests.simulation.world import LIFECYCLES, World, drawn_faults, drawn_liberties

SEEDS = range(int(os.environ.get("SEEDS", "200")))
HORIZON = 2_400.0


@pytest.mark.parametrize("seed", SEEDS)
def test_every_change_is_told_within_two_intervals(seed: int) -> None:
    draw = random.Random(seed)
    liberties = drawn_liberties(draw)
    world = World(seed, liberties)
    world.sagemaker.faults = drawn_faults(draw, until=HORIZON)
    if draw.random() < 0.5:
        world.sagemaker.create_old(draw.choice((50, 500, 3_000)))
    intervals = draw.choice(((5.0,), (30.0,), (5.0, 30.0), (5.0, 300.0), (10.0, 86_400.0)))
    ours, others = draw.choice((1, 3, 10, 40)), draw.choice((0, 0, 20, 150))

    async def _defer_ours() -> None:
        for number in range(ours):
            await asyncio.sleep(draw.expovariate(1 / draw.choice((0.1, 5.0, 30.0))))
            spec = Spec(f"ours-{number}", draw.choice(LIFECYCLES), draw.uniform(20.0, 600.0), max_wait=1_500)
            task = world.defer(spec, poll_interval=draw.choice(intervals))
            if draw.random() < 0.1:
                await asyncio.sleep(draw.uniform(0.0, 60.0))
                world.triggerer.drop(task)  # the task's triggerer is another one now

    async def _create_others() -> None:
        for number in range(others):
            await asyncio.sleep(draw.expovariate(others / HORIZON))
            world.sagemaker.create(
                Spec(f"other-{number}", draw.choice(LIFECYCLES), draw.uniform(20.0, 600.0))
            )

    async def _story(_: World) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(_defer_ours())
            group.create_task(_create_others())
        await asyncio.sleep(max(HORIZON - world.now, 0.0) + 600.0)

    world.run(_story)

    calls = min(len(world.sagemaker._listed) / 100 + 2, ours + 2)
    slack = (
        6
        + (calls + 6) * liberties.latency[1]
        + 2 * liberties.list_lag
        + 2 * liberties.describe_lag
        + liberties.denied_at_first
    )
    complaints = [
        complaint
        for task in world.tasks
        for complaint in complaints_about(
            world.sagemaker, task, interval=world.interval_of(task), slack=slack
        )
    ]
    assert not complaints, "\n".join(complaints[:5])


def test_a_new_job_hides_no_change_of_another() -> None:
    """A description of a new job tells of a time up to which nobody has looked at the others."""
    world = World(1)

    async def _story(_: World) -> None:
        first = [
            world.defer(Spec(name, training_seconds=95.0 + 60 * n), poll_interval=30.0)
            for n, name in enumerate("ab")
        ]
        ends = await world.until(lambda: world.sagemaker.job("a").has_ended, at_most=600.0)
        assert ends
        await asyncio.sleep(25.0)
        world.defer(Spec("c", training_seconds=900.0), poll_interval=30.0)
        assert await world.until(lambda: bool(first[0].events), at_most=60.0)

    world.run(_story)


ACCOUNTS = {
    "5 watched, 20,000 old": (5, 20_000, 0, False, 8, 8, 2, 10),
    "200 watched, 20,000 old": (200, 20_000, 0, False, 5, 5, 2, 10),
    "200 watched, 20,000 old, filtering first": (200, 20_000, 0, True, 5, 5, 2, 10),
    "1,000 watched, 20,000 old": (1_000, 20_000, 0, False, 22, 13, 5, 10),
    "200 watched among 2,000 others": (200, 0, 2_000, False, 25, 25, 5, 10),
}


@pytest.mark.parametrize(
    ("watched", "old", "others", "filters_first", "calls_when_young", "calls", "first_seen", "told_within"),
    ACCOUNTS.values(),
    ids=ACCOUNTS.keys(),
)
def test_calls_and_delays_in_large_accounts(
    watched: int,
    old: int,
    others: int,
    filters_first: bool,
    calls_when_young: int,
    calls: int,
    first_seen: int,
    told_within: int,
) -> None:
    world = World(3, Liberties(latency=(0.2, 0.2), filters_first=filters_first))
    sagemaker = world.sagemaker
    sagemaker.create_old(old)
    names = [f"ours-{n}" for n in range(watched)] + [f"other-{n}" for n in range(others)]
    world.random.shuffle(names)

    async def _story(_: World) -> None:
        for name in names:
            sagemaker.create(Spec(name, "never-launched", max_wait=80_000))
        ours = [
            world.defer(Spec(name), create=False, poll_interval=5.0)
            for name in names
            if name.startswith("ours")
        ]
        assert await world.until(lambda: all(task.told for task in ours), at_most=first_seen, every=0.1)

        young = sagemaker.calls.total()
        await asyncio.sleep(10.0)
        assert sagemaker.calls.total() - young <= 2 * calls_when_young
        await asyncio.sleep(30.0)
        grown = sagemaker.calls.total()
        await asyncio.sleep(20.0)
        assert sagemaker.calls.total() - grown <= 4 * calls

        late = []
        for task in ours:
            ended = world.now
            sagemaker.job(task.job_name).stop()
            await asyncio.sleep(120.0 / watched)
            late.append((task, ended))
        await asyncio.sleep(30.0)
        for task, stopped in late:
            # A job that never launched is Stopping for two seconds.
            told = [
                at for at, sighting in task.told if sighting.description["TrainingJobStatus"] == "Stopped"
            ]
            assert told, task.job_name
            assert told[0] - (stopped + 2.0) <= told_within

    world.run(_story)


def test_jobs_that_have_ended_leave_nothing_behind_and_hurry_nobody() -> None:
    """Hundreds of jobs that could have lasted for much longer than they did."""
    world = World(4)

    async def _story(_: World) -> None:
        long = world.defer(Spec("long", "never-launched", max_wait=2_000_000), poll_interval=30.0)

        async def _busy_day() -> tuple[int, int]:
            for _ in range(200):
                spec = Spec(f"job-{len(world.tasks)}", training_seconds=60.0, max_wait=9_000)
                world.defer(spec, poll_interval=30.0)
                await asyncio.sleep(86.4)
            await asyncio.sleep(900.0)
            assert all(task.events for task in world.tasks if task is not long)
            for task in world.tasks:
                task.told.clear()
            calls = world.sagemaker.calls.total()
            await asyncio.sleep(7_200.0)
            return world.sagemaker.calls.total() - calls, _size_of_watchers()

        (_, after_one), (calls, after_two) = await _busy_day(), await _busy_day()
        assert after_two < 1.05 * after_one
        # What is left to watch is one quiet job: a call for each slow look, and none for the four hundred others.
        assert calls <= 1.2 * 7_200 / 45

    world.run(_story)


def _size_of_watchers() -> int:
    """How many things the watchers of this loop hold."""
    gc.collect()
    size = 0
    seen: set[int] = set()
    waiting: list[Any] = [_watching.watchers_of_this_loop()]
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(
            each, type | ModuleType | FunctionType | asyncio.AbstractEventLoop | World
        ):
            continue
        seen.add(id(each))
        size += len(each) if isinstance(each, dict | list | tuple | set) else 1
        waiting.extend(
            other
            for other in gc.get_referents(each)
            if isinstance(other, dict | list | tuple | set)
            or type(other).__module__.startswith("airflow_spot_provider.aws")
        )
    return size


@pytest.mark.parametrize("kind", ["throttled", "unavailable", "dropped", "expired"])
def test_ten_minutes_of_trouble_end_nobodys_wait(kind: str) -> None:
    world = World(5)
    world.sagemaker.faults = [Fault(30.0, 630.0, kind)]

    async def _story(_: World) -> None:
        tasks = [world.defer(Spec(f"job-{n}", training_seconds=300.0), poll_interval=5.0) for n in range(20)]
        assert await world.until(lambda: all(task.events for task in tasks), at_most=800.0)
        assert Counter(event["outcome"] for task in tasks for _, event in task.events) == {"Completed": 20}

    world.run(_story)
