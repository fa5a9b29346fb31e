"""Pages of tasks, and one task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import case, func, select, tuple_
from sqlalchemy.orm import Session
from sqlalchemy.sql.expression import ColumnElement, Select

from airflow_spot_provider.published.json_columns import text_of_all
from airflow_spot_provider.published.reading import completed_by, progress_in, value_of
from airflow_spot_provider.published.selection import (
    PROGRESS_KEY,
    UNFINISHED,
    UNKNOWN,
    Selection,
    is_of_task,
    is_ours,
)
from airflow_spot_provider.training import Phase, SpotProgress
from airflow_spot_provider.training.results import result_in

RESULT_KEY = "return_value"

TaskKey = tuple[str, str, str, int]
"""dag id, run id, task id, map index."""
_Place = tuple[int, str, int]
"""An XCom by its primary key, but for its name: number of the DAG run, task id, map index."""


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One task, with what it has published.

    :param dag_id: of the task.
    :param run_id: of the task.
    :param task_id: with its task groups.
    :param map_index: -1 if it is not mapped.
    :param dag_run_id: number of the DAG run in the database.
    :param run_type: ``scheduled``, ``manual``...; None if the run is gone.
    :param run_after: when the run was due.
    :param task_state: state of the task instance; None if it has none.
    :param try_number: the newest try; None if the task instance is gone.
    :param updated: when the task published last.
    :param progress: what it published.
    :param problem: why ``progress`` is not all there is; None if it is.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    dag_run_id: int
    run_type: str | None
    run_after: datetime | None
    task_state: str | None
    try_number: int | None
    updated: datetime
    progress: SpotProgress
    problem: str | None = None

    @property
    def is_waited_for(self) -> bool:
        """Whether the task has still to hear of its job's end."""
        return self.progress.outcome is None and self.task_state in UNFINISHED

    @property
    def is_ours(self) -> bool:
        """Whether there is a job in what was published, or a task that waits its turn to submit one."""
        return self.progress.job_name is not None or self.progress.phase is Phase.QUEUED

    @property
    def outcome(self) -> str | None:
        """How its job ended: ``unknown`` if the task ended without hearing of that, None while it waits."""
        return None if self.is_waited_for else self.progress.outcome or UNKNOWN

    @property
    def key(self) -> TaskKey:
        """What tells it apart."""
        return self.dag_id, self.run_id, self.task_id, self.map_index


@dataclass(frozen=True, slots=True)
class Page:
    """One page of tasks, running first.

    :param rows: of the page.
    :param total: how many there are on all pages.
    :param running: how many of them run.
    :param left_out: how many XComs of our name on all pages are something else.
    """

    rows: list[PublishedRow]
    total: int
    running: int
    left_out: int


def page_of(session: Session, selection: Selection, *, limit: int, offset: int = 0) -> Page:
    """One page of tasks, running first; filtered, sorted and cut by the database.

    :param limit: rows of a page.
    :param offset: rows before it.
    """
    running, ended = selection.of_running, selection.of_ended
    running_count = 0
    if running is not None:
        running_count = _number(session, among_unfinished(select(func.count(XComModel.task_id)), running))
    ended_count, left_out = _tally(session, selection)
    places: list[_Place] = []
    if running is not None and offset < running_count:
        query = among_unfinished(select(*_PLACE), running).order_by(*selection.order)
        places += _places(session, query.limit(limit).offset(offset))
    if ended is not None and len(places) < limit and offset + limit > running_count:
        query = select(*_PLACE).where(ended).order_by(*selection.order)
        places += _places(session, query.limit(limit - len(places)).offset(max(0, offset - running_count)))
    rows = _with_older_results(session, _fetch(session, places))
    return Page(rows, running_count + ended_count, running_count, left_out)


def rows_of_runs(session: Session, dag_run_ids: Sequence[int], *, limit: int) -> list[PublishedRow]:
    """The tasks of these DAG runs, the newest runs first.

    :param limit: how many at the most.
    """
    if not dag_run_ids:
        return []
    query = (
        _with_run(select(*_COLUMNS))
        .where(XComModel.dag_run_id.in_(dag_run_ids), XComModel.key == PROGRESS_KEY)
        .order_by(XComModel.dag_run_id.desc(), XComModel.task_id, XComModel.map_index)
        .limit(limit)
    )
    return _with_older_results(session, _read(session.execute(query).all()))


def newest_runs(session: Session, dag_id: str, *, limit: int) -> list[int]:
    """The DAG runs in which tasks published last, by their number.

    :param limit: how many at the most.
    """
    newest = func.max(XComModel.timestamp)
    query = (
        select(XComModel.dag_run_id)
        .where(XComModel.key == PROGRESS_KEY, XComModel.dag_id == dag_id)
        .group_by(XComModel.dag_run_id)
        .order_by(newest.desc())
        .limit(limit)
    )
    return list(session.scalars(query))


def number_of_run(session: Session, dag_id: str, run_id: str) -> int | None:
    """The number that a DAG run has in the database; None if there is no such run."""
    query = select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id).limit(1)
    return session.scalar(query)


def row_of(session: Session, key: TaskKey) -> PublishedRow | None:
    """What one task has published; None if it has published nothing."""
    query = _with_run(select(*_COLUMNS)).where(*_of(key), XComModel.key == PROGRESS_KEY).limit(1)
    rows = _with_older_results(session, _read(session.execute(query).all()))
    return rows[0] if rows else None


def xcoms_of(session: Session, key: TaskKey, names: Sequence[str]) -> dict[str, Any]:
    """Other XComs of a task, by their keys; None where one cannot be read."""
    query = (
        select(XComModel.key, text_of_all(XComModel.value))
        .where(*_of(key), XComModel.key.in_(names))
        .limit(len(names))
    )
    return {str(name): value_of(text) for name, text in session.execute(query).all()}


def trials_of(session: Session, row: PublishedRow, *, limit: int) -> list[tuple[int, int, Any]]:
    """What the tasks of a sweep have published of its trials in the DAG run of one of them, by number.

    :param limit: how many at the most.
    :return: number, map index of the slot that trained it, and its result; None where that cannot be read.
    """
    columns = (XComModel.key, XComModel.map_index, text_of_all(XComModel.value))
    query = select(*columns).where(*_of_trials(row)).limit(limit)
    read = []
    for key, slot, text in session.execute(query).all():
        number = key.removeprefix("trial_")
        if number.isascii() and number.isdecimal() and len(number) < 10:
            read.append((int(number), slot, value_of(text)))
    return sorted(read, key=lambda each: each[:2])


def number_of_trials(session: Session, row: PublishedRow) -> int:
    """How many XComs there are that :func:`trials_of` reads, without a limit."""
    return _number(session, select(func.count(XComModel.key)).where(*_of_trials(row)))


def among_unfinished(query: Select[Any], condition: ColumnElement[bool]) -> Select[Any]:
    """Those whose task is unfinished: by the index on the state of task instances, since they are few."""
    return (
        query.select_from(TaskInstance)
        .join(XComModel, is_of_task())
        .where(TaskInstance.state.in_(UNFINISHED), condition)
    )


_PLACE: tuple[Any, ...] = (XComModel.dag_run_id, XComModel.task_id, XComModel.map_index)
_COLUMNS: tuple[Any, ...] = (
    XComModel.dag_id,
    XComModel.run_id,
    XComModel.task_id,
    XComModel.map_index,
    XComModel.dag_run_id,
    DagRun.run_type,
    DagRun.run_after,
    TaskInstance.state,
    TaskInstance.try_number,
    XComModel.timestamp,
    text_of_all(XComModel.value),
)


def _tally(session: Session, selection: Selection) -> tuple[int, int]:
    """How many have ended, and how many XComs are something else (that is told of all states together only)."""
    of_ended, is_ended = selection.of_ended, selection.is_ended
    if of_ended is None or is_ended is None:
        return 0, 0
    if selection.state != "all":
        return _number(session, select(func.count(XComModel.task_id)).where(of_ended)), 0
    kind = case((~is_ours(), -1), (is_ended, 1), else_=0)
    kinds = select(kind.label("kind")).where(*selection.of_any).subquery()
    counted = session.execute(select(kinds.c.kind, func.count()).group_by(kinds.c.kind).limit(3)).all()
    numbers = {int(kind): int(number) for kind, number in counted}
    return numbers.get(1, 0), numbers.get(-1, 0)


def _of(key: TaskKey) -> list[ColumnElement[bool]]:
    dag_id, run_id, task_id, map_index = key
    return [
        XComModel.dag_id == dag_id,
        XComModel.task_id == task_id,
        XComModel.run_id == run_id,
        XComModel.map_index == map_index,
    ]


def _of_trials(row: PublishedRow) -> list[ColumnElement[bool]]:
    return [
        XComModel.dag_run_id == row.dag_run_id,
        XComModel.task_id == row.task_id,
        XComModel.key.startswith("trial_", autoescape=True),
    ]


def _with_run(query: Select[Any]) -> Select[Any]:
    return (
        query.select_from(XComModel)
        .outerjoin(TaskInstance, is_of_task())
        .outerjoin(DagRun, DagRun.id == XComModel.dag_run_id)
    )


def _places(session: Session, query: Select[Any]) -> list[_Place]:
    return [(number, task_id, map_index) for number, task_id, map_index in session.execute(query).all()]


def _fetch(session: Session, places: Sequence[_Place]) -> list[PublishedRow]:
    """The rows at these places, in their order."""
    if not places:
        return []
    query = (
        _with_run(select(*_COLUMNS))
        .where(tuple_(*_PLACE).in_(places), XComModel.key == PROGRESS_KEY)
        .limit(len(places))
    )
    order = {place: number for number, place in enumerate(places)}
    rows = _read(session.execute(query).all())
    return sorted(rows, key=lambda row: order[row.dag_run_id, row.task_id, row.map_index])


def _read(rows: Sequence[Any]) -> list[PublishedRow]:
    read = []
    for dag_id, run_id, task_id, map_index, number, run_type, run_after, state, tries, updated, text in rows:
        progress, problem = progress_in(text)
        read.append(
            PublishedRow(
                dag_id=dag_id,
                run_id=run_id,
                task_id=task_id,
                map_index=map_index,
                dag_run_id=number,
                run_type=None if run_type is None else str(getattr(run_type, "value", run_type)),
                run_after=run_after,
                task_state=None if state is None else str(state),
                try_number=tries,
                updated=updated,
                progress=progress,
                problem=problem,
            )
        )
    return read


def _with_older_results(session: Session, rows: list[PublishedRow]) -> list[PublishedRow]:
    """Rows of older versions, whose outcome and figures are in the task's result only."""
    older = [
        (row.dag_run_id, row.task_id, row.map_index)
        for row in rows
        if row.progress.outcome is None and not row.is_waited_for
    ]
    if not older:
        return rows
    query = (
        select(*_PLACE, text_of_all(XComModel.value))
        .where(tuple_(*_PLACE).in_(older), XComModel.key == RESULT_KEY)
        .limit(len(older))
    )
    results = {tuple(place): result_in(value_of(text)) for *place, text in session.execute(query).all()}

    def _completed(row: PublishedRow) -> PublishedRow:
        result = results.get((row.dag_run_id, row.task_id, row.map_index))
        if result is None or row.progress.outcome is not None or row.is_waited_for:
            return row
        return replace(row, progress=completed_by(row.progress, result))

    return [_completed(row) for row in rows]


def _number(session: Session, query: Select[Any]) -> int:
    return int(session.execute(query).scalar_one())
