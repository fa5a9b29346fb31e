"""SageMaker's operations on hyperparameter tuning jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_spot_provider.emulator.exceptions import ResourceNotFound, ValidationException, denied
from airflow_spot_provider.emulator.jobs.liberties import Liberties
from airflow_spot_provider.emulator.market.availability import Availability
from airflow_spot_provider.emulator.spec import JobSpec
from airflow_spot_provider.emulator.tuning.member import Member
from airflow_spot_provider.emulator.tuning.spec import TuningJobSpec
from airflow_spot_provider.emulator.tuning.tuning_job import TuningJob
from airflow_spot_provider.emulator.tuning.tuning_jobs import TuningJobs
from airflow_spot_provider.emulator.wire import requests
from airflow_spot_provider.emulator.wire.pages import is_within, page_of
from airflow_spot_provider.emulator.wire.protocol import Call, Operation
from airflow_spot_provider.emulator.wire.training import checked

_SORT_KEYS: dict[str, Callable[[TuningJob], str | float]] = {
    "Name": lambda job: job.name,
    "CreationTime": lambda job: job.creation_time.timestamp(),
    "Status": lambda job: job.status,
}
_MEMBER_SORT_KEYS: dict[str, Callable[[Member], str | float]] = {
    "Name": lambda member: member.training_job.training_job_name,
    "CreationTime": lambda member: member.training_job.creation_time.timestamp(),
    "Status": lambda member: member.training_job.training_job_status,
    "FinalObjectiveMetricValue": lambda member: member.objective or 0.0,
}

Answer = dict[str, Any]


class TuningAPI:
    """Answers the operations on tuning jobs.

    :param tuning_jobs: the tuning jobs.
    :param liberties: which SageMaker takes, now.
    """

    def __init__(self, tuning_jobs: TuningJobs, liberties: Callable[[], Liberties] = Liberties) -> None:
        self._tuning_jobs = tuning_jobs
        self._liberties = liberties

    @property
    def operations(self) -> dict[str, Operation]:
        """What answers each operation, with its request checked against the service model."""
        return checked(
            {
                "CreateHyperParameterTuningJob": self.create,
                "DescribeHyperParameterTuningJob": self.describe,
                "ListHyperParameterTuningJobs": self.list,
                "ListTrainingJobsForHyperParameterTuningJob": self.list_training_jobs,
                "StopHyperParameterTuningJob": self.stop,
                "DeleteHyperParameterTuningJob": self.delete,
            }
        )

    def create(self, call: Call) -> Answer:
        """CreateHyperParameterTuningJob."""
        requests.check_tuning_job(call.parameters)
        spec = self._tuning_jobs.spec_of(call.parameters, call.account_id, call.region)
        _check_training_jobs(spec, self._tuning_jobs.registry.availability)
        return {"HyperParameterTuningJobArn": self._tuning_jobs.create(spec).arn}

    def describe(self, call: Call) -> Answer:
        """DescribeHyperParameterTuningJob."""
        job = self._job(call)
        if job.age_seconds < self._liberties().denied_seconds:
            raise denied(call.operation, job.arn, call.account_id)
        return job.describe()

    def list(self, call: Call) -> Answer:
        """ListHyperParameterTuningJobs: pages are cut first and filtered then, as those of training jobs."""
        sent = call.parameters
        jobs = list(self._jobs(call).values())
        page, token = page_of(
            [job for job in jobs if _fits(job, sent)] if self._liberties().filters_first else jobs,
            sort_key=_SORT_KEYS[sent.get("SortBy") or "Name"],
            name=lambda job: job.name,
            descending=sent.get("SortOrder") == "Descending",
            size=sent.get("MaxResults") or 10,
            token=sent.get("NextToken"),
        )
        summaries = [job.summarize() for job in page if _fits(job, sent)]
        return {"HyperParameterTuningJobSummaries": summaries, "NextToken": token}

    def list_training_jobs(self, call: Call) -> Answer:
        """ListTrainingJobsForHyperParameterTuningJob: sorted by the objective, only those that have one."""
        sent = call.parameters
        sort_by, status = sent.get("SortBy") or "Name", sent.get("StatusEquals")
        page, token = page_of(
            [
                member
                for member in list(self._job(call).members)
                if status in (None, member.training_job.training_job_status)
                and (sort_by != "FinalObjectiveMetricValue" or member.objective is not None)
            ],
            sort_key=_MEMBER_SORT_KEYS[sort_by],
            name=lambda member: member.training_job.training_job_name,
            descending=sent.get("SortOrder") == "Descending",
            size=sent.get("MaxResults") or 10,
            token=sent.get("NextToken"),
        )
        return {"TrainingJobSummaries": [member.summarized() for member in page], "NextToken": token}

    def stop(self, call: Call) -> Answer:
        """StopHyperParameterTuningJob."""
        job = self._job(call)
        if not job.stop():
            raise ValidationException(
                f"The request was rejected because the hyperparameter tuning job is in status {job.status}."
            )
        return {}

    def delete(self, call: Call) -> Answer:
        """DeleteHyperParameterTuningJob: of one that has ended; its training jobs stay."""
        job = self._job(call)
        if not job.has_ended:
            raise ValidationException(
                f"The hyperparameter tuning job {job.name} is in status {job.status} and cannot be deleted."
            )
        self._tuning_jobs.delete(job)
        return {}

    def _jobs(self, call: Call) -> dict[str, TuningJob]:
        return self._tuning_jobs.of(call.account_id, call.region)

    def _job(self, call: Call) -> TuningJob:
        name = call.parameters["HyperParameterTuningJobName"]
        job = self._jobs(call).get(name)
        if job is None:
            raise ResourceNotFound(
                f"Amazon SageMaker can't find a tuning job called {name}. Type another name."
            )
        return job


def _check_training_jobs(spec: TuningJobSpec, availability: Availability) -> None:
    """Refuse a tuning job of whose definitions no training job could come."""
    for definition in spec.definitions:
        values = definition.strategy.suggest(1, [])
        request = definition.training_job_request(f"{spec.name}-001-00000000", values, spec.tags)
        requests.check("CreateTrainingJob", request)
        training_job = JobSpec(request, spec.account_id, spec.region, spec.arn)
        requests.check_training_job(training_job)
        availability.check(training_job.instances, spec.region)


def _fits(job: TuningJob, sent: dict[str, Any]) -> bool:
    return (
        (sent.get("NameContains") or "") in job.name
        and (sent.get("StatusEquals") or job.status) == job.status
        and is_within(job.creation_time, sent, "CreationTime")
        and is_within(job.last_modified_time, sent, "LastModifiedTime")
    )
