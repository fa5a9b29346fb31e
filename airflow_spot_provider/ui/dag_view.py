"""What the DAG's tab shows: its runs side by side, and what they came to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from airflow_spot_provider.published.rows import PublishedRow, newest_runs, rows_of_runs
from airflow_spot_provider.published.sums import Sum
from airflow_spot_provider.training import Cost
from airflow_spot_provider.training.explanation import warning_of
from airflow_spot_provider.training.result import iso
from airflow_spot_provider.ui.charts import charts_of_runs
from airflow_spot_provider.ui.views import sum_view

MOST_ROWS = 2_000
"""Tasks that are read for one look at a DAG."""


def dag_view(session: Session, dag_id: str, now: datetime, *, runs: int) -> dict[str, Any]:
    """The runs of a DAG in which tasks have published last.

    :param runs: how many.
    """
    newest = newest_runs(session, dag_id, limit=runs)
    read = rows_of_runs(session, newest, limit=MOST_ROWS + 1)
    rows = [row for row in read[:MOST_ROWS] if row.is_ours]
    strangers = sum(not row.is_ours for row in read[:MOST_ROWS])
    by_run: dict[str, list[PublishedRow]] = {}
    for row in rows:
        by_run.setdefault(row.run_id, []).append(row)
    listed = [_run(members) for members in by_run.values()]
    listed.sort(key=lambda run: run["run_after"] or "", reverse=True)
    return {
        "server_time": iso(now),
        "dag_id": dag_id,
        "totals": sum_view(total_of(rows)),
        "runs": listed,
        "instance_types": _instance_types(rows),
        "charts": charts_of_runs(listed[::-1]),
        "checkpoint_warnings": [
            f"{row.task_id}{'' if row.map_index < 0 else f'[{row.map_index}]'} of {row.run_id}: {warning}"
            for row in rows
            if row.is_waited_for and (warning := warning_of(row.progress))
        ],
        **_left_out(strangers, more=len(read) > MOST_ROWS),
    }


def total_of(rows: Iterable[PublishedRow]) -> Sum:
    """What these tasks came to. Of those that wait for one job, only the one that has started it counts."""
    members = list(rows)
    started = {row.progress.job_name for row in members if not row.progress.observed}
    total = Sum(())
    costs: list[Cost] = []
    for row in members:
        progress = row.progress
        if progress.observed and progress.job_name in started:
            continue
        total.tasks += 1
        total.savings += progress.savings
        total.interruptions += progress.interruptions
        total.waiting_seconds += progress.waiting_seconds
        if progress.known_cost is not None:
            costs.append(progress.known_cost)
        else:
            total.no_price += progress.jobs
        if row.outcome is not None:
            total.outcomes[row.outcome] = total.outcomes.get(row.outcome, 0) + 1
    total.money = Cost.total(costs)
    return total


def _run(members: Sequence[PublishedRow]) -> dict[str, Any]:
    first = members[0]
    return {
        "run_id": first.run_id,
        "run_type": first.run_type,
        "run_after": iso(first.run_after),
        **sum_view(total_of(members)),
    }


def _instance_types(rows: Sequence[PublishedRow]) -> list[dict[str, Any]]:
    groups: dict[tuple[str, bool], list[PublishedRow]] = {}
    for row in rows:
        if not row.is_waited_for and not row.progress.observed:
            key = (row.progress.instance_type or "unknown", row.progress.managed_spot)
            groups.setdefault(key, []).append(row)
    compared = []
    for (instance_type, managed_spot), members in sorted(groups.items()):
        total = sum_view(total_of(members))
        priced = total["jobs"] - total["no_price"]
        compared.append(
            {
                "instance_type": instance_type,
                "managed_spot": managed_spot,
                **total,
                "interruptions_per_job": total["interruptions"] / len(members),
                "mean_waiting_seconds": total["waiting_seconds"] / len(members),
                "cost_per_job": [
                    {"currency": each["currency"], "cost": each["cost"] / priced} for each in total["money"]
                ]
                if priced > 0
                else [],
            }
        )
    return compared


def _left_out(strangers: int, *, more: bool) -> dict[str, Any]:
    why = []
    if more:
        why.append(f"Only {MOST_ROWS:,} tasks of these runs were read: ask for fewer runs.")
    if strangers:
        why.append(
            f"{strangers:,} XComs named spot_progress hold something else than what our tasks publish."
        )
    return {"left_out": strangers + int(more), "left_out_why": " ".join(why) or None}
