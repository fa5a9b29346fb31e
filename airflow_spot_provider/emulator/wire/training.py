"""SageMaker's training operations on moto's server."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.models import sagemaker_backends
from moto.sagemaker.responses import SageMakerResponse

from airflow_spot_provider.emulator.exceptions import (
    ResourceInUse,
    SerializationException,
    UnknownOperation,
    ValidationException,
    not_found,
)
from airflow_spot_provider.emulator.jobs.plans import Plans
from airflow_spot_provider.emulator.jobs.training_job import TrainingJob, World
from airflow_spot_provider.emulator.spec import LIFECYCLE_TAG, JobSpec
from airflow_spot_provider.emulator.wire import requests

_CHECKED = frozenset(
    {
        "CreateTrainingJob",
        "DescribeTrainingJob",
        "StopTrainingJob",
        "DeleteTrainingJob",
        "ListTrainingJobs",
        "AddTags",
        "DeleteTags",
        "ListTags",
    }
)
_SORT_KEYS: dict[str, Callable[[TrainingJob], str | float]] = {
    "Name": lambda job: job.training_job_name,
    "CreationTime": lambda job: job.creation_time.timestamp(),
    "Status": lambda job: job.training_job_status,
}


class TrainingResponse(SageMakerResponse):
    """SageMaker's responses with a training backend that takes its time; one server in a process has one world."""

    world: World
    plans: Plans
    _creating = threading.Lock()

    def _dispatch(self, request: Any, full_url: str | None = None, headers: Any = None) -> Any:
        """Check the call against the service model, and answer it; what is wrong with it is told as AWS tells it."""
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        try:
            if not requests.is_operation(operation):
                raise UnknownOperation(f"SageMaker has no operation {operation!r}")
            self._sent = _parsed(request.data)
            if operation in _CHECKED:
                requests.check(operation, self._sent)
            return super()._dispatch(request, full_url, headers)
        except NotImplementedError:
            return _refusal(UnknownOperation(f"{operation} is not emulated"))
        except ServiceException as error:
            return _refusal(error)

    def create_training_job(self) -> ActionResult:
        """CreateTrainingJob."""
        spec = JobSpec(self._sent, self.current_account, self.region)
        requests.check_training_job(spec)
        with self._creating:
            if spec.name in self._jobs:
                raise ResourceInUse(
                    "Training job names must be unique within an AWS account and region, and a training job with this "
                    f"name already exists ({spec.arn})"
                )
            try:
                lifecycle = self.plans.take(spec)
            except ValueError as error:
                raise ValidationException(f"The tag {LIFECYCLE_TAG}: {error}") from error
            job = self._jobs[spec.name] = TrainingJob(spec, lifecycle, self.world)
            job.begin()
        return ActionResult({"TrainingJobArn": spec.arn})

    def describe_training_job(self) -> ActionResult:
        """DescribeTrainingJob."""
        return ActionResult(self._job.describe())

    def stop_training_job(self) -> EmptyResult:
        """StopTrainingJob."""
        job = self._job
        if not job.stop():
            raise ValidationException(
                f"The request was rejected because the training job is in status {job.training_job_status}."
            )
        return EmptyResult()

    def delete_training_job(self) -> EmptyResult:
        """DeleteTrainingJob: of one that has ended."""
        job = self._job
        if not job.has_ended:
            raise ResourceInUse(
                f"The training job {job.training_job_name} is in status {job.training_job_status} and cannot be deleted."
            )
        self._jobs.pop(job.training_job_name, None)
        return EmptyResult()

    def list_training_jobs(self) -> ActionResult:
        """ListTrainingJobs. A page goes on after the last job of the one before, whatever came or went meanwhile."""
        sent = self._sent
        descending = sent.get("SortOrder", "Descending") == "Descending"
        sort_key = _SORT_KEYS[sent.get("SortBy", "CreationTime")]
        place = _place(sent.get("NextToken"))
        found = sorted(
            ((sort_key(job), job.training_job_name), job)
            for job in list(self._jobs.values())
            if _fits(job, sent)
        )
        if descending:
            found.reverse()
        if place is not None:
            found = [entry for entry in found if _is_after(entry[0], place, descending=descending)]
        page = found[: sent.get("MaxResults", 10)]
        answer: dict[str, Any] = {"TrainingJobSummaries": [job.summarize() for _, job in page]}
        if len(page) < len(found):
            answer["NextToken"] = base64.b64encode(json.dumps(page[-1][0]).encode()).decode()
        return ActionResult(answer)

    def add_tags(self) -> ActionResult:
        """AddTags: over those of the same keys."""
        arn, tags = self._sent["ResourceArn"], self._sent["Tags"]
        self._see_that_it_is_there(arn)
        self.sagemaker_backend.delete_tags(arn, [tag["Key"] for tag in tags])
        return ActionResult({"Tags": self.sagemaker_backend.add_tags(arn, tags)})

    def delete_tags(self) -> ActionResult:
        """DeleteTags."""
        self._see_that_it_is_there(self._sent["ResourceArn"])
        return super().delete_tags()

    def list_tags(self) -> ActionResult:
        """ListTags."""
        self._see_that_it_is_there(self._sent["ResourceArn"])
        return super().list_tags()

    @property
    def _jobs(self) -> dict[str, TrainingJob]:
        jobs: dict[str, Any] = sagemaker_backends[self.current_account][self.region].training_jobs
        return jobs

    @property
    def _job(self) -> TrainingJob:
        job = self._jobs.get(self._sent["TrainingJobName"])
        if job is None:
            raise not_found()
        return job

    def _see_that_it_is_there(self, arn: str) -> None:
        """Raise if moto, which looks tags up by ARN, would find nothing under this one."""
        kind, _, name = arn.split(":", 5)[-1].partition("/")
        if not name or "/" in name or (kind == "training-job" and name not in self._jobs):
            raise not_found()


def all_jobs() -> list[TrainingJob]:
    """Every training job of this process, over all accounts and regions."""
    backends: Any = sagemaker_backends
    return [
        job
        for regions in list(backends.values())
        for backend in list(regions.values())
        for job in list(backend.training_jobs.values())
    ]


def _parsed(body: bytes) -> dict[str, Any]:
    """The request as the client sent it."""
    try:
        sent = json.loads(body or b"{}")
    except ValueError:
        sent = None
    if not isinstance(sent, dict):
        raise SerializationException("The request is not a JSON object")
    return sent


def _refusal(error: ServiceException) -> tuple[int, dict[str, str], str]:
    """An error in the JSON protocol of AWS."""
    body = {"__type": error.code, "message": error.message}
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": error.code}
    return 400, headers, json.dumps(body)


def _fits(job: TrainingJob, sent: dict[str, Any]) -> bool:
    created, modified = job.creation_time, job.record.last_modified_time
    if "WarmPoolStatusEquals" in sent or "TrainingPlanArnEquals" in sent:
        return False  # no job here has either
    return (
        sent.get("NameContains", "") in job.training_job_name
        and sent.get("StatusEquals", job.training_job_status) == job.training_job_status
        and ("CreationTimeAfter" not in sent or created > _time(sent["CreationTimeAfter"]))
        and ("CreationTimeBefore" not in sent or created < _time(sent["CreationTimeBefore"]))
        and ("LastModifiedTimeAfter" not in sent or modified > _time(sent["LastModifiedTimeAfter"]))
        and ("LastModifiedTimeBefore" not in sent or modified < _time(sent["LastModifiedTimeBefore"]))
    )


def _time(value: float) -> datetime:
    """A time as AWS's JSON protocol sends it."""
    return datetime.fromtimestamp(value, tz=UTC)


def _place(token: str | None) -> tuple[str | float, str] | None:
    """The sort key of the last job of the page before."""
    if token is None:
        return None
    try:
        key, name = json.loads(base64.b64decode(token, validate=True))
    except (ValueError, TypeError):
        raise ValidationException(f"Invalid NextToken: '{token}'") from None
    return key, str(name)


def _is_after(key: tuple[str | float, str], place: tuple[str | float, str], *, descending: bool) -> bool:
    if type(key[0]) is not type(place[0]):
        raise ValidationException("Invalid NextToken: it is of a list that was sorted in another way")
    return key < place if descending else key > place
