"""Charts as plotly's JSON. Colours and fonts are the page's: they follow its theme.

Plotly draws those of runs, the page itself those of trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow_spot_provider.training.lifecycle import instant

_MOST_HYPERPARAMETERS = 6


def charts_of_runs(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Savings and interruptions, cost against on demand, and outcomes, over the runs of a DAG.

    :param runs: the oldest first.
    """
    if not runs:
        return []
    when = _labels([str(run["run_after"] or run["run_id"]) for run in runs])
    savings = [run["savings_percent"] for run in runs]
    of_runs = {"xaxis": {"type": "category", "tickangle": 0, "nticks": 8, "tickfont": {"size": 10}}}
    charts = [
        _chart(
            "savings",
            "Savings and interruptions",
            "The weighted savings of each run in percent, and how often its jobs were interrupted.",
            [
                _line(when, savings, "savings, %"),
                {**_bar(when, [run["interruptions"] for run in runs], "interruptions"), "yaxis": "y2"},
            ],
            **of_runs,
            yaxis={
                "title": {"text": "savings, %"},
                "range": [min([0, *(each for each in savings if each is not None)]), 100],
            },
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
                **of_runs,
                barmode="group",
                yaxis={"title": {"text": currency}, "rangemode": "tozero"},
            )
        )
    outcomes = sorted({outcome for run in runs for outcome in run["outcomes"]})
    if outcomes:
        charts.append(
            _chart(
                "outcomes",
                "Outcomes",
                "How many trainings of each run ended how.",
                [
                    _bar(when, [run["outcomes"].get(outcome, 0) for run in runs], outcome)
                    for outcome in outcomes
                ],
                **of_runs,
                barmode="stack",
                yaxis={
                    "title": {"text": "trainings"},
                    "rangemode": "tozero",
                    "dtick": max(1, -(-max(sum(run["outcomes"].values()) for run in runs) // 5)),
                },
            )
        )
    return [{**chart, "figure": _unmarked(chart["figure"])} for chart in charts]


def charts_of_trials(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The objective of each trial, against its billable time, and against each hyperparameter.

    :param table: of the trials.
    """
    metric = table["metric"]
    rows = [row for row in table["rows"] if row["objective"] is not None]
    if metric is None or not rows:
        return []
    names, values = [str(row["name"]) for row in rows], [row["objective"] for row in rows]
    axis = {"title": {"text": metric}}
    trials = [_points(names, values, metric, names)]
    if table["mode"] is not None:
        trials.append(_line(names, _best_so_far(values, table["mode"]), "best so far"))
    charts = [
        _chart(
            "trials",
            f"{metric} of each trial",
            f"The {metric} that each trial came to, in their order.",
            trials,
            xaxis={"title": {"text": "trial"}, "type": "category"},
            yaxis=axis,
        )
    ]
    billed = [row for row in rows if row["billable_seconds"] is not None]
    if billed:
        charts.append(
            _chart(
                "cost_against_objective",
                f"{metric} against billable time",
                f"What each trial was billed, in seconds, and the {metric} that it came to.",
                [
                    _points(
                        [row["billable_seconds"] for row in billed],
                        [row["objective"] for row in billed],
                        metric,
                        [str(row["name"]) for row in billed],
                    )
                ],
                xaxis={"title": {"text": "billable seconds"}, "rangemode": "tozero"},
                yaxis=axis,
            )
        )
    return charts + _charts_of_hyperparameters(rows, metric)


def _charts_of_hyperparameters(rows: Sequence[Mapping[str, Any]], metric: str) -> list[dict[str, Any]]:
    names = dict.fromkeys(name for row in rows for name in row["hyperparameters"])
    charts = []
    for number, name in enumerate(list(names)[:_MOST_HYPERPARAMETERS]):
        tried = [row for row in rows if name in row["hyperparameters"]]
        texts = [row["hyperparameters"][name] for row in tried]
        if len(set(texts)) < 2:
            continue
        numbers = [_number(text) for text in texts]
        axis: dict[str, Any] = {"title": {"text": name}, "type": "category"}
        x: list[Any] = list(texts)
        if None not in numbers:
            x = numbers
            positive = [each for each in numbers if each is not None and each > 0]
            wide = len(positive) == len(numbers) and max(positive) >= 100 * min(positive)
            axis["type"] = "log" if wide else "linear"
        charts.append(
            _chart(
                f"hyperparameter_{number}",
                f"{metric} against {name}",
                f"The value of {name} of each trial, and the {metric} that it came to.",
                [
                    _points(
                        x, [row["objective"] for row in tried], metric, [str(row["name"]) for row in tried]
                    )
                ],
                xaxis=axis,
                yaxis={"title": {"text": metric}},
            )
        )
    return charts


def _labels(times: Sequence[str]) -> list[str]:
    """A short name for each run, each another: equal ones would be drawn over one another."""
    labels: dict[str, None] = {}
    for told in times:
        time = instant(told)
        label = f"{time:%d %b}\n{time:%H:%M}" if isinstance(time, datetime) else told[:40]
        number, unique = 1, label
        while unique in labels:
            number += 1
            unique = f"{label} ({number})"
        labels[unique] = None
    return list(labels)


def _best_so_far(values: Sequence[float], mode: str) -> list[float]:
    better = min if mode == "min" else max
    best: list[float] = []
    for value in values:
        best.append(better(best[-1], value) if best else value)
    return best


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < 1e300 else None


def _amount(run: Mapping[str, Any], currency: str, name: str) -> float | None:
    return next((money[name] for money in run["money"] if money["currency"] == currency), None)


def _points(x: Sequence[Any], y: Sequence[Any], name: str, texts: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": list(x),
        "y": list(y),
        "name": name,
        "text": list(texts),
    }


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


def _unmarked(part: Any) -> Any:
    """Plotly takes some markup in text for markup: what users have named is no markup."""
    match part:
        case str():
            return part.replace("&", "&amp;").replace("<", "&lt;")
        case dict():
            return {name: _unmarked(member) for name, member in part.items()}
        case list():
            return [_unmarked(member) for member in part]
        case _:
            return part
