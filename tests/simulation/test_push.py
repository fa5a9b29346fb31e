"""Push on virtual time: an event is a hint, and a slow look finds what no event told of."""

from __future__ import annotations

import asyncio
import os
import random

import pytest

from tests.simulation.airflow import Counts
from tests.simulation.judgement import complaints_about
from tests.simulation.sagemaker import Liberties, Spec
from tests.simulation.sqs import Delivery
from tests.simulation.world import LIFECYCLES, World

SEEDS = range(int(os.environ.get("SEEDS", "200")) // 4)
SAFETY_NET_SECONDS = 300.0


@pytest.mark.parametrize("seed", SEEDS)
def test_events_that_are_late_doubled_or_out_of_order_do_no_harm(seed: int) -> None:
    draw = random.Random(seed)
    liberties = Liberties(
        latency=(0.02, 0.1), describe_lag=draw.choice((0.0, 3.0)), list_lag=draw.choice((0.0, 3.0))
    )
    delivery = Delivery(delay=(0.1, draw.choice((0.3, 20.0))), doubled=draw.choice((0.0, 0.5)))
    world = World(seed, liberties, delivery)

    async def _story(_: World) -> None:
        for number in range(draw.choice((1, 5, 30))):
            await asyncio.sleep(draw.expovariate(1 / 10.0))
            world.defer(
                Spec(f"job-{number}", draw.choice(LIFECYCLES), 300.0, max_wait=1_500), poll_interval=30.0
            )
        await asyncio.sleep(2_400.0)

    world.run(_story)

    # Not within two intervals of polling, but within what an event and a call or two take.
    slack = delivery.delay[1] + 4 * liberties.describe_lag + 8.0
    complaints = [
        complaint
        for task in world.tasks
        for complaint in complaints_about(world.sagemaker, task, interval=1.0, slack=slack)
    ]
    assert not complaints, "\n".join(complaints[:5])
    assert not Counts.counted["push_missed"]


def test_waiting_costs_next_to_no_calls() -> None:
    world = World(1, delivery=Delivery())

    async def _story(_: World) -> None:
        for number in range(200):
            world.defer(Spec(f"job-{number}", "never-launched", max_wait=80_000), poll_interval=30.0)
        await asyncio.sleep(600.0)
        before = world.sagemaker.calls.total()
        await asyncio.sleep(3_600.0)
        assert world.sagemaker.calls.total() - before <= 2 * (3_600 / SAFETY_NET_SECONDS + 2)

    world.run(_story)


@pytest.mark.parametrize("watched", [1, 3, 60])
def test_changes_that_no_event_told_of_are_found_and_said(watched: int) -> None:
    world = World(2, delivery=Delivery())

    async def _story(_: World) -> None:
        tasks = [
            world.defer(Spec(f"job-{n}", "uninterrupted", 700.0 if n else 400.0), poll_interval=30.0)
            for n in range(watched)
        ]
        await asyncio.sleep(300.0)
        world.queue.delivery = Delivery(lost=1.0)
        assert await world.until(lambda: world.sagemaker.job("job-0").has_ended, at_most=300.0)
        ended = world.now
        assert await world.until(lambda: bool(tasks[0].events), at_most=SAFETY_NET_SECONDS + 30.0)
        assert world.now - ended > 60.0  # or this test shows nothing
        assert Counts.counted["push_missed"] == 1

        # From now on nobody trusts the queue for a while.
        assert await world.until(lambda: all(task.events for task in tasks), at_most=450.0)
        late = [
            complaint
            for task in tasks[1:]
            for complaint in complaints_about(world.sagemaker, task, interval=30.0, slack=5.0)
        ]
        assert not late

    world.run(_story)


def test_lost_event_is_found_though_others_come() -> None:
    """What an event tells of one job says nothing of another."""
    world = World(3, delivery=Delivery())

    async def _story(_: World) -> None:
        first = world.defer(Spec("a", "uninterrupted", 400.0), poll_interval=30.0)
        world.defer(Spec("b", "uninterrupted", 480.0), poll_interval=30.0)
        world.defer(Spec("c", "never-launched", max_wait=80_000), poll_interval=30.0)
        await asyncio.sleep(300.0)
        world.queue.delivery = Delivery(lost=1.0)
        assert await world.until(lambda: world.sagemaker.job("a").has_ended, at_most=300.0)
        world.queue.delivery = Delivery()
        assert await world.until(lambda: bool(first.events), at_most=SAFETY_NET_SECONDS + 30.0)
        assert Counts.counted["push_missed"] == 1

    world.run(_story)
