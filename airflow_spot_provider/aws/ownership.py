"""Which job is whose: the tags by which tries of a task find, take over, and let go of their jobs.

A try that wants a job and a kill that wants to stop it may run at the same moment. Each therefore writes its own tag first
and reads the other's after: whichever comes second sees the first, and they never both act.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from airflow_spot_provider.aws.kinds import Kind
from airflow_spot_provider.training import JobNotFound, TaskIdentity
from airflow_spot_provider.training.rules import MAX_TAGS

log = logging.getLogger(__name__)


class Jobs(Protocol):
    """What is asked of SageMaker here, about jobs of one kind; a hook's ``jobs(kind)`` does it."""

    @property
    def kind(self) -> Kind:
        """Training jobs, or tuning jobs."""
        ...

    def get(self, job_name: str) -> dict[str, Any]:
        """The description; JobNotFound if there is no such job."""
        ...

    def stop(self, job_name: str) -> bool:
        """Stop it; False if it has ended."""
        ...

    def get_tags(self, job_arn: str) -> dict[str, str]:
        """All tags of a job."""
        ...

    def add_tags(self, job_arn: str, tags: Mapping[str, str]) -> None:
        """Put tags on a job."""
        ...


class AsyncJobs(Protocol):
    """The same, asked by what may not block."""

    @property
    def kind(self) -> Kind:
        """Training jobs, or tuning jobs."""
        ...

    async def get(self, job_name: str) -> Mapping[str, Any]:
        """The description; JobNotFound if there is no such job."""
        ...

    async def stop(self, job_name: str) -> bool:
        """Stop it; False if it has ended."""
        ...

    async def get_tags(self, job_arn: str) -> dict[str, str]:
        """All tags of a job."""
        ...

    async def add_tags(self, job_arn: str, tags: Mapping[str, str]) -> None:
        """Put tags on a job."""
        ...


TASK = "airflow-spot:task"
"""Digest of the task instance that a job belongs to."""
TRY = "airflow-spot:try"
"""The try of the task that waits for the job."""
RELEASED = "airflow-spot:released"
"""Why no try waits for it any more: its result was ``published`` and is not to the task's liking, ``done`` (published, and the task was
about to succeed with it), or ``killed`` (by a user)."""
NEXT_RUNG = "airflow-spot:next-rung"
"""The task that a user wants to go on with: the job is stopped for it, and its checkpoint is where that task begins."""
RESUMED_FROM = "airflow-spot:resumed-from"
"""The job whose checkpoints it went on from, or their prefix where the job is not known."""
_LATER = (RELEASED, NEXT_RUNG)
"""What is put on a job when it has been created."""

_NOT_IN_A_TAG = re.compile(r"[^\w\s.:/=+\-@]")


def tags_of(task: TaskIdentity, try_number: int) -> dict[str, str]:
    """The tags that a new job gets: whose it is, for the provider (digest, try) and for people (dag, run, task)."""
    tags = {
        TASK: task.digest,
        TRY: str(try_number),
        "airflow-spot:dag-id": task.dag_id,
        "airflow-spot:run-id": task.run_id,
        "airflow-spot:task-id": task.task_id,
    }
    if task.map_index >= 0:
        tags["airflow-spot:map-index"] = str(task.map_index)
    return {key: _NOT_IN_A_TAG.sub("_", value)[:256] for key, value in tags.items()}


def own_tags(task: TaskIdentity, try_number: int, *, beside: int) -> dict[str, str]:
    """The tags that a new job gets beside its user's: those for people only where all of them fit, as SageMaker takes 50 in all.

    :param beside: how many tags the user gives it; at most 47.
    """
    tags = tags_of(task, try_number)
    if beside + len(tags) + len(_LATER) <= MAX_TAGS:
        return tags
    return {key: tags[key] for key in (TASK, TRY)}


def with_tag(request: Mapping[str, Any], key: str, value: str) -> dict[str, Any]:
    """A request with one tag more, if there is room for it.

    :param request: of the Create operation, with the tags of :func:`own_tags`.
    """
    tags = [*(request.get("Tags") or ())]
    if len(tags) + len(_LATER) < MAX_TAGS:
        tags.append({"Key": key, "Value": _NOT_IN_A_TAG.sub("_", value)[:256]})
    return {**request, "Tags": tags}


def take_over(jobs: Jobs, description: Mapping[str, Any], *, try_number: int) -> bool:
    """Make this try the one that waits for an existing job.

    :param description: of the job.
    :param try_number: this try.
    :return: False if a kill has let go of the job in the same moment: it must not be waited for.
    """
    arn = description[jobs.kind.arn]
    jobs.add_tags(arn, {TRY: str(try_number)})
    return RELEASED not in jobs.get_tags(arn)


def release(jobs: Jobs, job_arn: str, *, done_at: int | None) -> None:
    """Say that no try waits for this job any more: its result is published.

    :param done_at: the task instance's ``max_tries``, if the task succeeds with this job.
    """
    jobs.add_tags(job_arn, {RELEASED: "published" if done_at is None else _done(done_at)})


def is_let_go_of(tags: Mapping[str, str], max_tries: int) -> bool:
    """Whether a task instance has done with a job, so that another try of it needs another job.

    Between this tag and Airflow's hearing of the success, a worker may die, and the task is tried again, with all its XComs gone: the job
    that it was done with is then still its own. Airflow's retries leave ``max_tries`` as it is, and a clear raises it
    (``airflow.models.taskinstance.clear_task_instances``), which tells the one from the other.

    :param tags: of the job.
    :param max_tries: of the task instance, as it is now.
    """
    return RELEASED in tags and tags[RELEASED] != _done(max_tries)


def _done(max_tries: int) -> str:
    return f"done max_tries={max_tries}"


def stop_for_next_rung(jobs: Jobs, job_name: str, next_rung: str) -> bool:
    """Stop a job because a user wants to go on with the next way to train: its task then ends well, as Stopped.

    :param next_rung: id of the task that goes on.
    :return: whether SageMaker is stopping it now; False if it has ended already.
    """
    jobs.add_tags(jobs.get(job_name)[jobs.kind.arn], {NEXT_RUNG: next_rung[:256]})
    return jobs.stop(job_name)


def is_stopped_for_next_rung(jobs: Jobs, job_arn: str) -> bool:
    """Whether a user had the job stopped to go on with the next way to train."""
    return NEXT_RUNG in jobs.get_tags(job_arn)


def stop_unless_taken_over(
    jobs: Jobs,
    job_name: str,
    *,
    try_number: int | None,
    task: TaskIdentity | None = None,
) -> bool:
    """Stop a job whose task was killed, from a thread that may block; :func:`stop_killed` has the rule."""
    stopping = stop_killed(_Blocking(jobs), job_name, try_number=try_number, task=task)
    try:
        stopping.send(None)
    except StopIteration as end:
        return bool(end.value)
    raise AssertionError("what blocks has nothing to wait for")


async def stop_killed(
    jobs: AsyncJobs,
    job_name: str,
    *,
    try_number: int | None,
    task: TaskIdentity | None = None,
) -> bool:
    """Stop a job whose task was killed.

    :param try_number: the try that waited for it; None to stop it whoever waits.
    :param task: whose job it has to be, where that is not certain yet.
    :return: whether SageMaker is stopping it now. False if it has ended or gone, is somebody else's, or a later try
        has taken it over.
    """
    try:
        description = await jobs.get(job_name)
    except JobNotFound:
        return False
    if jobs.kind.has_ended(description):
        return False
    arn = description[jobs.kind.arn]
    tags = await jobs.get_tags(arn)
    if (task is not None and tags.get(TASK) != task.digest) or _taken_over(tags, try_number):
        return False
    try:
        await jobs.add_tags(arn, {RELEASED: "killed"})
    except (BotoCoreError, ClientError) as error:
        # What bills is the job, not the tag: it is stopped all the same.
        log.warning("%s could not be tagged as killed: %s", job_name, error)
    if _taken_over(await jobs.get_tags(arn), try_number):
        # It came in between, and will read the tag just written: it stops the job itself and starts a new one.
        return False
    return await jobs.stop(job_name)


class _Blocking:
    """Jobs that are asked about in this thread, for a coroutine that is never suspended."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self.kind = jobs.kind

    async def get(self, job_name: str) -> dict[str, Any]:
        return self._jobs.get(job_name)

    async def get_tags(self, job_arn: str) -> dict[str, str]:
        return self._jobs.get_tags(job_arn)

    async def add_tags(self, job_arn: str, tags: Mapping[str, str]) -> None:
        self._jobs.add_tags(job_arn, tags)

    async def stop(self, job_name: str) -> bool:
        return self._jobs.stop(job_name)


def _taken_over(tags: Mapping[str, str], try_number: int | None) -> bool:
    """Whether a later try than this one waits for the job."""
    waiting = tags.get(TRY, "")
    return try_number is not None and waiting.isdecimal() and int(waiting) > try_number
