"""What is watched: training jobs and tuning jobs, and how SageMaker's API names their parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_spot_provider.aws.errors import NOT_FOUND_GRACE_SECONDS, code_of
from airflow_spot_provider.training import TrainingJobNotFound, WatchFailed, outcome_of
from airflow_spot_provider.training.lifecycle import instant

Description = Mapping[str, Any]
"""A Describe answer, or a summary from a List answer."""
State = tuple[Any, ...]
"""What tells that a job has changed."""

_TUNING_ENDS = frozenset({"Completed", "Failed", "Stopped", "DeleteFailed"})


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of job, by the names of SageMaker's API.

    :param noun: what people call it.
    :param resource: the part of the API's names that says what is meant: ``TrainingJob`` in ``DescribeTrainingJob``.
    :param has_ended: tells from a description or a summary whether the job has ended.
    :param progress: what changes besides the status while the job runs.
    """

    noun: str
    resource: str
    describe: str
    list: str
    has_ended: Callable[[Description], bool]
    progress: Callable[[Description], State]

    @property
    def name(self) -> str:
        """The member that holds the job's name."""
        return f"{self.resource}Name"

    @property
    def status(self) -> str:
        """The member that holds the job's status."""
        return f"{self.resource}Status"

    @property
    def summaries(self) -> str:
        """The member of a List answer that holds the summaries."""
        return f"{self.resource}Summaries"

    def state_of(self, description: Description) -> State:
        """What tells that a job has changed: its status, what it has done, and when it was modified (whole seconds)."""
        return (description.get(self.status), *self.progress(description), modified_of(description))

    def is_at_its_beginning(self, description: Description) -> bool:
        """Whether a summary tells all that there is: the job has gone through nothing yet."""
        return (
            description.get(self.status) == "InProgress" and description.get("SecondaryStatus") == "Starting"
        )

    def not_found(self, job_name: str) -> TrainingJobNotFound:
        """The error for a job that SageMaker does not know after all the time that its answers may lag."""
        return TrainingJobNotFound(
            f"SageMaker knows no {self.noun} {job_name!r} in this account and region, and has not for "
            f"{NOT_FOUND_GRACE_SECONDS:.0f} s. It was deleted, or aws_conn_id or region_name is another one than "
            "the job was created with."
        )

    def another(self, job_name: str) -> TrainingJobNotFound:
        """The error for a job that was deleted, and whose name another job has now."""
        return TrainingJobNotFound(
            f"The {self.noun} {job_name!r} that was waited for has been deleted, and another one bears its name now."
        )

    def not_watched(self, job_name: str, error: BaseException) -> WatchFailed:
        """The error for a job that cannot be described, for a reason that waiting does not mend."""
        return WatchFailed(
            f"{self.noun[0].upper()}{self.noun[1:]} {job_name} cannot be watched ({code_of(error)}: {error}) and may still "
            f"be running. If a permission is missing, grant sagemaker:Describe{self.resource}; a retry of the task then "
            "takes up the same job."
        )


def modified_of(description: Description) -> int | None:
    """LastModifiedTime in epoch seconds, by SageMaker's clock. Whole ones: answers need not agree on their fractions."""
    time: datetime | None = instant(description.get("LastModifiedTime"))
    return None if time is None else int(time.timestamp())


def _counters(description: Description) -> State:
    counters = description.get("TrainingJobStatusCounters") or {}
    return tuple(sorted(counters.items()))


TRAINING_JOBS = Kind(
    noun="training job",
    resource="TrainingJob",
    describe="describe_training_job",
    list="list_training_jobs",
    has_ended=lambda description: outcome_of(description) is not None,
    progress=lambda description: (description.get("SecondaryStatus"),),
)
TUNING_JOBS = Kind(
    noun="tuning job",
    resource="HyperParameterTuningJob",
    describe="describe_hyper_parameter_tuning_job",
    list="list_hyper_parameter_tuning_jobs",
    has_ended=lambda description: description.get("HyperParameterTuningJobStatus") in _TUNING_ENDS,
    progress=_counters,
)
