"""The trials of a sweep, or the training jobs of a tuning job, as one table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from airflow_spot_provider.published.rows import (
    RESULT_KEY,
    PublishedRow,
    number_of_trials,
    trials_of,
    xcoms_of,
)
from airflow_spot_provider.training import SpotTrainingError, SpotTrainingResult, SpotTuningResult, best_of
from airflow_spot_provider.training.comparison import Mode
from airflow_spot_provider.training.results import result_in

MOST_TRIALS = 500
_OBJECTIVES_KEY = "spot_objectives"
"""XCom of a sweep's first task: what it searches for."""

Trial = dict[str, Any]


def of_tuning(result: SpotTuningResult) -> dict[str, Any]:
    """The training jobs of a tuning job that has ended."""
    best = result.best
    rows: list[Trial] = [
        {
            "name": name,
            "job_name": name,
            "outcome": outcome,
            "objective": objective,
            "billable_seconds": billable,
            "savings_percent": savings,
            "interruptions": interruptions,
            "cost": None,
            "hyperparameters": dict(best.hyperparameters) if best and best.job_name == name else {},
        }
        for name, outcome, objective, billable, savings, interruptions in result.table
    ]
    return {
        "metric": best and best.metric,
        "mode": {"Minimize": "min", "Maximize": "max"}.get(result.objective_type or ""),
        "best": best and best.job_name,
        "rows": rows,
        "left_out": result.jobs_left_out,
    }


def of_sweep(session: Session, row: PublishedRow) -> dict[str, Any] | None:
    """The trials of all slots of a sweep in this DAG run; None where there are none."""
    read = trials_of(session, row, limit=MOST_TRIALS + 1)
    results = [(number, slot, result_in(value)) for number, slot, value in read[:MOST_TRIALS]]
    trainings = [
        (number, slot, result) for number, slot, result in results if isinstance(result, SpotTrainingResult)
    ]
    if not trainings:
        return None
    there_are = number_of_trials(session, row) if len(read) > MOST_TRIALS else len(read)
    found = _published(session, row, "results", RESULT_KEY)
    objectives = found or _published(session, row, "prepare", _OBJECTIVES_KEY)
    metric = _metric(objectives, [result for _, _, result in trainings])
    mode = _mode(objectives)
    return {
        "metric": metric,
        "mode": mode,
        "best": _best(found) if found else _best_so_far(trainings, metric, mode),
        "rows": [_trial(number, slot, result, metric) for number, slot, result in trainings],
        "left_out": there_are - len(trainings),
    }


def _trial(number: int, slot: int, result: SpotTrainingResult, metric: str | None) -> Trial:
    return {
        "name": number,
        "slot": slot,
        "job_name": result.job_name,
        "outcome": str(result.outcome),
        "objective": None if metric is None else _finite(result.metrics.get(metric)),
        "billable_seconds": result.billable_seconds,
        "savings_percent": result.savings_percent,
        "interruptions": result.interruptions,
        "cost": result.cost,
        "hyperparameters": dict(result.hyperparameters),
    }


def _published(session: Session, row: PublishedRow, task: str, name: str) -> Mapping[str, Any]:
    """What the first task, or the last one, of a slot's sweep has published; empty as long as it has not."""
    group = row.task_id.rpartition(".")[0]
    key = (row.dag_id, row.run_id, f"{group}.{task}" if group else task, -1)
    value = xcoms_of(session, key, (name,)).get(name)
    return value if isinstance(value, Mapping) else {}


def _metric(objectives: Mapping[str, Any], results: Sequence[SpotTrainingResult]) -> str | None:
    metrics = objectives.get("metrics")
    if isinstance(metrics, list) and metrics and isinstance(metrics[0], str):
        return metrics[0]
    return next((name for result in results for name in result.metrics), None)


def _mode(objectives: Mapping[str, Any]) -> Mode | None:
    """Whether less is better or more; None of several objectives, among which none is the one to go by."""
    match objectives.get("modes"):
        case ["min"]:
            return "min"
        case ["max"]:
            return "max"
    return None


def _best(found: Mapping[str, Any]) -> int | None:
    best = found.get("best")
    first = best[0] if isinstance(best, list) and best else None
    number = first.get("number") if isinstance(first, Mapping) else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _best_so_far(
    trainings: Sequence[tuple[int, int, SpotTrainingResult]], metric: str | None, mode: Mode | None
) -> int | None:
    """The number of the best trial while others train."""
    if metric is None or mode is None:
        return None
    try:
        best = best_of([result for _, _, result in trainings], metric, mode)
    except SpotTrainingError:
        return None  # none has completed
    return next(number for number, _, result in trainings if result is best)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
