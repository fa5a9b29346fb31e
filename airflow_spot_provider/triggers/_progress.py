"""Publish how far jobs have come while their tasks are deferred: best effort, and never in the way of watching."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from typing import Any
from weakref import WeakKeyDictionary

from airflow_spot_provider._compat.supervisor import publish_xcom

log = logging.getLogger(__name__)

PROGRESS_KEY = "spot_progress"
METRICS_KEY = "spot_metrics"
"""Metric curves, ``{name: [[time, value], ...]}``."""
SECONDS_BETWEEN = 0.5
"""Between two XComs of this process: the supervisor answers triggers one after the other, between its own rounds."""
_SECONDS_FOR_ONE = 30.0


class ProgressPublisher:
    """Writes the newest progress of each task, one after the other; what is overtaken before its turn is not written."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[Any, ...], tuple[Any, dict[str, Any]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._told = False

    def publish(self, task_instance: Any, value: dict[str, Any], key: str = PROGRESS_KEY) -> None:
        """Have an XCom of a task written, soon.

        :param task_instance: the trigger's.
        :param value: plain JSON.
        :param key: of the XCom.
        """
        self._waiting[_who(task_instance), key] = task_instance, value
        if self._task is None or self._task.done():
            loop = asyncio.get_running_loop()
            self._task = loop.create_task(
                self._write(), name="publishing progress", context=contextvars.Context()
            )

    def forget(self, task_instance: Any) -> None:
        """The task goes on by itself: what it publishes now must not be written over by what was true before."""
        for key in (PROGRESS_KEY, METRICS_KEY):
            self._waiting.pop((_who(task_instance), key), None)

    async def _write(self) -> None:
        while self._waiting:
            waiting = next(iter(self._waiting))
            task_instance, value = self._waiting.pop(waiting)
            try:
                async with asyncio.timeout(_SECONDS_FOR_ONE):
                    if not await publish_xcom(task_instance, waiting[1], value):
                        self._waiting.clear()
                        return
            except Exception as error:  # noqa: BLE001 - watching and its outcome do not depend on it
                if not self._told:
                    self._told = True
                    log.warning("The progress of deferred tasks cannot be published just now (%r).", error)
            else:
                self._told = False
            await asyncio.sleep(SECONDS_BETWEEN)


def _who(task_instance: Any) -> tuple[Any, ...]:
    ti = task_instance
    return ti.dag_id, ti.run_id, ti.task_id, ti.map_index


_BY_LOOP: WeakKeyDictionary[asyncio.AbstractEventLoop, ProgressPublisher] = WeakKeyDictionary()


def publisher_of_this_loop() -> ProgressPublisher:
    """The publisher of the running event loop."""
    return _BY_LOOP.setdefault(asyncio.get_running_loop(), ProgressPublisher())
