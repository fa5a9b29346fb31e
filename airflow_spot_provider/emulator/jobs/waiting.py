"""What a training job waits for: capacity, until one of its limits is over."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import timedelta

from airflow_spot_provider.emulator.jobs.lifecycles import Lifecycle
from airflow_spot_provider.emulator.jobs.machine import JobMachine
from airflow_spot_provider.emulator.jobs.world import World
from airflow_spot_provider.emulator.spec import JobSpec

MAX_WAIT = "MaxWaitTimeExceeded"
STOPPED = "Stopped"
CAPACITY_ERROR = "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type."
NO_CAPACITY = "Insufficient capacity error from EC2 while launching instances, retrying!"


class WaitingJob(JobMachine, ABC):
    """A job as far as it waits.

    :param spec: what was asked for.
    :param lifecycle: what it is to go through.
    :param world: what it shares with the other jobs of its server.
    """

    def __init__(self, spec: JobSpec, lifecycle: Lifecycle, world: World) -> None:
        super().__init__(spec, lifecycle, world)
        self._is_overdue = False
        self._may_be_cut_off = False

    @abstractmethod
    def stop(self, reason: str = STOPPED) -> bool:
        """Begin to stop it, by a user or because a limit is over."""

    @abstractmethod
    def _download(self) -> None:
        """Be on instances."""

    def _set_deadline(self) -> None:
        if self.spec.max_wait_seconds is not None:
            deadline = self.creation_time + timedelta(seconds=self.spec.max_wait_seconds)
            self._clock.call_at(deadline, self._be_overdue)

    def _be_overdue(self) -> None:
        """End, for MaxWait is over; but where the clock is fast, no sooner than its script has done what the plan has for it."""
        with self._lock:
            self._is_overdue = True
            goes_on = self.runs_script and not self.course.on_market
            if goes_on and not (self.course.is_to_meet_max_wait and self._may_be_cut_off):
                latest = self.creation_time + timedelta(seconds=self.course.max_wait(runs_script=True))
                self._clock.call_at(latest, lambda: self.stop(MAX_WAIT))
            else:
                self.stop(MAX_WAIT)

    def _seek(self, phase: int) -> None:
        """Wait until there are instances, then launch them."""
        if self.spec.spot and not self.course.on_market:
            self._phases.after(self.course.timing.starting, phase, self._download)
            return
        self._capacity.request(self._start)
        if not self._capacity.is_missing:
            return
        phase = self._wait_for_capacity(phase)
        self.record.say(NO_CAPACITY)
        if self.spec.max_pending_seconds is not None:
            waited = (self._clock.now() - self.creation_time).total_seconds()
            self._phases.after(
                max(0.0, self.spec.max_pending_seconds - waited), phase, self._pending_too_long
            )
        limit = self._capacity.error_after_seconds
        if limit is not None:
            self._phases.after(limit, phase, self._without_capacity)

    def _wait_for_capacity(self, phase: int) -> int:
        """Go on waiting in Starting, or in Pending where SageMaker takes that liberty; and give the number of the phase."""
        if not self._world.liberties().pending or self.record.secondary_status == "Pending":
            return phase
        return self._enter("Pending")

    def _start(self) -> None:
        """There is capacity, after a wait or at once."""
        phase = self._enter("Starting") if self.record.secondary_status == "Pending" else self._phases.begin()
        self._phases.after(self.course.timing.starting, phase, self._download)

    def _pending_too_long(self) -> None:
        if self._capacity.is_missing:
            self.stop()

    def _without_capacity(self) -> None:
        if self._capacity.is_missing:
            self._end("Failed", "Failed", CAPACITY_ERROR)
