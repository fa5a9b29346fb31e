"""The wire: SageMaker's training operations on moto's server."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.models import sagemaker_backends
from moto.sagemaker.responses import SageMakerResponse

from airflow_spot_provider.emulator import requests
from airflow_spot_provider.emulator.exceptions import ResourceInUse, ValidationException, not_found
from airflow_spot_provider.emulator.lifecycles import Lifecycle, lifecycle_named
from airflow_spot_provider.emulator.models import TrainingJob, World

LIFECYCLE_TAG = "emulator:lifecycle"
_SORT_KEYS: dict[str, Callable[[TrainingJob], Any]] = {
    "Name": lambda job: job.training_job_name,
    "CreationTime": lambda job: job.creation_time,
    "Status": lambda job: job.training_job_status,
}


class Plans:
    """Which lifecycle the next job goes through, and the calls that were made: what the control API can ask and set.

    :param default: the server's lifecycle.
    """

    def __init__(self, default: Lifecycle) -> None:
        self._default = default
        self._next: list[Lifecycle] = []
        self._by_name: dict[str, Lifecycle] = {}
        self.calls: Counter[str] = Counter()

    def plan(self, lifecycle: Lifecycle, job_name: str | None) -> None:
        """Plan the next job, or the one of this name."""
        if job_name is None:
            self._next.append(lifecycle)
        else:
            self._by_name[job_name] = lifecycle

    def take(self, job_name: str, tags: list[dict[str, str]]) -> Lifecycle:
        """The lifecycle of a new job: planned by name, planned as the next, by its tag, or the server's.

        :raises ValidationException: its tag names none.
        """
        tagged = next((tag["Value"] for tag in tags if tag["Key"] == LIFECYCLE_TAG), None)
        try:
            by_tag = lifecycle_named(tagged) if tagged is not None else None
        except ValueError as error:
            raise ValidationException(f"The tag {LIFECYCLE_TAG}: {error}") from error
        if job_name in self._by_name:
            return self._by_name.pop(job_name)
        if self._next:
            return self._next.pop(0)
        return by_tag or self._default


class TrainingResponse(SageMakerResponse):
    """SageMaker's responses with a training backend that takes its time; one server in a process has one world."""

    world: World
    plans: Plans

    def call_action(self) -> Any:
        """Check the call against the service model, and answer it."""
        operation = self._get_action()
        if operation in _CHECKED:
            requests.check(operation, self._sent)
        return super().call_action()

    def create_training_job(self) -> ActionResult:
        """CreateTrainingJob."""
        request = self._sent
        requests.check_training_job(request)
        name = request["TrainingJobName"]
        arn = f"arn:aws:sagemaker:{self.region}:{self.current_account}:training-job/{name}"
        jobs = self._jobs
        if name in jobs:
            raise ResourceInUse(
                "Training job names must be unique within an AWS account and region, and a training job with this name "
                f"already exists ({arn})"
            )
        jobs[name] = TrainingJob(
            request,
            arn=arn,
            account_id=self.current_account,
            region=self.region,
            lifecycle=self.plans.take(name, request.get("Tags") or []),
            world=self.world,
        )
        return ActionResult({"TrainingJobArn": arn})

    def describe_training_job(self) -> ActionResult:
        """DescribeTrainingJob."""
        return ActionResult(self._job.response_object)

    def stop_training_job(self) -> EmptyResult:
        """StopTrainingJob."""
        job = self._job
        if not job.stop():
            raise ValidationException(
                f"The request was rejected because the training job is in status {job.training_job_status}."
            )
        return EmptyResult()

    def delete_training_job(self) -> EmptyResult:
        """DeleteTrainingJob."""
        job = self._job
        if not job.has_ended:
            raise ResourceInUse(
                f"The training job {job.training_job_name} is in status {job.training_job_status} and cannot be deleted."
            )
        del self._jobs[job.training_job_name]
        return EmptyResult()

    def list_training_jobs(self) -> ActionResult:
        """ListTrainingJobs."""
        sent = self._sent
        jobs = [job for job in list(self._jobs.values()) if _is_listed(job, sent)]
        descending = sent.get("SortOrder", "Descending") == "Descending"
        jobs.sort(key=_SORT_KEYS["Name"], reverse=descending)
        jobs.sort(key=_SORT_KEYS[sent.get("SortBy", "CreationTime")], reverse=descending)
        start = _start_of_page(sent.get("NextToken"))
        end = start + sent.get("MaxResults", 10)
        answer: dict[str, Any] = {"TrainingJobSummaries": [job.summary for job in jobs[start:end]]}
        if end < len(jobs):
            answer["NextToken"] = str(end)
        return ActionResult(answer)

    def add_tags(self) -> ActionResult:
        """AddTags: over those of the same keys."""
        arn = self._get_param("ResourceArn")
        tags = self._get_param("Tags")
        self.sagemaker_backend.delete_tags(arn, [tag["Key"] for tag in tags])
        return ActionResult({"Tags": self.sagemaker_backend.add_tags(arn, tags)})

    @property
    def _sent(self) -> dict[str, Any]:
        """The request as the client sent it."""
        body: dict[str, Any] = json.loads(self.body or "{}")
        return body

    @property
    def _jobs(self) -> dict[str, TrainingJob]:
        jobs: dict[str, Any] = sagemaker_backends[self.current_account][self.region].training_jobs
        return jobs

    @property
    def _job(self) -> TrainingJob:
        name = self._sent["TrainingJobName"]
        if name not in self._jobs:
            raise not_found()
        return self._jobs[name]


_CHECKED = frozenset(
    {
        "CreateTrainingJob",
        "DescribeTrainingJob",
        "StopTrainingJob",
        "DeleteTrainingJob",
        "ListTrainingJobs",
        "AddTags",
    }
)


def all_jobs() -> list[TrainingJob]:
    """Every training job of this process, over all accounts and regions."""
    backends: Any = sagemaker_backends
    return [
        job
        for regions in list(backends.values())
        for backend in list(regions.values())
        for job in list(backend.training_jobs.values())
    ]


def _is_listed(job: TrainingJob, sent: dict[str, Any]) -> bool:
    created, modified = job.creation_time, job.last_modified_time
    return (
        sent.get("NameContains", "") in job.training_job_name
        and sent.get("StatusEquals", job.training_job_status) == job.training_job_status
        and ("CreationTimeAfter" not in sent or created > _time(sent["CreationTimeAfter"]))
        and ("CreationTimeBefore" not in sent or created < _time(sent["CreationTimeBefore"]))
        and ("LastModifiedTimeAfter" not in sent or modified > _time(sent["LastModifiedTimeAfter"]))
        and ("LastModifiedTimeBefore" not in sent or modified < _time(sent["LastModifiedTimeBefore"]))
    )


def _time(value: float | str) -> datetime:
    """A time as AWS's JSON protocol sends it: epoch seconds."""
    try:
        return datetime.fromtimestamp(float(value), tz=UTC)
    except (TypeError, ValueError, OverflowError):
        raise ValidationException(
            f"1 validation error detected: '{value}' is not a time in epoch seconds"
        ) from None


def _start_of_page(token: str | None) -> int:
    if token is None:
        return 0
    if not token.isdecimal():
        raise ValidationException(f"Invalid NextToken: '{token}'")
    return int(token)
