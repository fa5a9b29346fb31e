"""The emulator's one clock: everything it reports, waits for and bills goes by it."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

log = logging.getLogger(__name__)


class Clock(ABC):
    """A clock with events on it.

    Events run one after the other, in order of their time; those of one time in the order in which they were asked for. An event sees
    the time for which it was asked, however late it comes: what follows from it does not depend on how busy the machine is. Events
    have to be short: longer work goes to a thread of its own and comes back as an event.
    """

    def __init__(self) -> None:
        self._order = itertools.count()
        self._events: list[tuple[datetime, int, Callable[[], object]]] = []
        self._changed = threading.Condition()

    @abstractmethod
    def now(self) -> datetime:
        """The emulated time, timezone-aware (UTC)."""

    @abstractmethod
    def real_seconds(self, emulated: float) -> float:
        """How long emulated seconds really take."""

    @abstractmethod
    def emulated_seconds(self, real: float) -> float:
        """How many emulated seconds pass in real ones."""

    def stop(self) -> None:  # noqa: B027 - only a clock that runs has anything to stop
        """Run no more events."""

    def call_at(self, when: datetime, event: Callable[[], object]) -> None:
        """Run ``event`` when the clock shows ``when``, or at once if that is past."""
        when = max(when, self.now())
        with self._changed:
            heapq.heappush(self._events, (when, next(self._order), event))
            self._changed.notify()

    def call_later(self, seconds: float, event: Callable[[], object]) -> None:
        """Run ``event`` in so many emulated seconds."""
        self.call_at(self.now() + timedelta(seconds=seconds), event)


class RunningClock(Clock):
    """A clock that runs by itself, and runs its events on a thread of its own.

    :param speed: emulated seconds in a real one, more than 0.
    :param start: the emulated time now; the real one if left out.
    """

    def __init__(self, speed: float = 1.0, start: datetime | None = None) -> None:
        super().__init__()
        self.speed = speed
        self._start = start or datetime.now(UTC)
        self._origin = time.monotonic()
        self._stopped = False
        self._event_time: datetime | None = None
        self._thread = threading.Thread(target=self._run, name="emulator-clock", daemon=True)
        self._thread.start()

    def now(self) -> datetime:
        """The emulated time, timezone-aware (UTC); within an event its own time."""
        if self._event_time is not None and threading.current_thread() is self._thread:
            return self._event_time
        return self._start + timedelta(seconds=(time.monotonic() - self._origin) * self.speed)

    def real_seconds(self, emulated: float) -> float:
        """How long emulated seconds really take."""
        return emulated / self.speed

    def emulated_seconds(self, real: float) -> float:
        """How many emulated seconds pass in real ones."""
        return real * self.speed

    def stop(self) -> None:
        """Run no more events."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while (due := self._next_due()) is not None:
            self._event_time, event = due
            try:
                event()
            except Exception:
                # One job's mishap must not stop the time for all others; it is our defect, and said as one.
                log.exception("An event of the emulator failed")
            self._event_time = None

    def _next_due(self) -> tuple[datetime, Callable[[], object]] | None:
        """The next event and its time, when that has come; None when the clock has stopped."""
        with self._changed:
            while not self._stopped:
                if not self._events:
                    self._changed.wait()
                    continue
                wait = (self._events[0][0] - self.now()).total_seconds()
                if wait <= 0:
                    when, _, event = heapq.heappop(self._events)
                    return when, event
                # An event in a year is one more reason to look again in an hour, not to overflow a timeout.
                self._changed.wait(min(self.real_seconds(wait), 3600.0))
            return None


class SteppedClock(Clock):
    """A clock that stands still until it is advanced, and runs its events where it is.

    :param start: the time that it shows first, timezone-aware.
    """

    def __init__(self, start: datetime) -> None:
        super().__init__()
        self._now = start
        self._advancing = threading.Lock()

    def now(self) -> datetime:
        """The emulated time, timezone-aware (UTC)."""
        return self._now

    def real_seconds(self, emulated: float) -> float:  # noqa: ARG002 - no real time passes on this clock
        """None: nothing takes real time on this clock."""
        return 0.0

    def emulated_seconds(self, real: float) -> float:  # noqa: ARG002 - no real time passes on this clock
        """None: real time does not move this clock."""
        return 0.0

    def advance(self, step: timedelta) -> None:
        """Move on, and run every event on the way at its own time.

        :param step: how far, 0 or more.
        """
        with self._advancing:
            end = self._now + step
            while (event := self._next_until(end)) is not None:
                event()
            self._now = end

    def _next_until(self, end: datetime) -> Callable[[], object] | None:
        with self._changed:
            if not self._events or self._events[0][0] > end:
                return None
            when, _, event = heapq.heappop(self._events)
            self._now = max(self._now, when)
            return event
