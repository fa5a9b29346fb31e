"""Training jobs and tuning jobs: how SageMaker's API names their parts, and what tells how far they have come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore import xform_name

from airflow_spot_provider.aws.errors import NOT_FOUND_GRACE_SECONDS, code_of
from airflow_spot_provider.aws.standing import Progress, Seen, Stage, Standing, compare
from airflow_spot_provider.training import (
    JobNotFound,
    TrainingJobNotFound,
    TuningJobNotFound,
    WatchFailed,
    outcome_of,
)
from airflow_spot_provider.training.lifecycle import instant
from airflow_spot_provider.training.narration import sentence_of_tuning, sentences_of

Description = Mapping[str, Any]
"""A Describe answer, or a summary from a List answer."""
State = tuple[Any, ...]
"""What tells that a job has changed."""

_TUNING_ENDS = frozenset({"Completed", "Failed", "Stopped", "DeleteFailed"})
_ENDS = frozenset({"Completed", "Failed", "Stopped"})
_FINAL_COUNTERS = ("Completed", "NonRetryableError", "Stopped")


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of job, by the names of SageMaker's API.

    :param noun: what people call it.
    :param resource: the part of the API's names that says what is meant: ``TrainingJob`` in ``DescribeTrainingJob``.
    :param has_ended: tells from a description or a summary whether the job has ended, and how that was is told.
    :param progress: what changes besides the status while the job runs; None where an answer leaves it out.
    :param precedes: whether the first progress is certain to be from before the second; neither is left out.
    :param sentences: what there is to say of a description, one line each, when so many lines of it have been said.
    :param not_found_error: what is raised where there is no such job.
    """

    noun: str
    resource: str
    has_ended: Callable[[Description], bool]
    progress: Callable[[Description], Progress | None]
    precedes: Callable[[Progress, Progress], bool]
    sentences: Callable[[Description, int], Sequence[str]]
    not_found_error: type[JobNotFound]

    @property
    def name(self) -> str:
        """The member that holds the job's name."""
        return f"{self.resource}Name"

    @property
    def arn(self) -> str:
        """The member that holds the job's ARN."""
        return f"{self.resource}Arn"

    @property
    def status(self) -> str:
        """The member that holds the job's status."""
        return f"{self.resource}Status"

    @property
    def summaries(self) -> str:
        """The member of a List answer that holds the summaries."""
        return f"{self.resource}Summaries"

    @property
    def create(self) -> str:
        """The client's method that creates one."""
        return f"create_{self._snake}"

    @property
    def describe(self) -> str:
        """The client's method that describes one."""
        return f"describe_{self._snake}"

    @property
    def stop(self) -> str:
        """The client's method that stops one."""
        return f"stop_{self._snake}"

    @property
    def list(self) -> str:
        """The client's method that lists them."""
        return f"list_{self._snake}s"

    @property
    def _snake(self) -> str:
        return xform_name(self.resource)

    def state_of(self, description: Description) -> State:
        """What tells that a job has changed: its status, what it has done, and when it was modified (whole seconds)."""
        return (description.get(self.status), self.progress(description), modified_of(description))

    def seen(self, answer: Description) -> Seen:
        """As much of an answer as tells it from another of the same job.

        :param answer: a Describe answer, a summary, or the ``detail`` of an event.
        """
        status, modified = _text(answer.get(self.status)), instant(answer.get("LastModifiedTime"))
        stage = Stage.OVER if status in _ENDS else Stage.RUNNING
        if self.has_ended(answer):
            stage = Stage.ENDED
        return Seen(status, self.progress(answer), None if modified is None else modified.timestamp(), stage)

    def is_over(self, answer: Description) -> bool:
        """Whether the job runs no more, though the answer may not tell how it ended: ``has_ended`` says whether it does."""
        return self.seen(answer).stage is not Stage.RUNNING

    def compare(self, known: Seen | None, answer: Seen) -> Standing:
        """Tell what an answer is to somebody who knows of the job already: :func:`.standing.compare` has the rule."""
        return compare(known, answer, precedes=self.precedes)

    def is_at_its_beginning(self, description: Description) -> bool:
        """Whether a summary tells all that there is: the job has gone through nothing yet."""
        return (
            description.get(self.status) == "InProgress" and description.get("SecondaryStatus") == "Starting"
        )

    def not_found(self, job_name: str) -> JobNotFound:
        """The error for a job that SageMaker does not know after all the time that its answers may lag."""
        return self.not_found_error(
            f"SageMaker knows no {self.noun} {job_name!r} in this account and region, and has not for "
            f"{NOT_FOUND_GRACE_SECONDS:.0f} s. It was deleted, or aws_conn_id or region_name is another one than "
            "the job was created with."
        )

    def another(self, job_name: str) -> JobNotFound:
        """The error for a job that was deleted, and whose name another job has now."""
        return self.not_found_error(
            f"The {self.noun} {job_name!r} that was waited for has been deleted, and another one bears its name now."
        )

    def not_watched(self, job_name: str, error: BaseException) -> WatchFailed:
        """The error for a job that cannot be described, for a reason that waiting does not mend."""
        return WatchFailed(
            f"{self.noun[0].upper()}{self.noun[1:]} {job_name} cannot be watched ({code_of(error)}: {error}) and may still "
            f"be running. If a permission is missing, grant sagemaker:Describe{self.resource}; a retry of the task then "
            "takes up the same job."
        )


def instance_types_of(description: Description) -> set[str]:
    """What a training job ran on; empty where that is not said, as in summaries and of tuning jobs."""
    resources = description.get("ResourceConfig") or {}
    parts = (resources, *(resources.get("InstanceGroups") or ()))
    return {part["InstanceType"] for part in parts if part.get("InstanceType")}


def modified_of(description: Description) -> int | None:
    """LastModifiedTime in epoch seconds, by SageMaker's clock. Whole ones: answers need not agree on their fractions."""
    time: datetime | None = instant(description.get("LastModifiedTime"))
    return None if time is None else int(time.timestamp())


def _secondary_status(answer: Description) -> Progress | None:
    secondary_status = _text(answer.get("SecondaryStatus"))
    return None if secondary_status is None else (secondary_status,)


def _counters(answer: Description) -> Progress | None:
    counters = answer.get("TrainingJobStatusCounters")
    if not isinstance(counters, Mapping):
        return None
    return tuple(sorted((name, number) for name, number in counters.items() if isinstance(number, int)))


def _text(value: object) -> str | None:
    """None for what is no text, or empty: it says nothing."""
    return value if isinstance(value, str) and value else None


def _counted_before(first: Progress, second: Progress) -> bool:
    """A training job that has ended does not go back: of the numbers of those, none is greater in the first, and some are less."""
    before: dict[str, int] = dict(first)
    after: dict[str, int] = dict(second)
    grown = [after.get(name, 0) - before.get(name, 0) for name in _FINAL_COUNTERS]
    return min(grown) >= 0 and max(grown) > 0


TRAINING_JOBS = Kind(
    noun="training job",
    resource="TrainingJob",
    has_ended=lambda description: outcome_of(description) is not None,
    progress=_secondary_status,
    precedes=lambda _first, _second: False,  # after an interruption it goes through all of them again
    sentences=lambda description, told: sentences_of(description, told=told),
    not_found_error=TrainingJobNotFound,
)
TUNING_JOBS = Kind(
    noun="tuning job",
    resource="HyperParameterTuningJob",
    has_ended=lambda answer: _text(answer.get("HyperParameterTuningJobStatus")) in _TUNING_ENDS,
    progress=_counters,
    precedes=_counted_before,
    sentences=lambda description, _told: [sentence_of_tuning(description)],
    not_found_error=TuningJobNotFound,
)
