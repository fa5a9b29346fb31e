"""What a job is doing, in the few words that a page or a dashboard tells apart; SageMaker's statuses are many, and may become more."""

from __future__ import annotations

from enum import StrEnum

from airflow_spot_provider.training.lifecycle import SecondaryStatus


class Phase(StrEnum):
    """What a job is doing. A status that SageMaker does not document is OTHER."""

    QUEUED = "queued"
    """No job yet: a quota is used up, and the task waits its turn."""
    WAITING = "waiting"
    """A spot job without an instance that has not been interrupted, or has been started again since."""
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


def phase_of(status: str, *, managed_spot: bool = True) -> Phase:
    """What a job in this status is doing.

    :param status: SecondaryStatus of a training job, or HyperParameterTuningJobStatus.
    :param managed_spot: on demand, Starting is no wait for spot capacity.
    """
    phase = _PHASES.get(status, Phase.OTHER)
    return Phase.STARTING if phase is Phase.WAITING and not managed_spot else phase
