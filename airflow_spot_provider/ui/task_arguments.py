"""What a task really was given, from Airflow's own tables: whoever may write an XCom says nothing about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.serialized_dag import SerializedDagModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_spot_provider.published.rows import PublishedRow
from airflow_spot_provider.ui.actions import NotDone

_NAMES = ("aws_conn_id", "region_name", "job_name")
_TEMPLATE_MARKS = ("{{", "{%")


def as_it_was_given(session: Session, row: PublishedRow) -> PublishedRow:
    """A row whose connection and region are the task's own.

    The job is for AWS to tell: it bears the task's tags. That of a sensor bears none; it is the one that the sensor was given.

    :param row: as the task, or somebody else, has published it.
    :raises NotDone: they are not known any more, or a sensor's job is another one.
    """
    given = _rendered(session, row)
    if given is None:
        given = _serialized(session, row)
    if given is None or any(_is_template(given.get(name)) for name in _NAMES):
        raise NotDone(
            "Airflow does not know any more with which connection this task ran: its DAG is gone, or its rendered fields are (of so many "
            "runs as [core] max_num_rendered_ti_fields_per_task says they are kept)."
        )
    progress = row.progress
    if progress.observed and progress.job_name != given.get("job_name"):
        raise NotDone(
            f"{progress.job_name} is not the job that this task was given to wait for: nothing is told of it."
        )
    own = {"aws_conn_id": given.get("aws_conn_id"), "region": given.get("region_name")}
    return replace(row, progress=progress.model_copy(update=own))


def _rendered(session: Session, row: PublishedRow) -> Mapping[str, Any] | None:
    """The task instance's rendered fields, which its worker has stored."""
    table = RenderedTaskInstanceFields
    query = select(table.rendered_fields).where(
        table.dag_id == row.dag_id,
        table.run_id == row.run_id,
        table.task_id == row.task_id,
        table.map_index == row.map_index,
    )
    fields: Mapping[str, Any] | None = session.scalar(query)
    return fields


def _serialized(session: Session, row: PublishedRow) -> Mapping[str, Any] | None:
    """The task's arguments in the newest version of its DAG."""
    dag: Any = SerializedDagModel.get_dag(row.dag_id, session=session)
    task = None if dag is None else dag.task_dict.get(row.task_id)
    if task is None:
        return None
    of_all_members = getattr(task, "partial_kwargs", {})
    return {name: of_all_members.get(name, getattr(task, name, None)) for name in _NAMES}


def _is_template(value: object) -> bool:
    return not isinstance(value, str | None) or any(mark in (value or "") for mark in _TEMPLATE_MARKS)
