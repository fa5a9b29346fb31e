"""A DAG run's timelines as a trace that Perfetto opens.

Source: `Trace Event Format
<https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>`_, which ui.perfetto.dev reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_spot_provider.published.rows import PublishedRow
from airflow_spot_provider.training.lifecycle import SecondaryStatus, instant


def trace_of(rows: Iterable[PublishedRow], dag_id: str, run_id: str) -> dict[str, Any]:
    """One process for the run, a thread for each task, a slice for each status; interruptions are instants."""
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "process_name", "pid": 1, "args": {"name": f"{dag_id} {run_id}"}}
    ]
    for thread, row in enumerate(rows, start=1):
        progress = row.progress
        member = "" if row.map_index < 0 else f"[{row.map_index}]"
        name = f"{row.task_id}{member}"
        events.append({"ph": "M", "name": "thread_name", "pid": 1, "tid": thread, "args": {"name": name}})
        facts = {
            "job_name": progress.job_name,
            "instance_type": progress.instance_type,
            "outcome": progress.outcome,
            "savings_percent": progress.savings_percent,
        }
        for status, told_start, told_end in progress.timeline:
            start, end = instant(told_start), instant(told_end)
            if start is None:
                continue
            when = {"pid": 1, "tid": thread, "ts": start.timestamp() * 1e6, "cat": "status", "args": facts}
            if status == SecondaryStatus.INTERRUPTED:
                events.append({"ph": "i", "name": "interruption", "s": "t", **when})
            if end is not None:
                events.append({"ph": "X", "name": status, "dur": (end - start).total_seconds() * 1e6, **when})
            else:
                events.append({"ph": "i", "name": status, "s": "t", **when})
    return {"displayTimeUnit": "ms", "traceEvents": events}
