"""What others see of a training job."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

from airflow_spot_provider.emulator.clock import Clock
from airflow_spot_provider.emulator.jobs.record import JobRecord
from airflow_spot_provider.emulator.jobs.tags import Tags
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
        self._tags = Tags(spec.tags, record.creation_time)
        self._clock = clock
        self._lock = lock

    @property
    def tags(self) -> list[dict[str, str]]:
        """Its tags; moto reads them too."""
        return self._tags.present

    @tags.setter
    def tags(self, tags: list[dict[str, str]]) -> None:
        self._tags.replace(tags, self._clock.now())

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
    def age_seconds(self) -> float:
        """How long it has been there."""
        return (self._clock.now() - self.creation_time).total_seconds()

    @property
    def has_ended(self) -> bool:
        """Whether it has Completed, Failed or Stopped."""
        return self.record.has_ended

    def describe(self, lag_seconds: float = 0.0) -> dict[str, Any] | None:
        """DescribeTrainingJob's answer, as it was some seconds ago; None if there was no job yet."""
        with self._lock:
            return self.record.described(self._clock.now() - timedelta(seconds=lag_seconds))

    def tags_before(self, lag_seconds: float) -> list[dict[str, str]]:
        """Its tags as they were some seconds ago."""
        return self._tags.at(self._clock.now() - timedelta(seconds=lag_seconds))

    def summarize(self, lag_seconds: float = 0.0) -> dict[str, Any] | None:
        """Its TrainingJobSummary, as it was some seconds ago; None if there was no job yet."""
        with self._lock:
            return self.record.summarized(self._clock.now() - timedelta(seconds=lag_seconds))
