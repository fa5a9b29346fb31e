"""The new lines of a training log, repeated in the task's log while the task is deferred; and the metric curves in them."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from airflow_spot_provider.aws.errors import code_of
from airflow_spot_provider.aws.watch import Log
from airflow_spot_provider.aws.watching.watcher import Watcher
from airflow_spot_provider.hooks.sagemaker_spot import LOG_GROUP
from airflow_spot_provider.training.lifecycle import instant
from airflow_spot_provider.training.metric_curves import Curves, definitions_of, newest_of
from airflow_spot_provider.training.result import iso
from airflow_spot_provider.triggers._curves import match_lines, refusals

MOST_LINES = 50
"""Of more new lines than these, only the newest are repeated; the task's end repeats more of them."""
MOST_PAGES = 5
"""A page holds up to a megabyte of lines; what is left then is read the next time."""
_MATCHED_AT_ONCE = 2

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


class NewLogLines:
    """Repeats what a job has logged since the last time. Nothing waits for it: it has a task of its own.

    :param watcher: has the line to CloudWatch Logs.
    :param job_name: TrainingJobName.
    """

    __slots__ = ("_curves", "_job_name", "_refused", "_task", "_until", "_watcher", "newest")

    def __init__(self, watcher: Watcher, job_name: str) -> None:
        self.newest: dict[str, float] | None = None
        """The newest value of each metric, once there are any."""
        self._watcher = watcher
        self._job_name = job_name
        self._until = 0
        self._task: asyncio.Task[None] | None = None
        self._curves: str | None = (
            None  # as JSON: lists of lists would take ten times as much while they wait
        )
        self._refused: frozenset[str] = frozenset()

    def repeat(
        self, log: Log, description: Mapping[str, Any], found: Callable[[Curves | None], None]
    ) -> None:
        """Log the new lines, oldest first, as soon as they are there; nothing if the last ones are still being read.

        :param log: the trigger's: the new task has the trigger's context, and with it its log.
        :param description: of the job, with its MetricDefinitions.
        :param found: is told of the job's metric curves when all has been read; of None if nothing is new in them.
        """
        if self._task is None or self._task.done():
            definitions = {
                name: regex
                for name, regex in definitions_of(description).items()
                if name not in self._refused
            }
            since = iso(instant(description.get("CreationTime")))
            self._task = asyncio.get_running_loop().create_task(
                self._read(log, definitions, since, found), name="reading a training log"
            )

    def stop(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()

    async def _read(
        self,
        log: Log,
        definitions: Mapping[str, str],
        since: str | None,
        found: Callable[[Curves | None], None],
    ) -> None:
        curves = None
        try:
            events = await self._new_events(log)
            for event in events[-MOST_LINES:]:
                log.info("[%s] %s", self._job_name, event["message"])
            if events and definitions:
                lines = [(event["timestamp"], event["message"]) for event in events]
                curves = await self._match(log, definitions, lines, since)
        finally:
            found(curves)

    async def _new_events(self, log: Log) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        members: dict[str, Any] = {}
        for _ in range(MOST_PAGES):
            try:
                answer: dict[str, Any] = await self._watcher.line("logs").call(
                    "filter_log_events",
                    patient=False,
                    logGroupName=LOG_GROUP,
                    logStreamNamePrefix=f"{self._job_name}/",
                    startTime=self._until,
                    **members,
                )
            except Exception as error:  # noqa: BLE001 - the task tells the log again when the job has ended
                if code_of(error) != "ResourceNotFoundException":
                    log.info("The training log cannot be read just now (%s).", code_of(error))
                break
            events += answer.get("events") or ()
            if not answer.get("nextToken"):
                break
            members = {"nextToken": answer["nextToken"]}
        if events:
            self._until = max(event["timestamp"] for event in events) + 1
        return events

    async def _match(
        self, log: Log, definitions: Mapping[str, str], lines: list[tuple[int, str]], since: str | None
    ) -> Curves | None:
        before = None if self._curves is None else json.loads(self._curves)
        turns = _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(_MATCHED_AT_ONCE))
        try:
            async with turns:
                matched = await asyncio.to_thread(match_lines, definitions, lines, curves=before, since=since)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self._refused |= definitions.keys()
            log.warning(
                "The metrics in the training log cannot be told (%r); the job is not concerned.", error
            )
            return None
        if matched.refused:
            self._refused |= matched.refused.keys()
            log.warning("%s", refusals(matched.refused))
        if matched.curves == (before or {}):
            return None
        self._curves = json.dumps(matched.curves)
        self.newest = newest_of(matched.curves)
        return matched.curves
