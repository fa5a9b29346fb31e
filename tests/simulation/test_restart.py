"""A triggerer that starts anew takes up the jobs of all who wait, the oldest first, though they are far down in the list."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.simulation.sagemaker import START, Liberties, OldJob, Spec
from tests.simulation.world import World

OURS, OTHERS = 300, 400


@pytest.mark.parametrize("seconds", [0.0, 1.0, 5.0])
def test_jobs_that_are_far_down_together_are_listed_and_not_described_one_by_one(seconds: float) -> None:
    world = World(6, Liberties(latency=(0.02, 0.02)))
    sagemaker = world.sagemaker
    sagemaker.create_old(1_000)
    names = [f"ours-{n}" for n in range(OURS)]

    async def _story(_: World) -> None:
        for name in (*names, *(f"other-{n}" for n in range(OTHERS))):
            sagemaker.create(Spec(name, "never-launched", max_wait=80_000))
            await asyncio.sleep(0.1)
        ours = []
        for name in names:
            ours.append(world.defer(Spec(name), create=False, poll_interval=5.0))
            if seconds:
                await asyncio.sleep(seconds / OURS)
        assert await world.until(lambda: all(task.told for task in ours), at_most=2.0, every=0.1)
        # One tells how old they are, and a few come alone while their triggers are taken up.
        assert sagemaker.calls["DescribeTrainingJob"] <= OURS / 10
        assert sagemaker.calls["ListTrainingJobs"] <= 2 * (OURS + OTHERS) / 100 * (1 + seconds)

    world.run(_story)


def test_jobs_at_the_bottom_of_a_large_account_are_described() -> None:
    world = World(7, Liberties(latency=(0.02, 0.02)))
    sagemaker = world.sagemaker
    names = [f"ours-{n}" for n in range(40)]

    async def _story(_: World) -> None:
        for name in names:
            sagemaker.create(Spec(name, "never-launched", max_wait=2_000_000))
        await asyncio.sleep(1_000_000.0)
        for number in range(20_000):
            sagemaker._enlist(OldJob(f"newer-{number}", START + timedelta(seconds=50 * (number + 1))))
        ours = [world.defer(Spec(name), create=False, poll_interval=5.0) for name in names]
        assert await world.until(lambda: all(task.told for task in ours), at_most=2.0, every=0.1)
        # A few pages, which do not show any, and one more to find out how old they are.
        assert sagemaker.calls.total() <= len(names) + 5

    world.run(_story)
