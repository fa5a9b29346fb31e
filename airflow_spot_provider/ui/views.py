"""What the pages show of tasks, as plain JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from airflow_spot_provider.published.rows import Page, PublishedRow
from airflow_spot_provider.published.sums import RunningNow, Sum
from airflow_spot_provider.training import Cost, Phase, SpotProgress, phase_of
from airflow_spot_provider.training.explanation import checkpoint_phrase, sentence_of, warning_of
from airflow_spot_provider.training.lifecycle import SecondaryStatus, instant
from airflow_spot_provider.training.result import iso
from airflow_spot_provider.ui.links import links_of

_SHOWN = (
    "kind",
    "job_name",
    "status",
    "since",
    "managed_spot",
    "instance_type",
    "instance_count",
    "region",
    "created",
    "max_wait_ends",
    "interruptions",
    "waiting_seconds",
    "savings_percent",
    "cost",
    "on_demand_cost",
    "currency",
    "price_date",
    "jobs",
    "unknown",
)


def page_view(
    page: Page, now: datetime, *, can_edit: Callable[[str], bool], deadlines: Mapping[int, datetime]
) -> dict[str, Any]:
    """A page of rows.

    :param can_edit: whether the user may change runs of a DAG.
    :param deadlines: DAG runs whose deadline is near.
    """
    left_out = (
        f"{page.left_out:,} XCom{'s' * (page.left_out != 1)} named spot_progress hold something else than what our tasks publish."
        if page.left_out
        else None
    )
    return {
        "server_time": iso(now),
        "total": page.total,
        "running": page.running,
        "rows": [row_view(row, now, can_edit=can_edit(row.dag_id), deadlines=deadlines) for row in page.rows],
        "left_out": page.left_out,
        "left_out_why": left_out,
    }


def row_view(
    row: PublishedRow, now: datetime, *, can_edit: bool, deadlines: Mapping[int, datetime]
) -> dict[str, Any]:
    """One task."""
    progress, waits = row.progress, row.is_waited_for
    deadline = deadlines.get(row.dag_run_id) if waits else None
    at_risk_from = instant(progress.at_risk_from)
    stoppable = can_edit and waits and bool(progress.job_name) and not progress.observed
    stoppable = stoppable and progress.phase is not Phase.QUEUED
    sentence = sentence_of(progress, now, is_waited_for=waits, task_state=row.task_state)
    if deadline is not None:
        sentence += f" The DAG run's deadline is {deadline:%H:%M} UTC."
    return {
        "dag_id": row.dag_id,
        "task_id": row.task_id,
        "run_id": row.run_id,
        "map_index": row.map_index,
        "run_type": row.run_type,
        "run_after": iso(row.run_after),
        "task_state": row.task_state,
        "try_number": row.try_number,
        **progress.model_dump(mode="json", include=set(_SHOWN)),
        "phase": str(progress.phase if waits else Phase.ENDED),
        "outcome": row.outcome,
        "ended": not waits,
        "at_risk": waits and (deadline is not None or (at_risk_from is not None and at_risk_from <= now)),
        "deadline": iso(deadline),
        "sentence": sentence,
        "warning": warning_of(progress) if waits else None,
        "checkpoint": checkpoint_phrase(progress, now) if waits else None,
        "bar": bar_of(progress, waits=waits),
        "links": links_of(row),
        "can_edit": can_edit,
        "can_stop": stoppable,
        "next_rung": progress.next_rung if stoppable else None,
        "problem": row.problem,
    }


def bar_of(progress: SpotProgress, *, waits: bool) -> dict[str, Any]:
    """The timeline as segments from start to end. The last one has no end while it goes on."""
    timed = [(status, start, end) for status, start, end in progress.timeline if instant(start) is not None]
    segments = [
        {
            "phase": str(_drawn_as(status, spot=progress.managed_spot)),
            "status": status,
            "start": start,
            "end": end,
        }
        for status, start, end in timed
        if phase_of(status) is not Phase.ENDED
    ]
    if not segments and waits and instant(progress.since) is not None:
        segments = [
            {"phase": str(progress.phase), "status": progress.status, "start": progress.since, "end": None}
        ]
    ends = [start for status, start, _ in timed if phase_of(status) is Phase.ENDED]
    return {
        "start": segments[0]["start"] if segments else progress.created,
        "end": None if waits else (ends[-1] if ends else segments[-1]["end"] if segments else None),
        "max_wait_ends": progress.max_wait_ends,
        "segments": segments,
        "interruptions": [start for status, start, _ in timed if status == SecondaryStatus.INTERRUPTED],
        "left_out": progress.timeline_left_out,
    }


def _drawn_as(status: str, *, spot: bool) -> Phase:
    """After an interruption the job waits; the interruption itself is drawn as a mark."""
    phase = phase_of(status, managed_spot=spot)
    return Phase.WAITING if phase is Phase.INTERRUPTED else phase


def running_view(running: RunningNow, now: datetime) -> dict[str, Any]:
    """What jobs do just now."""
    since = running.waiting_since
    return {
        "running": running.count(),
        "training": running.count("training"),
        "waiting": running.count("waiting"),
        # Whole minutes: the strip changes when there is something to see.
        "longest_wait_seconds": None
        if since is None
        else max(0, int((now - since).total_seconds()) // 60 * 60),
        "interrupted": running.count("interrupted"),
        "queued": running.count("queued"),
        "at_risk": running.at_risk,
    }


def sum_view(total: Sum) -> dict[str, Any]:
    """What a group of tasks came to."""
    return {
        "tasks": total.tasks,
        "savings_percent": total.savings.percent,
        "jobs": total.savings.jobs,
        "unknown": total.savings.unknown,
        "training_instance_seconds": total.savings.training_instance_seconds,
        "billable_instance_seconds": total.savings.billable_instance_seconds,
        "interruptions": total.interruptions,
        "waiting_seconds": total.waiting_seconds,
        "money": money_view(total.money.values()),
        "no_price": total.no_price,
        "outcomes": dict(sorted(total.outcomes.items())),
    }


def money_view(costs: Iterable[Cost]) -> list[dict[str, Any]]:
    """Amounts by currency."""
    return [
        {
            "currency": cost.currency,
            "cost": cost.amount,
            "on_demand_cost": cost.on_demand,
            "price_date": cost.price_date,
        }
        for cost in costs
    ]
