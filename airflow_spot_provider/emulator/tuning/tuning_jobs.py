"""The tuning jobs of one server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from moto.sagemaker.models import sagemaker_backends

from airflow_spot_provider.emulator.clock import Clock
from airflow_spot_provider.emulator.exceptions import ResourceInUse
from airflow_spot_provider.emulator.jobs.registry import Registry
from airflow_spot_provider.emulator.jobs.training_job import TrainingJob
from airflow_spot_provider.emulator.tuning.spec import TuningJobSpec
from airflow_spot_provider.emulator.tuning.tuning_job import TuningJob
from airflow_spot_provider.emulator.tuning.warm_start import WarmStart, warm_start_of


class TuningJobs:
    """All tuning jobs, by account, region and name; moto keeps them among its own.

    :param registry: the training jobs.
    :param clock: the emulated time.
    :param seed: makes what they draw repeatable, where a request has no RandomSeed.
    :param keep: is told of a tuning job after each of its changes, with its lock held.
    :param forget: is told of one that is deleted.
    """

    def __init__(
        self,
        registry: Registry,
        clock: Clock,
        seed: int = 0,
        keep: Callable[[TuningJob], None] = lambda _: None,
        forget: Callable[[TuningJob], None] = lambda _: None,
    ) -> None:
        self.observers: list[Callable[[TuningJob], None]] = []
        self.registry = registry
        self.seed = seed
        self._clock = clock
        self._keep = keep
        self._forget = forget
        self._creating = threading.Lock()

    def of(self, account_id: str, region: str) -> dict[str, TuningJob]:
        """The tuning jobs of one account in one region, by name."""
        jobs: dict[str, Any] = sagemaker_backends[account_id][region].hyper_parameter_tuning_jobs
        return jobs

    def all(self) -> list[TuningJob]:
        """Every tuning job, over all accounts and regions."""
        backends: Any = sagemaker_backends
        return [
            job
            for regions in list(backends.values())
            for backend in list(regions.values())
            for job in list(backend.hyper_parameter_tuning_jobs.values())
        ]

    def create(self, spec: TuningJobSpec) -> TuningJob:
        """Make a tuning job of a request that has been checked, and begin its life.

        :raises ResourceInUse: the name is taken.
        :raises ValidationException: it cannot start from the parents of its WarmStartConfig.
        """
        jobs = self.of(spec.account_id, spec.region)
        with self._creating:
            if spec.name.casefold() in {name.casefold() for name in jobs}:
                raise ResourceInUse(
                    f"A hyperparameter tuning job with the name, {spec.name}, already exists. Choose a different name."
                )
            job = jobs[spec.name] = self.job_of(spec, warm_start_of(spec, jobs))
        job.begin()
        return job

    def job_of(self, spec: TuningJobSpec, warm_start: WarmStart) -> TuningJob:
        """A tuning job whose life has not begun, or not gone on yet."""
        return TuningJob(spec, warm_start, self.registry, self._clock, self._keep, self._tell)

    def spec_of(self, request: Mapping[str, Any], account_id: str, region: str) -> TuningJobSpec:
        """What a request asks for.

        :raises ValidationException: its ranges, or Hyperband's resource, make no sense.
        """
        return TuningJobSpec(request, account_id, region, self.seed)

    def add(self, job: TuningJob) -> None:
        """Have a tuning job that another server began."""
        self.of(job.spec.account_id, job.spec.region)[job.name] = job

    def delete(self, job: TuningJob) -> None:
        """Forget a tuning job that has ended; its training jobs stay."""
        self.of(job.spec.account_id, job.spec.region).pop(job.name, None)
        self._forget(job)

    def training_job_changed(self, job: TrainingJob) -> None:
        """A training job has made a transition; called with its lock held.

        When one ends, the tuning job that launched it goes on, and so do those that wait for room under a quota.
        """
        if not job.has_ended:
            return
        spec = job.spec
        for tuning_job in list(self.of(spec.account_id, spec.region).values()):
            if tuning_job.arn == spec.tuning_job_arn or tuning_job.waits_for_room:
                self._clock.call_later(0, tuning_job.advance)

    def _tell(self, job: TuningJob) -> None:
        for observer in list(self.observers):
            observer(job)
