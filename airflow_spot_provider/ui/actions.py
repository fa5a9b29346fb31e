"""What a user can do from a page. Only these and a refresh call AWS."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from airflow.configuration import conf
from botocore.exceptions import BotoCoreError, ClientError

from airflow_spot_provider._compat.sdk import AirflowException
from airflow_spot_provider.aws.errors import (
    code_of,
    is_expired_credentials,
    is_not_found,
    is_worth_a_retry,
)
from airflow_spot_provider.aws.kinds import TRAINING_JOBS, TUNING_JOBS
from airflow_spot_provider.aws.ownership import TASK, stop_for_next_rung, tags_of
from airflow_spot_provider.hooks._jobs import SageMakerJobs
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.published.rows import PublishedRow
from airflow_spot_provider.training import ConnectionNotFound, JobNotFound, TaskIdentity

_PROMPT: dict[str, Any] = {"connect_timeout": 5, "read_timeout": 15, "retries": {"total_max_attempts": 2}}
_TRIAL = re.compile(r"Trial (\d{1,9})(?: of \d+)? of study (.*)\.", re.DOTALL)
"""The note of a sweep's task."""
_IN_PROGRESS, _STOPPING = "InProgress", "Stopping"
_NAMES = ("airflow-spot:dag-id", "airflow-spot:run-id", "airflow-spot:task-id")

_Answer = TypeVar("_Answer")


class NotDone(Exception):
    """What a user asked for cannot be done; the message says why, and what to do."""


class HookOfAPage(SageMakerSpotHook):
    """A user who has clicked does not wait for ten minutes: each call is made once."""

    def patiently(self, call: Callable[[], _Answer], *, lagging: bool = False) -> _Answer:  # noqa: ARG002
        """Make the call."""
        return self.once(call)


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
    jobs, name, status = own_job(row)
    if status == _STOPPING:
        return Done(False, f"SageMaker is stopping {name} already: its script has 120 seconds for that.")
    if not asked(jobs, f"sagemaker:Stop{jobs.kind.resource}", lambda: jobs.stop(name)):
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
    jobs, name, status = own_job(row)
    has_ended = Done(False, f"{name} has ended already; the DAG goes on by how it did.")
    if status not in (_IN_PROGRESS, _STOPPING):
        return has_ended  # and bears no tag by which the DAG would go on otherwise
    permissions = f"sagemaker:Stop{jobs.kind.resource} and sagemaker:AddTags"
    stops = asked(jobs, permissions, lambda: stop_for_next_rung(jobs, name, next_rung))
    # For one that is stopping already the tag is enough.
    if not stops and status != _STOPPING:
        return has_ended
    return Done(True, f"SageMaker is stopping {name}; {next_rung} then goes on from its checkpoint.")


def hook_of(row: PublishedRow) -> HookOfAPage:
    """A hook with the connection and the region that the task has published."""
    return HookOfAPage(aws_conn_id=row.progress.aws_conn_id, region_name=row.progress.region, config=_PROMPT)


def jobs_of(hook: HookOfAPage, row: PublishedRow) -> SageMakerJobs:
    """The jobs of the task's kind that AWS knows by a hook."""
    return hook.jobs(TUNING_JOBS if row.progress.kind == "tuning" else TRAINING_JOBS)


def asked(jobs: SageMakerJobs, permissions: str, call: Callable[[], _Answer]) -> _Answer:
    """What AWS answers.

    :param permissions: that the call needs.
    :raises NotDone: nothing that helps; with what to do.
    """
    try:
        return call()
    except JobNotFound as error:
        raise NotDone(str(error)) from error
    except ClientError as error:
        if is_not_found(error):
            raise NotDone(f"SageMaker knows no such {jobs.kind.noun} any more.") from error
        if is_worth_a_retry(error) and not is_expired_credentials(error):
            raise NotDone(f"AWS cannot do it just now ({code_of(error)}): try again in a moment.") from error
        raise NotDone(
            f"AWS refuses it ({code_of(error)}): the API server uses the task's connection, and it takes {permissions}."
        ) from error
    except (BotoCoreError, AirflowException, ConnectionNotFound, ValueError) as error:
        raise NotDone(
            f"AWS cannot be asked from the API server ({type(error).__name__}): it uses the task's AWS connection, which has to "
            "exist there as well, and has to reach AWS."
        ) from error


def own_job(row: PublishedRow) -> tuple[SageMakerJobs, str, str]:
    """The job and its status, once it is certain that it is this task's: what the XCom says may be anybody's word.

    :raises NotDone: it is not, or there is none.
    """
    progress = row.progress
    name = progress.job_name
    if not row.is_waited_for or name is None:
        raise NotDone("This task waits for no job any more: there is nothing to stop.")
    if progress.observed:
        raise NotDone("Something else has started this job: it is stopped there.")
    jobs = jobs_of(hook_of(row), row)
    description = asked(jobs, f"sagemaker:Describe{jobs.kind.resource}", lambda: jobs.describe(name))
    if not is_own(row, jobs, description):
        raise NotDone(f"{name} does not bear this task's tags: it is not this task's, and is left alone.")
    return jobs, name, str(description[jobs.kind.status])


def is_own(row: PublishedRow, jobs: SageMakerJobs, description: Mapping[str, Any]) -> bool:
    """Whether a job bears the tags of this task.

    :raises NotDone: its tags cannot be read.
    """
    arn = str(description[jobs.kind.arn])
    tags = asked(jobs, "sagemaker:ListTags", lambda: jobs.get_tags(arn))
    deployment = conf.get("airflow_spot", "deployment", fallback="")
    identity = _identity(row, deployment)
    if tags.get(TASK) == identity.digest:
        return True
    trial = _TRIAL.fullmatch(row.progress.note or "")
    if trial is None:
        return False
    # A trial's job is its study's, whichever slot waits for it; it bears the names of the task that began it.
    of_trial = _identity(row, deployment, trial=(trial[2], int(trial[1]) - 1))
    names = tags_of(identity, 0)
    return tags.get(TASK) == of_trial.digest and all(tags.get(name) == names[name] for name in _NAMES)


def _identity(row: PublishedRow, deployment: str, *, trial: tuple[str, int] | None = None) -> TaskIdentity:
    return TaskIdentity(
        dag_id=row.dag_id,
        run_id=row.run_id,
        task_id=row.task_id,
        map_index=row.map_index,
        deployment=deployment,
        trial=trial,
    )
