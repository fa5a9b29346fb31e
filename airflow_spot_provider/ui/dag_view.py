"""What the DAG's tab shows: its runs side by side, and what they came to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from airflow.models.dagrun import DagRun
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_spot_provider.published.rows import PublishedRow, rows_of_runs
from airflow_spot_provider.published.sums import Sum
from airflow_spot_provider.training import Cost
from airflow_spot_provider.training.explanation import warning_of
from airflow_spot_provider.training.result import iso
from airflow_spot_provider.ui.charts import charts_of_runs
from airflow_spot_provider.ui.views import sum_view

MOST_ROWS = 2_000
"""Tasks that are read for one look at a DAG."""


def dag_view(session: Session, dag_id: str, now: datetime, *, runs: int) -> dict[str, Any]:
    """The newest runs of a DAG.

    :param runs: how many.
    """
    newest = session.execute(
        select(DagRun.id, DagRun.run_id, DagRun.run_type, DagRun.run_after)
        .where(DagRun.dag_id == dag_id)
        .order_by(DagRun.run_after.desc())
        .limit(runs)
    ).all()
    read = rows_of_runs(session, [run.id for run in newest], limit=MOST_ROWS + 1) if newest else []
    rows = read[:MOST_ROWS]
    by_run: dict[str, list[PublishedRow]] = {}
    for row in rows:
        by_run.setdefault(row.run_id, []).append(row)
    listed = [
        {
            "run_id": run.run_id,
            "run_type": str(getattr(run.run_type, "value", run.run_type)),
            "run_after": iso(run.run_after),
            **sum_view(total_of(by_run[run.run_id])),
        }
        for run in newest
        if run.run_id in by_run
    ]
    left_out = len(read) > MOST_ROWS
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
        "left_out": int(left_out),
        "left_out_why": f"Only the newest {MOST_ROWS:,} tasks of these runs were read." if left_out else None,
    }


def total_of(rows: Iterable[PublishedRow]) -> Sum:
    """What these tasks came to; those that still run are no part of outcomes and of what is unknown."""
    total = Sum(())
    costs: list[Cost] = []
    for row in rows:
        progress = row.progress
        total.tasks += 1
        total.savings += progress.savings
        total.interruptions += progress.interruptions
        total.waiting_seconds += progress.waiting_seconds
        if progress.known_cost is not None:
            costs.append(progress.known_cost)
        else:
            total.no_price += progress.jobs
        if not row.is_waited_for:
            name = progress.outcome or "unknown"
            total.outcomes[name] = total.outcomes.get(name, 0) + 1
    total.money = Cost.total(costs)
    return total


def _instance_types(rows: Sequence[PublishedRow]) -> list[dict[str, Any]]:
    groups: dict[tuple[str, bool], list[PublishedRow]] = {}
    for row in rows:
        if not row.is_waited_for:
            key = (row.progress.instance_type or "unknown", row.progress.managed_spot)
            groups.setdefault(key, []).append(row)
    compared = []
    for (instance_type, managed_spot), members in sorted(groups.items()):
        total = sum_view(total_of(members))
        jobs = max(1, len(members))
        compared.append(
            {
                "instance_type": instance_type,
                "managed_spot": managed_spot,
                **total,
                "interruptions_per_job": total["interruptions"] / jobs,
                "mean_waiting_seconds": total["waiting_seconds"] / jobs,
            }
        )
    return compared
