"""Compare the results of many trainings: the best of them, and what they saved together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from pydantic import ValidationError

from airflow_spot_provider.training.exceptions import InvalidSpotRequest, SpotTrainingError
from airflow_spot_provider.training.lifecycle import Outcome
from airflow_spot_provider.training.money import Cost
from airflow_spot_provider.training.result import SpotTrainingResult
from airflow_spot_provider.training.savings import Savings

Mode = Literal["min", "max"]
Results = Iterable[SpotTrainingResult | Mapping[str, Any] | None]
"""Results of trainings, or the XComs that hold them; None stands for a member that left none."""


def checked_mode(mode: str) -> Mode:
    """Whether less is better or more.

    :raises InvalidSpotRequest: it is neither ``min`` nor ``max``.
    """
    if mode == "min":
        return "min"
    if mode == "max":
        return "max"
    raise InvalidSpotRequest([f"mode is {mode!r}; it takes one of {list(get_args(Mode))}."])


def results_of(published: Results) -> list[SpotTrainingResult]:
    """The results among what members of a fan-out left.

    :raises SpotTrainingError: one is something else than a training result.
    """
    if isinstance(published, Mapping):
        published = [published]
    try:
        return [
            each if isinstance(each, SpotTrainingResult) else SpotTrainingResult.from_json(each)
            for each in published
            if each is not None
        ]
    except (ValidationError, TypeError) as error:
        raise SpotTrainingError(
            "These are no training results. It takes the output of a SageMakerSpotTrainingOperator task, mapped or not."
        ) from error


def best_of(results: Results, metric: str, mode: Mode) -> SpotTrainingResult:
    """The result with the best value of a metric, among the trainings that completed; of equals, the first.

    :param results: of the trainings.
    :param metric: its name in the training jobs' MetricDefinitions.
    :param mode: ``min`` or ``max``.
    :raises InvalidSpotRequest: another mode.
    :raises SpotTrainingError: no training completed with this metric; with the metrics that there are.
    """
    sign = 1 if checked_mode(mode) == "min" else -1
    read = results_of(results)
    completed = [result for result in read if result.outcome is Outcome.COMPLETED]
    # Of a training that has diverged the metric is not a number, which is neither less nor more than any.
    with_metric = [result for result in completed if not math.isnan(result.metrics.get(metric, math.nan))]
    if not with_metric:
        if not read:
            raise SpotTrainingError("There are no trainings to compare: none has left a result.")
        there_are = sorted({name for result in completed for name in result.metrics})
        raise SpotTrainingError(
            f"None of {len(completed)} completed trainings (of {len(read)}) published a number as the metric {metric!r}; the metrics "
            f"there are: {there_are or 'none: MetricDefinitions name what is read from the training log'}."
        )
    return min(with_metric, key=lambda result: sign * result.metrics[metric])


def savings_of(results: Results) -> dict[str, Any]:
    """What trainings saved together, weighed by their instances, as plain JSON.

    :param results: of the trainings.
    :return: ``savings_percent`` (None when no training has a figure), ``unknown`` (how many have none), ``jobs`` (how many
        trainings), ``training_instance_seconds``, ``billable_instance_seconds``, ``interruptions``, ``waiting_seconds``, ``money`` (``cost``,
        ``on_demand_cost`` and the oldest ``price_date`` in each ``currency``), ``no_price`` (how many with a figure have no price) and
        ``outcomes`` (how many ended how).
    """
    read = results_of(results)
    total = Savings.total(result.savings for result in read)
    costs = [result.known_cost for result in read if result.savings.jobs]
    return {
        "savings_percent": total.percent,
        "unknown": total.unknown,
        "jobs": len(read),
        "training_instance_seconds": total.training_instance_seconds,
        "billable_instance_seconds": total.billable_instance_seconds,
        "interruptions": sum(result.interruptions for result in read),
        "waiting_seconds": round(sum(result.waiting_seconds for result in read), 3),
        "money": [
            {
                "currency": each.currency,
                "cost": each.amount,
                "on_demand_cost": each.on_demand,
                "price_date": each.price_date,
            }
            for each in Cost.total(cost for cost in costs if cost is not None).values()
        ],
        "no_price": costs.count(None),
        "outcomes": dict(Counter(str(result.outcome) for result in read)),
    }
