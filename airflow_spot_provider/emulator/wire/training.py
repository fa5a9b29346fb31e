"""SageMaker's operations on training jobs, and on tags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.exceptions import ServiceException
from moto.sagemaker.models import sagemaker_backends

from airflow_spot_provider.emulator.exceptions import ResourceInUse, ValidationException, denied, not_found
from airflow_spot_provider.emulator.jobs.liberties import Liberties
from airflow_spot_provider.emulator.jobs.registry import Registry
from airflow_spot_provider.emulator.jobs.training_job import TrainingJob
from airflow_spot_provider.emulator.spec import JobSpec
from airflow_spot_provider.emulator.tuning.tuning_job import TuningJob
from airflow_spot_provider.emulator.wire import requests
from airflow_spot_provider.emulator.wire.pages import is_within, page_of
from airflow_spot_provider.emulator.wire.protocol import Call, Operation

_SORT_KEYS: dict[str, Callable[[TrainingJob], str | float]] = {
    "Name": lambda job: job.training_job_name,
    "CreationTime": lambda job: job.creation_time.timestamp(),
    "Status": lambda job: job.training_job_status,
}
_UPDATABLE = ("ProfilerConfig", "ProfilerRuleConfigurations", "RemoteDebugConfig")
_MOST_TAGS = 50

Answer = dict[str, Any]


class TrainingAPI:
    """Answers the operations on training jobs.

    :param registry: the jobs.
    :param liberties: which SageMaker takes, now.
    """

    def __init__(self, registry: Registry, liberties: Callable[[], Liberties] = Liberties) -> None:
        self._registry = registry
        self._liberties = liberties

    @property
    def operations(self) -> dict[str, Operation]:
        """What answers each operation, with its request checked against the service model."""
        return checked(
            {
                "CreateTrainingJob": self.create,
                "DescribeTrainingJob": self.describe,
                "UpdateTrainingJob": self.update,
                "StopTrainingJob": self.stop,
                "DeleteTrainingJob": self.delete,
                "ListTrainingJobs": self.list,
                "AddTags": self.add_tags,
                "DeleteTags": self.delete_tags,
                "ListTags": self.list_tags,
            }
        )

    def create(self, call: Call) -> Answer:
        """CreateTrainingJob."""
        spec = JobSpec(call.parameters, call.account_id, call.region)
        requests.check_training_job(spec)
        return {"TrainingJobArn": self._registry.create(spec).spec.arn}

    def describe(self, call: Call) -> Answer:
        """DescribeTrainingJob."""
        job, liberties = self._job(call), self._liberties()
        description = job.describe(liberties.lag_seconds)
        if description is None:
            raise not_found()
        if job.age_seconds < liberties.denied_seconds:
            raise denied(call.operation, job.spec.arn, call.account_id)
        return description

    def update(self, call: Call) -> Answer:
        """UpdateTrainingJob: of one that runs. Warm pools, which it could prolong, are not for spot."""
        job, sent = self._job(call), call.parameters
        if job.has_ended:
            raise ValidationException(
                f"The request was rejected because the training job is in status {job.training_job_status}."
            )
        if (sent.get("ResourceConfig") or {}).get("KeepAlivePeriodInSeconds") is not None:
            if job.spec.spot:
                raise ValidationException(
                    "KeepAlivePeriodInSeconds is not supported when EnableManagedSpotTraining is set to true"
                )
            raise ValidationException(
                "KeepAlivePeriodInSeconds can only be updated while the training job has an available warm pool"
            )
        job.update({member: sent[member] for member in _UPDATABLE if sent.get(member) is not None})
        return {"TrainingJobArn": job.spec.arn}

    def stop(self, call: Call) -> Answer:
        """StopTrainingJob."""
        job = self._job(call)
        if not job.stop():
            raise ValidationException(
                f"The request was rejected because the training job is in status {job.training_job_status}."
            )
        return {}

    def delete(self, call: Call) -> Answer:
        """DeleteTrainingJob: of one that has ended."""
        job = self._job(call)
        if not job.has_ended:
            raise ResourceInUse(
                f"The training job {job.training_job_name} is in status {job.training_job_status} and cannot be deleted."
            )
        self._registry.delete(job)
        return {}

    def list(self, call: Call) -> Answer:
        """ListTrainingJobs: a page is cut first and filtered then, so that it may be short, or empty, and not the last."""
        sent, liberties = call.parameters, self._liberties()
        jobs = list(self._jobs(call).values())

        def _listed(job: TrainingJob) -> dict[str, Any] | None:
            summary = job.summarize(liberties.lag_seconds)
            return summary if summary is not None and _fits(summary, sent) else None

        page, token = page_of(
            [job for job in jobs if _listed(job)] if liberties.filters_first else jobs,
            sort_key=_SORT_KEYS[sent.get("SortBy") or "CreationTime"],
            name=lambda job: job.training_job_name,
            descending=(sent.get("SortOrder") or "Descending") == "Descending",
            size=sent.get("MaxResults") or 10,
            token=sent.get("NextToken"),
        )
        summaries = [summary for job in page if (summary := _listed(job)) is not None]
        if liberties.bare_summaries:
            for summary in summaries:
                del summary["SecondaryStatus"]
        return {"TrainingJobSummaries": summaries, "NextToken": token}

    def add_tags(self, call: Call) -> Answer:
        """AddTags: over those of the same keys."""
        resource, tags = self._tagged(call), call.parameters["Tags"]
        requests.check_tags(tags)
        new = {tag["Key"]: dict(tag) for tag in (*resource.tags, *tags)}
        if len(new) > _MOST_TAGS:
            raise ValidationException(f"A resource has at most {_MOST_TAGS} tags; it would have {len(new)}")
        _retag(resource, list(new.values()))
        return {"Tags": resource.tags}

    def delete_tags(self, call: Call) -> Answer:
        """DeleteTags."""
        resource, keys = self._tagged(call), set(call.parameters["TagKeys"])
        _retag(resource, [tag for tag in resource.tags if tag["Key"] not in keys])
        return {}

    def list_tags(self, call: Call) -> Answer:
        """ListTags."""
        sent, resource = call.parameters, self._tagged(call)
        ours = isinstance(resource, TrainingJob | TuningJob)
        page, token = page_of(
            resource.tags_before(self._liberties().tags_lag_seconds) if ours else resource.tags,
            sort_key=lambda tag: str(tag["Key"]),
            name=lambda tag: str(tag["Key"]),
            descending=False,
            size=sent.get("MaxResults") or _MOST_TAGS,
            token=sent.get("NextToken"),
        )
        return {"Tags": page, "NextToken": token}

    def _jobs(self, call: Call) -> dict[str, TrainingJob]:
        return self._registry.of(call.account_id, call.region)

    def _job(self, call: Call) -> TrainingJob:
        job = self._jobs(call).get(call.parameters["TrainingJobName"])
        if job is None:
            raise not_found()
        return job

    def _tagged(self, call: Call) -> Any:
        """The resource of an ARN, ours or moto's; each keeps its ``tags``."""
        arn: str = call.parameters["ResourceArn"]
        prefix, _, resource = arn.partition(":sagemaker:")
        region, account_id, resource = _parts(resource)
        if not prefix or (region, account_id) != (call.region, call.account_id):
            raise not_found()
        kind, _, name = resource.partition("/")
        backend: Any = sagemaker_backends[call.account_id][call.region]
        if kind == "training-job":
            found = backend.training_jobs.get(name)
        elif kind == "hyper-parameter-tuning-job":
            found = backend.hyper_parameter_tuning_jobs.get(name)
        else:
            found = _of_moto(backend, arn)
        if found is None:
            raise not_found()
        return found


def checked(operations: dict[str, Operation]) -> dict[str, Operation]:
    """The same operations, each behind a check of its request against the service model."""

    def _behind_a_check(operation: str, answer: Operation) -> Operation:
        def _checked(call: Call) -> Any:
            requests.check(operation, call.parameters)
            return answer(call)

        return _checked

    return {name: _behind_a_check(name, answer) for name, answer in operations.items()}


def _retag(resource: Any, tags: list[dict[str, str]]) -> None:
    if isinstance(resource, TrainingJob | TuningJob):
        resource.retag(tags)
    else:
        resource.tags = tags


def _parts(resource: str) -> tuple[str, str, str]:
    """Region, account and the rest of what follows ``:sagemaker:`` in an ARN."""
    region, _, rest = resource.partition(":")
    account_id, _, name = rest.partition(":")
    return region, account_id, name


def _of_moto(backend: Any, arn: str) -> Any:
    """What moto has under an ARN; it knows kinds by name, and names by the last part."""
    try:
        return backend._get_resource_from_arn(arn)
    except (AttributeError, ValueError, ServiceException):
        return None


def _fits(summary: dict[str, Any], sent: dict[str, Any]) -> bool:
    if sent.get("WarmPoolStatusEquals") is not None or sent.get("TrainingPlanArnEquals") is not None:
        return False  # no job here has either
    return (
        (sent.get("NameContains") or "") in summary["TrainingJobName"]
        and sent.get("StatusEquals") in (None, summary["TrainingJobStatus"])
        and all(is_within(summary[time], sent, time) for time in ("CreationTime", "LastModifiedTime"))
    )
