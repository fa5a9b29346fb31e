"""What must be true of everything that a world's tasks were told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

from airflow_spot_provider.training.lifecycle import instant
from tests.simulation.airflow import Task
from tests.simulation.sagemaker import START, SageMaker

AFTER_A_FAULT = 75.0
"""Seconds from the end of a fault until everything is as fast as ever: the longest pause, and what is waited for in between."""


def complaints_about(sagemaker: SageMaker, task: Task, *, interval: float, slack: float) -> Iterator[str]:
    """Everything that is wrong with what a task was told of its job.

    :param interval: the task's ``poll_interval``, seconds.
    :param slack: seconds that this SageMaker's own lags take besides.
    """
    history = sagemaker.history[task.job_name]
    told = [(at, *_seen(sagemaker, task, sighting.description)) for at, sighting in task.told]
    for (_, before, *_), (at, after, *_) in pairwise(told):
        if after < before:
            yield f"{task.job_name}: at {at:.1f} s it went back from {history[before]} to {history[after]}"
    keys = [key for _, _, key in told]
    if doubled := [key for number, key in enumerate(keys) if key in keys[:number]]:
        yield f"{task.job_name}: told twice: {doubled}"
    for number, (changed, *what) in enumerate(history):
        assert task.joined is not None
        due = max(changed, task.joined) + 2 * interval + slack
        while (
            fault := sagemaker.faulty_seconds_until(max(changed, task.joined) - AFTER_A_FAULT, due)
        ) is not None and (due < fault + AFTER_A_FAULT + 2 * interval + slack):
            due = fault + AFTER_A_FAULT + 2 * interval + slack
        if due > (task.left if task.left is not None else sagemaker.loop.now):
            continue
        if not any(seen >= number and at <= due for at, seen, _ in told):
            first = next((at for at, seen, _ in told if seen >= number), None)
            yield (
                f"{task.job_name}: {what} at {changed:.1f} s, waited for since {task.joined:.1f} s, was told at "
                f"{first and round(first, 1)}, due at {due:.1f} s"
            )


def _seen(sagemaker: SageMaker, task: Task, description: dict[str, object]) -> tuple[int, tuple[object, ...]]:
    """Which change of the job's history a description or a summary shows, and what tells it from others."""
    modified = instant(description["LastModifiedTime"])
    assert modified is not None
    at = modified - timedelta(seconds=sagemaker.liberties.clock_is_off) - START
    status, secondary = description["TrainingJobStatus"], description.get("SecondaryStatus")
    # Lists may tell whole seconds.
    until = at.total_seconds() + 1.0
    shown = [
        number
        for number, (changed, its_status, its_secondary) in enumerate(sagemaker.history[task.job_name])
        if changed < until and its_status == status and secondary in (None, its_secondary)
    ]
    return shown[-1], (status, secondary, modified)
