"""Transitions in words that a person understands at 3 a.m."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from airflow_spot_provider.training.lifecycle import SecondaryStatus, Timeline, Transition, instant
from airflow_spot_provider.training.money import Cost
from airflow_spot_provider.training.result import SpotTrainingResult

_MEANING = {
    SecondaryStatus.LAUNCHING_ML_INSTANCES: "SageMaker is launching the instances",
    SecondaryStatus.PREPARING_TRAINING_STACK: "SageMaker is preparing the instances",
    SecondaryStatus.DOWNLOADING: "the job has an instance and is downloading its data",
    SecondaryStatus.DOWNLOADING_TRAINING_IMAGE: "the job has an instance and is downloading its training image",
    SecondaryStatus.UPDATING: "SageMaker is updating the job",
    SecondaryStatus.RESTARTING: "SageMaker is restarting the job after an internal error",
    SecondaryStatus.UPLOADING: "training is over; the model is being uploaded",
    SecondaryStatus.STOPPING: "the job is being stopped; the script has 120 seconds to save what it has",
    SecondaryStatus.COMPLETED: "the job has done all its work",
    SecondaryStatus.FAILED: "the training failed",
    SecondaryStatus.STOPPED: "somebody stopped the job",
    SecondaryStatus.MAX_RUNTIME_EXCEEDED: "the job trained for all of MaxRuntime and was stopped",
    SecondaryStatus.MAX_WAIT_TIME_EXCEEDED: "MaxWait was over before the job was done, and SageMaker stopped it",
}


def sentences_of(description: Mapping[str, Any], *, told: int = 0) -> list[str]:
    """Say what each transition means, one line each.

    :param description: a DescribeTrainingJob answer.
    :param told: how many transitions have been told already.
    :return: a line for each newer transition, such as "Interrupted after 14m05s of training; SageMaker is waiting for
        spot capacity; 1h12m of MaxWait left". All but the newest are over, and end with when they began.
    """
    timeline = Timeline.of(description)
    newest = len(timeline.transitions) - 1
    return [
        _sentence(description, timeline, index)
        + ("" if index == newest else _when(timeline.transitions[index]))
        for index in range(told, newest + 1)
    ]


def sentences_of_summary(summary: Mapping[str, Any]) -> list[str]:
    """Say what a TrainingJobSummary tells: where the job is now, and nothing of how it came there.

    :param summary: an entry of a ListTrainingJobs answer.
    :return: one line; none where the summary leaves SecondaryStatus out.
    """
    entry = {"Status": summary.get("SecondaryStatus"), "StartTime": summary.get("LastModifiedTime")}
    return sentences_of({**summary, "EnableManagedSpotTraining": True, "SecondaryStatusTransitions": [entry]})


def table_of(description: Mapping[str, Any]) -> str:
    """The whole timeline as an aligned text table, a transition a row: when, what, how long."""
    rows = [
        (
            f"{entry.start:%Y-%m-%d %H:%M:%S}" if entry.start else "",
            str(entry.status),
            duration(entry.seconds) if entry.is_timed else "",
        )
        for entry in Timeline.of(description).transitions
    ]
    heading = ("Since (UTC)", "SecondaryStatus", "For")
    widths = [max(len(row[column]) for row in (heading, *rows)) for column in range(3)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (heading, *rows)
    )


def savings_sentence(result: SpotTrainingResult) -> str:
    """What spot saved, with the two numbers that it comes from, and what the interruptions were."""
    interruptions = f"{result.interruptions} interruption{'s' * (result.interruptions != 1)}"
    waited = f"{interruptions}, {duration(result.waiting_seconds)} without an instance"
    if not result.managed_spot and result.billable_seconds is not None:
        return (
            f"On demand: {result.billable_seconds:,} s billed. {waited}.{money_sentence(result.known_cost)}"
        )
    if result.savings_percent is None:
        return f"Savings are not known: SageMaker gave no training and billable time for this job. {waited}."
    return (
        f"Saved {result.savings_percent:.1f}%: {result.billable_seconds:,} s billed of {result.training_seconds:,} s "
        f"trained. {waited}.{money_sentence(result.known_cost)}"
    )


def money_sentence(cost: Cost | None) -> str:
    """What it cost, as a sentence that follows another."""
    if cost is None:
        return " What it cost is not known: there is no price."
    instead = (
        f" instead of {money(cost.on_demand, cost.currency)} on demand"
        if cost.on_demand != cost.amount
        else ""
    )
    return f" It cost {money(cost.amount, cost.currency)}{instead} (prices of {cost.price_date})."


def money(amount: float, currency: str) -> str:
    """An amount as a person says it: ``2.03 USD``; small ones with as many digits as it takes to see one."""
    return f"{amount:,.2f} {currency}" if amount == 0 or abs(amount) >= 0.1 else f"{amount:.2g} {currency}"


def duration(seconds: float) -> str:
    """A duration as a person says it: ``48s``, ``14m05s``, ``1h12m``, ``3d04h``."""
    whole = round(seconds)
    minutes, secs = divmod(whole, 60)
    hours, mins = divmod(minutes, 60)
    days, hrs = divmod(hours, 24)
    if days:
        return f"{days}d{hrs:02}h"
    if hours:
        return f"{hours}h{mins:02}m"
    if minutes:
        return f"{minutes}m{secs:02}s"
    return f"{secs}s"


def _sentence(description: Mapping[str, Any], timeline: Timeline, index: int) -> str:
    entry = timeline.transitions[index]
    before = timeline.transitions[:index]
    spot = bool(description.get("EnableManagedSpotTraining"))
    match entry.status:
        case SecondaryStatus.STARTING if spot:
            parts = ["Starting", "SageMaker is waiting for spot capacity", _max_wait_left(description, entry)]
        case SecondaryStatus.PENDING:
            capacity = "spot capacity" if spot else "capacity"
            parts = ["Pending", f"SageMaker is waiting for {capacity}", _max_wait_left(description, entry)]
        case SecondaryStatus.STARTING:
            parts = ["Starting", "SageMaker is launching the instances"]
        case SecondaryStatus.INTERRUPTED:
            trained = _seconds_trained_since_interruption(before)
            parts = [
                "Interrupted" if trained is None else f"Interrupted after {duration(trained)} of training",
                "SageMaker is waiting for spot capacity",
                _max_wait_left(description, entry),
            ]
        case SecondaryStatus.TRAINING if any(e.status is SecondaryStatus.INTERRUPTED for e in before):
            count = sum(e.status is SecondaryStatus.INTERRUPTED for e in before)
            times = "the interruption" if count == 1 else f"interruption {count}"
            resumes = (
                "from its checkpoint" if _checkpoint(description) else "from scratch: it has no checkpoints"
            )
            parts = ["Training", f"the script runs again after {times}, {resumes}"]
        case SecondaryStatus.TRAINING:
            parts = ["Training", "the script is running"]
        case status if status.is_known:
            parts = [str(status), _MEANING[status]]
        case status:
            parts = [str(status), "SageMaker has a status here that this version does not know"]
    is_newest = index == len(timeline.transitions) - 1
    if is_newest and description.get("TrainingJobStatus") == "Stopping" and entry.status != "Stopping":
        parts.append("the job is being stopped")
    return "; ".join(part for part in parts if part)


def _when(entry: Transition) -> str:
    return f" (at {entry.start:%Y-%m-%d %H:%M:%S} UTC)" if entry.start else ""


def _checkpoint(description: Mapping[str, Any]) -> str | None:
    return (description.get("CheckpointConfig") or {}).get("S3Uri")


def _seconds_trained_since_interruption(before: tuple[Transition, ...]) -> float | None:
    """None if the job did not train since its last interruption, or nobody knows for how long."""
    since = itertools.takewhile(
        lambda entry: entry.status is not SecondaryStatus.INTERRUPTED, reversed(before)
    )
    trained = [entry for entry in since if entry.status is SecondaryStatus.TRAINING]
    if not trained or not all(entry.is_timed for entry in trained):
        return None
    return sum(entry.seconds for entry in trained)


def _max_wait_left(description: Mapping[str, Any], entry: Transition) -> str:
    """By SageMaker's own times, never by this machine's clock."""
    created = instant(description.get("CreationTime"))
    max_wait = (description.get("StoppingCondition") or {}).get("MaxWaitTimeInSeconds")
    if created is None or entry.start is None or not isinstance(max_wait, int | float) or not max_wait:
        return ""
    left = max_wait - (entry.start - created).total_seconds()
    return f"{duration(max(0.0, left))} of MaxWait left"


def sentence_of_tuning(description: Mapping[str, Any]) -> str:
    """The status, the counters and the best of a tuning job, such as "InProgress; training jobs: 3 Completed; best: loss 0.1".

    :param description: a DescribeHyperParameterTuningJob answer, or a summary, which does not tell the best.
    """
    counters = description.get("TrainingJobStatusCounters") or {}
    counted = ", ".join(f"{number} {name}" for name, number in counters.items() if number)
    told = f"{description.get('HyperParameterTuningJobStatus')}; training jobs: {counted or 'none yet'}"
    best = (description.get("BestTrainingJob") or {}).get("FinalHyperParameterTuningJobObjectiveMetric") or {}
    if best.get("Value") is None:
        return told
    return f"{told}; best: {best.get('MetricName')} {best['Value']:g}"
