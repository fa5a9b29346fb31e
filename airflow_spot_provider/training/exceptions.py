"""The errors that callers can tell apart, one class for each decision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_spot_provider.training.failure import FailureCause, failure_cause
from airflow_spot_provider.training.lifecycle import Outcome
from airflow_spot_provider.training.tuning_outcome import TuningOutcome

if TYPE_CHECKING:
    from airflow_spot_provider.training.result import SpotTrainingResult
    from airflow_spot_provider.training.tuning_result import SpotTuningResult


class SharedCheckpointPrefix(UserWarning):
    """Every run of a scheduled DAG has the same checkpoint prefix."""


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


class InstanceTypeNotAvailable(InvalidSpotRequest):
    """SageMaker does not have the instance type in this region. Nothing has been submitted, and waiting is in vain."""


class ConnectionNotFound(SpotTrainingError):
    """There is no Airflow connection of the id that was given. Nothing has been submitted."""


class JobNameTaken(SpotTrainingError):
    """A job of the wanted name exists and belongs to something else."""


class JobNotFound(SpotTrainingError):
    """There is no job of this name in this account and region."""


class TrainingJobNotFound(JobNotFound):
    """There is no training job of this name in this account and region."""


class TuningJobNotFound(JobNotFound):
    """There is no tuning job of this name in this account and region."""


class WatchFailed(SpotTrainingError):
    """A job could not be watched any more, for a reason that waiting does not mend. The job itself may still run."""


class QuotaTooSmall(SpotTrainingError):
    """The account may never have so many instances at a time as the job asks for. Nothing has been submitted."""


class MustWaitItsTurn(SpotTrainingError):
    """SageMaker takes no more jobs just now, and will again: a quota is used up, or jobs come too quickly.

    :param waits_for: what there is not enough of, in a few words; jobs that wait for the same stand in one queue.
    :param why: in a sentence.
    :param at_most: seconds that it is waited for; None where it is certain to pass.
    """

    def __init__(self, waits_for: str, why: str, at_most: float | None = None) -> None:
        self.waits_for = waits_for
        self.why = why
        self.at_most = at_most
        super().__init__(why)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.waits_for, self.why, self.at_most)


class WaitedInVain(SpotTrainingError):
    """SageMaker took no job for as long as that was to be waited for. Nothing has been submitted."""


class UnacceptedOutcome(SpotTrainingError):
    """A training job or a tuning job ended in a way that the task does not accept.

    :param result: what the job did; it has been published already.
    """

    noun: ClassVar[str] = "Training job"
    outcome: ClassVar[Outcome | TuningOutcome]
    advice: ClassVar[str]

    def __init__(self, result: SpotTrainingResult | SpotTuningResult) -> None:
        self.result = result
        reason = f" ({result.failure_reason})" if result.failure_reason else ""
        advice = self._advice(result.failure_reason)
        super().__init__(f"{self.noun} {result.job_name} ended as {self.outcome}{reason}. {advice}")

    def _advice(self, failure_reason: str | None) -> str:  # noqa: ARG002 - what a failure's advice goes by
        return self.advice

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


_ADVICE_ON = {
    FailureCause.ALGORITHM_ERROR: "This is not a matter of spot capacity: see the failure reason and the training log.",
    FailureCause.CLIENT_ERROR: (
        "This is not a matter of spot capacity, but of what the request names (data, image, role, network): see the failure reason."
    ),
    FailureCause.CAPACITY_ERROR: (
        "AWS had no capacity for it: train again later (checkpoints are kept), with another instance type or in another region, or "
        "on demand if this was on spot."
    ),
    FailureCause.INTERNAL_SERVER_ERROR: (
        "SageMaker itself failed, not the training: clear the task to train again, or give it retries."
    ),
}


class _Failed(UnacceptedOutcome):
    """A job failed: whose fault that was, SageMaker says with the first word of its reason."""

    advice = "See the failure reason, and the training log if there is one."

    def _advice(self, failure_reason: str | None) -> str:
        cause = failure_cause(failure_reason)
        return self.advice if cause is None else _ADVICE_ON[cause]


class TrainingJobFailed(_Failed):
    """The training itself failed: the script, its data, or its permissions; or SageMaker did."""

    outcome = Outcome.FAILED


class TrainingJobLackedCapacity(TrainingJobFailed):
    """AWS had no instance for the job, on spot or on demand, and SageMaker gave it up (CapacityError)."""


_CLASS_OF = {
    kind.outcome: kind
    for kind in (MaxWaitTimeExceeded, MaxRuntimeExceeded, TrainingJobStopped, TrainingJobFailed)
}


def unaccepted(result: SpotTrainingResult) -> UnacceptedOutcome:
    """The exception whose class tells the outcome of ``result``.

    :raises KeyError: the outcome is Completed, which every task accepts.
    """
    if result.failure_cause is FailureCause.CAPACITY_ERROR:
        return TrainingJobLackedCapacity(result)
    return _CLASS_OF[result.outcome](result)


class UnacceptedTuningOutcome(UnacceptedOutcome):
    """A tuning job ended in a way that the task does not accept."""

    noun = "Tuning job"


class TuningMaxWaitTimeExceeded(UnacceptedTuningOutcome):
    """The tuning job completed, and MaxWaitTimeInSeconds was over for some of its training jobs before they were done."""

    outcome = TuningOutcome.COMPLETED_WITH_MAX_WAIT_TIME_EXCEEDED
    advice = "Spot capacity did not suffice for some of its training jobs: raise max_wait, choose another instance type, or accept it."


class TuningMaxRuntimeExceeded(UnacceptedTuningOutcome):
    """ResourceLimits.MaxRuntimeInSeconds ended the tuning job."""

    outcome = TuningOutcome.MAX_RUNTIME_EXCEEDED
    advice = "Raise ResourceLimits.MaxRuntimeInSeconds, run more jobs side by side, or go on from it with warm_start."


class NoTrainingJobSucceeded(UnacceptedTuningOutcome):
    """No training job of the tuning job came to a value of the objective metric."""

    outcome = TuningOutcome.NO_JOB_SUCCEEDED
    advice = (
        "None of its training jobs stated the objective metric; result.outcomes tells how they ended, the training logs why, and "
        "MetricDefinitions what is read from them."
    )


class TuningJobStopped(UnacceptedTuningOutcome):
    """Somebody stopped the tuning job."""

    outcome = TuningOutcome.STOPPED
    advice = "Somebody called StopHyperParameterTuningJob; CloudTrail says who. Clear the task to tune again, with warm_start."


class TuningJobFailed(_Failed, UnacceptedTuningOutcome):
    """The tuning job itself failed."""

    outcome = TuningOutcome.FAILED


_TUNING_CLASS_OF = {
    kind.outcome: kind
    for kind in (
        TuningMaxWaitTimeExceeded,
        TuningMaxRuntimeExceeded,
        NoTrainingJobSucceeded,
        TuningJobStopped,
        TuningJobFailed,
    )
}


def unaccepted_tuning(result: SpotTuningResult) -> UnacceptedTuningOutcome:
    """The exception whose class tells the outcome of ``result``.

    :raises KeyError: the outcome is Completed, which every task accepts.
    """
    return _TUNING_CLASS_OF[result.outcome](result)
