"""Submit the job of a task instance so that it never has two: create it, or find the one that is there."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from airflow_spot_provider.aws.ownership import RELEASED, TASK, tags_of, take_over
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.training import (
    Attempt,
    JobNameTaken,
    TaskIdentity,
    TrainingJobNotFound,
    job_name,
    outcome_of,
)


class Found(Enum):
    """What a submit met."""

    NOTHING = "created"
    OWN_JOB = "adopted"
    ENDED_JOB = "ended unseen"
    KILLED_JOB = "still ending"


@dataclass(frozen=True, slots=True)
class Submitted:
    """The job to wait for.

    :param job_name: TrainingJobName.
    :param found: what was there before. A KILLED_JOB has to end before the task may have another.
    :param earlier: the attempts before this one, all ended.
    """

    job_name: str
    found: Found
    earlier: tuple[Attempt, ...] = ()


def submit(
    hook: SageMakerSpotHook,
    request: Mapping[str, Any],
    task: TaskIdentity,
    *,
    try_number: int,
    about_to_create: Callable[[str], None],
) -> Submitted:
    """Create this task instance's job, or adopt the one that an earlier try created and nobody has seen the end of.

    :param request: a checked CreateTrainingJob request; its TrainingJobName, if any, is the user's choice.
    :param task: whose job it is.
    :param try_number: the try that submits.
    :param about_to_create: is told each name before it is asked for, so that a kill finds the job whenever it comes.
    :raises JobNameTaken: the user's name belongs to another job.
    :raises SpotTrainingError: SageMaker does not take the request.
    """
    own_tags = [{"Key": key, "Value": value} for key, value in tags_of(task, try_number).items()]
    request = {**request, "Tags": [*request.get("Tags", ()), *own_tags]}
    base = request.pop("TrainingJobName", None)
    earlier: list[Attempt] = []
    for attempt in itertools.count(1):
        name = job_name(task, attempt, base=base)
        about_to_create(name)
        if hook.create_training_job({**request, "TrainingJobName": name}):
            return Submitted(name, Found.NOTHING, tuple(earlier))
        description = hook.get_training_job(name, just_created=True)
        tags = hook.get_tags(description["TrainingJobArn"])
        if tags.get(TASK) != task.digest:
            raise JobNameTaken(
                f"TrainingJobName {name!r} is taken by a job that is not this task's, and SageMaker takes a name only "
                "once per account and region. Leave it out of config (a unique one is then derived), or make it unique "
                "to the DAG run, as with 'name-{{ ts_nodash }}'."
            )
        outcome = outcome_of(description)
        if RELEASED not in tags and outcome is not None:
            return Submitted(name, Found.ENDED_JOB, tuple(earlier))
        if RELEASED not in tags and take_over(hook, description, try_number=try_number):
            return Submitted(name, Found.OWN_JOB, tuple(earlier))
        if outcome is None:
            # A kill has let go of it and may not have stopped it yet; a second stop does no harm.
            hook.stop_training_job(name)
            return Submitted(name, Found.KILLED_JOB, tuple(earlier))
        spot = bool(description.get("EnableManagedSpotTraining"))
        earlier.append(Attempt(job_name=name, outcome=outcome, managed_spot=spot))
    raise AssertionError("attempts are counted without end")


def newest_job(hook: SageMakerSpotHook, task: TaskIdentity, *, base: str | None) -> str | None:
    """The name of the newest job of a task instance, or None if it has none."""
    newest = None
    for attempt in itertools.count(1):
        name = job_name(task, attempt, base=base)
        try:
            hook.get_training_job(name)
        except TrainingJobNotFound:
            break
        newest = name
    return newest
