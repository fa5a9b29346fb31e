"""What others see of a training job."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

from airflow_spot_provider.emulator.clock import Clock
from airflow_spot_provider.emulator.jobs.record import JobRecord
from airflow_spot_provider.emulator.spec import JobSpec


class JobView:
    """What others see of a training job.

    :param spec: what was asked for.
    :param record: what is told of it.
    :param clock: the emulated time.
    :param lock: the job's.
    """

    def __init__(
        self, spec: JobSpec, record: JobRecord, clock: Clock, lock: AbstractContextManager[object]
    ) -> None:
        self.spec = spec
        self.record = record
        self.tags: list[dict[str, str]] = [dict(tag) for tag in spec.tags]
        self._clock = clock
        self._lock = lock

    @property
    def training_job_name(self) -> str:
        """TrainingJobName."""
        return self.spec.name

    @property
    def training_job_status(self) -> str:
        """TrainingJobStatus."""
        return self.record.status

    @property
    def secondary_status(self) -> str:
        """SecondaryStatus."""
        return self.record.secondary_status

    @property
    def creation_time(self) -> datetime:
        """CreationTime."""
        return self.record.creation_time

    @property
    def has_ended(self) -> bool:
        """Whether it has Completed, Failed or Stopped."""
        return self.record.has_ended

    def describe(self, lag_seconds: float = 0.0) -> dict[str, Any] | None:
        """DescribeTrainingJob's answer, as it was some seconds ago; None if there was no job yet."""
        with self._lock:
            return self.record.described(self._clock.now() - timedelta(seconds=lag_seconds))

    def summarize(self, lag_seconds: float = 0.0) -> dict[str, Any] | None:
        """Its TrainingJobSummary, as it was some seconds ago; None if there was no job yet."""
        with self._lock:
            return self.record.summarized(self._clock.now() - timedelta(seconds=lag_seconds))
