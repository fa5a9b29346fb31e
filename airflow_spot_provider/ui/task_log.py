"""The training log, as far as the task's own log repeats it; read by Airflow's own reader, and not waited for long."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from typing import Any

from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.utils.log.log_reader import TaskLogReader
from airflow.utils.session import create_session
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from airflow_spot_provider.published.rows import TaskKey

log = logging.getLogger(__name__)

MOST_LINES = 200
SECONDS = 5.0
"""A remote log may take longer: the page then says so, and the task's own page has it."""
_LONGEST_LINE = 2_000
_MOST_MESSAGES = 200_000
_BEGIN, _END = "::group::Training log", "::endgroup::"

_readers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="spot-task-log")


def training_log_of(key: TaskKey, job_name: str | None) -> tuple[list[str], str | None]:
    """The newest lines of the training log, oldest first, and why there are none or not all; None if there is no reason.

    :param key: of the task.
    :param job_name: of its job.
    """
    reading = _readers.submit(_lines_of, key, job_name)
    try:
        return reading.result(timeout=SECONDS), None
    except TookTooLong:
        reading.cancel()
        return [], f"The task's log could not be read within {SECONDS:.0f} s; the task's own page has it."
    except Exception as error:
        log.warning("A task's log could not be read for a page of spot training.", exc_info=error)
        return (
            [],
            f"The task's log could not be read ({type(error).__name__}); the task's own page may tell more.",
        )


def training_lines(messages: Iterable[str], job_name: str | None) -> list[str]:
    """What is training log among the messages of a task log: repeated line by line while it trains, and as a whole at its end.

    :param messages: in their order.
    :param job_name: its lines begin with it.
    """
    lines: deque[str] = deque(maxlen=MOST_LINES)
    prefix = f"[{job_name}] "
    inside = False
    for message in messages:
        if message.startswith(_BEGIN):
            inside = True
            lines.clear()  # it is told as a whole
        elif message.startswith(_END):
            inside = False
        elif inside:
            lines.append(message[:_LONGEST_LINE])
        elif job_name and message.startswith(prefix):
            lines.append(message.removeprefix(prefix)[:_LONGEST_LINE])
    return list(lines)


def _lines_of(key: TaskKey, job_name: str | None) -> list[str]:
    dag_id, run_id, task_id, map_index = key
    query = (
        select(TaskInstance)
        .where(
            TaskInstance.dag_id == dag_id,
            TaskInstance.task_id == task_id,
            TaskInstance.run_id == run_id,
            TaskInstance.map_index == map_index,
        )
        .join(TaskInstance.dag_run)
        .options(joinedload(TaskInstance.trigger).joinedload(Trigger.triggerer_job))
        .options(joinedload(TaskInstance.dag_model))
        .options(joinedload(TaskInstance.dag_run))
        .limit(1)
    )
    with create_session(scoped=False) as session:
        task = session.scalar(query)
        if task is None:
            return []
        session.expunge_all()
    # A log that lies far away takes its time; the database's connection is not held for that.
    metadata: Any = {"download_logs": True}
    messages, _ = TaskLogReader().read_log_chunks(task, task.try_number, metadata)
    return training_lines(_texts(messages), job_name)


def _texts(messages: Iterable[Any]) -> Iterable[str]:
    for number, message in enumerate(messages):
        if number >= _MOST_MESSAGES:
            return
        yield str(getattr(message, "event", message))
