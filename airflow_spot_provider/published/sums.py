"""Sums over many tasks, made by the database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from airflow.models.xcom import XComModel
from sqlalchemy import String, and_, case, cast, func, not_, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.expression import ColumnElement, Select

from airflow_spot_provider.published.json_columns import is_true, number_of, text_of
from airflow_spot_provider.published.rows import among_unfinished
from airflow_spot_provider.published.selection import (
    PHASES_OF,
    UNKNOWN,
    Selection,
    is_waited_for,
    outcome,
    value,
)
from airflow_spot_provider.training import Cost, InvalidSpotRequest, Phase, Savings
from airflow_spot_provider.training.lifecycle import instant

GroupBy = Literal["all", "dag", "task", "instance_type"]
MOST_ROWS = 10_000
"""Groups, times their outcomes and currencies, that are added up."""


@dataclass(frozen=True, slots=True)
class RunningNow:
    """How many jobs do what just now.

    :param by_phase: how many are in which phase.
    :param waiting_since: since when the longest waits for capacity.
    :param at_risk: how many have used four fifths of MaxWait, or have a deadline near.
    """

    by_phase: dict[Phase, int]
    waiting_since: datetime | None
    at_risk: int

    def count(self, state: str | None = None) -> int:
        """How many there are, in one of the states that running jobs are filtered by, or in any.

        :param state: ``training``, ``waiting``, ``interrupted`` or ``queued``.
        """
        phases = tuple(Phase) if state is None else PHASES_OF[state]
        return sum(number for phase, number in self.by_phase.items() if phase in phases)


@dataclass(slots=True)
class Sum:
    """What a group of tasks came to.

    :param group: what they have in common.
    :param tasks: how many tasks.
    :param savings: of their jobs that have ended.
    :param interruptions: how often those that have ended were interrupted.
    :param waiting_seconds: how long those were without an instance.
    :param money: by currency.
    :param no_price: how many jobs with a figure have no price.
    :param outcomes: how many tasks ended how; ``unknown`` are those that were killed before they heard of it.
    """

    group: tuple[str, ...]
    tasks: int = 0
    savings: Savings = field(default_factory=Savings)
    interruptions: int = 0
    waiting_seconds: float = 0.0
    money: dict[str, Cost] = field(default_factory=dict)
    no_price: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)


def figures(
    session: Session,
    *,
    now: datetime,
    since: datetime | None = None,
    group_by: GroupBy = "all",
    dag_ids: Collection[str] | None = None,
) -> list[Sum]:
    """What spot saved and cost, the largest bill first; an empty list if nothing has been published.

    A task that only waits for a job that another task has started (a sensor) is not counted again.

    :param now: aware.
    :param since: only tasks that have published something since.
    :param group_by: ``dag``, ``task`` (of a DAG: two names a group), ``instance_type``, or all in one.
    :param dag_ids: only those DAGs; None for all there are (whoever passes None has the right to all).
    :raises InvalidSpotRequest: another ``group_by``, or more groups than anybody reads.
    """
    return sums_by(session, Selection(now=now, since=since, dag_ids=dag_ids), group_by)


def running_now(session: Session, selection: Selection) -> RunningNow:
    """How many jobs of the selection do what just now."""
    condition = selection.of_running
    if condition is None:
        return RunningNow({}, None, 0)
    phase = text_of(value, "phase")
    waits = phase.in_([str(Phase.WAITING), str(Phase.INTERRUPTED)])
    query = among_unfinished(
        select(
            phase,
            func.count(XComModel.task_id),
            func.min(case((waits, text_of(value, "since")))),
            func.sum(case((selection.is_at_risk, 1), else_=0)),
        ),
        condition,
    ).group_by(phase)
    known = {str(each): each for each in Phase}
    by_phase: dict[Phase, int] = {}
    since: list[datetime] = []
    at_risk = 0
    for name, number, waiting_since, risks in session.execute(query.limit(MOST_ROWS)).all():
        each = known.get(str(name), Phase.OTHER)
        by_phase[each] = by_phase.get(each, 0) + number
        at_risk += int(risks or 0)
        if (time := instant(waiting_since)) is not None:
            since.append(time)
    return RunningNow(by_phase, min(since, default=None), at_risk)


def sums_by(session: Session, selection: Selection, group_by: GroupBy = "all") -> list[Sum]:
    """What the jobs of the selection came to, the largest bill first.

    :param selection: its DAGs, and since when; states, search and order are no matter here.
    :param group_by: ``dag``, ``task`` (of a DAG), ``instance_type``, or all in one.
    :raises InvalidSpotRequest: another ``group_by``, or more groups than anybody reads.
    """
    if group_by not in get_args(GroupBy):
        raise InvalidSpotRequest([f"group_by is {group_by!r}; it takes one of {list(get_args(GroupBy))}."])
    names = {"all": 0, "dag": 1, "task": 2, "instance_type": 1}[group_by]
    query = _summed(selection, group_by)
    rows = session.execute(query.limit(MOST_ROWS + 1)).all()
    if len(rows) > MOST_ROWS:
        raise InvalidSpotRequest(
            [
                f"There are more than {MOST_ROWS:,} groups by {group_by}: ask about fewer days, or group by dag."
            ]
        )
    sums: dict[tuple[str, ...], Sum] = {}
    for row in rows:
        _add(sums, row, names)
    return sorted(sums.values(), key=lambda each: (-each.savings.billable_instance_seconds, each.group))


def _summed(selection: Selection, group_by: GroupBy) -> Select[Any]:
    # No offset, and yet: PostgreSQL then reads each member of the JSON once, and sorts the members instead of the JSON.
    jobs = _figures_of(selection).offset(0).subquery()
    names = {
        "all": (),
        "dag": ("dag_id",),
        "task": ("dag_id", "task_id"),
        "instance_type": ("instance_type",),
    }
    by = [jobs.c[name] for name in names[group_by]]
    figures_of = ("trained", "billed", "jobs", "unknown", "interruptions", "waiting", "cost", "on_demand")
    return select(
        *by,
        jobs.c.currency,
        jobs.c.outcome,
        func.count(),
        *(func.sum(jobs.c[name]) for name in figures_of),
        func.min(jobs.c.price_date),
        func.sum(case((jobs.c.cost.is_(None), jobs.c.jobs), else_=0)),
    ).group_by(*by, jobs.c.currency, jobs.c.outcome)


def _figures_of(selection: Selection) -> Select[Any]:
    """One row a task."""
    conditions = [selection.of_ours]
    if selection.since is not None:
        conditions.append(XComModel.timestamp >= selection.since)
    killed = and_(outcome.is_(None), not_(is_waited_for()))
    without_figures = and_(killed, func.coalesce(number_of(value, "jobs"), 0) == 0)
    return select(
        XComModel.dag_id,
        XComModel.task_id,
        text_of(value, "instance_type").label("instance_type"),
        text_of(value, "currency").label("currency"),
        case((outcome.is_not(None), outcome), (killed, UNKNOWN)).label("outcome"),
        number_of(value, "training_instance_seconds").label("trained"),
        number_of(value, "billable_instance_seconds").label("billed"),
        number_of(value, "jobs").label("jobs"),
        # Older versions told no figures here; whoever was killed told none either.
        (func.coalesce(number_of(value, "unknown"), 0) + case((without_figures, 1), else_=0)).label(
            "unknown"
        ),
        number_of(value, "interruptions").label("interruptions"),
        number_of(value, "waiting_seconds").label("waiting"),
        number_of(value, "cost").label("cost"),
        number_of(value, "on_demand_cost").label("on_demand"),
        text_of(value, "price_date").label("price_date"),
    ).where(*conditions, _is_counted_once(conditions))


def _is_counted_once(conditions: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Of the tasks that wait for one job, the one that has started it; if none of these has, the first.

    What is listed for that is listed only if there is a task that waits for somebody else's job.
    """
    observed, name = is_true(value, "observed"), text_of(value, "job_name")
    # One name for a task, whose order is no matter.
    number, map_index = cast(XComModel.dag_run_id, String), cast(XComModel.map_index, String)
    place = number + "/" + XComModel.task_id + "/" + map_index
    started_here = select(name).where(*conditions, not_(observed), name.is_not(None)).correlate(None)
    firsts = select(func.min(place)).where(*conditions, observed).group_by(name).correlate(None)
    return or_(not_(observed), and_(name.not_in(started_here), place.in_(firsts)))


def _add(sums: dict[tuple[str, ...], Sum], row: Sequence[Any], names: int) -> None:
    group = tuple(UNKNOWN if name is None else str(name) for name in row[:names])
    currency, ended_as, tasks = row[names : names + 3]
    trained, billed, jobs, unknown, interruptions, waiting, cost, on_demand = row[names + 3 : names + 11]
    price_date, no_price = row[names + 11 :]
    total = sums.setdefault(group, Sum(group))
    total.tasks += tasks
    total.savings += Savings(float(trained or 0), float(billed or 0), int(jobs or 0), int(unknown or 0))
    total.no_price += int(no_price or 0)
    if ended_as is not None:  # what a job that runs has waited so far belongs to no figure yet
        total.interruptions += int(interruptions or 0)
        total.waiting_seconds += float(waiting or 0)
        total.outcomes[str(ended_as)] = total.outcomes.get(str(ended_as), 0) + tasks
    if cost is not None and currency is not None:
        own = Cost(float(cost), float(on_demand or 0), str(currency), str(price_date or ""))
        total.money = Cost.total([*total.money.values(), own])
