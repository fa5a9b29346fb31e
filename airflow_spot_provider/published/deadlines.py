"""DAG runs whose deadline is near: Airflow's own deadlines, read where it keeps them."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from airflow_spot_provider._compat.server import deadline_model

NEAR = timedelta(minutes=30)
"""A deadline that comes sooner is one that a run may miss."""
_MOST = 1_000


def near_deadlines(session: Session, now: datetime) -> dict[int, datetime]:
    """When DAG runs have to be done that have half an hour left at most, or none any more; by the runs' numbers.

    :param now: aware.
    """
    deadline = deadline_model()
    if deadline is None:
        return {}
    first = func.min(deadline.deadline_time)
    query = (
        select(deadline.dagrun_id, first)
        .where(
            deadline.missed.is_(False), deadline.deadline_time <= now + NEAR, deadline.dagrun_id.is_not(None)
        )
        .group_by(deadline.dagrun_id)
        .order_by(first)
        .limit(_MOST)
    )
    return {row[0]: row[1] for row in session.execute(query).all()}
