"""Submit the job of a task instance so that it never has two: create it, or find the one that is there."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from botocore.exceptions import ClientError

from airflow_spot_provider.aws.errors import is_denied
from airflow_spot_provider.aws.kinds import Description
from airflow_spot_provider.aws.ownership import TASK, is_let_go_of, own_tags, take_over
from airflow_spot_provider.hooks._jobs import SageMakerJobs
from airflow_spot_provider.training import (
    JobNameTaken,
    JobNotFound,
    MustWaitItsTurn,
    SpotTrainingError,
    TaskIdentity,
)

Names = Callable[[int], str]
"""Gives the name of a task instance's first job, its second, and so on: always the same."""
Prepare = Callable[[Mapping[str, Any], str, Sequence[Description]], Mapping[str, Any]]
"""Makes a job's own request from that of all attempts, its name, and the attempts before it."""


class Found(Enum):
    """What a submit met."""

    NOTHING = "created"
    OWN_JOB = "adopted"
    ENDED_JOB = "ended unseen"
    KILLED_JOB = "still ending"


@dataclass(frozen=True, slots=True)
class Submitted:
    """The job to wait for.

    :param job_name: its name.
    :param found: what was there before. A KILLED_JOB has to end before the task may have another.
    :param earlier: descriptions of the attempts before this one, all ended.
    :param created_at: when the job was created just now, by AWS's clock; None if it was there, or that is not known.
    :param checkpoint_s3_uri: where its checkpoints are; None if it has none.
    """

    job_name: str
    found: Found
    earlier: tuple[Description, ...] = ()
    created_at: datetime | None = None
    checkpoint_s3_uri: str | None = None


def submit(
    jobs: SageMakerJobs,
    request: Mapping[str, Any],
    task: TaskIdentity,
    *,
    names: Names,
    try_number: int,
    max_tries: int,
    about_to_create: Callable[[str], None],
    prepare: Prepare = lambda request, _name, _earlier: request,
) -> Submitted:
    """Create this task instance's job, or adopt the one that an earlier try created and nobody has seen the end of.

    :param jobs: creates and describes them.
    :param request: a checked request, of which the name is not read.
    :param task: whose job it is.
    :param names: what its jobs are called.
    :param try_number: the try that submits.
    :param max_tries: of the task instance; a clear raises it.
    :param about_to_create: is told each name before it is asked for, so that a kill finds the job whenever it comes.
    :param prepare: makes the request of the one that bears a name, from the attempts before it.
    :raises JobNameTaken: the user's name belongs to another job.
    :raises MustWaitItsTurn: SageMaker takes no more jobs just now, and this task has none.
    :raises SpotTrainingError: SageMaker does not take the request, or this task may not look at the job that is there.
    """
    given = request.get("Tags") or ()
    own = own_tags(task, try_number, beside=len(given))
    request = {**request, "Tags": [*given, *({"Key": key, "Value": value} for key, value in own.items())]}
    kind = jobs.kind
    earlier: list[Description] = []
    for attempt in itertools.count(1):
        name = names(attempt)
        about_to_create(name)
        prepared = prepare(request, name, earlier)
        try:
            created = jobs.create({**prepared, kind.name: name})
        except MustWaitItsTurn:
            # SageMaker may look at its quotas before it looks at the name, and it may be this very job that fills them.
            if not _is_seen(jobs, name):
                raise
            created = False
        if created:
            return Submitted(name, Found.NOTHING, tuple(earlier), jobs.created_at, checkpoint_uri(prepared))
        try:
            found, description = _met(jobs, name, task, try_number, max_tries)
        except ClientError as error:
            raise _not_taken_up(jobs, name, error) from error
        if found is not None:
            return Submitted(name, found, tuple(earlier), None, checkpoint_uri(description))
        earlier.append(description)
    raise AssertionError("attempts are counted without end")


def checkpoint_uri(part: Mapping[str, Any]) -> str | None:
    """Where the checkpoints of a request or a description are; None if it has none."""
    uri = (part.get("CheckpointConfig") or {}).get("S3Uri")
    return None if uri is None else str(uri)


def _met(
    jobs: SageMakerJobs, name: str, task: TaskIdentity, try_number: int, max_tries: int
) -> tuple[Found | None, Description]:
    """What the job of this name is to this task, and its description; None of one that has ended, and that was let go of.

    The job may have been created a moment ago, by a call whose answer got lost: then its description, its tags and a policy that goes by
    them may lag, and ``jobs`` asks again.
    """
    kind = jobs.kind
    description = jobs.get(name, just_created=True)
    tags = jobs.get_tags(description[kind.arn])
    if tags.get(TASK) != task.digest:
        whose = f"the tag {TASK} of another task" if TASK in tags else f"no tag {TASK}"
        raise JobNameTaken(
            f"{kind.name} {name!r} is taken by a job that is not this task's (it has {whose}), and SageMaker takes a name only "
            f"once per account and region. {_advice(task)}"
        )
    ended = kind.has_ended(description)
    let_go_of = is_let_go_of(tags, max_tries)
    if not let_go_of and ended:
        return Found.ENDED_JOB, description
    if not let_go_of and take_over(jobs, description, try_number=try_number):
        return Found.OWN_JOB, description
    if not ended:
        # A kill has let go of it and may not have stopped it yet; a second stop does no harm.
        jobs.stop(name)
        return Found.KILLED_JOB, description
    return None, description


def _advice(task: TaskIdentity) -> str:
    """How a name that the user gives becomes unique."""
    others = "each run, also several of one day ({{ ds_nodash }} is the same for these)"
    if task.map_index >= 0:
        others = "each member of a mapped task ({{ ti.map_index }} tells them apart) and each run"
    return (
        "Leave it out of config (a unique one is then derived), pass action_if_job_exists='timestamp' (it then gets a suffix of the task "
        f"instance's own), or make it differ for {others}."
    )


def _is_seen(jobs: SageMakerJobs, name: str) -> bool:
    """Whether there is a job of this name that may be described: a policy that goes by tags denies it of none."""
    try:
        return exists(jobs, name)
    except ClientError as error:
        if is_denied(error):
            return False
        raise


def _not_taken_up(jobs: SageMakerJobs, name: str, error: ClientError) -> Exception:
    if not is_denied(error):
        return error
    needed = ", ".join(
        f"sagemaker:{operation}" for operation in (f"Describe{jobs.kind.resource}", "ListTags", "AddTags")
    )
    return SpotTrainingError(
        f"There is a {jobs.kind.noun} {name!r} already, and this task may not look whether it is its own: AWS denies "
        f"sagemaker:{error.operation_name} ({error}), and has for as long as a policy that goes by tags may take. Grant {needed}; a retry "
        "of the task then takes the job up if it is."
    )


def newest_job(jobs: SageMakerJobs, names: Names) -> str | None:
    """The name of the newest job of a task instance, or None if it has none."""
    newest = None
    for attempt in itertools.count(1):
        name = names(attempt)
        # That the first may not be described is an error; of the others, a policy that goes by tags denies those that are not there.
        if not (exists if newest is None else _is_seen)(jobs, name):
            break
        newest = name
    return newest


def exists(jobs: SageMakerJobs, name: str) -> bool:
    """Whether there is a job of this name."""
    try:
        jobs.get(name)
    except JobNotFound:
        return False
    return True
