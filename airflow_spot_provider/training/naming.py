"""Names of training jobs and tuning jobs that are idempotency keys."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass

from airflow_spot_provider.training.exceptions import InvalidSpotRequest

MAX_JOB_NAME_LENGTH = 63
"""SageMaker's limit on TrainingJobName."""
MAX_TUNING_JOB_NAME_LENGTH = 32
"""SageMaker's limit on HyperParameterTuningJobName."""

_DIGEST_LENGTH = 12
_SHORTEST_READABLE = 3
"""A letter of the dag, a hyphen, a letter of the task."""
_JOB_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")


@dataclass(frozen=True, slots=True)
class TaskIdentity:
    """Which task instance a job belongs to, whatever the try.

    :param dag_id: Airflow's dag id.
    :param run_id: Airflow's run id.
    :param task_id: Airflow's task id, with its task groups.
    :param map_index: index of a mapped task, -1 if it is not mapped.
    :param deployment: which Airflow this is. Two deployments that share DAGs, an AWS account and a region
        (staging and production) need different ones, or they would take each other's jobs for their own.
    :param trial: study and number of the trial that the job is for, if it is one of a sweep: the job is then the trial's,
        whichever task instance comes to wait for it.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    deployment: str = ""
    trial: tuple[str, int] | None = None

    @property
    def digest(self) -> str:
        """Twelve lower-case characters (60 bits) that stand for this identity."""
        fields: list[object] = [self.deployment, self.dag_id, self.run_id, self.task_id, self.map_index]
        if self.trial is not None:
            fields = [self.deployment, "trial", *self.trial]
        digest = hashlib.sha256(json.dumps(fields).encode()).digest()
        return base64.b32encode(digest).decode().lower()[:_DIGEST_LENGTH]


def job_name(task: TaskIdentity, attempt: int, *, base: str | None = None, unique: bool = False) -> str:
    """Name the training job of one attempt of one task instance.

    The same arguments always give the same name, and SageMaker takes a name only once per account and region:
    a repeated submit therefore meets its own job instead of starting a second one.

    :param task: the task instance.
    :param attempt: 1 for the first job of this task instance, 2 for the next.
    :param base: the name that the user chose, if any. It is used as it is for the first attempt; later ones add
        their number to it, and shorten it where there is no room.
    :param unique: whether the task instance's digest is added to ``base`` as well.
    :return: at most 63 of the characters that SageMaker allows, readable first: dag, task, map index, digest, attempt.
    :raises InvalidSpotRequest: ``base`` is not a valid training job name.
    """
    if base is not None:
        return _of_base(checked_job_name(base), task, attempt, MAX_JOB_NAME_LENGTH, unique=unique)
    tail = f"-{task.digest}-{attempt}"
    member = task.map_index if task.trial is None else task.trial[1]
    if member >= 0:
        tail = f"-{member}{tail}"
    room = MAX_JOB_NAME_LENGTH - len(tail)
    return _readable(task.dag_id, task.task_id.rpartition(".")[2], room) + tail


def tuning_job_name(
    task: TaskIdentity, attempt: int, *, base: str | None = None, unique: bool = False
) -> str:
    """Name the tuning job of one attempt of one task instance: as :func:`job_name`, in fewer characters.

    :param task: the task instance.
    :param attempt: 1 for the first job of this task instance, 2 for the next.
    :param base: the name that the user chose, if any. It is used as it is for the first attempt; later ones add
        their number to it, and shorten it where there is no room.
    :param unique: whether the task instance's digest is added to ``base`` as well.
    :return: at most 32 of the characters that SageMaker allows, readable first: dag, task, map index where there is room for it
        (the digest tells it apart in any case), digest, attempt.
    :raises InvalidSpotRequest: ``base`` is not a valid tuning job name.
    """
    if base is not None:
        base = checked_tuning_job_name(base)
        return _of_base(base, task, attempt, MAX_TUNING_JOB_NAME_LENGTH, unique=unique)
    tail = f"-{task.digest}-{attempt}"
    index = f"-{task.map_index}" if task.map_index >= 0 else ""
    if MAX_TUNING_JOB_NAME_LENGTH - len(index) - len(tail) >= _SHORTEST_READABLE:
        tail = index + tail
    room = MAX_TUNING_JOB_NAME_LENGTH - len(tail)
    return _readable(task.dag_id, task.task_id.rpartition(".")[2], room) + tail


def checked_job_name(name: object) -> str:
    """Return a training job name that SageMaker takes.

    :raises InvalidSpotRequest: it is no string, is longer than 63 characters, or holds others than letters, digits
        and hyphens between them (CreateTrainingJob, TrainingJobName).
    """
    return _checked(name, "TrainingJobName", MAX_JOB_NAME_LENGTH)


def checked_tuning_job_name(name: object) -> str:
    """Return a tuning job name that SageMaker takes.

    :raises InvalidSpotRequest: it is no string, is longer than 32 characters, or holds others than letters, digits
        and hyphens between them (CreateHyperParameterTuningJob, HyperParameterTuningJobName).
    """
    return _checked(name, "HyperParameterTuningJobName", MAX_TUNING_JOB_NAME_LENGTH)


def _checked(name: object, member: str, longest: int) -> str:
    if not isinstance(name, str):
        raise InvalidSpotRequest([f"{member} is of type {type(name).__name__}; it takes a string."])
    if len(name) > longest or not _JOB_NAME.fullmatch(name):
        advice = "Shorten it" if len(name) > longest else "Write hyphens for what else is in it"
        problem = (
            f"{member} is {name!r} ({len(name)} characters); SageMaker takes 1 to {longest} letters, "
            f"digits and hyphens, beginning and ending with a letter or digit. {advice}, or leave it out: a readable, "
            "unique one is then derived from the task instance."
        )
        raise InvalidSpotRequest([problem])
    return name


def _of_base(base: str, task: TaskIdentity, attempt: int, longest: int, *, unique: bool) -> str:
    """The user's name; what tells jobs apart is never cut. The trials of a sweep share a name, so each has its own digest."""
    tail = f"-{task.digest}" if unique or task.trial is not None else ""
    tail += f"-{attempt}" if attempt > 1 else ""
    return base[: longest - len(tail)].rstrip("-") + tail


def _readable(dag_id: str, task_id: str, room: int) -> str:
    """Share ``room`` characters between the two, each getting what the other leaves."""
    dag, task = _slug(dag_id), _slug(task_id)
    room -= 1
    dag_room = max(room - len(task), room // 2)
    dag = dag[:dag_room].rstrip("-")
    return f"{dag}-{task[: room - len(dag)].rstrip('-')}"


def _slug(text: str) -> str:
    """Only letters, digits and single hyphens inside; never empty."""
    return re.sub(r"[^a-zA-Z0-9]+", "-", text).strip("-") or "x"
