"""Which task instance a job is of, by Airflow's metadata database.

A job's tags tell names, which are cleaned of characters that a tag does not take, and a digest, which is exact: a task instance is
a job's if its digest says so. The job of a sweep's trial is its trial's; it bears the names of the slot that began it, which goes
on with that trial after a crash, a retry or a clear: the slot's state decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from sqlalchemy import and_, or_, select, tuple_
from sqlalchemy.orm import Session
from sqlalchemy.sql.expression import ColumnElement

from airflow_spot_provider.aws.ownership import TASK, tags_of
from airflow_spot_provider.hooks._tagged import TaggedJob
from airflow_spot_provider.training import TaskIdentity

_AT_ONCE = 200
"""Task instances that one query asks about."""
_CLEANED = "_"
"""What a character that a tag does not take is replaced by; in SQL's LIKE it stands for any one character."""

Key = tuple[str, str, str, int]
"""dag id, run id, task id, map index."""


@dataclass(frozen=True, slots=True)
class TaskOfJob:
    """The task instance that a job is of.

    :param identity: whose digest the job bears.
    :param state: of the task instance; None if it has none.
    :param run_state: of its DAG run.
    """

    identity: TaskIdentity
    state: str | None
    run_state: str | None


def key_of(job: TaggedJob) -> Key:
    """The names that a job's tags tell, as they are there."""
    dag_id, run_id, task_id = (job.tags.get(f"airflow-spot:{name}-id", "") for name in ("dag", "run", "task"))
    index = job.tags.get("airflow-spot:map-index", "")
    return dag_id, run_id, task_id, int(index) if index.isascii() and index.isdecimal() else -1


def tasks_of(session: Session, jobs: Sequence[TaggedJob], deployment: str) -> dict[str, TaskOfJob]:
    """The task instances that jobs are of, by the jobs' names; without those that this Airflow knows no task instance of.

    :param deployment: the setting ``[airflow_spot] deployment``.
    """
    found: dict[str, TaskOfJob] = {}
    by_key: dict[Key, list[TaggedJob]] = {}
    for job in jobs:
        by_key.setdefault(key_of(job), []).append(job)
    # First the very names; then, for whom these are not the right ones, those that look the same in a tag.
    for conditions in (_named(by_key), _looking_like(by_key, found)):
        rows = _rows(session, conditions)
        studies = _Studies(session, rows)
        for row in rows:
            for job in _of_row(by_key, row):
                if job.name not in found and (identity := _identity(job, row, deployment, studies)):
                    found[job.name] = TaskOfJob(identity, _text(row.state), _text(row.run_state))
    return found


def _named(by_key: dict[Key, list[TaggedJob]]) -> Iterator[ColumnElement[bool]]:
    columns = tuple_(TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index)
    for keys in _batches(by_key):
        yield columns.in_(keys)


def _looking_like(
    by_key: dict[Key, list[TaggedJob]], found: dict[str, TaskOfJob]
) -> Iterator[ColumnElement[bool]]:
    """Run ids may hold characters that a tag does not take; ids of DAGs and tasks may not."""
    keys = [
        key
        for key, jobs in by_key.items()
        if _CLEANED in key[1] and any(job.name not in found for job in jobs)
    ]
    for batch in _batches(keys):
        yield or_(
            *(
                and_(
                    TaskInstance.dag_id == dag_id,
                    TaskInstance.task_id == task_id,
                    TaskInstance.map_index == map_index,
                    TaskInstance.run_id.like(run_id),
                )
                for dag_id, run_id, task_id, map_index in batch
            )
        )


def _rows(session: Session, conditions: Iterable[ColumnElement[bool]]) -> list[Any]:
    query = select(
        TaskInstance.dag_id,
        TaskInstance.run_id,
        TaskInstance.task_id,
        TaskInstance.map_index,
        TaskInstance.state,
        DagRun.state.label("run_state"),
    ).outerjoin(DagRun, and_(DagRun.dag_id == TaskInstance.dag_id, DagRun.run_id == TaskInstance.run_id))
    return [row for condition in conditions for row in session.execute(query.where(condition)).all()]


def _of_row(by_key: dict[Key, list[TaggedJob]], row: Any) -> list[TaggedJob]:
    """Jobs that may be of a task instance."""
    cleaned = (row.dag_id, _in_a_tag(row.run_id), row.task_id, row.map_index)
    return by_key.get(cleaned, [])


def _in_a_tag(run_id: str) -> str:
    return tags_of(TaskIdentity("d", run_id, "t"), 0)["airflow-spot:run-id"]


def _identity(job: TaggedJob, row: Any, deployment: str, studies: _Studies) -> TaskIdentity | None:
    """Who bears the job's digest: the task instance, or a trial that it trains; None if neither does."""
    digest = job.tags[TASK]
    own = TaskIdentity(row.dag_id, row.run_id, row.task_id, row.map_index, deployment)
    if own.digest == digest:
        return own
    number = re.search(rf"-([0-9]{{1,9}})-{re.escape(digest)}-[0-9]+\Z", job.name)
    study = studies.of(row) if number else None
    if number is None or study is None:
        return None
    of_trial = replace(own, trial=(study, int(number[1])))
    return of_trial if of_trial.digest == digest else None


class _Studies:
    """Names of studies, as Airflow has kept them with the tasks' rendered fields; asked for when the first is needed."""

    def __init__(self, session: Session, rows: Sequence[Any]) -> None:
        self._session = session
        self._keys = [_key(row) for row in rows]
        self._by_key: dict[Key, str] | None = None

    def of(self, row: Any) -> str | None:
        """The study that a task trains trials of; None if it is no sweep's, or that is not known any more."""
        if self._by_key is None:
            self._by_key = dict(self._asked())
        return self._by_key.get(_key(row))

    def _asked(self) -> Iterator[tuple[Key, str]]:
        fields = RenderedTaskInstanceFields
        columns: tuple[Any, ...] = (fields.dag_id, fields.run_id, fields.task_id, fields.map_index)
        for keys in _batches(self._keys):
            query = select(*columns, fields.rendered_fields).where(tuple_(*columns).in_(keys))
            for *key, rendered in self._session.execute(query).all():
                study = rendered.get("study") if isinstance(rendered, dict) else None
                if isinstance(study, str):
                    dag_id, run_id, task_id, map_index = key
                    yield (dag_id, run_id, task_id, map_index), study


def _key(row: Any) -> Key:
    return row.dag_id, row.run_id, row.task_id, row.map_index


def _text(state: Any) -> str | None:
    return None if state is None else str(getattr(state, "value", state))


def _batches(keys: Iterable[Key]) -> Iterator[list[Key]]:
    several = list(dict.fromkeys(keys))
    for start in range(0, len(several), _AT_ONCE):
        yield several[start : start + _AT_ONCE]
