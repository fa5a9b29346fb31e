"""What a training job has, and how what happens to it is run: events of a clock, under one lock."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

from airflow_spot_provider.emulator.exceptions import TrainingProblem
from airflow_spot_provider.emulator.instances.instance import Instance
from airflow_spot_provider.emulator.jobs.capacity import Capacity
from airflow_spot_provider.emulator.jobs.course import Course
from airflow_spot_provider.emulator.jobs.lifecycles import Lifecycle
from airflow_spot_provider.emulator.jobs.phases import Phases
from airflow_spot_provider.emulator.jobs.record import JobRecord
from airflow_spot_provider.emulator.jobs.stays import Stays
from airflow_spot_provider.emulator.jobs.view import JobView
from airflow_spot_provider.emulator.jobs.work import SimulatedWork
from airflow_spot_provider.emulator.jobs.world import World
from airflow_spot_provider.emulator.market.usage import Usage
from airflow_spot_provider.emulator.spec import JobSpec

log = logging.getLogger(__name__)

T = TypeVar("T")


class JobMachine(JobView, ABC):
    """What a training job has, and how what happens to it is run.

    That is events of :class:`Phases`; all of them, and all that the API asks, run under one lock.

    :param spec: what was asked for.
    :param lifecycle: what it is to go through.
    :param world: what it shares with the other jobs of its server.
    """

    def __init__(self, spec: JobSpec, lifecycle: Lifecycle, world: World) -> None:
        self.course = Course(spec, lifecycle, world.clock)
        self.usage = Usage(world.prices if spec.spot else None, spec.instance_type)
        phases = Phases(spec.name, world.clock)
        super().__init__(spec, JobRecord(spec, self.usage, world.clock.now()), world.clock, phases.lock)
        self.work = SimulatedWork(spec)
        self.stays = Stays()
        self.runtime = 0.0
        self._world = world
        self._phases = phases
        self._capacity = Capacity(spec, world.market, self._lock, self._lose_capacity)
        self._instance: Instance | None = None
        self.retries_left = spec.retry_attempts
        self.runs_script = False
        """Whether it runs one; known from its first stay on."""

    @abstractmethod
    def _tell(self) -> None:
        """Tell the world of a change."""

    @abstractmethod
    def _lose_capacity(self) -> None:
        """Go on without the capacity that it had."""

    @property
    def _is_training(self) -> bool:
        return self.record.secondary_status == "Training" and self.record.status == "InProgress"

    def _enter(self, secondary_status: str) -> int:
        """Go into a status, and give the number of the phase that begins with it."""
        now = self._clock.now()
        if self._is_training:
            self.runtime += self.record.seconds_in_status(now)
        self.record.enter(secondary_status, now)
        phase = self._phases.begin()
        self._tell()
        return phase

    def _end(self, status: str, secondary_status: str, failure_reason: str | None = None) -> None:
        now = self._clock.now()
        self._phases.begin()
        self._capacity.release()
        self.usage.end(now)
        self.stays.end(now, status.lower(), None)
        self.record.end(status, secondary_status, now, failure_reason)
        instance, self._instance = self._instance, None
        if instance is not None:
            self._world.background(lambda: _dispose_of(instance))
        self._tell()

    def _in_training(self, stay: int, event: Callable[[], object]) -> None:
        """Run the event now, on the clock's thread, if the job trains in that stay."""

        def _guarded() -> None:
            with self._lock:
                if self.course.stay_number == stay and self._is_training:
                    event()

        self._clock.call_later(0, _guarded)

    def _work(self, phase: int, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """Do ``work``, and ``then`` as an event of that phase; the job fails where it cannot be done.

        A script's is done in the background. Without one it is short, and is done at once: no thread that a busy machine lets wait
        comes into the times of a simulated job.
        """
        self._phases.work(
            phase,
            work,
            then=then,
            failed=lambda reason: self._end("Failed", "Failed", reason),
            background=self._world.background if self.runs_script else _at_once,
        )


def _at_once(work: Callable[[], None]) -> None:
    work()


def _dispose_of(instance: Instance) -> None:
    """End what still runs on an instance whose job has ended, and remove it; nobody waits for what S3 says now."""
    try:
        instance.end()
    except TrainingProblem as problem:
        log.warning("The last checkpoints of a job that had ended were not mirrored: %s", problem)
    instance.discard()
