"""Pages of tasks, and one task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from pydantic import ValidationError
from sqlalchemy import ColumnElement, Select, and_, func, select, tuple_
from sqlalchemy.orm import Session

from airflow_spot_provider.published.json_columns import text_of
from airflow_spot_provider.published.selection import PROGRESS_KEY, UNFINISHED, Selection
from airflow_spot_provider.training import (
    Phase,
    SpotProgress,
    SpotTrainingResult,
    SpotTuningResult,
    phase_of,
)
from airflow_spot_provider.training.money import Cost

RESULT_KEY = "return_value"

TaskKey = tuple[str, str, str, int]
"""dag id, run id, task id, map index."""


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One task, with what it has published.

    :param dag_id: of the task.
    :param run_id: of the task.
    :param task_id: with its task groups.
    :param map_index: -1 if it is not mapped.
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
        return self.progress.outcome is None and (self.task_state is None or self.task_state in UNFINISHED)

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
    running_count = 0 if running is None else _count(session, among_unfinished(select(func.count()), running))
    ended_count = 0 if ended is None else _count(session, select(func.count(XComModel.key)).where(ended))
    rows: list[PublishedRow] = []
    if running is not None and offset < running_count:
        page = (
            among_unfinished(select(*_COLUMNS), running)
            .order_by(*selection.order)
            .limit(limit)
            .offset(offset)
        )
        rows += _read(session.execute(page).all())
    if ended is not None and len(rows) < limit and ended_count:
        keys = (
            select(XComModel.dag_run_id, XComModel.task_id, XComModel.map_index)
            .where(ended)
            .order_by(*selection.order)
            .limit(limit - len(rows))
            .offset(max(0, offset - running_count))
        )
        rows += _fetch(session, [tuple(key) for key in session.execute(keys).all()])
    left_out = _count(session, _strangers(selection)) if selection.state == "all" else 0
    return Page(_with_older_results(session, rows), running_count + ended_count, running_count, left_out)


def rows_of_runs(session: Session, dag_run_ids: Sequence[int], *, limit: int) -> list[PublishedRow]:
    """The tasks of these DAG runs.

    :param limit: how many at the most.
    """
    query = (
        _with_run(select(*_COLUMNS))
        .where(XComModel.dag_run_id.in_(dag_run_ids), _OURS)
        .order_by(XComModel.dag_run_id.desc(), XComModel.task_id, XComModel.map_index)
        .limit(limit)
    )
    return _with_older_results(session, _read(session.execute(query).all()))


def row_of(session: Session, key: TaskKey) -> PublishedRow | None:
    """What one task has published; None if it has published nothing."""
    dag_id, run_id, task_id, map_index = key
    query = (
        _with_run(select(*_COLUMNS))
        .where(
            XComModel.dag_id == dag_id,
            XComModel.task_id == task_id,
            XComModel.run_id == run_id,
            XComModel.map_index == map_index,
            _OURS,
        )
        .limit(1)
    )
    rows = _with_older_results(session, _read(session.execute(query).all()))
    return rows[0] if rows else None


def xcoms_of(session: Session, key: TaskKey, names: Sequence[str]) -> dict[str, Any]:
    """Other XComs of a task, by their keys."""
    dag_id, run_id, task_id, map_index = key
    query = (
        select(XComModel.key, XComModel.value)
        .where(
            XComModel.dag_id == dag_id,
            XComModel.task_id == task_id,
            XComModel.run_id == run_id,
            XComModel.map_index == map_index,
            XComModel.key.in_(names),
        )
        .limit(len(names))
    )
    return {str(name): value for name, value in session.execute(query).all()}


_COLUMNS: tuple[Any, ...] = (
    XComModel.dag_id,
    XComModel.run_id,
    XComModel.task_id,
    XComModel.map_index,
    DagRun.run_type,
    DagRun.run_after,
    TaskInstance.state,
    TaskInstance.try_number,
    XComModel.timestamp,
    XComModel.value,
)
_OURS = and_(XComModel.key == PROGRESS_KEY, text_of(XComModel.value, "status").is_not(None))


def among_unfinished(query: Select[Any], condition: ColumnElement[bool]) -> Select[Any]:
    """Those whose task still waits: by the index on the state of task instances, since they are few."""
    return (
        query.select_from(TaskInstance)
        .join(DagRun, and_(DagRun.dag_id == TaskInstance.dag_id, DagRun.run_id == TaskInstance.run_id))
        .join(
            XComModel,
            and_(
                XComModel.dag_run_id == DagRun.id,
                XComModel.task_id == TaskInstance.task_id,
                XComModel.map_index == TaskInstance.map_index,
            ),
        )
        .where(condition)
    )


def _with_run(query: Select[Any]) -> Select[Any]:
    return (
        query.select_from(XComModel)
        .outerjoin(
            TaskInstance,
            and_(
                TaskInstance.dag_id == XComModel.dag_id,
                TaskInstance.task_id == XComModel.task_id,
                TaskInstance.run_id == XComModel.run_id,
                TaskInstance.map_index == XComModel.map_index,
            ),
        )
        .outerjoin(DagRun, DagRun.id == XComModel.dag_run_id)
    )


def _fetch(session: Session, keys: Sequence[tuple[Any, ...]]) -> list[PublishedRow]:
    """The rows with these keys, in their order."""
    if not keys:
        return []
    query = (
        _with_run(select(*_COLUMNS, XComModel.dag_run_id))
        .where(
            tuple_(XComModel.dag_run_id, XComModel.task_id, XComModel.map_index).in_(keys),
            XComModel.key == PROGRESS_KEY,
        )
        .limit(len(keys))
    )
    fetched = session.execute(query).all()
    place = {key: number for number, key in enumerate(keys)}
    fetched = sorted(fetched, key=lambda row: place[row[-1], row[2], row[3]])
    return _read([row[:-1] for row in fetched])


def _read(rows: Sequence[Any]) -> list[PublishedRow]:
    read = []
    for dag_id, run_id, task_id, map_index, run_type, run_after, state, tries, updated, value in rows:
        progress, problem = _progress(value)
        kind = None if run_type is None else str(getattr(run_type, "value", run_type))
        read.append(
            PublishedRow(
                dag_id, run_id, task_id, map_index, kind, run_after, state, tries, updated, progress, problem
            )
        )
    return read


def _progress(value: object) -> tuple[SpotProgress, str | None]:
    try:
        progress = SpotProgress.from_json(value)
    except ValidationError:
        members = value if isinstance(value, Mapping) else {}
        status = str(members.get("status", ""))[:64]
        name = members.get("job_name")
        return (
            SpotProgress(job_name=name[:256] if isinstance(name, str) else None, status=status),
            "What this task published as spot_progress cannot be read: it is incomplete, or something else wrote it.",
        )
    if progress.phase is Phase.OTHER and progress.status:
        # Older versions told the status alone.
        progress = progress.model_copy(update={"phase": phase_of(progress.status)})
    return progress, None


def _with_older_results(session: Session, rows: list[PublishedRow]) -> list[PublishedRow]:
    """Rows of older versions, whose figures are in the task's result only."""
    older = [row.key for row in rows if row.progress.outcome is None and row.progress.phase is Phase.ENDED]
    if not older:
        return rows
    columns = (XComModel.dag_id, XComModel.run_id, XComModel.task_id, XComModel.map_index)
    query = (
        select(*columns, XComModel.value)
        .where(tuple_(*columns).in_(older), XComModel.key == RESULT_KEY)
        .limit(len(older))
    )
    results = {tuple(row[:4]): row[4] for row in session.execute(query).all()}
    return [_completed(row, results[row.key]) if row.key in results else row for row in rows]


def _completed(row: PublishedRow, value: object) -> PublishedRow:
    result: SpotTrainingResult | SpotTuningResult
    try:
        result = SpotTrainingResult.from_json(value)
    except ValidationError:
        try:
            result = SpotTuningResult.from_json(value)
        except ValidationError:
            return row
    savings = result.savings
    update = {
        "outcome": str(result.outcome),
        "jobs": savings.jobs,
        "unknown": savings.unknown,
        "training_instance_seconds": savings.training_instance_seconds,
        "billable_instance_seconds": savings.billable_instance_seconds,
        "savings_percent": savings.percent,
        "managed_spot": result.managed_spot,
        "failure_reason": result.failure_reason,
        **Cost.told(result.known_cost),
    }
    if isinstance(result, SpotTrainingResult):
        update |= {"instance_type": result.instance_type, "instance_count": result.instance_count}
    return replace(row, progress=row.progress.model_copy(update=update))


def _strangers(selection: Selection) -> Select[Any]:
    """How many XComs of our name are something else."""
    query = select(func.count(XComModel.key)).where(
        XComModel.key == PROGRESS_KEY, text_of(XComModel.value, "status").is_(None)
    )
    if selection.since is not None:
        query = query.where(XComModel.timestamp >= selection.since)
    if selection.dag_ids is not None:
        query = query.where(XComModel.dag_id.in_(selection.dag_ids))
    return query


def _count(session: Session, query: Select[Any]) -> int:
    return int(session.execute(query).scalar_one())
