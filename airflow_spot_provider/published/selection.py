"""Which tasks are meant, as conditions that the database evaluates."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import and_, func, or_, select
from sqlalchemy.sql.expression import ColumnElement

from airflow_spot_provider.published.json_columns import number_of, text_of
from airflow_spot_provider.training import InvalidSpotRequest, Outcome, Phase, TuningOutcome
from airflow_spot_provider.training.phases import WAITING_FOR_A_TURN
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
"""States of a task instance that has still to hear of its job's end. One without a state has been cleared, and its job stopped."""
UNKNOWN = "unknown"
"""How a job ended whose task was killed before it heard of that."""
Sort = Literal["started", "dag", "status", "max_wait", "interruptions", "savings", "cost"]
SORTS: tuple[str, ...] = get_args(Sort)
PHASES_OF: dict[str, tuple[Phase, ...]] = {
    "waiting": (Phase.WAITING,),
    "queued": (Phase.QUEUED,),
    "interrupted": (Phase.INTERRUPTED,),
    "training": (
        Phase.STARTING,
        Phase.DOWNLOADING,
        Phase.TRAINING,
        Phase.UPLOADING,
        Phase.STOPPING,
        Phase.OTHER,
    ),
}
"""What running jobs are counted and filtered by. Whatever is neither waiting, queued nor interrupted has an instance: ``training``."""
_OUTCOMES = tuple(dict.fromkeys([*map(str, Outcome), *map(str, TuningOutcome)]))
STATES: tuple[str, ...] = ("all", "running", *PHASES_OF, "at_risk", "ended", UNKNOWN, *_OUTCOMES)
_FIRST_YEAR = "2000"

value, outcome = XComModel.value, text_of(XComModel.value, "outcome")


@dataclass(frozen=True)
class Selection:
    """Which tasks, in which order.

    :param now: aware.
    :param since: of those that have ended, only the ones that have published something since; running ones are meant in any case.
    :param dag_ids: only those of these DAGs; None for all there are (whoever passes None has the right to all).
    :param state: one of :data:`STATES`.
    :param search: part of a DAG's, task's, run's or job's name.
    :param sort: one of :data:`SORTS`; running ones come first in any case.
    :param descending: whether the largest comes first.
    :param deadlines: DAG runs (by their number) whose deadline is near.
    :raises InvalidSpotRequest: an unknown state or sort.
    """

    now: datetime
    since: datetime | None = None
    dag_ids: Collection[str] | None = None
    state: str = "all"
    search: str = ""
    sort: str = "started"
    descending: bool = True
    deadlines: Mapping[int, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = []
        if self.state not in STATES:
            problems.append(f"state is {self.state!r}; it takes one of {list(STATES)}.")
        if self.sort not in SORTS:
            problems.append(f"sort is {self.sort!r}; it takes one of {list(SORTS)}.")
        if problems:
            raise InvalidSpotRequest(problems)

    @property
    def of_ours(self) -> ColumnElement[bool]:
        """Conditions on all XComs of ours, running or ended, whenever they were written."""
        return and_(XComModel.key == PROGRESS_KEY, *self._of_dags, is_ours())

    @property
    def of_running(self) -> ColumnElement[bool] | None:
        """Conditions on XComs of tasks that still wait, besides that the task is unfinished; None where there can be none."""
        if self.state not in ("all", "running", "at_risk", *PHASES_OF):
            return None
        conditions = [self.of_ours, *self._is_found, outcome.is_(None)]
        if self.state in PHASES_OF:
            conditions.append(self._is_in(self.state))
        if self.state == "at_risk":
            conditions.append(self.is_at_risk)
        return and_(*conditions)

    @property
    def of_ended(self) -> ColumnElement[bool] | None:
        """Conditions on XComs of tasks that wait no more; None where there can be none."""
        ended = self.is_ended
        return None if ended is None else and_(*self.of_any, is_ours(), ended)

    @property
    def is_ended(self) -> ColumnElement[bool] | None:
        """What tells those that are meant, of ours that wait no more, from others; None where there can be none."""
        if self.state in ("running", "at_risk", *PHASES_OF):
            return None
        conditions = list(self._is_found)
        if self.state in _OUTCOMES:
            conditions.append(outcome == self.state)
        elif self.state == UNKNOWN:
            conditions += [outcome.is_(None), ~is_waited_for()]
        else:
            conditions.append(or_(outcome.is_not(None), ~is_waited_for()))
        return and_(*conditions)

    @property
    def of_any(self) -> list[ColumnElement[bool]]:
        """Conditions on all XComs of our name, whoever wrote them."""
        conditions = [XComModel.key == PROGRESS_KEY, *self._of_dags]
        if self.since is not None:
            conditions.append(XComModel.timestamp >= self.since)
        return conditions

    @property
    def is_at_risk(self) -> ColumnElement[bool]:
        """Whether a running job may not end in time: most of MaxWait is over, or its DAG run's deadline is near."""
        at_risk = text_of(value, "at_risk_from").between(_FIRST_YEAR, iso(self.now))
        return or_(at_risk, XComModel.dag_run_id.in_(self.deadlines)) if self.deadlines else at_risk

    @property
    def _is_found(self) -> list[ColumnElement[bool]]:
        if not self.search:
            return []
        names: list[Any] = [XComModel.dag_id, XComModel.task_id, XComModel.run_id, text_of(value, "job_name")]
        wanted = self.search.lower()
        return [or_(*(func.lower(name).contains(wanted, autoescape=True) for name in names))]

    @property
    def _of_dags(self) -> list[ColumnElement[bool]]:
        if self.dag_ids is None:
            return []
        if len(self.dag_ids) == 1:
            return [XComModel.dag_id == next(iter(self.dag_ids))]
        # coalesce keeps the database from going through all XComs of many DAGs by their index: those of our key are few.
        return [func.coalesce(XComModel.dag_id, "").in_(sorted(self.dag_ids))]

    @staticmethod
    def _is_in(state: str) -> ColumnElement[bool]:
        phase = text_of(value, "phase")
        if state != "training":
            return phase.in_([str(each) for each in PHASES_OF[state]])
        others = [str(each) for name, phases in PHASES_OF.items() if name != "training" for each in phases]
        return or_(phase.is_(None), phase.not_in(others))

    @property
    def order(self) -> list[ColumnElement[Any]]:
        """What to order by; where there is nothing to order by comes last, and the newest before older ones."""
        columns: dict[str, ColumnElement[Any]] = {
            "started": func.coalesce(text_of(value, "created"), ""),
            "dag": XComModel.dag_id,  # type: ignore[dict-item]
            "status": func.coalesce(outcome, text_of(value, "phase")),
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
            XComModel.dag_id.asc(),
            XComModel.task_id.asc(),
            XComModel.map_index.asc(),
        ]


def is_waited_for() -> ColumnElement[bool]:
    """Whether the task of an XCom is unfinished: one look-up by the index of task instances for each XComs that is asked about."""
    state = select(TaskInstance.state).where(is_of_task()).limit(1).correlate(XComModel).scalar_subquery()
    return func.coalesce(state, "").in_(UNFINISHED)


def is_of_task() -> ColumnElement[bool]:
    """Whether a task instance is the one that an XCom is of."""
    return and_(
        TaskInstance.dag_id == XComModel.dag_id,
        TaskInstance.task_id == XComModel.task_id,
        TaskInstance.run_id == XComModel.run_id,
        TaskInstance.map_index == XComModel.map_index,
    )


def is_ours() -> ColumnElement[bool]:
    """Whether an XCom of our name is what some version of ours wrote: a job, or a task that waits its turn to submit one."""
    status, name = text_of(value, "status"), text_of(value, "job_name")
    return func.coalesce(
        and_(status.is_not(None), or_(name.is_not(None), status == WAITING_FOR_A_TURN)), False
    )
