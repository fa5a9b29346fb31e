"""What is going on with a job, in the one sentence that somebody who looks at many of them reads.

Durations are told roughly: whoever looks on reads a sentence that changes once a minute, not once a second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from airflow_spot_provider.training.lifecycle import SecondaryStatus, instant
from airflow_spot_provider.training.narration import duration
from airflow_spot_provider.training.phases import Phase, phase_of
from airflow_spot_provider.training.progress import SpotProgress

Rows = Sequence[tuple[str, str | None, str | None]]
"""A timeline as JSON: status, start, end."""

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def sentence_of(
    progress: SpotProgress, now: datetime, *, is_waited_for: bool = True, task_state: str | None = None
) -> str:
    """What the job is doing and why it waits, or how it ended.

    :param progress: what its task has published.
    :param now: aware; by the clock of whoever shows it.
    :param is_waited_for: whether the task has still to hear of the job's end; one that was killed has not.
    :param task_state: state of the task instance, which says more of one that has not heard of the job's end.
    """
    if progress.outcome is not None:
        return _how_it_ended(progress)
    if not is_waited_for:
        return _without_outcome(task_state)
    return _SENTENCES.get(progress.phase, _other)(progress, now)


def checkpoint_phrase(progress: SpotProgress, now: datetime) -> str | None:
    """How old the newest checkpoint is; None if nobody looked."""
    seen = progress.checkpoints
    if seen is None:
        return None
    expected = f", expected every {roughly(seen.expected_every)}" if seen.expected_every else ""
    newest = instant(seen.newest)
    if newest is None:
        return f"no checkpoint yet{expected}"
    return f"checkpoint {roughly((now - newest).total_seconds())} ago{expected if seen.stale else ''}"


def warning_of(progress: SpotProgress) -> str | None:
    """What somebody should see to; None if there is nothing."""
    if progress.outcome is None and progress.checkpoints is not None and progress.checkpoints.stale:
        return (
            "The checkpoints are stale: an interruption now would lose all work since the newest. Look whether the script still "
            "writes to its checkpoint folder, and whether its role may write to the prefix."
        )
    return None


def formula_of(progress: SpotProgress) -> str | None:
    """SageMaker's savings formula with this job's numbers in it; None when they are not known.

    Of one job they are its seconds; of several, seconds x instances.
    """
    if progress.savings_percent is None:
        return None
    billed, trained, unit = progress.billable_instance_seconds, progress.training_instance_seconds, "s"
    if progress.jobs > 1 or progress.kind == "tuning":
        unit = "instance-s"
    elif progress.instance_count > 1:
        billed, trained = billed / progress.instance_count, trained / progress.instance_count
    share = f"1 \N{MINUS SIGN} {billed:,.0f} billed {unit} / {trained:,.0f} trained {unit}"
    return f"({share}) \N{MULTIPLICATION SIGN} 100 = {progress.savings_percent:.1f}%"


def work_lost(timeline: Rows, *, newest_checkpoint: str | None = None) -> list[str]:
    """What each interruption cut off: how long the job had trained since it had begun, or begun again.

    How much of that was done twice depends on the checkpoint that the script went on from, which SageMaker does not tell; it is
    known only where the newest checkpoint that was seen lies within that stretch.

    :param timeline: of the job.
    :param newest_checkpoint: when the newest checkpoint that was seen was written, ISO 8601.
    """
    seen = instant(newest_checkpoint)
    told: list[str] = []
    trained, begun_at = 0.0, None
    for status, start, end in timeline:
        begun, ended = instant(start), instant(end)
        if phase_of(status) is Phase.TRAINING and begun is not None and ended is not None:
            trained += max(0.0, (ended - begun).total_seconds())
            begun_at = begun_at or begun
        if status == SecondaryStatus.INTERRUPTED:
            told.append(_cut_off(trained, begun_at, begun, seen))
            trained, begun_at = 0.0, None
    return told


def roughly(seconds: float) -> str:
    """A duration as one says it in passing: ``less than a minute``, ``14 min``, ``1h54m``, ``3d04h``."""
    if seconds < 60:
        return "less than a minute"
    if seconds < 3600:
        return f"{int(seconds // 60)} min"
    return duration(seconds - seconds % 60)


def _cut_off(
    trained: float, begun: datetime | None, interrupted: datetime | None, seen: datetime | None
) -> str:
    when = f" at {interrupted:%H:%M:%S} UTC" if interrupted is not None else ""
    if not trained:
        return f"Interrupted{when} before it trained: no work was lost."
    told = f"Interrupted{when} after {duration(trained)} of training"
    if begun is None or interrupted is None or seen is None or not begun <= seen <= interrupted:
        return f"{told}; what of that was done twice, its checkpoints tell."
    lost = (interrupted - seen).total_seconds()
    return f"{told}; the checkpoint of {seen:%H:%M:%S} UTC was {duration(lost)} old, so much was done twice."


def _how_it_ended(progress: SpotProgress) -> str:
    interruptions = _counted(progress.interruptions, "interruption")
    after = f" after {interruptions}" if progress.interruptions else ""
    match progress.outcome:
        case "Completed" if progress.kind == "tuning":
            return f"Finished with {_jobs(progress)} and {interruptions}."
        case "Completed":
            return f"Finished{after or ' without an interruption'}."
        case "MaxWaitTimeExceeded" if not progress.training_instance_seconds:
            return f"No {_capacity(progress)} until MaxWait was over."
        case "MaxWaitTimeExceeded":
            return f"MaxWait was over before the training was done{after}."
        case "MaxRuntimeExceeded":
            return f"Trained for all of MaxRuntime and was stopped{after}."
        case "Stopped":
            return f"Somebody had it stopped{after}."
        case "Failed":
            return progress.failure_reason or "SageMaker gave no reason."
        case "CompletedWithMaxWaitTimeExceeded":
            return (
                f"Found its best training job; spot capacity did not suffice for others ({_jobs(progress)})."
            )
        case "NoJobSucceeded":
            return f"None of {_jobs(progress)} came to a value of the objective."
        case _:
            return f"Ended{after}."


def _without_outcome(task_state: str | None) -> str:
    if task_state is None:
        return (
            "The task has been cleared: it starts anew, and its job was stopped unless cancel_on_kill=False."
        )
    return (
        f"The task ended as {task_state} without publishing how its job did: it was killed, or its worker was. "
        "The task's log says more."
    )


def _queued(progress: SpotProgress, now: datetime) -> str:
    since = _for(progress.waits_since or progress.since, now)
    return f"Nothing is submitted yet: waits its turn for {progress.waits_for or 'quota'}{since}."


def _waiting(progress: SpotProgress, now: datetime) -> str:
    return f"No {_capacity(progress)}{_for(progress.since, now) or ' yet'}.{_max_wait(progress, now)}"


def _interrupted(progress: SpotProgress, now: datetime) -> str:
    waits = f"SageMaker waits for {_capacity(progress)}{_for(progress.since, now)}"
    return f"Interrupted: {waits}.{_max_wait(progress, now)}"


def _downloading(progress: SpotProgress, _now: datetime) -> str:
    return f"Has {progress.instance_count} x {progress.instance_type or 'instance'} and downloads its data."


def _training(progress: SpotProgress, now: datetime) -> str:
    if progress.kind == "tuning":
        return _tuning(progress)
    told = f"Trains{_for(progress.since, now)}"
    if progress.interruptions:
        resumed = (
            "from its checkpoint" if progress.checkpoint_s3_uri else "from scratch: it has no checkpoints"
        )
        told += f", again after {_counted(progress.interruptions, 'interruption')}, {resumed}"
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in list(progress.metrics.items())[:2])
    note = f"{progress.note} " if progress.note else ""
    return f"{note}{told}{f'; {metrics}' if metrics else ''}."


def _stopping(progress: SpotProgress, _now: datetime) -> str:
    if progress.status == SecondaryStatus.UPLOADING:
        return "Being stopped: what it has saved is being uploaded."
    return "Being stopped: the script has 120 seconds to save what it has."


def _tuning(progress: SpotProgress) -> str:
    counted = ", ".join(f"{number} {name}" for name, number in progress.statuses.items() if number)
    best = progress.best or {}
    value, metric = best.get("value"), best.get("metric")
    found = f"; best {metric} {value:.4g}" if isinstance(value, float) and isinstance(metric, str) else ""
    return f"Training jobs: {counted or 'none yet'}{found}."


def _other(progress: SpotProgress, _now: datetime) -> str:
    return f"SageMaker tells the status {progress.status or 'of the job later'}."


_SENTENCES: dict[Phase, Callable[[SpotProgress, datetime], str]] = {
    Phase.QUEUED: _queued,
    Phase.WAITING: _waiting,
    Phase.INTERRUPTED: _interrupted,
    Phase.STARTING: lambda _progress, _now: "SageMaker is preparing the instances.",
    Phase.DOWNLOADING: _downloading,
    Phase.TRAINING: _training,
    Phase.UPLOADING: lambda _progress, _now: "Training is over; the model is being uploaded.",
    Phase.STOPPING: _stopping,
    Phase.ENDED: lambda _progress, _now: "The job has ended; its task is about to publish how.",
    Phase.OTHER: _other,
}


def _capacity(progress: SpotProgress) -> str:
    where = f" in {progress.region}" if progress.region else ""
    spot = "spot " if progress.managed_spot else ""
    return f"{f'{progress.instance_type} ' if progress.instance_type else ''}{spot}capacity{where}"


def _jobs(progress: SpotProgress) -> str:
    return _counted(progress.jobs + progress.unknown, "training job")


def _counted(count: int, what: str) -> str:
    number = _NUMBERS[count] if 0 <= count < len(_NUMBERS) else f"{count:,}"
    return f"{number} {what}{'s' * (count != 1)}"


def _for(since: str | None, now: datetime) -> str:
    begun = instant(since)
    return "" if begun is None else f" for {roughly((now - begun).total_seconds())}"


def _max_wait(progress: SpotProgress, now: datetime) -> str:
    ends = instant(progress.max_wait_ends)
    if ends is None:
        return ""
    left = (ends - now).total_seconds()
    then = f", then {progress.next_rung} goes on" if progress.next_rung else ""
    return f" MaxWait is over{then}." if left <= 0 else f" MaxWait ends in {roughly(left)}{then}."
