"""Airflow's metadata database, filled for a test or a benchmark as Airflow and our tasks would fill it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.models.base import Base
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.log import Log
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.models.tasklog import LogTemplate
from airflow.models.xcom import XComModel
from airflow.utils.db import import_all_models
from packaging.version import Version
from sqlalchemy import Table, insert, select, text, update
from sqlalchemy.engine import Engine

from tests.airflow_versions import AIRFLOW

BUNDLE = "tests"
_TEMPLATE = 1
_LOG_FILE = (
    "dag_id={{ ti.dag_id }}/run_id={{ ti.run_id }}/task_id={{ ti.task_id }}/"
    "{% if ti.map_index >= 0 %}map_index={{ ti.map_index }}/{% endif %}attempt={{ try_number }}.log"
)


def _new_id() -> Any:
    """A task instance's; text in the tables of Airflow before 3.2."""
    return uuid.uuid4() if Version("3.2") <= AIRFLOW else str(uuid.uuid4())


class Metadata:
    """What a test puts into the database.

    :param engine: to a database that has Airflow's tables.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def created(cls, engine: Engine) -> Metadata:
        """With Airflow's tables, as its models have them."""
        import_all_models()
        Base.metadata.create_all(engine)
        with engine.begin() as connection:
            connection.execute(insert(_table(DagBundleModel)), [{"name": BUNDLE}])
            templates = {"id": _TEMPLATE, "filename": _LOG_FILE, "elasticsearch_id": ""}
            connection.execute(insert(_table(LogTemplate)), [templates])
        return cls(engine)

    def add_dags(self, *dag_ids: str) -> None:
        rows = [
            {
                "dag_id": dag_id,
                "bundle_name": BUNDLE,
                "is_stale": False,
                "max_active_tasks": 16,
                "max_consecutive_failed_dag_runs": 0,
                "has_task_concurrency_limits": False,
            }
            for dag_id in dag_ids
        ]
        self.insert(DagModel, rows)

    def add_run(
        self,
        dag_id: str,
        run_id: str,
        *,
        run_after: datetime,
        state: str = "success",
        run_type: str = "manual",
    ) -> int:
        """A DAG run; its number in the database."""
        self.insert(DagRun, [run_row(dag_id, run_id, run_after=run_after, state=state, run_type=run_type)])
        return self.number_of(dag_id, run_id)

    def number_of(self, dag_id: str, run_id: str) -> int:
        """A DAG run's number in the database."""
        table = _table(DagRun)
        query = select(table.c.id).where(table.c.dag_id == dag_id, table.c.run_id == run_id)
        with self.engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def publish(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        map_index: int = -1,
        *,
        state: str | None = "success",
        when: datetime,
        raw: Mapping[str, str] | None = None,
        given: Mapping[str, Any] | None = None,
        **xcoms: Any,
    ) -> None:
        """A task instance with its XComs.

        :param given: rendered fields of the task, as its worker stores them.
        :param raw: XComs by key, as the text that the database holds: what is no JSON, too.
        :param xcoms: XComs by key.
        """
        self.insert(TaskInstance, [task_row(dag_id, run_id, task_id, map_index, state=state)])
        if given is not None:
            of_task = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
            self.insert(RenderedTaskInstanceFields, [{**of_task, "rendered_fields": dict(given)}])
        number = self.number_of(dag_id, run_id)
        texts = {**{key: json.dumps(value) for key, value in xcoms.items()}, **(raw or {})}
        statement = text(
            "INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp) "
            "VALUES (:dag_run_id, :task_id, :map_index, :key, :dag_id, :run_id, :value, :timestamp)"
        )
        with self.engine.begin() as connection:
            for key, value in texts.items():
                connection.execute(
                    statement,
                    {
                        "dag_run_id": number,
                        "task_id": task_id,
                        "map_index": map_index,
                        "key": key,
                        "dag_id": dag_id,
                        "run_id": run_id,
                        "value": value,
                        "timestamp": when if self.engine.dialect.name == "postgresql" else _sqlite_time(when),
                    },
                )

    def publish_again(self, dag_id: str, run_id: str, task_id: str, **xcoms: Any) -> None:
        """Other values of XComs that a task has published.

        :param xcoms: XComs by key.
        """
        table = _table(XComModel)
        of_task = (table.c.dag_id == dag_id, table.c.run_id == run_id, table.c.task_id == task_id)
        with self.engine.begin() as connection:
            for key, value in xcoms.items():
                connection.execute(update(table).where(*of_task, table.c.key == key).values(value=value))

    def insert(self, model: Any, rows: Iterable[Mapping[str, Any]]) -> None:
        """Rows of a table, many at a time."""
        with self.engine.begin() as connection:
            for batch in _batches(rows, 5_000):
                connection.execute(insert(_table(model)), batch)

    def actions(self) -> list[tuple[str, str, str]]:
        """What the audit log tells: event, owner, DAG."""
        table = _table(Log)
        query = select(table.c.event, table.c.owner, table.c.dag_id).order_by(table.c.id)
        with self.engine.connect() as connection:
            return [(row.event, row.owner, row.dag_id) for row in connection.execute(query)]


def run_row(
    dag_id: str, run_id: str, *, run_after: datetime, state: str = "success", run_type: str = "manual"
) -> dict[str, Any]:
    """A row of the table of DAG runs."""
    return {
        "dag_id": dag_id,
        "run_id": run_id,
        "run_type": run_type,
        "state": state,
        "run_after": run_after,
        "queued_at": run_after,
        "start_date": run_after,
        "logical_date": run_after,
        "log_template_id": _TEMPLATE,
    }


def task_row(
    dag_id: str, run_id: str, task_id: str, map_index: int = -1, *, state: str | None = "success"
) -> dict[str, Any]:
    """A row of the table of task instances."""
    return {
        "id": _new_id(),
        "dag_id": dag_id,
        "run_id": run_id,
        "task_id": task_id,
        "map_index": map_index,
        "state": state,
        "pool": "default_pool",
        "try_number": 1,
        "max_tries": 0,
    }


def xcom_row(
    number: int, dag_id: str, run_id: str, task_id: str, map_index: int, key: str, value: Any, when: datetime
) -> dict[str, Any]:
    """A row of the table of XComs.

    :param number: of the DAG run in the database.
    """
    return {
        "dag_run_id": number,
        "dag_id": dag_id,
        "run_id": run_id,
        "task_id": task_id,
        "map_index": map_index,
        "key": key,
        "value": value,
        "timestamp": when,
    }


def ago(**since: float) -> datetime:
    """A time in the past, by the clock that the pages go by."""
    return datetime.now(UTC) - timedelta(**since)


def _table(model: Any) -> Table:
    table: Table = model.__table__
    return table


def _sqlite_time(when: datetime) -> str:
    return when.astimezone(UTC).replace(tzinfo=None).isoformat(" ", timespec="microseconds")


def _batches(rows: Iterable[Mapping[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(dict(row))
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
