"""The charts of a report: plotly's figures, in colours that colour-blind people can tell apart (Okabe and Ito's)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from importlib.util import find_spec
from typing import Any

WITHOUT_PLOTLY = "Charts take plotly: pip install 'airflow-spot-provider[reports]'."
_SPOT, _ON_DEMAND, _INTERRUPTED = "#0072b2", "#e69f00", "#d55e00"
_MOST_BARS = 60
_MOST_LABELS = 6
_MAX_LABEL = 20


def are_drawn() -> bool:
    """Whether plotly is installed."""
    return find_spec("plotly") is not None


def charts_of(report: Mapping[str, Any]) -> list[str]:
    """A piece of HTML for each chart: over runs, the oldest first, if there are several, else over tasks. The first one holds plotly.

    :raises ImportError: plotly is not installed.
    """
    import plotly.io

    several = len(report["runs"]) > 1
    bars = (
        [(_run_label(run), run) for run in report["runs"][:_MOST_BARS][::-1]]
        if several
        else [(_on_one_line(name), sums) for name, sums in list(report["by_task"].items())[:_MOST_BARS]]
    )
    if not bars:
        return []
    return [
        plotly.io.to_html(
            figure,
            full_html=False,
            include_plotlyjs=number == 0,
            config={"displayModeBar": False, "responsive": True},
            validate=False,
            div_id=f"chart-{number}",
        )
        for number, figure in enumerate(_figures(bars))
    ]


def _figures(bars: Sequence[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    # Plotly takes markup in text for markup, and equal labels for one: names become neither.
    names = [escape(_short(name)).replace("\n", "<br>") for name, _ in bars]
    sums = [each for _, each in bars]
    drawn = [
        _figure(
            "Savings, %",
            names,
            [_bar("saved", [each["savings_percent"] for each in sums], _SPOT, "%{y:.1f}%")],
            yaxis={"ticksuffix": "%"},
        )
    ]
    dates: dict[str, str] = {}
    for amount in (amount for each in sums for amount in each["money"]):
        currency = amount["currency"]
        dates[currency] = min(dates.get(currency, amount["price_date"]), amount["price_date"])
    for currency, date in sorted(dates.items())[:5]:
        amounts: list[Mapping[str, Any]] = [
            next((each for each in group["money"] if each["currency"] == currency), {}) for group in sums
        ]
        told = f"%{{y:,.4~f}} {escape(currency)}"
        drawn.append(
            _figure(
                f"Cost, {escape(currency)} (prices of {escape(date)})",
                names,
                [
                    _bar("billed", [each.get("cost") for each in amounts], _SPOT, told),
                    _bar("on demand", [each.get("on_demand_cost") for each in amounts], _ON_DEMAND, told),
                ],
            )
        )
    waiting = [round(each["waiting_seconds"] / 60, 2) for each in sums]
    drawn += [
        _figure(
            "Interruptions",
            names,
            [_bar("interruptions", [each["interruptions"] for each in sums], _INTERRUPTED, "%{y}")],
            yaxis={"tickformat": ",d", "tick0": 0, "dtick": _whole_steps(sums)},
        ),
        _figure("Minutes without an instance", names, [_bar("minutes", waiting, "#8b98a5", "%{y:,.1f} min")]),
    ]
    return drawn


def _bar(label: str, values: list[Any], colour: str, told: str) -> dict[str, Any]:
    return {
        "type": "bar",
        "name": label,
        "x": list(range(len(values))),
        "y": values,
        "marker": {"color": colour, "line": {"width": 0}},
        "hovertemplate": f"%{{customdata}}<br>{label} {told}<extra></extra>",
    }


def _figure(title: str, names: list[str], data: list[dict[str, Any]], **layout: Any) -> dict[str, Any]:
    number = len(names)
    # Labels stay level: as many as there is room for, the last one always there.
    shown = range((number - 1) % -(-number // _MOST_LABELS), number, -(-number // _MOST_LABELS))
    for trace in data:
        trace["customdata"] = names
    shape = {
        "height": 260,
        "margin": {"t": 52, "b": 48, "l": 56, "r": 16},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "Inter, system-ui, sans-serif", "size": 12},
        "title": {"text": title, "x": 0, "xref": "paper", "font": {"size": 14}},
        "bargap": 0.35,
        "barcornerradius": 2,
        "showlegend": len(data) > 1,
        "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"},
        "xaxis": {
            "tickvals": list(shown),
            "ticktext": [names[each] for each in shown],
            "tickangle": 0,
            "range": [-0.5 - max(0, 3 - number) / 2, number - 0.5 + max(0, 3 - number) / 2],
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
        },
    }
    return {
        "data": data,
        "layout": {**shape, "yaxis": {"rangemode": "tozero", "fixedrange": True, **layout.get("yaxis", {})}},
    }


def _run_label(run: Mapping[str, Any]) -> str:
    """When it was due, in two lines, as far as a bar has room to say it."""
    if not run["when"]:
        return _on_one_line(str(run["run_id"]))
    due = datetime.fromisoformat(run["when"])
    return f"{due.day} {due:%b}\n{due:%H:%M}"


def _whole_steps(sums: Sequence[Mapping[str, Any]]) -> int:
    most: int = max(each["interruptions"] for each in sums)
    return max(1, -(-most // 5))


def _on_one_line(name: str) -> str:
    return " ".join(name.split())


def _short(name: str) -> str:
    return name if len(name) <= _MAX_LABEL else f"{name[: _MAX_LABEL - 1]}…"
