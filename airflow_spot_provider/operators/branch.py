"""The branch operators: go on by how a training job or a tuning job ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_spot_provider.operators._branching import Branch, MappedOutcome, OutcomeBranchOperator
from airflow_spot_provider.operators._results import pull_results, pull_tuning_results
from airflow_spot_provider.training import Outcome, TuningOutcome

if TYPE_CHECKING:
    from airflow.sdk import Context


class SageMakerSpotBranchOperator(OutcomeBranchOperator):
    """Choose what runs next by the outcome of a training task.

    Each ``on_...`` takes the id of a task or task group directly downstream of this one, a list of them, or None to skip
    all that is downstream. Runs whether the training task succeeded or failed (``trigger_rule="all_done"``): its result is
    published either way.

    :param training_task_id: id of the :class:`~airflow_spot_provider.operators.training.SageMakerSpotTrainingOperator`
        task, with its task groups.
    :param on_completed: where to go when the job completed.
    :param on_max_wait_time_exceeded: where to go when MaxWait was over: spot capacity did not suffice. Also when the job failed for a
        lack of capacity (CapacityError) and never trained.
    :param on_max_runtime_exceeded: where to go when MaxRuntime was over.
    :param on_stopped: where to go when somebody stopped the job.
    :param on_failed: where to go when the training failed.
    :param mapped_outcome: which outcome counts when the training task is mapped. ``same``: all must agree; ``best`` or
        ``worst`` of them, in the order Completed, MaxRuntimeExceeded, MaxWaitTimeExceeded, Stopped, Failed.
    :raises InvalidSpotRequest: at DAG parse: an unknown ``mapped_outcome``, a target of another type, or one that is not
        directly downstream.
    :raises SpotTrainingError: the training task left no result, or mapped ones disagree with ``same``.
    """

    arguments = (
        "on_completed",
        "on_max_wait_time_exceeded",
        "on_max_runtime_exceeded",
        "on_stopped",
        "on_failed",
    )

    def __init__(
        self,
        *,
        training_task_id: str,
        on_completed: Branch = None,
        on_max_wait_time_exceeded: Branch = None,
        on_max_runtime_exceeded: Branch = None,
        on_stopped: Branch = None,
        on_failed: Branch = None,
        mapped_outcome: MappedOutcome = "same",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            branches={
                Outcome.COMPLETED: on_completed,
                Outcome.MAX_RUNTIME_EXCEEDED: on_max_runtime_exceeded,
                Outcome.MAX_WAIT_TIME_EXCEEDED: on_max_wait_time_exceeded,
                Outcome.STOPPED: on_stopped,
                Outcome.FAILED: on_failed,
            },
            job_task_id=training_task_id,
            mapped_outcome=mapped_outcome,
            **kwargs,
        )
        self.training_task_id = training_task_id
        self.on_completed = on_completed
        self.on_max_wait_time_exceeded = on_max_wait_time_exceeded
        self.on_max_runtime_exceeded = on_max_runtime_exceeded
        self.on_stopped = on_stopped
        self.on_failed = on_failed

    def outcomes(self, context: Context) -> list[Any]:
        """How the training jobs ended; one that AWS had no instance for goes the way of MaxWaitTimeExceeded."""
        results = pull_results(context, self.training_task_id)
        return [
            Outcome.MAX_WAIT_TIME_EXCEEDED if result.lacked_capacity else result.outcome for result in results
        ]


class SageMakerSpotTuningBranchOperator(OutcomeBranchOperator):
    """Choose what runs next by the outcome of a tuning task.

    Each ``on_...`` takes the id of a task or task group directly downstream of this one, a list of them, or None to skip
    all that is downstream. Runs whether the tuning task succeeded or failed (``trigger_rule="all_done"``): its result is
    published either way.

    :param tuning_task_id: id of the :class:`~airflow_spot_provider.operators.tuning.SageMakerSpotTuningOperator`
        task, with its task groups.
    :param on_completed: where to go when the tuning job completed, by whichever of its limits and criteria.
    :param on_completed_with_max_wait_time_exceeded: where to go when it completed, and spot capacity did not suffice for some of its
        training jobs.
    :param on_max_runtime_exceeded: where to go when ResourceLimits.MaxRuntimeInSeconds ended it, with a best training job.
    :param on_no_job_succeeded: where to go when no training job came to a value of the objective metric.
    :param on_stopped: where to go when somebody stopped it.
    :param on_failed: where to go when the tuning job itself failed.
    :param mapped_outcome: which outcome counts when the tuning task is mapped. ``same``: all must agree; ``best`` or
        ``worst`` of them, in the order Completed, CompletedWithMaxWaitTimeExceeded, MaxRuntimeExceeded, Stopped, NoJobSucceeded,
        Failed.
    :raises InvalidSpotRequest: at DAG parse: an unknown ``mapped_outcome``, a target of another type, or one that is not
        directly downstream.
    :raises SpotTrainingError: the tuning task left no result, or mapped ones disagree with ``same``.
    """

    arguments = (
        "on_completed",
        "on_completed_with_max_wait_time_exceeded",
        "on_max_runtime_exceeded",
        "on_no_job_succeeded",
        "on_stopped",
        "on_failed",
    )

    def __init__(
        self,
        *,
        tuning_task_id: str,
        on_completed: Branch = None,
        on_completed_with_max_wait_time_exceeded: Branch = None,
        on_max_runtime_exceeded: Branch = None,
        on_no_job_succeeded: Branch = None,
        on_stopped: Branch = None,
        on_failed: Branch = None,
        mapped_outcome: MappedOutcome = "same",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            branches={
                TuningOutcome.COMPLETED: on_completed,
                TuningOutcome.COMPLETED_WITH_MAX_WAIT_TIME_EXCEEDED: on_completed_with_max_wait_time_exceeded,
                TuningOutcome.MAX_RUNTIME_EXCEEDED: on_max_runtime_exceeded,
                TuningOutcome.STOPPED: on_stopped,
                TuningOutcome.NO_JOB_SUCCEEDED: on_no_job_succeeded,
                TuningOutcome.FAILED: on_failed,
            },
            job_task_id=tuning_task_id,
            mapped_outcome=mapped_outcome,
            **kwargs,
        )
        self.tuning_task_id = tuning_task_id
        self.on_completed = on_completed
        self.on_completed_with_max_wait_time_exceeded = on_completed_with_max_wait_time_exceeded
        self.on_max_runtime_exceeded = on_max_runtime_exceeded
        self.on_no_job_succeeded = on_no_job_succeeded
        self.on_stopped = on_stopped
        self.on_failed = on_failed

    def outcomes(self, context: Context) -> list[Any]:
        """How the tuning jobs ended."""
        return [result.outcome for result in pull_tuning_results(context, self.tuning_task_id)]
