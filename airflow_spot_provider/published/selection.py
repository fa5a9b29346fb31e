"""Which tasks are meant, as conditions that the database evaluates."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import ColumnElement, and_, exists, func, or_, select

from airflow_spot_provider.published.json_columns import number_of, text_of
from airflow_spot_provider.training import InvalidSpotRequest, Outcome, Phase, TuningOutcome
from airflow_spot_provider.training.result import iso

PROGRESS_KEY = "spot_progress"
UNFINISHED = (
    "deferred",
    "running",
    "queued",
    "scheduled",
    "restarting",
    "up_for_retry",
    "up_for_reschedule",
)
"""States of a task instance that has still to hear of its job's end."""
Sort = Literal["started", "dag", "status", "max_wait", "interruptions", "savings", "cost"]
SORTS: tuple[str, ...] = get_args(Sort)
_GROUPS: dict[str, tuple[Phase, ...]] = {
    "waiting": (Phase.WAITING, Phase.QUEUED),
    "training": (Phase.TRAINING,),
    "interrupted": (Phase.INTERRUPTED,),
}
_OUTCOMES = tuple(dict.fromkeys([*map(str, Outcome), *map(str, TuningOutcome)]))
STATES: tuple[str, ...] = ("all", "running", *_GROUPS, "at_risk", "ended", *_OUTCOMES)

value, outcome = XComModel.value, text_of(XComModel.value, "outcome")


@dataclass(frozen=True)
class Selection:
    """Which tasks, in which order.

    :param now: aware.
    :param since: only those that have published something since.
    :param dag_ids: only those of these DAGs; None for all there are (whoever passes None has the right to all).
    :param state: one of :data:`STATES`.
    :param search: part of a DAG's, task's, run's or job's name.
    :param sort: one of :data:`SORTS`; running ones come first in any case.
    :param descending: whether the largest comes first.
    :raises InvalidSpotRequest: an unknown state or sort.
    """

    now: datetime
    since: datetime | None = None
    dag_ids: Collection[str] | None = None
    state: str = "all"
    search: str = ""
    sort: str = "started"
    descending: bool = True

    def __post_init__(self) -> None:
        problems = []
        if self.state not in STATES:
            problems.append(f"state is {self.state!r}; it takes one of {list(STATES)}.")
        if self.sort not in SORTS:
            problems.append(f"sort is {self.sort!r}; it takes one of {list(SORTS)}.")
        if problems:
            raise InvalidSpotRequest(problems)

    @property
    def of_running(self) -> ColumnElement[bool] | None:
        """Conditions on those whose task still waits; None where there can be none."""
        if self.state not in ("all", "running", "at_risk", *_GROUPS):
            return None
        conditions = [*self._common, outcome.is_(None), is_unfinished()]
        if self.state in _GROUPS:
            conditions.append(text_of(value, "phase").in_([str(phase) for phase in _GROUPS[self.state]]))
        if self.state == "at_risk":
            conditions.append(text_of(value, "at_risk_from") <= iso(self.now))
        return and_(*conditions)

    @property
    def of_ended(self) -> ColumnElement[bool] | None:
        """Conditions on those whose task waits no more; None where there can be none."""
        if self.state in ("running", "at_risk", *_GROUPS):
            return None
        conditions = list(self._common)
        if self.state in _OUTCOMES:
            conditions.append(outcome == self.state)
        else:
            # A task that was killed has left no outcome; only those are looked up among the task instances.
            waits = exists(select(1).where(_is_of_task(), is_unfinished()).correlate(XComModel))
            conditions.append(or_(outcome.is_not(None), ~waits))
        return and_(*conditions)

    @property
    def _common(self) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = [
            XComModel.key == PROGRESS_KEY,
            text_of(value, "status").is_not(None),
        ]
        if self.since is not None:
            conditions.append(XComModel.timestamp >= self.since)
        if self.dag_ids is not None:
            conditions.append(XComModel.dag_id.in_(self.dag_ids))
        if self.search:
            names: list[Any] = [
                XComModel.dag_id,
                XComModel.task_id,
                XComModel.run_id,
                text_of(value, "job_name"),
            ]
            wanted = self.search.lower()
            conditions.append(or_(*(func.lower(name).contains(wanted, autoescape=True) for name in names)))
        return conditions

    @property
    def order(self) -> list[ColumnElement[Any]]:
        """What to order by; where there is nothing to order by comes last, and the newest before older ones."""
        columns: dict[str, ColumnElement[Any]] = {
            "started": func.coalesce(text_of(value, "created"), ""),
            "dag": XComModel.dag_id,  # type: ignore[dict-item]
            "status": text_of(value, "phase"),
            "max_wait": text_of(value, "max_wait_ends"),
            "interruptions": number_of(value, "interruptions"),
            "savings": number_of(value, "savings_percent"),
            "cost": number_of(value, "cost"),
        }
        column = columns[self.sort]
        return [
            column.is_(None),
            column.desc() if self.descending else column.asc(),
            XComModel.timestamp.desc(),
            XComModel.task_id.asc(),
            XComModel.map_index.asc(),
        ]


def is_unfinished() -> ColumnElement[bool]:
    """Whether a task instance has still to run, or to go on. One without a state has been cleared."""
    return or_(TaskInstance.state.in_(UNFINISHED), TaskInstance.state.is_(None))


def _is_of_task() -> ColumnElement[bool]:
    """Whether a task instance is the one that an XCom is of."""
    return and_(
        TaskInstance.dag_id == XComModel.dag_id,
        TaskInstance.task_id == XComModel.task_id,
        TaskInstance.run_id == XComModel.run_id,
        TaskInstance.map_index == XComModel.map_index,
    )
