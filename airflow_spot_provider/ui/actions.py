"""What a user can do from a page. Only these and a refresh call AWS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow.configuration import conf
from botocore.exceptions import BotoCoreError, ClientError

from airflow_spot_provider.aws.kinds import TRAINING_JOBS, TUNING_JOBS
from airflow_spot_provider.aws.ownership import TASK, TRY, stop_for_next_rung, tags_of
from airflow_spot_provider.hooks._jobs import SageMakerJobs
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.published.rows import PublishedRow
from airflow_spot_provider.training import JobNotFound, TaskIdentity

_PROMPT: dict[str, Any] = {"connect_timeout": 5, "read_timeout": 15, "retries": {"total_max_attempts": 2}}


class NotDone(Exception):
    """What a user asked for cannot be done; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of it.

    :param done: whether something changed.
    :param message: one sentence.
    """

    done: bool
    message: str


def stop(row: PublishedRow) -> Done:
    """Stop a task's job. Its script has 120 seconds to save what it has, and the checkpoints stay.

    :raises NotDone: it cannot be stopped.
    """
    jobs, name = _own_job(row)
    try:
        stopping = jobs.stop(name)
    except (ClientError, BotoCoreError) as error:
        raise NotDone(_refused(error, "sagemaker:StopTrainingJob")) from error
    if not stopping:
        return Done(False, f"{name} has ended already: there is nothing to stop.")
    return Done(
        True, f"SageMaker is stopping {name}; its checkpoints stay, and its task then ends as Stopped."
    )


def go_to_next_rung(row: PublishedRow) -> Done:
    """Stop a task's job so that the next way to train goes on from its checkpoint.

    :raises NotDone: it cannot be done.
    """
    next_rung = row.progress.next_rung
    if next_rung is None:
        raise NotDone("No other training goes on after this one: it is not in a group with a fallback.")
    jobs, name = _own_job(row)
    try:
        stopping = stop_for_next_rung(jobs, name, next_rung)
    except (ClientError, BotoCoreError) as error:
        raise NotDone(_refused(error, "sagemaker:StopTrainingJob and sagemaker:AddTags")) from error
    if not stopping:
        return Done(False, f"{name} has ended already; the DAG goes on by how it did.")
    return Done(True, f"SageMaker is stopping {name}; {next_rung} then goes on from its checkpoint.")


def hook_of(row: PublishedRow) -> SageMakerSpotHook:
    """A hook with the connection and region that the task has published."""
    return SageMakerSpotHook(
        aws_conn_id=row.progress.aws_conn_id, region_name=row.progress.region, config=_PROMPT
    )


def _own_job(row: PublishedRow) -> tuple[SageMakerJobs, str]:
    """The job, once it is certain that it is this task's: what the XCom says may be anybody's word."""
    progress = row.progress
    if not row.is_waited_for or progress.job_name is None:
        raise NotDone("This task waits for no job any more.")
    if progress.observed:
        raise NotDone("Something else has started this job; it is stopped there.")
    jobs = hook_of(row).jobs(TUNING_JOBS if progress.kind == "tuning" else TRAINING_JOBS)
    try:
        # Not through jobs.get: a user who clicks does not wait for ten minutes.
        description = jobs.describe(progress.job_name)
        tags = jobs.get_tags(description[jobs.kind.arn])
    except JobNotFound as error:
        raise NotDone(str(error)) from error
    except (ClientError, BotoCoreError) as error:
        raise NotDone(
            _refused(error, f"sagemaker:Describe{jobs.kind.resource} and sagemaker:ListTags")
        ) from error
    identity = TaskIdentity(
        row.dag_id,
        row.run_id,
        row.task_id,
        row.map_index,
        deployment=conf.get("airflow_spot", "deployment", fallback=""),
    )
    # A trial's job is the study's; it bears the names of the task that began it.
    names = {key: tag for key, tag in tags_of(identity, 0).items() if key not in (TASK, TRY)}
    if tags.get(TASK) != identity.digest and names.items() - tags.items():
        raise NotDone(
            f"{progress.job_name} does not bear this task's tags: it is not this task's, and is left alone."
        )
    return jobs, progress.job_name


def _refused(error: Exception, permission: str) -> str:
    return (
        f"AWS does not do it ({error}). The API server uses the task's own connection; it needs {permission}, and a connection "
        "that exists there."
    )
