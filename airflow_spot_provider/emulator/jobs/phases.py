"""The phases of a job: what lies between two transitions, and the events that belong to it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from airflow_spot_provider.emulator.clock import Clock
from airflow_spot_provider.emulator.exceptions import TrainingProblem

log = logging.getLogger(__name__)

INTERNAL_ERROR = "InternalServerError: We encountered an internal error. Please try again."

T = TypeVar("T")


class Phases:
    """The phases of one job, by number.

    An event belongs to a phase. One that comes when its phase is over does nothing, so that no two of them can both end it.
    Events run one at a time, under the job's lock.

    :param name: of the job, for the log.
    :param clock: runs the events.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self.lock = threading.RLock()
        self._name = name
        self._clock = clock
        self._number = 0

    def begin(self) -> int:
        """Begin a phase, which ends the one before, and give its number."""
        self._number += 1
        return self._number

    def within(self, phase: int, event: Callable[[], object]) -> Callable[[], None]:
        """The event, which does nothing outside of the phase."""

        def _guarded() -> None:
            with self.lock:
                if self._number == phase:
                    event()

        return _guarded

    def after(self, seconds: float, phase: int, event: Callable[[], object]) -> None:
        """Run the event in so many emulated seconds, if the job is in that phase then."""
        self._clock.call_later(seconds, self.within(phase, event))

    def work(
        self,
        phase: int,
        work: Callable[[], T],
        *,
        then: Callable[[T], None],
        failed: Callable[[str], None],
        background: Callable[[Callable[[], None]], None],
    ) -> None:
        """Do something in the background, and what follows from it as an event of that phase.

        :param then: is given the result.
        :param failed: is given the FailureReason where it cannot be done.
        :param background: runs what may take its time.
        """

        def _run() -> None:
            try:
                result = work()
            except TrainingProblem as problem:
                reason = str(problem)
            except Exception:
                log.exception("Work for %s failed", self._name)
                reason = INTERNAL_ERROR
            else:
                self.after(0, phase, lambda: then(result))
                return
            self.after(0, phase, lambda: failed(reason))

        background(_run)
