"""Sums over many tasks, made by the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from airflow_spot_provider.published.json_columns import number_of, text_of
from airflow_spot_provider.published.rows import among_unfinished
from airflow_spot_provider.published.selection import Selection, outcome, value
from airflow_spot_provider.training import Cost, Phase, Savings
from airflow_spot_provider.training.lifecycle import instant
from airflow_spot_provider.training.result import iso

GroupBy = Literal["all", "dag", "task", "instance_type"]
MOST_GROUPS = 1_000


@dataclass(frozen=True, slots=True)
class RunningNow:
    """How many jobs do what just now.

    :param by_phase: how many are in which phase.
    :param waiting_since: since when the longest waits for capacity.
    :param at_risk: how many have used four fifths of MaxWait.
    """

    by_phase: dict[Phase, int]
    waiting_since: datetime | None
    at_risk: int

    def count(self, *phases: Phase) -> int:
        """How many are in these phases; in any, if none is named."""
        return sum(number for phase, number in self.by_phase.items() if not phases or phase in phases)


@dataclass(slots=True)
class Sum:
    """What a group of tasks came to.

    :param group: what they have in common.
    :param tasks: how many tasks.
    :param savings: of their jobs.
    :param interruptions: how often they were interrupted.
    :param waiting_seconds: how long they were without an instance.
    :param money: by currency.
    :param no_price: how many jobs with a figure have no price.
    :param outcomes: how many tasks ended how.
    """

    group: tuple[str, ...]
    tasks: int = 0
    savings: Savings = field(default_factory=Savings)
    interruptions: int = 0
    waiting_seconds: float = 0.0
    money: dict[str, Cost] = field(default_factory=dict)
    no_price: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)


def running_now(session: Session, selection: Selection) -> RunningNow:
    """How many jobs of the selection do what just now."""
    condition = selection.of_running
    if condition is None:
        return RunningNow({}, None, 0)
    phase = text_of(value, "phase")
    waiting = case((phase.in_([Phase.WAITING, Phase.INTERRUPTED]), text_of(value, "since")))
    at_risk = case((text_of(value, "at_risk_from") <= iso(selection.now), 1), else_=0)
    query = among_unfinished(
        select(phase, func.count(TaskInstance.task_id), func.min(waiting), func.sum(at_risk)), condition
    ).group_by(phase)
    rows = session.execute(query.limit(len(Phase) + 1)).all()
    by_phase: dict[Phase, int] = {}
    for name, number, _, _ in rows:
        known = Phase(name) if name in set(Phase) else Phase.OTHER
        by_phase[known] = by_phase.get(known, 0) + number
    since = [time for _, _, told, _ in rows if (time := instant(told)) is not None]
    return RunningNow(by_phase, min(since, default=None), sum(int(number or 0) for *_, number in rows))


def sums_by(session: Session, selection: Selection, group_by: GroupBy = "all") -> list[Sum]:
    """What the jobs of the selection that have ended came to, the largest bill first; at most a thousand groups.

    :param group_by: ``dag``, ``task`` (of a DAG), ``instance_type``, or all in one.
    """
    condition = selection.of_ended
    if condition is None:
        return []
    groups: dict[str, list[ColumnElement[Any]]] = {
        "all": [],
        "dag": [XComModel.dag_id],  # type: ignore[list-item]
        "task": [XComModel.dag_id, XComModel.task_id],  # type: ignore[list-item]
        "instance_type": [text_of(value, "instance_type")],
    }
    by = groups[group_by]
    jobs, cost, currency = number_of(value, "jobs"), number_of(value, "cost"), text_of(value, "currency")
    figures: list[ColumnElement[Any]] = [
        func.count(XComModel.key),
        func.sum(number_of(value, "training_instance_seconds")),
        func.sum(number_of(value, "billable_instance_seconds")),
        func.sum(jobs),
        func.sum(func.coalesce(number_of(value, "unknown"), case((outcome.is_(None), 1), else_=0))),
        func.sum(number_of(value, "interruptions")),
        func.sum(number_of(value, "waiting_seconds")),
        func.sum(cost),
        func.sum(number_of(value, "on_demand_cost")),
        func.min(text_of(value, "price_date")),
        func.sum(case((cost.is_(None), jobs), else_=0)),
    ]
    query = (
        select(*by, currency, outcome, *figures)
        .where(condition)
        .group_by(*by, currency, outcome)
        .limit(MOST_GROUPS)
    )
    sums: dict[tuple[str, ...], Sum] = {}
    for row in session.execute(query).all():
        _add(sums, row, len(by))
    return sorted(sums.values(), key=lambda each: -each.savings.billable_instance_seconds)


def _add(sums: dict[tuple[str, ...], Sum], row: Sequence[Any], names: int) -> None:
    group = tuple("unknown" if name is None else str(name) for name in row[:names])
    currency, ended_as = row[names : names + 2]
    tasks, trained, billed, jobs, unknown, interruptions, waiting, cost, on_demand, price_date, no_price = (
        row[names + 2 :]
    )
    total = sums.setdefault(group, Sum(group))
    total.tasks += tasks
    total.savings += Savings(float(trained or 0), float(billed or 0), int(jobs or 0), int(unknown or 0))
    total.interruptions += int(interruptions or 0)
    total.waiting_seconds += float(waiting or 0)
    total.no_price += int(no_price or 0)
    name = "unknown" if ended_as is None else str(ended_as)
    total.outcomes[name] = total.outcomes.get(name, 0) + tasks
    if cost is not None and currency is not None:
        own = Cost(float(cost), float(on_demand or 0), currency, price_date or "")
        known = total.money.get(currency)
        total.money = {**total.money, **Cost.total([*([known] if known else []), own])}
