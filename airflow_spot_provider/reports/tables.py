"""A report as tables: CSV that no spreadsheet takes for formulas, Parquet, Markdown that names cannot break."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from airflow_spot_provider.reports.sentences import (
    HEADINGS,
    cells_of,
    headline_of,
    prices_sentence,
    trend_sentence,
    whole_list,
)
from airflow_spot_provider.training import SpotTrainingResult
from airflow_spot_provider.training.json_text import sound
from airflow_spot_provider.training.reported import Member, Run

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
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_MOST_ROWS = 500
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


def as_markdown(report: Mapping[str, Any], *, title: str) -> bytes:
    """The report for a pull request, a wiki or a chat."""
    lines = [f"# {plain(title)}", "", plain(headline_of(report)), ""]
    if trend := trend_sentence(report["trend"]):
        lines += [plain(trend), ""]
    for breach in report.get("breaches", ()):
        lines += [f"**Threshold not kept.** {plain(breach)}", ""]
    lines += _table("Task", [(name, *cells_of(sums)) for name, sums in report["by_task"].items()])
    lines += _table(
        "Instance type", [(name, *cells_of(sums)) for name, sums in report["by_instance_type"].items()]
    )
    if len(report["runs"]) > 1:
        lines += _table("Run", [(each["run_id"], *cells_of(each)) for each in report["runs"]])
    if prices := prices_sentence(report):
        lines += [plain(prices), ""]
    for heading, names in (
        ("Not completed", report["failed"]),
        ("No result", report["missing"]),
        ("Skipped", report["skipped"]),
        ("Notes", report["notes"]),
    ):
        if names:
            lines += [
                f"## {heading}",
                "",
                *(f"- {plain(name)}" for name in whole_list(names, _MOST_ROWS)),
                "",
            ]
    return "\n".join(lines).encode(errors="replace")


def harmless(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def plain(text: str) -> str:
    """Text that Markdown shows as it is: no markup, and no address that becomes a link by itself."""
    shown = _MARKUP.sub(r"\\\1", " ".join(text.split()))
    return shown.replace("://", ":\u200b//").replace("www.", "www\u200b.").replace("@", "@\u200b")


def _table(heading: str, rows: Sequence[Sequence[str]]) -> list[str]:
    headings = (heading, *HEADINGS)
    lines = [f"| {' | '.join(headings)} |", f"|{' --- |' * len(headings)}"]
    lines += [f"| {' | '.join(plain(cell) for cell in row)} |" for row in rows[:_MOST_ROWS]]
    more = [f"and {len(rows) - _MOST_ROWS:,} more", ""] if len(rows) > _MOST_ROWS else []
    return [*lines, "", *more]


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
        return {name: sound(value) if isinstance(value, str) else value for name, value in row.items()}
    row |= {name: getattr(result, name) for name in COLUMNS if hasattr(result, name)}
    row["outcome"] = str(result.outcome)
    row |= {name: sound(value) for name, value in row.items() if isinstance(value, str)}
    if not isinstance(result, SpotTrainingResult):
        row["training_seconds"] = result.training_instance_seconds
        row["billable_seconds"] = result.billable_instance_seconds
        row["model_artifacts"] = result.best.model_artifacts if result.best else None
    return row
