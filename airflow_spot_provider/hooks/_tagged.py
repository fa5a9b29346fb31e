"""The jobs that bear this provider's tags, found with few calls: a hundred with each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from airflow_spot_provider.aws.errors import code_of, is_denied, is_not_found
from airflow_spot_provider.aws.kinds import TRAINING_JOBS, TUNING_JOBS, Kind
from airflow_spot_provider.aws.lag import told_at
from airflow_spot_provider.aws.ownership import TASK
from airflow_spot_provider.hooks._jobs import SageMakerJobs
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.training import JobNotFound
from airflow_spot_provider.training.lifecycle import instant

KINDS = (TRAINING_JOBS, TUNING_JOBS)
_PAGE = 100
_RUNNING = ("InProgress", "Stopping")
_TIME_OF_SEARCH = "%Y-%m-%dT%H:%M:%S"
"""The one format that Search takes, in UTC."""


@dataclass(frozen=True, slots=True)
class TaggedJob:
    """A job of ours at SageMaker.

    :param kind: what kind of job it is.
    :param description: as its Describe operation, or a search, tells it. It may hold secrets: nobody prints it whole.
    :param tags: all of them.
    """

    kind: Kind
    description: Mapping[str, Any]
    tags: Mapping[str, str]

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.description[self.kind.name])

    @property
    def status(self) -> str:
        """TrainingJobStatus, or HyperParameterTuningJobStatus."""
        return str(self.description.get(self.kind.status) or "")


@dataclass(frozen=True, slots=True)
class FoundJobs:
    """What there is.

    :param jobs: the newest first. Training jobs of a tuning job are none of them, though they inherit its tags.
    :param now: when they were found, by AWS's clock.
    :param not_searched: the code with which SageMaker refused to search them, so that it took calls for each job; None if it did.
    """

    jobs: tuple[TaggedJob, ...]
    now: datetime
    not_searched: str | None


def tagged_jobs(hook: SageMakerSpotHook, *, ended_since: datetime | None = None) -> FoundJobs:
    """The jobs that bear our tag and are in progress.

    :param hook: makes the calls, patiently.
    :param ended_since: those too that have ended, and were modified since.
    """
    clock = _Clock()
    jobs: list[TaggedJob] = []
    not_searched = None
    for kind in KINDS:
        try:
            jobs += _searched(hook, kind, ended_since, clock)
        except ClientError as error:
            if not is_denied(error) and code_of(error) != "ValidationException":
                raise
            not_searched = code_of(error)
            jobs += _listed(hook, kind, ended_since, clock)
    jobs.sort(key=lambda job: str(instant(job.description.get("CreationTime")) or ""), reverse=True)
    return FoundJobs(tuple(jobs), clock.now, not_searched)


def seen_anew(jobs: SageMakerJobs, job: TaggedJob) -> TaggedJob | None:
    """The same job as it is now: what a search finds may be a moment old. None if it is gone.

    :param jobs: the jobs of its kind.
    """
    try:
        description = jobs.get(job.name)
    except JobNotFound:
        return None
    return replace(job, description=description, tags=jobs.get_tags(description[jobs.kind.arn]))


class _Clock:
    """AWS's clock, by the newest answer; ours until there is one."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def read(self, answer: Mapping[str, Any]) -> None:
        self.now = told_at(answer) or datetime.now(UTC)


def _searched(
    hook: SageMakerSpotHook, kind: Kind, ended_since: datetime | None, clock: _Clock
) -> Iterator[TaggedJob]:
    states: list[dict[str, Any]] = [
        {"Name": kind.status, "Operator": "Equals", "Value": status} for status in _RUNNING
    ]
    if ended_since is not None:
        time = ended_since.astimezone(UTC).strftime(_TIME_OF_SEARCH)
        states.append({"Name": "LastModifiedTime", "Operator": "GreaterThanOrEqualTo", "Value": time})
    request = {
        "Resource": kind.resource,
        "SearchExpression": {
            "Filters": [{"Name": f"Tags.{TASK}", "Operator": "Exists"}],
            "SubExpressions": [{"Filters": states, "Operator": "Or"}],
        },
        "SortBy": "CreationTime",
        "SortOrder": "Descending",
        "MaxResults": _PAGE,
    }
    for page in _pages(hook, "search", request, clock):
        for result in page["Results"]:
            record = result[kind.resource]
            tags = {tag["Key"]: tag["Value"] for tag in record.get("Tags") or ()}
            if TASK in tags and not record.get("TuningJobArn"):
                yield TaggedJob(kind, record, tags)


def _listed(
    hook: SageMakerSpotHook, kind: Kind, ended_since: datetime | None, clock: _Clock
) -> Iterator[TaggedJob]:
    jobs = hook.jobs(kind)
    wanted: list[dict[str, Any]] = [{"StatusEquals": status} for status in _RUNNING]
    if ended_since is not None:
        wanted.append({"LastModifiedTimeAfter": ended_since})
    seen: set[str] = set()
    for filters in wanted:
        for page in _pages(hook, kind.list, {**filters, "MaxResults": _PAGE}, clock):
            for summary in page[kind.summaries]:
                name = summary[kind.name]
                if name in seen:
                    continue
                seen.add(name)
                job = _of_summary(jobs, summary)
                if job is not None and not job.description.get("TuningJobArn"):
                    yield job


def _of_summary(jobs: SageMakerJobs, summary: Mapping[str, Any]) -> TaggedJob | None:
    """None if the job is not ours, or has been deleted since it was listed."""
    try:
        tags = jobs.get_tags(summary[jobs.kind.arn])
        if TASK not in tags:
            return None
        return TaggedJob(jobs.kind, jobs.get(summary[jobs.kind.name]), tags)
    except JobNotFound:
        return None
    except ClientError as error:
        if is_not_found(error):
            return None
        raise


def _pages(
    hook: SageMakerSpotHook, operation: str, request: Mapping[str, Any], clock: _Clock
) -> Iterator[Mapping[str, Any]]:
    """Page by page, each asked for patiently: a paginator would begin anew."""
    asked = dict(request)

    def _ask() -> Mapping[str, Any]:
        answer: Mapping[str, Any] = getattr(hook.conn, operation)(**asked)
        return answer

    while True:
        page = hook.patiently(_ask)
        clock.read(page)
        yield page
        if not page.get("NextToken"):
            return
        asked["NextToken"] = page["NextToken"]
