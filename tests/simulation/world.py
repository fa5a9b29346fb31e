"""What a seed draws: whose jobs there are, what they go through, what goes wrong, and what users do meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from airflow_spot_provider.aws.watching import watcher
from tests.simulation.airflow import Task, Triggerer, airflow_around
from tests.simulation.sagemaker import Fault, Liberties, SageMaker, Spec
from tests.simulation.sqs import Delivery, Queue
from tests.simulation.virtual_time import run

LIFECYCLES = (
    "uninterrupted",
    "interrupted-once",
    "interrupted-twice-then-max-wait",
    "never-launched",
    "failed",
)
FAULTS = ("throttled", "unavailable", "dropped", "expired")


@dataclass
class World:
    """A triggerer, its tasks, and the SageMaker that they wait for.

    :param seed: of everything that is drawn.
    :param liberties: what SageMaker does besides the obvious.
    :param delivery: how its events are delivered; None where it is watched by polling.
    """

    seed: int
    liberties: Liberties = field(default_factory=Liberties)
    delivery: Delivery | None = None

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.sagemaker = SageMaker(random.Random(self.seed + 1), self.liberties)
        self.tasks: list[Task] = []
        self.triggerer = Triggerer()
        self.supervisor: Any = None
        self._intervals: dict[int, float] = {}
        self._queue: Queue | None = None

    def run(self, story: Callable[[World], Awaitable[None]]) -> None:
        """Let the story happen on virtual time."""
        try:
            if self.delivery is not None:
                self._queue = Queue(self.sagemaker, self.delivery, random.Random(self.seed + 2))
            watcher._BY_LOOP[self.sagemaker.loop] = watcher.Watchers(random.Random(self.seed + 3))
            with airflow_around(self.sagemaker, self.tasks, self._queue) as self.supervisor:
                run(story(self), self.sagemaker.loop)  # type: ignore[arg-type]
        finally:
            self.sagemaker.forget()

    @property
    def queue(self) -> Queue:
        """The queue of SageMaker's events, where there is one."""
        assert self._queue is not None
        return self._queue

    @property
    def now(self) -> float:
        """Virtual seconds since the world began."""
        return self.sagemaker.loop.now

    def defer(self, spec: Spec, *, create: bool = True, map_index: int = -1, **arguments: Any) -> Task:
        """Have a task that has submitted this job wait for it."""
        if create:
            self.sagemaker.create(spec)
        task = Task(
            spec.name, map_index=map_index, task_id="train" if map_index >= 0 else f"train-{len(self.tasks)}"
        )
        self.tasks.append(task)
        self.triggerer.start(task, **arguments)
        self._intervals[id(task)] = arguments["poll_interval"]
        return task

    def interval_of(self, task: Task) -> float:
        """The ``poll_interval`` of a task, seconds."""
        return self._intervals[id(task)]

    async def until(self, condition: Callable[[], bool], *, at_most: float, every: float = 0.5) -> bool:
        """Wait, and tell whether it has come true in so many seconds."""
        end = self.now + at_most
        while not condition():
            if self.now >= end:
                return False
            await asyncio.sleep(every)
        return True


def drawn_liberties(draw: random.Random) -> Liberties:
    """What a SageMaker takes as liberties: most of them now and then, none of them always."""

    def _maybe(value: float) -> float:
        return draw.uniform(0.0, value) if draw.random() < 0.4 else 0.0

    slowest = draw.choice((0.02, 0.1, 0.2, 0.5))
    return Liberties(
        latency=(slowest / 4, slowest),
        filters_first=draw.random() < 0.3,
        list_lag=_maybe(5.0),
        describe_lag=_maybe(5.0),
        names_only=draw.random() < 0.2,
        token_is_an_offset=draw.random() < 0.3,
        other_fractions=draw.random() < 0.3,
        denied_at_first=_maybe(60.0),
        clock_is_off=draw.choice((0.0, 0.0, -7_200.0, 86_400.0)),
    )


def drawn_faults(draw: random.Random, *, until: float) -> list[Fault]:
    """What goes wrong for a while: nothing in every second world."""
    if draw.random() < 0.5:
        return []
    faults = []
    for _ in range(draw.randint(1, 3)):
        begin = draw.uniform(0.0, until)
        kind = draw.choice(FAULTS)
        faults.append(
            Fault(begin, begin + draw.choice((5.0, 60.0, 300.0)), kind, draw.choice((0.3, 0.7, 1.0)))
        )
    return faults
