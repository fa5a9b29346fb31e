"""Whose turn it is, on a clock of the test's own: oldest first, few tries in vain, at once when there is room."""

from __future__ import annotations

import asyncio
import itertools
import random
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from airflow_spot_provider.aws.limits import RATE
from airflow_spot_provider.aws.watching.turns import LONGEST_PAUSE, SHORTEST_PAUSE, Turns

QUOTA = "ml.m5.large for spot training job usage"
STAY = 4.0
LATENCY = 3.0
"""From being let go to the answer: scheduler, worker, call."""


class _Selector(selectors.SelectSelector):
    """Waiting is what moves the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "everybody waits for ever"
        self.now += timeout
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def _run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(work)


def _now() -> float:
    return asyncio.get_running_loop().time()


class World:
    """An account with a quota, and tasks that want a job each."""

    def __init__(self, room: int, *, jobs_last: float = 600.0, told: bool = True) -> None:
        self.turns = Turns(random.Random(1))
        self.room = room
        self.told = told
        self.jobs_last = jobs_last
        self.admitted: list[tuple[float, str]] = []
        self.refusals: list[float] = []

    async def task(self, name: str, since: float, waits_for: str = QUOTA) -> None:
        """As the operator and its triggers do: try, wait for a turn, try again."""
        while not self._create():
            ticket = self.turns.join(waits_for, since=since, waited=_now() - since, stay=STAY, task=name)
            try:
                await ticket.turn()
            finally:
                self.turns.leave(ticket)
            await asyncio.sleep(LATENCY)
        self.admitted.append((_now(), name))
        self.turns.taken(name)
        await asyncio.sleep(self.jobs_last)
        self.room += 1
        if self.told:
            self.turns.freed({"ml.m5.large"})

    def _create(self) -> bool:
        if self.room:
            self.room -= 1
            return True
        self.refusals.append(_now())
        return False

    def names(self) -> list[str]:
        return [name for _, name in self.admitted]


async def _all(world: World, count: int, order: Callable[[int], float] = float) -> None:
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(world.task(f"t{number}", since=order(number) / 1000))
    assert len(world.turns) == 0


def test_those_who_wait_go_on_oldest_first_whatever_order_they_came_in() -> None:
    world = World(0)

    async def _test() -> None:
        asyncio.get_running_loop().call_later(60, lambda: setattr(world, "room", 1))
        await _all(world, 8, order=lambda number: 8 - number)

    _run(_test())
    assert world.names() == [f"t{number}" for number in reversed(range(8))]


def test_next_one_goes_at_once_when_a_watched_job_ends() -> None:
    world = World(1, jobs_last=3600)

    _run(_all(world, 6))

    starts = [at for at, _ in world.admitted]
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert gaps == [pytest.approx(3600 + LATENCY)] * 5


def test_many_ends_let_as_many_go_side_by_side() -> None:
    world = World(10, jobs_last=3600)

    _run(_all(world, 30))

    waves = {round(at) for at, _ in world.admitted}
    assert waves == {0, 3603, 7206}


def test_fan_out_of_a_hundred_at_a_quota_of_ten_makes_few_tries_in_vain() -> None:
    world = World(10, jobs_last=1800)

    _run(_all(world, 100))

    assert len(world.admitted) == 100
    in_vain = len(world.refusals) - 90  # every one of the ninety has to be told once
    hours = world.admitted[-1][0] / 3600
    assert in_vain < 3600 / LONGEST_PAUSE * hours + 20


def test_room_that_nobody_tells_of_is_found_by_trying() -> None:
    world = World(1, jobs_last=1000, told=False)

    _run(_all(world, 4))

    starts = [at for at, _ in world.admitted]
    assert all(
        later - earlier <= 1000 + 1.1 * LONGEST_PAUSE + LATENCY
        for earlier, later in itertools.pairwise(starts)
    )


def test_pause_grows_with_each_refusal_up_to_its_limit() -> None:
    world = World(0)

    async def _test() -> None:
        task = asyncio.create_task(world.task("t", since=0.0))
        await asyncio.sleep(3600)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(world.turns) == 0

    _run(_test())
    gaps = [b - a for a, b in zip(world.refusals, world.refusals[1:], strict=False)]
    assert gaps[0] < 3 * SHORTEST_PAUSE
    assert all(0.9 * LONGEST_PAUSE <= gap <= 1.1 * LONGEST_PAUSE + LATENCY for gap in gaps[8:])
    assert len(world.refusals) < 22


def test_tries_that_succeed_let_more_go_at_once() -> None:
    world = World(0)

    async def _test() -> None:
        asyncio.get_running_loop().call_later(10, lambda: setattr(world, "room", 1000))
        await _all(world, 100)

    _run(_test())
    assert world.admitted[-1][0] - world.admitted[0][0] < 25 * LATENCY


class RateLimited(World):
    """An account whose CreateTrainingJob is throttled beyond one call in two seconds."""

    def __init__(self) -> None:
        super().__init__(0, told=False)
        self._next = 0.0

    def _create(self) -> bool:
        self.room = int(_now() >= self._next)
        if self.room:
            self._next = _now() + 2.0
        return super()._create()


def test_hundred_that_come_at_once_to_a_throttled_service_all_get_through_in_their_order() -> None:
    world = RateLimited()

    _run(_all(world, 100))

    order = [int(name.removeprefix("t")) for name in world.names()]
    assert sorted(order) == list(range(100))
    assert all(abs(place - number) <= 3 for place, number in enumerate(order))
    assert world.admitted[-1][0] < 3600
    assert len(world.refusals) < 99 + 300


def test_one_quota_that_is_used_up_does_not_hold_up_another() -> None:
    world = World(0)

    async def _test() -> None:
        blocked = [
            asyncio.create_task(world.task(f"b{n}", since=0.0, waits_for="ml.p3.2xlarge")) for n in (1, 2)
        ]
        await asyncio.sleep(0)
        ticket = world.turns.join(QUOTA, since=5.0, waited=0.0, stay=STAY, task="other")
        await ticket.turn()
        assert _now() < 2 * SHORTEST_PAUSE
        for task in blocked:
            task.cancel()

    _run(_test())


@pytest.mark.parametrize(
    ("waits_for", "goes"),
    [
        (QUOTA, True),
        ("ml.p3.2xlarge for spot training job usage", False),
        ("Number of instances across all training jobs", True),
        (f"{RATE}CreateTrainingJob", False),
    ],
)
def test_end_of_a_job_makes_room_only_in_quotas_that_may_be_its_own(waits_for: str, goes: bool) -> None:
    async def _test() -> None:
        turns = Turns(random.Random(1))
        ticket = turns.join(waits_for, since=0.0, waited=4000.0, stay=STAY, task="t")
        turn = asyncio.ensure_future(ticket.turn())
        await asyncio.sleep(2 * SHORTEST_PAUSE)
        turns.freed({"ml.m5.large"})
        await asyncio.sleep(0)
        assert turn.done() is goes
        turn.cancel()
        turns.leave(ticket)

    _run(_test())


def test_place_is_told_and_kept_and_a_killed_task_gives_it_up() -> None:
    async def _test() -> None:
        turns = Turns(random.Random(1))
        first, second, third = (
            turns.join(QUOTA, since=since, waited=0.0, stay=STAY, task=since) for since in (1.0, 2.0, 3.0)
        )
        between = turns.join(QUOTA, since=2.5, waited=0.0, stay=STAY, task="between")
        assert [turns.ahead_of(each) for each in (first, second, between, third)] == [0, 1, 2, 3]
        turns.leave(first)
        assert turns.ahead_of(third) == 2
        for each in (second, between, third):
            turns.leave(each)
        turns.leave(first)  # a second time does nothing
        assert len(turns) == 0

    _run(_test())


def test_answer_that_never_comes_does_not_stop_the_queue() -> None:
    """The task went on in another triggerer, or was killed on its way to a worker."""

    async def _test() -> None:
        turns = Turns(random.Random(1))
        first, second = (
            turns.join(QUOTA, since=since, waited=0.0, stay=STAY, task=since) for since in (1.0, 2.0)
        )
        await first.turn()
        turns.leave(first)
        assert turns.ahead_of(second) == 0
        await second.turn()
        assert 60 <= _now() < 80

    _run(_test())


def test_nobody_goes_before_airflow_has_heard_of_the_deferral() -> None:
    async def _test() -> None:
        turns = Turns(random.Random(1))
        ticket = turns.join(QUOTA, since=0.0, waited=0.0, stay=STAY, task="t")
        turns.freed()
        await ticket.turn()
        assert _now() >= STAY

    _run(_test())
