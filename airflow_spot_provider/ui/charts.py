"""Charts as plotly's JSON. Colours and fonts are the page's: they follow its theme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def charts_of_runs(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Savings and interruptions, cost against on demand, and outcomes, over the runs of a DAG.

    :param runs: the oldest first.
    """
    if not runs:
        return []
    when = [run["run_after"] for run in runs]
    charts = [
        _chart(
            "savings",
            "Savings and interruptions",
            "The weighted savings of each run in percent, and how often its jobs were interrupted.",
            [
                _line(when, [run["savings_percent"] for run in runs], "savings, %"),
                {**_bar(when, [run["interruptions"] for run in runs], "interruptions"), "yaxis": "y2"},
            ],
            yaxis={"title": {"text": "savings, %"}, "range": [0, 100]},
            yaxis2={
                "title": {"text": "interruptions"},
                "overlaying": "y",
                "side": "right",
                "rangemode": "tozero",
                "showgrid": False,
            },
        )
    ]
    for currency in sorted({money["currency"] for run in runs for money in run["money"]}):
        paid = [_amount(run, currency, "cost") for run in runs]
        demand = [_amount(run, currency, "on_demand_cost") for run in runs]
        charts.append(
            _chart(
                f"cost_{currency}",
                f"Cost against on demand, {currency}",
                f"What each run cost, and what the same training would have cost on demand, in {currency}.",
                [_bar(when, paid, "cost"), _bar(when, demand, "on demand")],
                barmode="group",
                yaxis={"title": {"text": currency}, "rangemode": "tozero"},
            )
        )
    outcomes = sorted({outcome for run in runs for outcome in run["outcomes"]})
    charts.append(
        _chart(
            "outcomes",
            "Outcomes",
            "How many trainings of each run ended how.",
            [_bar(when, [run["outcomes"].get(outcome, 0) for run in runs], outcome) for outcome in outcomes],
            barmode="stack",
            yaxis={"title": {"text": "trainings"}, "rangemode": "tozero"},
        )
    )
    return charts


def chart_of_trials(values: Sequence[tuple[Any, float | None]], metric: str) -> dict[str, Any]:
    """The objective of each trial, and the best so far is for the eye to find.

    :param values: of each trial, its name and its objective.
    :param metric: the objective's name.
    """
    return _chart(
        "trials",
        f"{metric} of each trial",
        f"The {metric} that each trial came to, in their order.",
        [
            {
                "type": "scatter",
                "mode": "markers",
                "x": [name for name, _ in values],
                "y": [value for _, value in values],
                "name": metric,
            }
        ],
        yaxis={"title": {"text": metric}},
        xaxis={"title": {"text": "trial"}, "type": "category"},
    )


def _amount(run: Mapping[str, Any], currency: str, name: str) -> float | None:
    return next((money[name] for money in run["money"] if money["currency"] == currency), None)


def _line(x: Sequence[Any], y: Sequence[Any], name: str) -> dict[str, Any]:
    return {"type": "scatter", "mode": "lines+markers", "x": list(x), "y": list(y), "name": name}


def _bar(x: Sequence[Any], y: Sequence[Any], name: str) -> dict[str, Any]:
    return {"type": "bar", "x": list(x), "y": list(y), "name": name}


def _chart(
    chart_id: str, title: str, description: str, data: list[dict[str, Any]], **layout: Any
) -> dict[str, Any]:
    return {
        "id": chart_id,
        "title": title,
        "description": description,
        "figure": {"data": data, "layout": layout},
    }
