"""What the task instance's tab shows: one job as a whole, or all trials of a search."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from airflow_spot_provider.published.deadlines import near_deadlines
from airflow_spot_provider.published.reading import UNREADABLE
from airflow_spot_provider.published.rows import RESULT_KEY, PublishedRow, TaskKey, row_of, xcoms_of
from airflow_spot_provider.training import SpotTrainingResult, SpotTuningResult, phase_of
from airflow_spot_provider.training.explanation import formula_of, work_lost
from airflow_spot_provider.training.lifecycle import instant
from airflow_spot_provider.training.metric_curves import Curves, merged
from airflow_spot_provider.training.result import iso
from airflow_spot_provider.training.results import result_in
from airflow_spot_provider.ui import trials
from airflow_spot_provider.ui.charts import charts_of_trials
from airflow_spot_provider.ui.views import row_view

METRICS_KEY = "spot_metrics"
NOTHING_PUBLISHED = (
    "This task has published nothing about a spot training. Either it is another kind of task, or it has not submitted its job "
    "yet, or its operator has do_xcom_push=False."
)


def task_view(
    session: Session,
    key: TaskKey,
    now: datetime,
    *,
    can_edit: bool,
    anew: PublishedRow | None = None,
    log: list[str] | None = None,
) -> dict[str, Any]:
    """One task.

    :param can_edit: whether the user may change the DAG's runs.
    :param anew: the task with what AWS tells now, if it was asked.
    :param log: the newest lines of its training log, if they were asked for.
    """
    row = anew or row_of(session, key)
    if row is None or not row.is_ours:
        why = NOTHING_PUBLISHED if row is None else row.problem or UNREADABLE
        return {"server_time": iso(now), "row": None, "explanation": why, "refreshed": False}
    others = xcoms_of(session, key, (RESULT_KEY, METRICS_KEY))
    result = result_in(others.get(RESULT_KEY))
    training = result if isinstance(result, SpotTrainingResult) else None
    tuning = result if isinstance(result, SpotTuningResult) else None
    timeline = row.progress.timeline
    table = trials.of_tuning(tuning) if tuning is not None else trials.of_sweep(session, row)
    seen = row.progress.checkpoints
    curves: Curves = merged(others.get(METRICS_KEY), {})
    return {
        "server_time": iso(now),
        "row": row_view(row, now, can_edit=can_edit, deadlines=near_deadlines(session, now)),
        "explanation": None,
        "note": row.progress.note,
        "rung": row.progress.next_rung,
        "formula": formula_of(row.progress),
        "attempts": _attempts(training, tuning),
        "timeline": timeline_view(timeline),
        "timeline_left_out": row.progress.timeline_left_out,
        "work_lost": work_lost(timeline, newest_checkpoint=seen.newest if seen else None),
        "checkpoints": seen and seen.model_dump(mode="json"),
        "checkpoint_s3_uri": row.progress.checkpoint_s3_uri,
        "metrics": curves,
        "last_metrics": training.metrics if training else row.progress.metrics,
        "hyperparameters": training.hyperparameters if training else {},
        "failure_reason": (training or tuning or row.progress).failure_reason,
        "model_artifacts": row.progress.model_artifacts,
        "trials": table,
        "charts": charts_of_trials(table) if table else [],
        "log": log,
        "refreshed": anew is not None,
    }


def timeline_view(timeline: Sequence[tuple[str, str | None, str | None]]) -> list[dict[str, Any]]:
    """Each transition with how long it lasted; None where that is not known."""
    listed = []
    for status, told_start, told_end in timeline:
        start, end = instant(told_start), instant(told_end)
        seconds = None if start is None or end is None else max(0.0, (end - start).total_seconds())
        listed.append(
            {
                "status": status,
                "phase": str(phase_of(status)),
                "start": told_start,
                "end": told_end,
                "seconds": seconds,
            }
        )
    return listed


def _attempts(training: SpotTrainingResult | None, tuning: SpotTuningResult | None) -> list[dict[str, Any]]:
    if training is not None:
        return [each.model_dump(mode="json") for each in training.attempts]
    if tuning is not None:
        return [
            {"job_name": name, "outcome": status, "managed_spot": tuning.managed_spot}
            for name, status in tuning.attempts
        ]
    return []
