"""What an XCom ``spot_progress`` says, whoever wrote it: this version, an older one, or somebody else."""

from __future__ import annotations

import json
import math
from typing import Any

from pydantic import ValidationError

from airflow_spot_provider.training import (
    Cost,
    Phase,
    SpotProgress,
    SpotTrainingResult,
    SpotTuningResult,
    phase_of,
)

UNREADABLE = (
    "What this task published as spot_progress cannot be read: something else wrote it, or it is incomplete."
)
TOO_LONG = "What this task published as spot_progress is longer than any of ours, and is not read: something else wrote it."
_LONGEST_NUMBER = 16
_HALF_A_CHARACTER = r"\ud"
"""What the escape of one begins with, and that of each whole one beyond the basic plane."""


def value_of(text: str | None) -> Any:
    """The value of JSON that may be anybody's; None if there is none that can be read.

    Numbers that JSON has no room for (NaN, infinity), and whole ones that no float holds, are None: no browser reads them. Halves of characters are question marks: no
    URL takes them.
    """
    if text is None:
        return None
    try:
        value = json.loads(text, parse_constant=lambda _: None, parse_float=_finite, parse_int=_whole)
        if _HALF_A_CHARACTER in text.lower():
            value = json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
        return value
    except (ValueError, RecursionError):
        return None


def progress_in(text: str | None) -> tuple[SpotProgress, str | None]:
    """What a task has published, and what of it could not be read; None if all could.

    :param text: the JSON; None if it is too long to be read.
    """
    if text is None:
        return SpotProgress(), TOO_LONG
    value = value_of(text)
    if not isinstance(value, dict):
        return SpotProgress(), UNREADABLE
    try:
        return _of_any_version(SpotProgress.from_json(value)), None
    except ValidationError as error:
        wrong = sorted({str(each["loc"][0]) for each in error.errors(include_input=False)})
    readable = SpotProgress.from_json({name: member for name, member in value.items() if name not in wrong})
    return _of_any_version(readable), (
        f"Not all of what this task published can be read ({', '.join(wrong)}): something else wrote it, or another version."
    )


def completed_by(progress: SpotProgress, result: SpotTrainingResult | SpotTuningResult) -> SpotProgress:
    """The progress of an older version, which tells neither outcome nor figures, with those of the task's result."""
    savings = result.savings
    update: dict[str, Any] = {
        "outcome": str(result.outcome),
        "phase": Phase.ENDED,
        "jobs": savings.jobs,
        "unknown": savings.unknown,
        "training_instance_seconds": savings.training_instance_seconds,
        "billable_instance_seconds": savings.billable_instance_seconds,
        "savings_percent": savings.percent,
        "managed_spot": result.managed_spot,
        "interruptions": result.interruptions,
        "waiting_seconds": result.waiting_seconds,
        "failure_reason": result.failure_reason,
        **Cost.told(result.known_cost),
    }
    if isinstance(result, SpotTrainingResult):
        update |= {
            "instance_type": result.instance_type,
            "instance_count": result.instance_count,
            "timeline": result.timeline,
            "timeline_left_out": result.timeline_left_out,
            "checkpoint_s3_uri": result.checkpoint_s3_uri,
            "model_artifacts": result.model_artifacts,
        }
    return progress.model_copy(update=update)


def _of_any_version(progress: SpotProgress) -> SpotProgress:
    if progress.phase is Phase.OTHER and progress.status:
        # Older versions told the status alone.
        return progress.model_copy(update={"phase": phase_of(progress.status)})
    return progress


def _whole(text: str) -> int | None:
    return int(text) if len(text) <= _LONGEST_NUMBER else None


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None
