"""What a job is doing, in the few words that a page or a dashboard tells apart; SageMaker's statuses are many, and may become more."""

from __future__ import annotations

from enum import StrEnum

from airflow_spot_provider.training.lifecycle import SecondaryStatus


class Phase(StrEnum):
    """What a job is doing. A status that SageMaker does not document is OTHER."""

    QUEUED = "queued"
    """No job yet: a quota is used up, and the task waits its turn."""
    WAITING = "waiting"
    """A job that waits for capacity and has not been interrupted, or has been started again since: a spot job without an instance, and
    any that is Pending."""
    INTERRUPTED = "interrupted"
    """A spot job that has lost its instance and waits for another."""
    STARTING = "starting"
    DOWNLOADING = "downloading"
    TRAINING = "training"
    UPLOADING = "uploading"
    STOPPING = "stopping"
    ENDED = "ended"
    OTHER = "other"


WAITING_FOR_A_TURN = "WaitingForTurn"
"""What XCom ``spot_progress`` has as the status of a task that has no job yet."""

_PHASES: dict[str, Phase] = {
    WAITING_FOR_A_TURN: Phase.QUEUED,
    SecondaryStatus.PENDING: Phase.WAITING,
    SecondaryStatus.STARTING: Phase.WAITING,
    SecondaryStatus.LAUNCHING_ML_INSTANCES: Phase.WAITING,
    SecondaryStatus.PREPARING_TRAINING_STACK: Phase.STARTING,
    SecondaryStatus.RESTARTING: Phase.STARTING,
    SecondaryStatus.INTERRUPTED: Phase.INTERRUPTED,
    SecondaryStatus.DOWNLOADING: Phase.DOWNLOADING,
    SecondaryStatus.DOWNLOADING_TRAINING_IMAGE: Phase.DOWNLOADING,
    SecondaryStatus.TRAINING: Phase.TRAINING,
    SecondaryStatus.UPDATING: Phase.TRAINING,
    SecondaryStatus.UPLOADING: Phase.UPLOADING,
    SecondaryStatus.STOPPING: Phase.STOPPING,
    SecondaryStatus.COMPLETED: Phase.ENDED,
    SecondaryStatus.FAILED: Phase.ENDED,
    SecondaryStatus.STOPPED: Phase.ENDED,
    SecondaryStatus.MAX_RUNTIME_EXCEEDED: Phase.ENDED,
    SecondaryStatus.MAX_WAIT_TIME_EXCEEDED: Phase.ENDED,
    # Of a tuning job, whose training jobs have statuses of their own.
    "InProgress": Phase.TRAINING,
    "Deleting": Phase.ENDED,
    "DeleteFailed": Phase.ENDED,
}


_LAUNCHES = frozenset({SecondaryStatus.STARTING, SecondaryStatus.LAUNCHING_ML_INSTANCES})
_ENDS = ("Completed", "Failed", "Stopped")


def phase_of(status: str, *, managed_spot: bool = True) -> Phase:
    """What a job in this status is doing.

    :param status: SecondaryStatus of a training job, or HyperParameterTuningJobStatus.
    :param managed_spot: on demand, Starting is no wait for spot capacity. Pending is a wait for capacity either way.
    """
    return Phase.STARTING if status in _LAUNCHES and not managed_spot else _PHASES.get(status, Phase.OTHER)


def phase_of_job(status: str, job_status: str | None, *, managed_spot: bool) -> Phase:
    """What a training job is doing, by both of its statuses.

    :param status: SecondaryStatus; empty in an answer that leaves it out, and in a request: there is no job yet, which will be waiting.
    :param job_status: TrainingJobStatus; None in a request. A job that is ``Stopping`` is so with any SecondaryStatus, as Training or
        Uploading.
    :param managed_spot: whether it is on spot.
    """
    if not status and job_status is None:
        return Phase.WAITING if managed_spot else Phase.OTHER
    phase = phase_of(status, managed_spot=managed_spot)
    if phase is Phase.ENDED or (not status and job_status in _ENDS):
        return Phase.ENDED
    return Phase.STOPPING if job_status == "Stopping" else phase
