"""The trials of a sweep, or the training jobs of a tuning job, as one table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from airflow_spot_provider.published.reading import result_in
from airflow_spot_provider.published.rows import (
    RESULT_KEY,
    PublishedRow,
    number_of_trials,
    trials_of,
    xcoms_of,
)
from airflow_spot_provider.training import SpotTrainingResult, SpotTuningResult

MOST_TRIALS = 500

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
    found = _found(session, row)
    metric = _metric(found, [result for _, _, result in trainings])
    return {
        "metric": metric,
        "mode": None,
        "best": _best(found),
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


def _found(session: Session, row: PublishedRow) -> Mapping[str, Any]:
    """What the sweep came to, once it is over: its last task says what its objective is, and which trial is the best."""
    group = row.task_id.rpartition(".")[0]
    key = (row.dag_id, row.run_id, f"{group}.results" if group else "results", -1)
    value = xcoms_of(session, key, (RESULT_KEY,)).get(RESULT_KEY)
    return value if isinstance(value, Mapping) else {}


def _metric(found: Mapping[str, Any], results: Sequence[SpotTrainingResult]) -> str | None:
    metrics = found.get("metrics")
    if isinstance(metrics, list) and metrics and isinstance(metrics[0], str):
        return metrics[0]
    return next((name for result in results for name in result.metrics), None)


def _best(found: Mapping[str, Any]) -> int | None:
    best = found.get("best")
    first = best[0] if isinstance(best, list) and best else None
    number = first.get("number") if isinstance(first, Mapping) else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
