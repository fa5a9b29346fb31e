"""When an alert is due, and what it knows of the job then."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from airflow_spot_provider.training.lifecycle import instant
from airflow_spot_provider.training.narration import duration
from airflow_spot_provider.training.progress import SpotProgress


class When(StrEnum):
    """What an alert waits for."""

    INTERRUPTIONS = "interruptions"
    MAX_WAIT_SHARE = "max_wait_share"
    STALE_CHECKPOINT = "stale_checkpoint"


def is_due(condition: Mapping[str, Any], progress: Mapping[str, Any], now: datetime | None) -> bool:
    """Whether what an alert waits for has come true.

    :param condition: of :func:`checked_alerts`.
    :param progress: a :class:`~.progress.SpotProgress` as JSON, of a job that has not ended.
    :param now: the time, by AWS's clock as nearly as it is known.
    """
    match condition["when"]:
        case When.INTERRUPTIONS:
            return bool(progress["interruptions"] >= condition["than"])
        case When.STALE_CHECKPOINT:
            return bool((progress.get("checkpoints") or {}).get("stale"))
        case _:
            left = seconds_until(condition, progress, now)
            return left is not None and left <= 0


def seconds_until(
    condition: Mapping[str, Any], progress: Mapping[str, Any], now: datetime | None
) -> float | None:
    """In how many seconds time alone makes a condition come true; None if it does not."""
    created, ends = instant(progress.get("created")), instant(progress.get("max_wait_ends"))
    if condition["when"] != When.MAX_WAIT_SHARE or None in (created, ends, now):
        return None
    assert created is not None
    assert ends is not None
    assert now is not None
    due = created + (ends - created) * float(condition["than"])
    return (due - now).total_seconds()


def context_names() -> frozenset[str]:
    """The names that templates of an alert may use."""
    return frozenset(
        {
            *SpotProgress.model_fields,
            *("dag_id", "run_id", "task_id", "map_index", "task_url", "ti"),
            *("alert", "message", "max_wait_left"),
        }
    )


def context_of(
    condition: Mapping[str, Any], progress: Mapping[str, Any], now: datetime | None, **task: Any
) -> dict[str, Any]:
    """What an alert knows of the job.

    :param condition: the one that came true.
    :param progress: as for :func:`is_due`.
    :param now: as for :func:`is_due`.
    :param task: ``dag_id``, ``run_id``, ``task_id``, ``map_index``, ``task_url``, ``ti``.
    """
    ends = instant(progress.get("max_wait_ends"))
    left = None if ends is None or now is None else duration(max(0.0, (ends - now).total_seconds()))
    told = {**progress, **task, "alert": condition["when"], "max_wait_left": left or "an unknown part"}
    return {**told, "message": message_of(condition, told, left)}


def message_of(condition: Mapping[str, Any], told: Mapping[str, Any], left: str | None) -> str:
    """What happened, in one sentence, and where."""
    index = told.get("map_index")
    member = f"[{index}]" if index is not None and index >= 0 else ""
    # Nobody tells a trigger in dag.test() whose it is.
    task = (
        f" ({told['dag_id']}/{told.get('task_id')}{member}, run {told.get('run_id')})"
        if told.get("dag_id")
        else ""
    )
    job = f"Training job {told.get('job_name')}{task}"
    times = told.get("interruptions") or 0
    interrupted = f"interrupted {times} time{'s' * (times != 1)}"
    rest = f"{left} of MaxWait left" if left else "MaxWait is not known"
    match condition["when"]:
        case When.INTERRUPTIONS:
            return f"{job} was {interrupted} so far; {rest}."
        case When.STALE_CHECKPOINT:
            checkpoints = told.get("checkpoints") or {}
            newest = checkpoints.get("newest")
            seen = f"the newest is of {newest}" if newest else "there is none"
            every = duration(checkpoints.get("expected_every") or 0)
            uri = told.get("checkpoint_s3_uri")
            return f"{job} writes no checkpoints to {uri}: one is expected every {every}, and {seen}; it is {told.get('status')}."
        case _:
            return (
                f"{job} has used {condition['than'] * 100:.3g}% of MaxWait and has not ended: {rest}, {interrupted}, now "
                f"{told.get('status')}."
            )


def key_of(condition: Mapping[str, Any]) -> str:
    """What tells the conditions of a task apart, the same after a restart."""
    kwargs = zlib.crc32(json.dumps(condition["kwargs"], sort_keys=True).encode())
    return f"{condition['when']}={condition['than']:g} {condition['path']} {kwargs:08x}"


def remembered(value: object, job_name: str) -> set[str]:
    """The keys of what a job's alerts have told, from what was published.

    :param value: of the XCom; that of another job, or of somebody else, tells nothing.
    """
    if not isinstance(value, Mapping) or value.get("job_name") != job_name:
        return set()
    told = value.get("told")
    return {str(key) for key in told} if isinstance(told, Iterable) and not isinstance(told, str) else set()
