"""A report as one HTML file that holds all it needs: styles, tables, and its charts if plotly is installed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from airflow_spot_provider.reports import charts
from airflow_spot_provider.reports.sentences import (
    HEADINGS,
    UNKNOWN,
    cells_of,
    changes_of,
    count,
    percent_of,
    prices_sentence,
    whole_list,
)
from airflow_spot_provider.training.narration import duration, money

_MOST_ROWS = 500
_STYLE = """
:root { color-scheme: light dark; --bg: #fff; --card: #f7f9fb; --line: #e3e8ee; --ink: #1a202c; --soft: #5b6675; --ok: #00785a; --bad: #b3261e; --warn: #8a5000;
  --spot: #0072b2; --on-demand: #e69f00; }
@media (prefers-color-scheme: dark) {
  :root { --bg: #14181d; --card: #1b2027; --line: #2b323b; --ink: #e6eaee; --soft: #9aa6b2; --ok: #4fd1a5; --bad: #ff8a80; --warn: #f2b45a; --spot: #3d9bdc; }
  .chart path[style*="rgb(0, 114, 178)"] { fill: #3d9bdc !important; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--ink); font: 14px/1.5 Inter, system-ui, sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 28px 24px 56px; }
h1 { font-size: 22px; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 16px; margin: 36px 0 8px; }
p { margin: 4px 0; } .soft { color: var(--soft); } .bad { color: var(--bad); } .ok { color: var(--ok); } .warn { color: var(--warn); }
.strip { display: grid; grid-template-columns: 1.6fr repeat(4, 1fr); gap: 10px; margin: 18px 0 0; padding: 0; list-style: none; }
.strip li, .chart, .breach { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px; }
.strip b { display: block; font-size: 24px; font-weight: 600; line-height: 1.3; } .strip small { display: block; font-size: 13px; color: var(--soft); }
.breach { border-left: 4px solid var(--bad); margin: 14px 0 0; } .breach p + p { margin-top: 8px; }
.meter { height: 8px; border-radius: 4px; background: var(--on-demand); margin: 8px 0 6px; overflow: hidden; } .meter i { display: block; height: 100%; background: var(--spot); }
.charts { display: grid; grid-template-columns: 1fr 1fr; gap: 10px; margin-top: 18px; } .chart { padding: 4px 8px 0; min-width: 0; }
.chart text { fill: var(--ink) !important; } .chart .xtick text, .chart .ytick text { fill: var(--soft) !important; }
.chart .gridlayer path { stroke: var(--line) !important; } .chart .zerolinelayer path { stroke: var(--soft) !important; }
.chart .hoverlayer path { fill: var(--bg) !important; stroke: var(--soft) !important; } .chart .legend rect.bg { fill: transparent !important; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 8px; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
thead th { font-weight: 500; color: var(--soft); font-size: 12px; padding: 6px 8px; white-space: nowrap; } tbody th { font-weight: 600; min-width: 160px; max-width: 420px; }
th.number, td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.names { margin: 0; padding-left: 18px; } .names li { overflow-wrap: anywhere; }
@media (max-width: 860px) { .strip, .charts { grid-template-columns: 1fr 1fr; } .strip li:first-child { grid-column: 1 / -1; } .charts { grid-template-columns: 1fr; } }
"""


def as_html(report: Mapping[str, Any], *, title: str) -> bytes:
    """The report as a page.

    :param report: of :func:`~airflow_spot_provider.training.report.report_of`.
    :param title: its heading.
    """
    drawn = charts.charts_of(report) if charts.are_drawn() else []
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{escape(_about(report))}</p>',
        _breaches(report.get("breaches", ())),
        _strip(report),
        _trend(report["trend"]),
        f'<div class="charts">{"".join(_chart(each) for each in drawn)}</div>' if drawn else "",
        "" if charts.are_drawn() else f'<p class="soft">{escape(charts.WITHOUT_PLOTLY)}</p>',
        _names("Not completed", report["failed"], "bad"),
        _names("No result", report["missing"], "warn"),
        _sums("By task", "Task", report["by_task"].items()),
        _sums("By instance type", "Instance type", report["by_instance_type"].items()),
        _sums("By run", "Run", _runs(report["runs"])) if len(report["runs"]) > 1 else "",
        f'<p class="soft">{escape(prices_sentence(report) or "")}</p>',
        _names("Skipped", report["skipped"], "soft"),
        _names("Notes", report["notes"], "soft"),
    ]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    )
    body = "\n".join(part for part in parts if part)
    page = (
        f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body><main>\n{body}\n</main></body></html>\n'
    )
    return page.encode(errors="replace")


def _about(report: Mapping[str, Any]) -> str:
    """How many of what, and of when."""
    runs = report["runs"]
    dates = sorted(run["when"][:16].replace("T", " ") for run in runs if run["when"])
    when = f", {dates[0]}" + (f" to {dates[-1]}" if dates[0] != dates[-1] else "") + " UTC" if dates else ""
    jobs = report["jobs"] + report["unknown"]
    return f"{count(jobs, 'training job')} in {count(len(runs), 'run')}{when}"


def _strip(report: Mapping[str, Any]) -> str:
    first = report["money"][0] if report["money"] else None
    meter = ""
    if first and first["on_demand_cost"] > 0:
        share = min(100.0, first["cost"] / first["on_demand_cost"] * 100)
        meter = f'<div class="meter" aria-hidden="true"><i style="width:{share:.1f}%"></i></div>'
    paid = [
        f"{money(each['cost'], each['currency'])} instead of {money(each['on_demand_cost'], each['currency'])} on demand, "
        f"prices of {each['price_date']}"
        for each in report["money"][:5]
    ]
    lacking = [
        *([f"{report['unknown']:,} without a savings figure"] if report["unknown"] else []),
        *([f"{report['no_price']:,} without a price"] if report["no_price"] else []),
    ]
    saved = "Savings not known" if percent_of(report) == UNKNOWN else f"{percent_of(report)} saved"
    smalls = "".join(f"<small>{escape(each)}</small>" for each in [*(paid or ["Cost not known"]), *lacking])
    completed = sum(number for name, number in report["outcomes"].items() if name.startswith("Completed"))
    lost = [
        *([f"{report['failed_count']:,} not completed"] if report["failed_count"] else []),
        *([f"{report['missing_count']:,} without a result"] if report["missing_count"] else []),
    ]
    trained, billed = (duration(report[f"{kind}_instance_seconds"]) for kind in ("training", "billable"))
    tiles = [
        (f"{completed:,}", "tasks completed", lost),
        (f"{report['interruptions']:,}", "interruptions", []),
        (duration(report["waiting_seconds"]), "without an instance", []),
        (billed, "billed", [f"of {trained} trained, over all instances"]),
    ]
    told = "".join(
        f"<li><b>{escape(number)}</b>{words}{''.join(f'<small>{escape(more)}</small>' for more in mores)}</li>"
        for number, words, mores in tiles
    )
    return f'<ul class="strip"><li><b>{escape(saved)}</b>{meter}{smalls}</li>{told}</ul>'


def _trend(trend: Mapping[str, Any] | None) -> str:
    if trend is None:
        return ""
    changes = ", ".join(f"{escape(what)} <b>{escape(by)}</b>" for what, by in changes_of(trend))
    return f'<p style="margin-top:14px"><span class="soft">Against {escape(trend["against"])}:</span> {changes}</p>'


def _breaches(breaches: Sequence[str]) -> str:
    told = "".join(f"<p>{escape(breach)}</p>" for breach in breaches)
    return (
        f'<div class="breach" role="alert"><b class="bad">Threshold not kept</b>{told}</div>' if told else ""
    )


def _chart(drawn: str) -> str:
    return f'<div class="chart">{drawn}</div>'


def _runs(runs: Iterable[Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(run["run_id"], run) for run in runs]


def _sums(title: str, heading: str, groups: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    listed = list(groups)
    rows = []
    for name, sums in listed[:_MOST_ROWS]:
        *numbers, outcomes = map(escape, cells_of(sums))
        cells = "".join(f'<td class="number">{cell}</td>' for cell in numbers)
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}<td>{outcomes}</td></tr>')
    if not rows:
        return ""
    *numeric, last = HEADINGS
    head = "".join(f'<th scope="col" class="number">{each}</th>' for each in numeric)
    more = len(listed) - _MOST_ROWS
    left_out = f'<p class="soft">and {more:,} more; the CSV file has all trainings.</p>' if more > 0 else ""
    return (
        f'<h2>{title}</h2><div class="scroll" tabindex="0" role="region" aria-label="{title}"><table><thead><tr><th scope="col">{heading}</th>{head}'
        f'<th scope="col">{last}</th></tr></thead><tbody>{"".join(rows)}</tbody></table></div>{left_out}'
    )


def _names(title: str, names: Sequence[str], kind: str) -> str:
    if not names:
        return ""
    listed = "".join(f"<li>{escape(name)}</li>" for name in whole_list(names, 100))
    return f'<h2 class="{kind}">{title}</h2><ul class="names">{listed}</ul>'
