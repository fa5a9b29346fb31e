"""The errors that callers can tell apart, one class for each decision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_spot_provider.training.lifecycle import Outcome

if TYPE_CHECKING:
    from airflow_spot_provider.training.result import SpotTrainingResult


class SpotTrainingError(Exception):
    """Anything that this provider raises on purpose."""


class InvalidSpotRequest(SpotTrainingError, ValueError):
    """A request that SageMaker would refuse, or that would do harm. Nothing has been submitted.

    :param problems: what is wrong, one sentence each, with what was given, what is allowed and what to do.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            " ".join(self.problems) if len(self.problems) == 1 else "\n- ".join(("", *self.problems))
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problems,)


class JobNameTaken(SpotTrainingError):
    """A training job of the wanted name exists and belongs to something else."""


class TrainingJobNotFound(SpotTrainingError):
    """There is no training job of this name in this account and region."""


class WatchFailed(SpotTrainingError):
    """A job could not be watched any more, for a reason that waiting does not mend. The job itself may still run."""


class UnacceptedOutcome(SpotTrainingError):
    """A training job ended in a way that the task does not accept.

    :param result: what the job did; it has been published already.
    """

    outcome: ClassVar[Outcome]
    advice: ClassVar[str]

    def __init__(self, result: SpotTrainingResult) -> None:
        self.result = result
        reason = f" ({result.failure_reason})" if result.failure_reason else ""
        super().__init__(f"Training job {result.job_name} ended as {self.outcome}{reason}. {self.advice}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.result,)


class MaxWaitTimeExceeded(UnacceptedOutcome):
    """MaxWaitTimeInSeconds was over before the job was done: too little spot capacity, or too many interruptions."""

    outcome = Outcome.MAX_WAIT_TIME_EXCEEDED
    advice = "Spot capacity did not suffice: raise max_wait, choose another instance type, or fall back to on demand."


class MaxRuntimeExceeded(UnacceptedOutcome):
    """The job trained for MaxRuntimeInSeconds and was not done."""

    outcome = Outcome.MAX_RUNTIME_EXCEEDED
    advice = "Raise StoppingCondition.MaxRuntimeInSeconds, or train less; its checkpoints are kept."


class TrainingJobStopped(UnacceptedOutcome):
    """Somebody stopped the job."""

    outcome = Outcome.STOPPED
    advice = "Somebody called StopTrainingJob; CloudTrail says who. Clear the task to train again."


class TrainingJobFailed(UnacceptedOutcome):
    """The training itself failed: the script, its data, or its permissions."""

    outcome = Outcome.FAILED
    advice = "This is not a matter of spot capacity: see the failure reason and the training log."


_CLASS_OF = {
    kind.outcome: kind
    for kind in (MaxWaitTimeExceeded, MaxRuntimeExceeded, TrainingJobStopped, TrainingJobFailed)
}


def unaccepted(result: SpotTrainingResult) -> UnacceptedOutcome:
    """The exception whose class tells the outcome of ``result``.

    :raises KeyError: the outcome is Completed, which every task accepts.
    """
    return _CLASS_OF[result.outcome](result)
