"""What the task instance's tab shows: one job as a whole, or all trials of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow.models.xcom import XComModel
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_spot_provider.published.rows import RESULT_KEY, PublishedRow, TaskKey, row_of, xcoms_of
from airflow_spot_provider.training import SpotTrainingResult, SpotTuningResult, phase_of
from airflow_spot_provider.training.explanation import formula_of, work_at_risk
from airflow_spot_provider.training.lifecycle import instant
from airflow_spot_provider.training.result import iso
from airflow_spot_provider.ui.charts import chart_of_trials
from airflow_spot_provider.ui.views import row_view

METRICS_KEY = "spot_metrics"
MOST_TRIALS = 500
NOTHING_PUBLISHED = (
    "This task has published nothing about a spot training. Either it is another kind of task, or it has not submitted its job "
    "yet, or its operator has do_xcom_push=False."
)


def task_view(session: Session, key: TaskKey, now: datetime, *, can_edit: bool) -> dict[str, Any]:
    """One task.

    :param can_edit: whether the user may change the DAG's runs.
    """
    row = row_of(session, key)
    if row is None:
        return {"server_time": iso(now), "row": None, "explanation": NOTHING_PUBLISHED}
    others = xcoms_of(session, key, (RESULT_KEY, METRICS_KEY))
    result = others.get(RESULT_KEY)
    training, tuning = training_result(result), _tuning_result(result)
    timeline = training.timeline if training is not None else row.progress.timeline
    trials = _tuning_table(tuning) if tuning is not None else _trials(session, row)
    return {
        "server_time": iso(now),
        "row": row_view(row, now, can_edit=can_edit),
        "explanation": None,
        "note": row.progress.note,
        "formula": formula_of(row.progress),
        "attempts": [each.model_dump(mode="json") for each in training.attempts] if training else [],
        "timeline": timeline_view(timeline),
        "timeline_left_out": training.timeline_left_out if training else row.progress.timeline_left_out,
        "work_lost": work_at_risk(timeline),
        "checkpoints": row.progress.checkpoints and row.progress.checkpoints.model_dump(mode="json"),
        "checkpoint_s3_uri": row.progress.checkpoint_s3_uri,
        "metrics": curves_of(others.get(METRICS_KEY)),
        "last_metrics": training.metrics if training else row.progress.metrics,
        "hyperparameters": training.hyperparameters if training else {},
        "failure_reason": (training or tuning or row.progress).failure_reason,
        "model_artifacts": row.progress.model_artifacts,
        "trials": trials,
        "charts": _charts(trials),
        "log": None,
        "refreshed": False,
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


def curves_of(value: object) -> dict[str, list[tuple[str, float]]]:
    """Metric curves as they were published; what is no curve is left out."""
    if not isinstance(value, Mapping):
        return {}
    curves: dict[str, list[tuple[str, float]]] = {}
    for name, points in value.items():
        if not isinstance(points, list):
            continue
        curve = [
            (point[0], float(point[1]))
            for point in points
            if isinstance(point, list)
            and len(point) == 2
            and isinstance(point[0], str)
            and isinstance(point[1], int | float)
        ]
        if curve:
            curves[str(name)] = curve
    return curves


def training_result(value: object) -> SpotTrainingResult | None:
    """The result of a training, if that is what it is."""
    try:
        return SpotTrainingResult.from_json(value)
    except ValidationError:
        return None


def _tuning_result(value: object) -> SpotTuningResult | None:
    try:
        return SpotTuningResult.from_json(value)
    except ValidationError:
        return None


def _tuning_table(result: SpotTuningResult) -> dict[str, Any]:
    best = result.best
    return {
        "metric": best and best.metric,
        "best": best and best.job_name,
        "rows": [
            {
                "name": name,
                "job_name": name,
                "outcome": outcome,
                "objective": objective,
                "billable_seconds": billable,
                "savings_percent": savings,
                "interruptions": interruptions,
                "hyperparameters": best.hyperparameters if best and best.job_name == name else {},
            }
            for name, outcome, objective, billable, savings, interruptions in result.table
        ],
        "left_out": result.jobs_left_out,
    }


def _trials(session: Session, row: PublishedRow) -> dict[str, Any] | None:
    """The trials of all slots of a sweep in this DAG run; None where there are none."""
    query = (
        select(XComModel.key, XComModel.map_index, XComModel.value)
        .where(
            XComModel.dag_id == row.dag_id,
            XComModel.task_id == row.task_id,
            XComModel.run_id == row.run_id,
            XComModel.key.startswith("trial_", autoescape=True),
        )
        .limit(MOST_TRIALS + 1)
    )
    read = session.execute(query).all()
    rows = []
    for key, slot, value in read[:MOST_TRIALS]:
        number, result = key.removeprefix("trial_"), training_result(value)
        if result is None or not number.isdecimal():
            continue
        metric, objective = next(iter(result.metrics.items()), (None, None))
        rows.append(
            {
                "name": int(number),
                "slot": slot,
                "job_name": result.job_name,
                "outcome": str(result.outcome),
                "metric": metric,
                "objective": objective,
                "billable_seconds": result.billable_seconds,
                "savings_percent": result.savings_percent,
                "interruptions": result.interruptions,
                "hyperparameters": result.hyperparameters,
            }
        )
    if not rows:
        return None
    rows.sort(key=lambda each: each["name"])
    metrics = [each["metric"] for each in rows if each["metric"] is not None]
    return {
        "metric": metrics[0] if metrics else None,
        # Whether more is better, the sweep's results say; the table can be sorted either way.
        "best": None,
        "rows": rows,
        "left_out": len(read) - len(rows),
    }


def _charts(trials: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if trials is None or trials["metric"] is None:
        return []
    values = [(each["name"], each["objective"]) for each in trials["rows"]]
    return [chart_of_trials(values, str(trials["metric"]))]
