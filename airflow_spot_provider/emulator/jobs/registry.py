"""The training jobs of one server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from moto.sagemaker.models import sagemaker_backends

from airflow_spot_provider.emulator.exceptions import ResourceInUse, ValidationException
from airflow_spot_provider.emulator.jobs.plans import Plans
from airflow_spot_provider.emulator.jobs.training_job import TrainingJob
from airflow_spot_provider.emulator.jobs.world import World
from airflow_spot_provider.emulator.market.availability import Availability
from airflow_spot_provider.emulator.market.quotas import Quotas
from airflow_spot_provider.emulator.spec import LIFECYCLE_TAG, JobSpec


class Registry:
    """All training jobs, by account, region and name; moto keeps them among its own.

    :param world: what they share.
    :param plans: what they go through.
    :param quotas: how many instances they may have.
    :param forget: is told of a job that is deleted.
    :param availability: which instance types each region has.
    """

    def __init__(
        self,
        world: World,
        plans: Plans,
        quotas: Quotas,
        forget: Callable[[TrainingJob], None] = lambda _: None,
        availability: Availability | None = None,
    ) -> None:
        self.world = world
        self.availability = availability or Availability()
        self.plans = plans
        self._quotas = quotas
        self._forget = forget
        self._creating = threading.Lock()

    def of(self, account_id: str, region: str) -> dict[str, TrainingJob]:
        """The jobs of one account in one region, by name."""
        jobs: dict[str, Any] = sagemaker_backends[account_id][region].training_jobs
        return jobs

    def all(self) -> list[TrainingJob]:
        """Every job, over all accounts and regions."""
        backends: Any = sagemaker_backends
        return [
            job
            for regions in list(backends.values())
            for backend in list(regions.values())
            for job in list(backend.training_jobs.values())
        ]

    def add(self, job: TrainingJob) -> None:
        """Have a job that another server began."""
        self.of(job.spec.account_id, job.spec.region)[job.training_job_name] = job

    def delete(self, job: TrainingJob) -> None:
        """Forget a job that has ended; its name is free again."""
        self.of(job.spec.account_id, job.spec.region).pop(job.training_job_name, None)
        self._forget(job)

    def create(self, spec: JobSpec) -> TrainingJob:
        """Make a job of a request that has been checked, and begin its life.

        :raises ResourceInUse: the name is taken.
        :raises NotAvailableInRegion: the region does not have the instance type.
        :raises ResourceLimitExceeded: a quota would be passed.
        :raises ValidationException: a tag of the emulator's says something that it does not know.
        """
        jobs = self.of(spec.account_id, spec.region)
        with self._creating:
            if spec.name in jobs:
                raise ResourceInUse(
                    "Training job names must be unique within an AWS account and region, and a training job with this "
                    f"name already exists ({spec.arn})"
                )
            self.availability.check(spec.instances, spec.region)
            self._quotas.check(spec, [job.spec for job in list(jobs.values()) if not job.has_ended])
            try:
                lifecycle = self.plans.take(spec)
            except ValueError as error:
                raise ValidationException(f"The tag {LIFECYCLE_TAG}: {error}") from error
            job = jobs[spec.name] = TrainingJob(spec, lifecycle, self.world)
            job.begin()
        return job
