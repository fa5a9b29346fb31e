"""What is going on with a job, in the one sentence that somebody who looks at many of them reads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from airflow_spot_provider.training.lifecycle import SecondaryStatus, instant
from airflow_spot_provider.training.narration import duration
from airflow_spot_provider.training.phases import Phase, phase_of
from airflow_spot_provider.training.progress import SpotProgress

Rows = Sequence[tuple[str, str | None, str | None]]
"""A timeline as JSON: status, start, end."""


def sentence_of(progress: SpotProgress, now: datetime, *, is_waited_for: bool = True) -> str:
    """What the job is doing and why it waits, or how it ended.

    :param progress: what its task has published.
    :param now: aware; by the clock of whoever shows it.
    :param is_waited_for: whether the task has still to hear of the job's end; one that was killed has not.
    """
    if progress.outcome is not None:
        return _how_it_ended(progress)
    if not is_waited_for:
        return "The task ended without publishing how its job did: it was killed, or its worker was. The task's log says why."
    what = f"{progress.instance_type or 'instances'}{f' in {progress.region}' if progress.region else ''}"
    ends = _max_wait_ends(progress, now)
    match progress.phase:
        case Phase.QUEUED:
            return f"Nothing is submitted yet: waits its turn for {progress.waits_for or 'quota'}{_for(progress, now)}."
        case Phase.WAITING:
            return f"No {what} spot capacity yet{_for(progress, now)}.{ends}"
        case Phase.INTERRUPTED:
            return f"Interrupted: SageMaker waits for {what} spot capacity{_for(progress, now)}.{ends}"
        case Phase.TRAINING if progress.kind == "tuning":
            return _tuning(progress)
        case Phase.TRAINING:
            return _training(progress, now)
        case Phase.STOPPING:
            return "Being stopped: the script has 120 seconds to save what it has."
        case Phase.UPLOADING:
            return "Training is over; the model is being uploaded."
        case Phase.DOWNLOADING:
            return f"Has {progress.instance_count} x {progress.instance_type or 'instance'} and downloads its data."
        case Phase.STARTING:
            return "SageMaker is preparing the instances."
        case _:
            return f"SageMaker tells the status {progress.status or 'of the job later'}."


def checkpoint_phrase(progress: SpotProgress, now: datetime) -> str | None:
    """How old the newest checkpoint is; None if nobody looked."""
    seen = progress.checkpoints
    if seen is None:
        return None
    expected = f", expected every {duration(seen.expected_every)}" if seen.expected_every else ""
    newest = instant(seen.newest)
    if newest is None:
        return f"no checkpoint yet{expected}"
    return f"checkpoint {duration(max(0.0, (now - newest).total_seconds()))} ago{expected}"


def warning_of(progress: SpotProgress) -> str | None:
    """What somebody should see to; None if there is nothing."""
    if progress.outcome is None and progress.checkpoints is not None and progress.checkpoints.stale:
        return (
            "The checkpoints are stale: an interruption now would lose all work since the newest. Look whether the script still "
            "writes to its checkpoint folder, and whether its role may write to the prefix."
        )
    return None


def formula_of(progress: SpotProgress) -> str | None:
    """SageMaker's savings formula with this job's numbers in it; None when they are not known."""
    if progress.savings_percent is None:
        return None
    billed, trained = progress.billable_instance_seconds, progress.training_instance_seconds
    share = f"1 \N{MINUS SIGN} {billed:,.0f} billed s / {trained:,.0f} trained s"
    return f"({share}) \N{MULTIPLICATION SIGN} 100 = {progress.savings_percent:.1f}%"


def work_at_risk(timeline: Rows) -> list[str]:
    """What each interruption cut off: how long the job had trained since it had begun, or begun again.

    How much of that was done twice depends on the checkpoint that the script went on from, which SageMaker does not tell.
    """
    told: list[str] = []
    trained = 0.0
    for status, start, end in timeline:
        begun, ended = instant(start), instant(end)
        if phase_of(status) is Phase.TRAINING and begun is not None and ended is not None:
            trained += (ended - begun).total_seconds()
        if status == SecondaryStatus.INTERRUPTED:
            when = f" at {begun:%H:%M:%S} UTC" if begun is not None else ""
            told.append(f"{duration(trained)} of training before the interruption{when}")
            trained = 0.0
    return told


def _how_it_ended(progress: SpotProgress) -> str:
    interruptions = (
        f" after {progress.interruptions} interruption{'s' * (progress.interruptions != 1)}"
        if progress.interruptions
        else ""
    )
    jobs = f"{progress.jobs + progress.unknown} training jobs" if progress.kind == "tuning" else ""
    match progress.outcome:
        case "Completed":
            return f"Completed{interruptions}{f'; {jobs}' if jobs else ''}."
        case "MaxWaitTimeExceeded":
            if not progress.training_instance_seconds:
                return f"No {progress.instance_type or ''} spot capacity until MaxWait was over.".replace(
                    "  ", " "
                )
            return f"MaxWait was over before the training was done{interruptions}."
        case "MaxRuntimeExceeded":
            return f"Trained for all of MaxRuntime and was stopped{interruptions}."
        case "Stopped":
            return f"Somebody stopped it{interruptions}."
        case "Failed":
            return f"Failed{interruptions}: {progress.failure_reason or 'SageMaker gave no reason'}"
        case outcome:
            return f"Ended as {outcome}{interruptions}{f'; {jobs}' if jobs else ''}."


def _training(progress: SpotProgress, now: datetime) -> str:
    parts = [f"Training{_for(progress, now)}"]
    if progress.interruptions:
        parts.append(
            "resumed from its checkpoint" if progress.checkpoint_s3_uri else "begun anew: no checkpoints"
        )
    parts += [f"{name} {value:g}" for name, value in list(progress.metrics.items())[:2]]
    return f"{progress.note + ' ' if progress.note else ''}{'; '.join(parts)}."


def _tuning(progress: SpotProgress) -> str:
    counted = ", ".join(f"{number} {name}" for name, number in progress.statuses.items() if number)
    best = progress.best or {}
    value = best.get("value")
    found = f"; best {best.get('metric')} {value:g}" if isinstance(value, int | float) else ""
    return f"Training jobs: {counted or 'none yet'}{found}."


def _for(progress: SpotProgress, now: datetime) -> str:
    since = instant(progress.since)
    return "" if since is None else f" for {duration(max(0.0, (now - since).total_seconds()))}"


def _max_wait_ends(progress: SpotProgress, now: datetime) -> str:
    ends = instant(progress.max_wait_ends)
    if ends is None:
        return ""
    left = (ends - now).total_seconds()
    then = f", then {progress.next_rung} goes on" if progress.next_rung else ""
    if left <= 0:
        return f" MaxWait is over{then}."
    return f" MaxWait ends in {duration(left)}{then}."
