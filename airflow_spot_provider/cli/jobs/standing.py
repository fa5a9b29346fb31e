"""What is to be thought of a job: whether a task waits for it, or nobody does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from airflow_spot_provider.aws.ownership import RELEASED
from airflow_spot_provider.cli.jobs.waiting import TaskOfJob
from airflow_spot_provider.hooks._tagged import TaggedJob
from airflow_spot_provider.published.selection import UNFINISHED

_UNFINISHED_RUNS = ("queued", "running")


class Standing(StrEnum):
    """What is to be thought of a job."""

    WAITED_FOR = "waited-for"
    """Its task waits for it, or will take it up."""
    ORPHAN = "orphan"
    """It runs, and nobody waits for it."""
    ENDING = "ending"
    """It is being stopped."""
    ENDED = "ended"
    UNKNOWN_HERE = "unknown-here"
    """It is of no task instance of this Airflow: another deployment's, or one whose DAG run was deleted."""
    NOT_KNOWN = "not-known"
    """Airflow's metadata database cannot be read."""


@dataclass(frozen=True, slots=True)
class JudgedJob:
    """A job with what is to be thought of it.

    :param job: at SageMaker.
    :param task: the task instance it is of; None if that is not known.
    :param standing: what is to be thought of it.
    :param why: one sentence, of an orphan and of whoever may be one.
    """

    job: TaggedJob
    task: TaskOfJob | None
    standing: Standing
    why: str | None = None


def judged(job: TaggedJob, task: TaskOfJob | None, *, airflow_is_known: bool) -> JudgedJob:
    """Say what is to be thought of a job. A job is an orphan only if its own task instance is here and will not wait for it.

    :param task: the task instance it is of.
    :param airflow_is_known: whether the metadata database could be read.
    """
    standing, why = _standing(job, task, airflow_is_known=airflow_is_known)
    return JudgedJob(job, task, standing, why)


def _standing(
    job: TaggedJob, task: TaskOfJob | None, *, airflow_is_known: bool
) -> tuple[Standing, str | None]:
    if job.kind.is_over(job.description):
        return Standing.ENDED, None
    if job.status != "InProgress":
        return Standing.ENDING, None
    if not airflow_is_known:
        return Standing.NOT_KNOWN, None
    if task is None:
        return Standing.UNKNOWN_HERE, "No task instance of this Airflow has this job's digest."
    if job.tags.get(RELEASED) == "killed":
        return Standing.ORPHAN, "Its task was killed, and the job still runs."
    if task.state in UNFINISHED:
        return Standing.WAITED_FOR, None
    if task.state is None and task.run_state in _UNFINISHED_RUNS:
        # Cleared, or not scheduled yet: its next try takes the job up.
        return Standing.WAITED_FOR, None
    state = "without a state, in a DAG run that has ended" if task.state is None else task.state
    return Standing.ORPHAN, f"Its task is {state}: nobody waits for the job."
