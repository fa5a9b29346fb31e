"""A training job as a state machine: events in, transitions out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from airflow_spot_provider.emulator.clock import Clock
from airflow_spot_provider.emulator.exceptions import TrainingProblem
from airflow_spot_provider.emulator.instances.instance import Instance, Listener
from airflow_spot_provider.emulator.jobs.lifecycles import End, Lifecycle, Stay, for_job, timing_of
from airflow_spot_provider.emulator.jobs.record import JobRecord
from airflow_spot_provider.emulator.market.prices import SpotPrices, Usage
from airflow_spot_provider.emulator.spec import JobSpec

log = logging.getLogger(__name__)

LEAST_REAL_STAY_SECONDS = 8.0
"""How long the last stay before MaxWait really lasts at least: long enough for a script to start and to resume."""
LEAST_REAL_SCRIPT_SECONDS = 2.0
"""How long a script without checkpoints really runs at least before a planned interruption."""
LATEST_INTERRUPTION_SECONDS = 1800.0
"""When a planned interruption comes, if the script has written no checkpoint until then."""

MAX_WAIT = "MaxWaitTimeExceeded"
MAX_RUNTIME = "MaxRuntimeExceeded"
STOPPED = "Stopped"
_PLANNED_FAILURE = "InternalServerError: We encountered an internal error. Please try again."

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """What all jobs of one server share.

    :param clock: its time.
    :param prices: what spot costs on it.
    :param launch: gives a job's stay with this number an instance.
    :param background: runs what may take its time; a simulation runs it at once.
    """

    clock: Clock
    prices: SpotPrices
    launch: Callable[[JobSpec, int, Listener], Instance]
    background: Callable[[Callable[[], None]], None]


class TrainingJob:
    """One training job. moto keeps it among its own, and reads ``tags``, ``gen_response_object`` and the attributes' names.

    Every event belongs to a phase, which is what lies between two transitions. One that comes when its phase is over does
    nothing, so that no two of them can both end it.

    :param spec: what was asked for.
    :param lifecycle: what it is to go through.
    :param world: what it shares with the other jobs of its server.
    """

    def __init__(self, spec: JobSpec, lifecycle: Lifecycle, world: World) -> None:
        plan = for_job(lifecycle, managed_spot=spec.spot)
        self.spec = spec
        self.tags: list[dict[str, str]] = [dict(tag) for tag in spec.tags]
        self._world = world
        self._clock = world.clock
        self._timing = timing_of(plan, training_seconds=spec.training_seconds, max_wait=spec.max_wait_seconds)
        self._stays = plan.stays
        self._stay_number = 0
        self._lock = threading.RLock()
        self._phase = 0
        self._instance: Instance | None = None
        self._usage = Usage(world.prices if spec.spot else None, spec.instance_type)
        self.record = JobRecord(spec, self._usage, self._clock.now())
        self._seconds_left = spec.training_seconds
        self._runtime = 0.0

    # What the API asks

    @property
    def training_job_name(self) -> str:
        """TrainingJobName; Search filters by it."""
        return self.spec.name

    @property
    def training_job_status(self) -> str:
        """TrainingJobStatus; Search filters by it."""
        return self.record.status

    @property
    def secondary_status(self) -> str:
        """SecondaryStatus; Search filters by it."""
        return self.record.secondary_status

    @property
    def creation_time(self) -> datetime:
        """CreationTime; Search filters by it."""
        return self.record.creation_time

    @property
    def has_ended(self) -> bool:
        """Whether it has Completed, Failed or Stopped."""
        return self.record.has_ended

    def describe(self) -> dict[str, Any]:
        """DescribeTrainingJob's answer."""
        with self._lock:
            return self.record.description

    def summarize(self) -> dict[str, Any]:
        """Its TrainingJobSummary."""
        with self._lock:
            return self.record.summary

    def gen_response_object(self) -> dict[str, Any]:
        """What Search answers: its description and its tags."""
        return {**self.describe(), "Tags": list(self.tags)}

    def begin(self) -> None:
        """Begin its life."""
        with self._lock:
            if self.spec.max_wait_seconds is not None:
                deadline = self.creation_time + timedelta(seconds=self.spec.max_wait_seconds)
                self._clock.call_at(deadline, lambda: self.stop(MAX_WAIT))
            phase = self._enter("Starting")
            if self._stays:
                self._after(self._timing.starting, phase, self._download)

    def stop(self, reason: str = STOPPED) -> bool:
        """Begin to stop it, by a user or because a limit is over.

        :return: False if it is stopping or has ended already.
        """
        with self._lock:
            if self.record.status != "InProgress":
                return False
            instance, on_instance = self._instance, self._usage.on_instance
            self.record.status = "Stopping"
            phase = self._enter("Stopping")

            def _end_and_upload() -> str | None:
                if instance is None:
                    return None
                instance.end()
                return instance.upload(completed=False) if on_instance else None

            def _then(model: str | None) -> None:
                self.record.model_artifacts = model
                self._after(
                    0 if on_instance else self._timing.stopping, phase, lambda: self._end("Stopped", reason)
                )

            self._work(phase, _end_and_upload, _then)
            return True

    def interrupt(self) -> bool:
        """Take its instance away now. False if it is not training on spot capacity."""
        with self._lock:
            if not self.spec.spot or self.record.secondary_status != "Training":
                return False
            self._interrupt()
            return True

    def shut_down(self) -> None:
        """End its process, whatever its state: the server is going away."""
        with self._lock:
            self._phase += 1
            instance = self._instance
        if instance is not None:
            instance.kill()

    # What it goes through, in the order in which it does; all of it under the lock

    @property
    def _stay(self) -> Stay:
        return self._stays[self._stay_number]

    def _download(self) -> None:
        started = self._clock.now()
        phase = self._enter("Downloading")
        self.record.begin_instance(started)
        stay = self._stay_number
        listener = Listener(
            line=lambda line: self.record.read_metrics(line, self._clock.now()),
            checkpoint=lambda: self._in_training(stay, self._checkpoint_written),
            exited=lambda status: self._in_training(stay, lambda: self._script_ended(status)),
        )
        self._instance = self._world.launch(self.spec, stay, listener)

        def _then(_: None) -> None:
            took = (self._clock.now() - started).total_seconds()
            self._after(max(0.0, self._timing.downloading - took), phase, self._train)

        self._work(phase, self._instance.download, _then)

    def _train(self) -> None:
        assert self._instance is not None
        phase = self._enter("Training")
        left = max(0.0, self.spec.max_runtime_seconds - self._runtime)
        self._after(left, phase, lambda: self.stop(MAX_RUNTIME))
        self._work(phase, self._instance.train, lambda _: None)
        if self._stay.end is End.FAILED:
            self._after(
                self._timing.downloading, phase, lambda: self._end("Failed", "Failed", _PLANNED_FAILURE)
            )
        elif self._stay.end is End.INTERRUPTED:
            self._after(self._latest_interruption(), phase, self._interrupt)
        elif self._stay.end is End.DONE and not self._instance.runs_script:
            self._after(self._seconds_left, phase, self._upload)
        # The last stay before MaxWait holds on to its instance until then.

    def _latest_interruption(self) -> float:
        """Emulated seconds of training until a planned interruption, if no checkpoint brings it sooner."""
        assert self._instance is not None
        if not self._instance.runs_script:
            return self._timing.interruption
        limit = min(self.spec.max_wait_seconds or 0.0, self.spec.max_runtime_seconds) / 3
        if self.spec.checkpoint_uri is not None:
            return min(LATEST_INTERRUPTION_SECONDS, limit)
        return min(
            max(self._timing.interruption, self._clock.emulated_seconds(LEAST_REAL_SCRIPT_SECONDS)), limit
        )

    def _checkpoint_written(self) -> None:
        """A planned interruption comes right after a checkpoint."""
        if self._stay.end is End.INTERRUPTED:
            self._interrupt()

    def _script_ended(self, status: int) -> None:
        assert self._instance is not None
        instance = self._instance
        if status != 0:
            said = instance.failure()
            reason = f"AlgorithmError: ExecuteUserScriptError: {said or 'the script failed'}"
            phase = self._enter("Uploading")
            self._work(
                phase,
                instance.end,
                lambda _: self._end("Failed", "Failed", f"{reason[:1000]}, exit code: {status}"),
            )
        elif self._stay.end is End.DONE:
            self._upload()
        elif self._stay.end is End.INTERRUPTED:
            # The instance was lost before the upload: what the script did since its last checkpoint counts for nothing.
            self._interrupt()

    def _interrupt(self) -> None:
        assert self._instance is not None
        lost, instance = self._clock.now(), self._instance
        if self.spec.checkpoint_uri is not None:
            self._seconds_left = max(0.0, self._seconds_left - self.record.seconds_in_status(lost))
        phase = self._enter("Interrupted")
        self._usage.end(lost)
        self._stay_number += 1
        if self._stay_number >= len(self._stays):
            self._stays = (*self._stays, Stay(End.DONE))

        def _end_and_discard() -> None:
            instance.end()
            instance.discard()

        def _then(_: None) -> None:
            took = (self._clock.now() - lost).total_seconds()
            self._after(max(0.0, self._outage_seconds(lost) - took), phase, self._launch_again)

        self._work(phase, _end_and_discard, _then)

    def _outage_seconds(self, lost: datetime) -> float:
        """How long there is no capacity; before a last stay it takes what is left of MaxWait, but for that stay."""
        if self._stay.end is not End.MAX_WAIT:
            return self._timing.outage
        assert self.spec.max_wait_seconds is not None
        left = self.spec.max_wait_seconds - (lost - self.creation_time).total_seconds()
        runtime_left = self.spec.max_runtime_seconds - self._runtime
        stay = self._timing.downloading * 3
        if self._instance is not None and self._instance.runs_script:
            stay = max(stay, self._timing.downloading + self._clock.emulated_seconds(LEAST_REAL_STAY_SECONDS))
        return max(0.0, left - min(stay, left / 2, self._timing.downloading + runtime_left / 2))

    def _launch_again(self) -> None:
        self._instance = None
        if not self._stay.starting:
            self._download()
            return
        phase = self._enter("Starting")
        self._after(self._timing.starting, phase, self._download)

    def _upload(self) -> None:
        assert self._instance is not None
        instance = self._instance
        phase = self._enter("Uploading")

        def _end_and_upload() -> str | None:
            instance.end()
            return instance.upload(completed=True)

        def _then(model: str | None) -> None:
            self.record.model_artifacts = model
            self._after(self._timing.uploading, phase, lambda: self._end("Completed", "Completed"))

        self._work(phase, _end_and_upload, _then)

    def _end(self, status: str, secondary_status: str, failure_reason: str | None = None) -> None:
        now = self._clock.now()
        self._phase += 1
        self._usage.end(now)
        self.record.end(status, secondary_status, now, failure_reason)
        instance, self._instance = self._instance, None
        if instance is not None:
            self._world.background(lambda: _dispose_of(instance))

    # Events and work

    def _enter(self, secondary_status: str) -> int:
        """Go into a status, and give the number of the phase that begins with it."""
        now = self._clock.now()
        if self.record.secondary_status == "Training":
            self._runtime += self.record.seconds_in_status(now)
        self.record.enter(secondary_status, now)
        self._phase += 1
        return self._phase

    def _after(self, seconds: float, phase: int, event: Callable[[], object]) -> None:
        """Run the event in so many emulated seconds, if the job is in that phase then."""

        def _guarded() -> None:
            with self._lock:
                if self._phase == phase:
                    event()

        self._clock.call_later(seconds, _guarded)

    def _in_training(self, stay: int, event: Callable[[], object]) -> None:
        """Run the event now, on the clock's thread, if the job trains in that stay."""

        def _guarded() -> None:
            with self._lock:
                if self._stay_number == stay and self.record.secondary_status == "Training":
                    event()

        self._clock.call_later(0, _guarded)

    def _work(self, phase: int, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """Do ``work`` in the background, and ``then`` as an event of that phase; the job fails where it cannot be done."""

        def _run() -> None:
            try:
                result = work()
            except TrainingProblem as problem:
                reason = str(problem)
            except Exception:
                log.exception("Work for %s failed", self.spec.name)
                reason = _PLANNED_FAILURE
            else:
                self._after(0, phase, lambda: then(result))
                return
            self._after(0, phase, lambda: self._end("Failed", "Failed", reason))

        self._world.background(_run)


def _dispose_of(instance: Instance) -> None:
    """End what still runs on an instance whose job has ended, and remove it; nobody waits for what S3 says now."""
    try:
        instance.end()
    except TrainingProblem as problem:
        log.warning("The last checkpoints of a job that had ended were not mirrored: %s", problem)
    instance.discard()
