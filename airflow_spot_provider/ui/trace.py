"""A DAG run's timelines as a trace that Perfetto opens.

Source: `Trace Event Format
<https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>`_, which ui.perfetto.dev reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from airflow_spot_provider.published.rows import PublishedRow
from airflow_spot_provider.training.lifecycle import SecondaryStatus, instant


def trace_of(
    rows: Iterable[PublishedRow], dag_id: str, run_id: str, now: datetime, *, left_out: str | None = None
) -> dict[str, Any]:
    """One process for the run, a thread for each task, a slice for each status; interruptions are instants.

    :param now: until when the status goes on that a running job is in.
    :param left_out: what is not in it, and why; Perfetto shows it with what it knows of the trace.
    """
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "process_name", "pid": 1, "args": {"name": f"{dag_id} {run_id}"}}
    ]
    for thread, row in enumerate(rows, start=1):
        events += _events_of(row, thread, now)
    others = {"otherData": {"left_out": left_out}} if left_out else {}
    return {"displayTimeUnit": "ms", "traceEvents": events, **others}


def _events_of(row: PublishedRow, thread: int, now: datetime) -> Iterator[dict[str, Any]]:
    progress = row.progress
    member = "" if row.map_index < 0 else f"[{row.map_index}]"
    name = f"{row.task_id}{member}"
    yield {"ph": "M", "name": "thread_name", "pid": 1, "tid": thread, "args": {"name": name}}
    facts = {
        "job_name": progress.job_name,
        "instance_type": progress.instance_type,
        "outcome": row.outcome,
        "savings_percent": progress.savings_percent,
    }
    for status, told_start, told_end in progress.timeline:
        start, end = instant(told_start), instant(told_end)
        if start is None:
            continue
        when = {"pid": 1, "tid": thread, "ts": start.timestamp() * 1e6, "cat": "status", "args": facts}
        if status == SecondaryStatus.INTERRUPTED:
            yield {"ph": "i", "name": "interruption", "s": "t", **when}
        if end is None and row.is_waited_for:
            end = now
        if end is None:
            yield {"ph": "i", "name": status, "s": "t", **when}
        else:
            yield {"ph": "X", "name": status, "dur": max(0.0, (end - start).total_seconds()) * 1e6, **when}
