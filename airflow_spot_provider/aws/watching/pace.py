"""How long until the next look: quick where something is about to happen, slow where nothing is."""

from __future__ import annotations

import heapq
import random
import statistics
from collections import Counter, OrderedDict, deque

QUICK, SLOW = 0.5, 1.75
"""Parts of the interval. A look takes time of its own, so that a change is known within two intervals at any pace."""
SAFETY_NET = 10.0
"""The part of the interval at which is polled while events tell of changes."""
_SAFETY_NET_SECONDS = 300.0
_AFTER_A_SUBMIT = 4
_AROUND_AN_END = 2
_QUIET = 20
_RUNS, _GROUPS, _ENOUGH_RUNS = 20, 1_000, 3


class Durations:
    """How long the jobs of a group took, so that the end of the next one can be expected."""

    def __init__(self) -> None:
        self._groups: OrderedDict[str, deque[float]] = OrderedDict()

    def took(self, group: str, seconds: float) -> None:
        """A job of this group took so long from its creation to its end."""
        runs = self._groups.setdefault(group, deque(maxlen=_RUNS))
        runs.append(seconds)
        self._groups.move_to_end(group)
        if len(self._groups) > _GROUPS:
            self._groups.popitem(last=False)

    def expected(self, group: str | None) -> float | None:
        """The median of the newest runs in seconds; None as long as there are too few."""
        runs = self._groups.get(group, ()) if group is not None else ()
        return statistics.median(runs) if len(runs) >= _ENOUGH_RUNS else None


class Pace:
    """When to look next. All times are seconds on one monotonic clock.

    :param jitter: spreads the looks of many watchers.
    """

    def __init__(self, jitter: random.Random) -> None:
        self._jitter = jitter
        self._intervals: Counter[float] = Counter()
        self._quick_until = 0.0
        self._news_at = 0.0
        self._ends: list[float] = []
        self.events_arrive = False

    @property
    def interval(self) -> float:
        """The shortest interval that anyone was promised."""
        return min(self._intervals, default=30.0)

    def joined(self, interval: float, now: float) -> None:
        """Someone waits for a job and was promised this interval."""
        self._intervals[interval] += 1
        self._quick_until = max(self._quick_until, now + _AFTER_A_SUBMIT * interval)
        self._news_at = now

    def left(self, interval: float) -> None:
        """Someone does not wait any more."""
        self._intervals[interval] -= 1
        if not self._intervals[interval]:
            del self._intervals[interval]

    def news(self, now: float) -> None:
        """A watched job has changed."""
        self._news_at = now

    def expect_end(self, at: float) -> None:
        """A watched job may end then: at MaxWait, at MaxRuntime, or as its predecessors did."""
        heapq.heappush(self._ends, at)

    def delay(self, now: float) -> float:
        """Seconds until the next look."""
        interval = self.interval
        window = _AROUND_AN_END * interval
        while self._ends and self._ends[0] < now - window:
            heapq.heappop(self._ends)
        if self.events_arrive:
            wanted = min(SAFETY_NET * interval, max(_SAFETY_NET_SECONDS, interval))
        elif now < self._quick_until or (self._ends and self._ends[0] < now + window):
            wanted = max(QUICK * interval, min(1.0, interval))
        elif now - self._news_at > _QUIET * interval:
            wanted = SLOW * interval
        else:
            wanted = interval
        if self._ends and not self.events_arrive:
            # Not past the moment from which on it has to be quick.
            wanted = min(wanted, max(self._ends[0] - window - now, QUICK * interval))
        return wanted * (0.9 + self._jitter.random() / 10)
