"""The new lines of a training log, repeated in the task's log while the task is deferred."""

from __future__ import annotations

import asyncio
from typing import Any

from airflow_spot_provider.aws.errors import code_of
from airflow_spot_provider.aws.watch import Log
from airflow_spot_provider.aws.watching.watcher import Watcher
from airflow_spot_provider.hooks.sagemaker_spot import LOG_GROUP

MOST_LINES = 50
"""Of more new lines than these, only the newest are repeated; the task's end repeats more of them."""


class NewLogLines:
    """Repeats what a job has logged since the last time. Nothing waits for it: it has a task of its own.

    :param watcher: has the line to CloudWatch Logs.
    :param job_name: TrainingJobName.
    """

    __slots__ = ("_job_name", "_task", "_until", "_watcher")

    def __init__(self, watcher: Watcher, job_name: str) -> None:
        self._watcher = watcher
        self._job_name = job_name
        self._until = 0
        self._task: asyncio.Task[None] | None = None

    def repeat(self, log: Log) -> None:
        """Log the new lines, oldest first, as soon as they are there; nothing if the last ones are still being read.

        :param log: the trigger's: the new task has the trigger's context, and with it its log.
        """
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(
                self._read(log), name="reading a training log"
            )

    def stop(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()

    async def _read(self, log: Log) -> None:
        try:
            answer: dict[str, Any] = await self._watcher.line("logs").call(
                "filter_log_events",
                patient=False,
                logGroupName=LOG_GROUP,
                logStreamNamePrefix=f"{self._job_name}/",
                startTime=self._until,
            )
        except Exception as error:  # noqa: BLE001 - the task tells the log again when the job has ended
            if code_of(error) != "ResourceNotFoundException":
                log.info("The training log cannot be read just now (%s).", code_of(error))
            return
        events = answer.get("events") or []
        for event in events[-MOST_LINES:]:
            log.info("[%s] %s", self._job_name, event["message"])
        if events:
            self._until = max(event["timestamp"] for event in events) + 1
