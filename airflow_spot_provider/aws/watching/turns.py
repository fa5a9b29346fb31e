"""Whose turn it is to submit, where SageMaker takes no more jobs just now: oldest first, and few in vain.

A waiting task cannot know when there is room: a try tells. So one task at a time is let go, the one that has waited longest.

- Tries that succeed let more go side by side.
- A try that is refused comes back to its place, and stops all for a pause that doubles with each.
- A watched job that ends makes room: the next one goes at once, whatever the pause.

Each quota has a queue of its own, as one that is used up must not hold up what another has room for.
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
import random
from collections.abc import Collection, Hashable
from dataclasses import dataclass

from airflow_spot_provider.aws.limits import RATE

SHORTEST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds in which nobody tries after a refusal."""
_SHARE_OF_WAIT = 0.25
"""A queue that is new here (the triggerer was restarted) begins with the pause of one whose first has waited so long."""
_ANSWER_SECONDS = 60.0
"""The answer to a try may go to another triggerer: it is not waited for any longer."""
_MOST_AT_ONCE = 16


class Ticket:
    """A place in a queue.

    :param number: tells those apart that began at the same time.
    :param waits_for: what there is not enough of: the name of the queue.
    :param since: when the task began to wait, epoch seconds: its place.
    :param task: who waits.
    :param ready_at: the loop's time from which on it may go.
    """

    __slots__ = ("_granted", "place", "ready_at", "task", "waits_for")

    def __init__(self, number: int, waits_for: str, *, since: float, task: Hashable, ready_at: float) -> None:
        self.waits_for = waits_for
        self.place = since, number
        """What the queue is ordered by."""
        self.task = task
        self.ready_at = ready_at
        self._granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def turn(self) -> None:
        """Wait for the turn."""
        await self._granted

    def grant(self) -> None:
        """It is this one's turn."""
        if not self._granted.done():
            self._granted.set_result(None)


class Turns:
    """The queues of one connection and region.

    :param jitter: spreads the tries of several triggerers.
    """

    def __init__(self, jitter: random.Random) -> None:
        self._jitter = jitter
        self._queues: dict[str, _Queue] = {}
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return sum(len(queue.waiting) for queue in self._queues.values())

    def join(self, waits_for: str, *, since: float, waited: float, stay: float, task: Hashable) -> Ticket:
        """A task was refused, and waits.

        :param waits_for: what there is not enough of.
        :param since: when it began to wait, epoch seconds: its place, which it keeps when it is refused again.
        :param waited: seconds since then.
        :param stay: seconds for which it waits at least.
        :param task: who waits; one that was just let go is thereby known to have been refused.
        """
        now = asyncio.get_running_loop().time()
        queue = self._queues.get(waits_for)
        if queue is None or queue.is_idle:
            queue = self._queues[waits_for] = _Queue(self._jitter, pause=_between(waited * _SHARE_OF_WAIT))
        ticket = Ticket(next(self._numbers), waits_for, since=since, task=task, ready_at=now + stay)
        queue.join(ticket)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """It waits no more: its turn came, or its task was killed."""
        self._queues[ticket.waits_for].leave(ticket)

    def ahead_of(self, ticket: Ticket) -> int:
        """How many are before it in its queue."""
        return bisect.bisect_left(
            self._queues[ticket.waits_for].waiting, ticket.place, key=lambda each: each.place
        )

    def taken(self, task: Hashable) -> None:
        """A task has its job: if it was let go by a queue, others may go too."""
        for queue in self._queues.values():
            queue.taken(task)

    def freed(self, instance_types: Collection[str] = ()) -> None:
        """A job has ended.

        :param instance_types: what it ran on; empty if that is not known.
        """
        for waits_for, queue in self._queues.items():
            if not waits_for.startswith(RATE) and _may_be_of(waits_for, instance_types):
                queue.freed()


@dataclass(frozen=True, slots=True)
class _Try:
    """A task was let go.

    :param at: when, by the loop's time.
    :param knew_of_room: whether a job had ended.
    """

    at: float
    knew_of_room: bool


class _Queue:
    """Those who wait for the same, oldest first.

    :param pause: seconds to the first try.
    """

    def __init__(self, jitter: random.Random, *, pause: float) -> None:
        self._jitter = jitter
        self._pause = pause
        self._not_before = self._now() + self._spread(pause)
        self._refused_at = 0.0
        self._at_once = 1
        self._freed = 0
        self._tries: dict[Hashable, _Try] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.waiting: list[Ticket] = []

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits, and no answer to a try is waited for."""
        self._forget_old_tries()
        return not self.waiting and not self._tries

    def join(self, ticket: Ticket) -> None:
        tried = self._tries.pop(ticket.task, None)
        # Tries that were under way together failed together: that is one refusal, with one pause.
        if tried is not None and tried.at >= self._refused_at:
            self._refused_at = self._now()
            self._at_once = 1
            self._not_before = self._refused_at + self._spread(self._pause)
            self._pause = _between(2 * self._pause)
        bisect.insort(self.waiting, ticket, key=lambda each: each.place)
        self._let_go()

    def leave(self, ticket: Ticket) -> None:
        self.waiting = [other for other in self.waiting if other is not ticket]
        self._let_go()

    def taken(self, task: Hashable) -> None:
        tried = self._tries.pop(task, None)
        # That a job's end made room for one is no sign of room for another.
        if tried is not None and not tried.knew_of_room:
            self._at_once = min(self._at_once + 1, _MOST_AT_ONCE)
            self._pause = SHORTEST_PAUSE
            self._not_before = self._now()
            self._let_go()

    def freed(self) -> None:
        # Whoever is on the way back from a try may have been refused just before.
        self._freed = min(self._freed + 1, len(self.waiting) + len(self._tries))
        self._let_go()

    def _let_go(self) -> None:
        """Let go whoever may go now, and look again when the next one may."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._forget_old_tries()
        while self.waiting:
            first, now = self.waiting[0], self._now()
            when = first.ready_at
            if not self._freed:
                when = max(when, self._not_before)
                if len(self._tries) >= self._at_once:
                    when = max(when, min(tried.at for tried in self._tries.values()) + _ANSWER_SECONDS)
            if when > now:
                self._timer = asyncio.get_running_loop().call_at(when, self._let_go)
                return
            self._tries[first.task] = _Try(now, knew_of_room=self._freed > 0)
            self._freed = max(0, self._freed - 1)
            del self.waiting[0]
            first.grant()

    def _forget_old_tries(self) -> None:
        oldest = self._now() - _ANSWER_SECONDS
        self._tries = {task: tried for task, tried in self._tries.items() if tried.at > oldest}

    def _spread(self, seconds: float) -> float:
        return seconds * (0.9 + self._jitter.random() / 5)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _between(pause: float) -> float:
    return min(max(pause, SHORTEST_PAUSE), LONGEST_PAUSE)


def _may_be_of(quota: str, instance_types: Collection[str]) -> bool:
    """Whether a quota is one of these types', as ``ml.p3.2xlarge for spot training job usage`` is, or of no type."""
    of = quota.split(" ", 1)[0]
    return not instance_types or not of.startswith("ml.") or of in instance_types
