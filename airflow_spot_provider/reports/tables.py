"""A report as tables: CSV that no spreadsheet takes for formulas, Parquet, Markdown that names cannot break."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from airflow_spot_provider.training import SpotTrainingResult
from airflow_spot_provider.training.narration import duration, money
from airflow_spot_provider.training.report import Member, Run

COLUMNS = (
    "run_id",
    "when",
    "task_id",
    "member",
    "job_name",
    "outcome",
    "managed_spot",
    "instance_type",
    "instance_count",
    "training_seconds",
    "billable_seconds",
    "savings_percent",
    "interruptions",
    "waiting_seconds",
    "cost",
    "on_demand_cost",
    "currency",
    "price_date",
    "model_artifacts",
    "problem",
)
"""A row for each training. Training and billable seconds of a tuning job are over all instances of all of its training jobs."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~&])")


def rows_of(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """A row for each training, by :data:`COLUMNS`."""
    return [_row(run, member) for run in runs for member in run.members]


def as_csv(runs: Sequence[Run]) -> bytes:
    """Rows as CSV in UTF-8. Text that a spreadsheet would take for a formula has an apostrophe before it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    for row in rows_of(runs):
        writer.writerow({name: harmless(value) for name, value in row.items()})
    return text.getvalue().encode(errors="replace")


def as_parquet(runs: Sequence[Run]) -> bytes:
    """Rows as Parquet.

    :raises ImportError: pyarrow is not installed.
    """
    pa: Any = import_module("pyarrow")
    pq: Any = import_module("pyarrow.parquet")

    numbers = {
        "training_seconds",
        "billable_seconds",
        "savings_percent",
        "waiting_seconds",
        "cost",
        "on_demand_cost",
    }
    types = {"managed_spot": pa.bool_(), "instance_count": pa.int64(), "interruptions": pa.int64()}
    schema = pa.schema(
        [(name, types.get(name, pa.float64() if name in numbers else pa.string())) for name in COLUMNS]
    )
    written = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows_of(runs), schema=schema), written)
    return written.getvalue()


def as_markdown(report: Mapping[str, Any], runs: Sequence[Run], *, title: str) -> bytes:
    """The report for a pull request, a wiki or a chat."""
    lines = [f"# {plain(title)}", "", headline_of(report), ""]
    if trend := trend_sentence(report["trend"]):
        lines += [plain(trend), ""]
    lines += _table(
        ("Task", "Jobs", "Savings", "Interruptions", "Without an instance", "Cost", "Outcomes"),
        [(name, *_cells(sums)) for name, sums in report["by_task"].items()],
    )
    if len(runs) > 1:
        lines += _table(
            ("Run", "Jobs", "Savings", "Interruptions", "Without an instance", "Cost", "Outcomes"),
            [(each["run_id"], *_cells(each)) for each in report["runs"]],
        )
    for heading, names in (("Not completed", report["failed"]), ("No result", report["missing"])):
        if names:
            lines += [f"## {heading}", "", *(f"- {plain(name)}" for name in names), ""]
    for breach in report.get("breaches", ()):
        lines += [f"**{plain(breach)}**", ""]
    return "\n".join(lines).encode(errors="replace")


def headline_of(report: Mapping[str, Any]) -> str:
    """What it all came to, in a sentence or two."""
    percent = report["savings_percent"]
    saved = "Savings are not known" if percent is None else f"Saved {percent:.1f}%"
    unknown = f" ({report['unknown']} without a figure)" if report["unknown"] else ""
    paid = "; ".join(
        f"{money(each['cost'], each['currency'])} instead of {money(each['on_demand_cost'], each['currency'])} on demand "
        f"(prices of {each['price_date']})"
        for each in report["money"]
    )
    no_price = f"; {report['no_price']} without a price" if report["no_price"] and paid else ""
    jobs = report["jobs"] + report["unknown"]
    return (
        f"{saved} over {jobs} training job{'s' * (jobs != 1)}{unknown}. Cost: {paid or 'not known'}{no_price}. "
        f"{report['interruptions']} interruption{'s' * (report['interruptions'] != 1)}, "
        f"{duration(report['waiting_seconds'])} without an instance."
    )


def trend_sentence(trend: Mapping[str, Any] | None) -> str | None:
    """How the newest run differs from the one before; None if there is none."""
    if trend is None:
        return None
    parts = []
    if trend["savings_percent"] is not None:
        parts.append(f"savings {trend['savings_percent']:+.1f} points")
    if trend["cost"] is not None:
        sign = "+" if trend["cost"] >= 0 else "-"
        parts.append(f"cost {sign}{money(abs(trend['cost']), trend['currency'])}")
    parts.append(f"interruptions {trend['interruptions']:+d}")
    parts += [f"{name} {change:+.4g}" for name, change in trend["metrics"].items() if change is not None]
    return f"Against {trend['against']}: {', '.join(parts)}."


def harmless(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return _MARKUP.sub(r"\\\1", text).replace("\n", " ").replace("\r", " ")


def money_of(sums: Mapping[str, Any]) -> str:
    """What a group cost, and what it would have cost on demand."""
    told = "; ".join(
        f"{money(each['cost'], each['currency'])} of {money(each['on_demand_cost'], each['currency'])}"
        for each in sums["money"]
    )
    return told or "not known"


def _cells(sums: Mapping[str, Any]) -> tuple[str, ...]:
    percent = sums["savings_percent"]
    return (
        str(sums["jobs"] + sums["unknown"]),
        "not known" if percent is None else f"{percent:.1f}%",
        str(sums["interruptions"]),
        duration(sums["waiting_seconds"]),
        money_of(sums),
        ", ".join(f"{number} {name}" for name, number in sums["outcomes"].items()),
    )


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(headings)} |", f"|{' --- |' * len(headings)}"]
    return [*lines, *(f"| {' | '.join(plain(cell) for cell in row)} |" for row in rows), ""]


def _row(run: Run, member: Member) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {
        "run_id": run.run_id,
        "when": run.when,
        "task_id": member.task_id,
        "member": member.name,
        "problem": member.problem,
    }
    result = member.result
    if result is None:
        return row
    row |= {name: getattr(result, name) for name in COLUMNS if hasattr(result, name)}
    row["outcome"] = str(result.outcome)
    if not isinstance(result, SpotTrainingResult):
        row["training_seconds"] = result.training_instance_seconds
        row["billable_seconds"] = result.billable_instance_seconds
        row["model_artifacts"] = result.best.model_artifacts if result.best else None
    return row
