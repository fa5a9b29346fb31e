"""How a run's trainings went against those of the run before."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from airflow_spot_provider.training.json_text import clipped
from airflow_spot_provider.training.reported import Member, Run, sums_of
from airflow_spot_provider.training.result import SpotTrainingResult

_MOST_METRICS = 10
_MAX_NAME = 120


def trend_of(runs: Sequence[Run]) -> dict[str, Any] | None:
    """How the newest run differs from the one before it; None if there is none, or the newest has no training.

    :param runs: the newest first. Those without a training are passed over.
    :return: ``against`` (its run id) and, newest minus before, ``savings_percent``, ``interruptions``, ``waiting_seconds``, ``cost`` (with
        ``currency`` and ``price_date``) and ``metrics``; None for what is not known of both. Costs are compared in one currency, where all
        trainings have a price; metrics where each run has one training.
    """
    known = [run for run in runs if any(member.result is not None for member in run.members)]
    if len(known) < 2 or known[0] is not runs[0]:
        return None
    newest, before = (sums_of(run.members) for run in known[:2])
    money = [sums["money"] for sums in (newest, before)]
    comparable = (
        [len(each) for each in money] == [1, 1]
        and money[0][0]["currency"] == money[1][0]["currency"]
        and not newest["no_price"]
        and not before["no_price"]
    )
    metrics = [_metrics(run.members) for run in known[:2]]
    return {
        "against": clipped(known[1].run_id, 300),
        "savings_percent": _less(newest["savings_percent"], before["savings_percent"]),
        "interruptions": newest["interruptions"] - before["interruptions"],
        "waiting_seconds": round(newest["waiting_seconds"] - before["waiting_seconds"], 3),
        "cost": _less(money[0][0]["cost"], money[1][0]["cost"]) if comparable else None,
        "currency": money[0][0]["currency"] if comparable else None,
        "price_date": min(each[0]["price_date"] for each in money) if comparable else None,
        "metrics": {
            name: change
            for name, value in metrics[0].items()
            if name in metrics[1] and math.isfinite(change := _rounded(value - metrics[1][name]))
        },
    }


def _metrics(members: Iterable[Member]) -> dict[str, float]:
    """The metrics of a run with one training, or the best objective of its one tuning job; of several, nobody knows which to compare."""
    results = [member.result for member in members if member.result is not None]
    if len(results) != 1:
        return {}
    if isinstance(results[0], SpotTrainingResult):
        metrics = list(results[0].metrics.items())[:_MOST_METRICS]
    else:
        best = results[0].best
        metrics = [(best.metric, best.value)] if best and best.metric and best.value is not None else []
    return {clipped(name, _MAX_NAME): value for name, value in metrics if math.isfinite(value)}


def _rounded(change: float) -> float:
    """To six digits, wherever the point is: a loss may be of any size."""
    return float(f"{change:.6g}")


def _less(newest: float | None, before: float | None) -> float | None:
    return None if newest is None or before is None else round(newest - before, 6)
