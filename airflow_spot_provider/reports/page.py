"""A report as one HTML file that holds all it needs: styles, tables, and its charts if plotly is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.util import find_spec
from typing import Any

from airflow_spot_provider.reports.tables import headline_of, money_of, trend_sentence
from airflow_spot_provider.training.narration import duration
from airflow_spot_provider.training.report import Run

_SPOT, _ON_DEMAND = "#0072b2", "#e69f00"
_STYLE = """
:root { color-scheme: light dark; --bg: #fff; --panel: #f8f9fb; --line: #e2e6ea; --ink: #16191f; --soft: #5a6472; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --bg: #14171c; --panel: #1b1f26; --line: #2c323b; --ink: #e8ebef; --soft: #a3adba; --bad: #ff8a80; }
}
body { margin: 0 auto; max-width: 1080px; padding: 28px 24px; background: var(--bg); color: var(--ink);
  font: 15px/1.5 Inter, system-ui, sans-serif; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 17px; margin: 28px 0 8px; }
p { margin: 6px 0; } .soft { color: var(--soft); } .bad { color: var(--bad); }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 18px 0; padding: 0; list-style: none; }
.tiles li { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px; min-width: 150px; }
.tiles b { display: block; font-size: 24px; line-height: 1.25; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; color: var(--soft); }
th, td { text-align: left; padding: 7px 10px 7px 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { font-weight: 500; color: var(--soft); font-size: 13px; } .number { text-align: right; font-variant-numeric: tabular-nums; }
.chart { background: #fff; border: 1px solid var(--line); border-radius: 8px; padding: 6px; margin-top: 12px; }
"""


def as_html(report: Mapping[str, Any], runs: Sequence[Run], *, title: str) -> bytes:
    """The report as a page.

    :param report: of :func:`~airflow_spot_provider.training.report.report_of`.
    :param runs: what it is of.
    :param title: its heading.
    """
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(headline_of(report))}</p>",
        *(f"<p>{escape(sentence)}</p>" for sentence in [trend_sentence(report["trend"])] if sentence),
        *(f'<p class="bad"><b>{escape(breach)}</b></p>' for breach in report.get("breaches", ())),
        _tiles(report),
        *_charts(report),
        _sums("By task", "Task", report["by_task"]),
        _sums("By instance type", "Instance type", report["by_instance_type"]),
        _sums("By run", "Run", {run["run_id"]: run for run in report["runs"]}) if len(runs) > 1 else "",
        _list("Not completed", report["failed"]),
        _list("No result", report["missing"]),
    ]
    if report["left_out"]:
        parts.append(
            f'<p class="soft">{report["left_out"]} rows are left out of the tables above; the CSV file has all.</p>'
        )
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{_STYLE}</style>'
    body = "\n".join(part for part in parts if part)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body><main>\n{body}\n</main></body></html>\n'.encode(
        errors="replace"
    )


def _tiles(report: Mapping[str, Any]) -> str:
    percent = report["savings_percent"]
    tiles = [
        ("not known" if percent is None else f"{percent:.1f}%", "saved"),
        (money_of(report), "cost, of what on demand would have cost"),
        (str(report["interruptions"]), "interruptions"),
        (duration(report["waiting_seconds"]), "without an instance"),
        (str(report["jobs"] + report["unknown"]), "training jobs"),
    ]
    listed = "".join(f"<li><b>{escape(number)}</b>{escape(words)}</li>" for number, words in tiles)
    return f'<ul class="tiles">{listed}</ul>'


def _sums(title: str, heading: str, groups: Mapping[str, Mapping[str, Any]]) -> str:
    headings = ("Jobs", "Savings", "Interruptions", "Without an instance", "Cost, of on demand")
    rows = []
    for name, sums in groups.items():
        percent = sums["savings_percent"]
        cells = (
            str(sums["jobs"] + sums["unknown"]),
            "not known" if percent is None else f"{percent:.1f}%",
            str(sums["interruptions"]),
            duration(sums["waiting_seconds"]),
            money_of(sums),
        )
        outcomes = ", ".join(f"{number} {outcome}" for outcome, number in sums["outcomes"].items())
        rows.append(
            f'<tr><th scope="row">{escape(str(name))}</th>'
            + "".join(f'<td class="number">{escape(cell)}</td>' for cell in cells)
            + f"<td>{escape(outcomes)}</td></tr>"
        )
    head = "".join(f'<th scope="col" class="number">{each}</th>' for each in headings)
    return (
        f'<h2>{title}</h2><table><thead><tr><th scope="col">{heading}</th>{head}<th scope="col">Outcomes</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _list(title: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    return f"<h2>{title}</h2><ul>{''.join(f'<li>{escape(name)}</li>' for name in names)}</ul>"


def _charts(report: Mapping[str, Any]) -> list[str]:
    if find_spec("plotly") is None:
        return ["<p class=\"soft\">Charts take plotly: pip install 'airflow-spot-provider[reports]'.</p>"]
    import plotly.io

    groups = report["runs"][::-1] if len(report["runs"]) > 1 else None
    sums = groups or list(report["by_task"].values())
    # Plotly takes markup in text for markup: a name is no markup.
    names = [
        escape(str(name)) for name in ([run["run_id"] for run in groups] if groups else report["by_task"])
    ]
    drawn = []
    for number, figure in enumerate(_figures(names, sums)):
        inline = plotly.io.to_html(
            figure,
            full_html=False,
            include_plotlyjs=number == 0,
            config={"displayModeBar": False},
            validate=False,
        )
        drawn.append(f'<div class="chart">{inline}</div>')
    return drawn


def _figures(names: list[str], sums: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    figures = [
        _figure(
            "Savings, %",
            [_bar("savings", names, [each["savings_percent"] for each in sums], _SPOT)],
            yaxis={"range": [0, 100]},
        )
    ]
    for currency in sorted({amount["currency"] for each in sums for amount in each["money"]}):
        amounts: list[Mapping[str, Any]] = [
            next((each for each in group["money"] if each["currency"] == currency), {}) for group in sums
        ]
        figures.append(
            _figure(
                f"Cost against on demand, {escape(currency)}",
                [
                    _bar("cost", names, [each.get("cost") for each in amounts], _SPOT),
                    _bar("on demand", names, [each.get("on_demand_cost") for each in amounts], _ON_DEMAND),
                ],
            )
        )
    return figures


def _bar(label: str, names: list[str], values: list[Any], colour: str) -> dict[str, Any]:
    return {"type": "bar", "name": label, "x": names, "y": values, "marker": {"color": colour}}


def _figure(title: str, data: list[dict[str, Any]], **layout: Any) -> dict[str, Any]:
    shape = {"height": 320, "margin": {"t": 48, "b": 60}, "xaxis": {"type": "category"}, **layout}
    return {"data": data, "layout": {"title": {"text": title}, **shape}}
