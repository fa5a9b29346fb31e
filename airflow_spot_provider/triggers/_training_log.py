"""The training log of a job that a trigger waits for: its one reader, for all who want something from it.

The newest lines are repeated in the task's log, the metric curves are published, and a sweep's pruner gets the values of its objective.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from airflow_spot_provider.aws.errors import code_of, is_denied, is_worth_a_retry
from airflow_spot_provider.aws.log_reader import Line, LogReader, Look
from airflow_spot_provider.aws.training_log import LOG_GROUP, streams_of
from airflow_spot_provider.aws.watch import Log
from airflow_spot_provider.aws.watching.watcher import Watcher
from airflow_spot_provider.training.lifecycle import instant
from airflow_spot_provider.training.metric_curves import Curves, definitions_of, newest_of
from airflow_spot_provider.training.result import iso
from airflow_spot_provider.triggers._curves import match_lines, refusals
from airflow_spot_provider.triggers._matching import CannotMatch, found_by

MOST_LINES = 50
"""Of more new lines than these, only the newest are repeated; the task's end repeats more of them."""
FEW_MINUTES = 5 * 60_000
"""Milliseconds: what is repeated first is not older than that beside the newest line. The job may have trained for days."""
_MOST_TOLD_AHEAD = 1_000
_AT_ONCE = 2
"""Jobs whose logs are read and matched at the same time: FilterLogEvents takes a few calls a second from an account."""

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


class TrainingLog:
    """Reads a job's training log on and on. Nothing waits for it: it has a task of its own.

    :param watcher: has the line to CloudWatch Logs.
    :param job_name: TrainingJobName.
    :param pause: seconds between two looks while there is more to read than one look reads.
    """

    __slots__ = (
        "_curves",
        "_definitions",
        "_job_name",
        "_left_out",
        "_looking",
        "_not_before",
        "_objective_refused",
        "_owes_lines",
        "_pause",
        "_reader",
        "_since",
        "_task",
        "_told_ahead",
        "_trouble",
        "_unpublished",
        "_untold",
        "_values",
        "_was_told",
        "newest",
        "objective",
    )

    def __init__(self, watcher: Watcher, job_name: str, *, pause: float) -> None:
        self.newest: dict[str, float] | None = None
        """The newest value of each metric, once there are any."""
        self.objective: str | None = None
        """The regular expression of a sweep's objective; set before the first look."""
        self._job_name = job_name
        self._pause = pause
        self._reader = LogReader(_asking(watcher), job_name)
        self._looking = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._trouble: str | None = None
        # The lines
        self._untold: deque[Line] = deque(maxlen=MOST_LINES)
        self._left_out = 0
        self._owes_lines = False
        self._was_told = False
        self._told_ahead: dict[str, None] = {}
        self._not_before = -1
        # The curves, as JSON: lists of lists would take ten times as much while they wait
        self._curves: str | None = None
        self._definitions: dict[str, str] | None = None  # not known before the first description
        self._since: str | None = None
        self._unpublished = False
        # The objective
        self._values: list[float] = []
        self._objective_refused: CannotMatch | None = None

    def repeat(
        self, log: Log, description: Mapping[str, Any], found: Callable[[Curves | None], None]
    ) -> None:
        """Log the newest lines, oldest first, as soon as they are there, and tell the metric curves.

        :param log: the trigger's: the new task has the trigger's context, and with it its log.
        :param description: of the job, with its MetricDefinitions.
        :param found: is told of the job's metric curves, as often as there is something new in them; and of None when no more
            are to come.
        """
        self._owes_lines = True
        if self._task is None or self._task.done():
            if self._definitions is None:
                self._definitions = definitions_of(description)
                self._since = iso(instant(description.get("CreationTime")))
            self._task = asyncio.get_running_loop().create_task(
                self._read(log, found), name="reading a training log"
            )

    async def new_values(self, log: Log) -> list[float]:
        """Look now, and tell the objective's values that no call has told: those before which none will be put in any more.

        :raises CannotMatch: its regular expression comes to nothing.
        """
        await self._look(log)
        if self._objective_refused is not None:
            raise self._objective_refused
        values, self._values = self._values, []
        return values

    def stop(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()

    async def _read(self, log: Log, found: Callable[[Curves | None], None]) -> None:
        try:
            while True:
                look = await self._look(log)
                if self._unpublished and self._curves is not None:
                    self._unpublished = False
                    found(json.loads(self._curves))
                if look.trouble is None:
                    wants_more = self._owes_lines or (bool(self._definitions) and not look.is_at_the_end)
                else:
                    wants_more = is_worth_a_retry(look.trouble)
                if not wants_more:
                    return
                await asyncio.sleep(self._pause)
        finally:
            found(None)

    async def _look(self, log: Log) -> Look:
        turns = _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(_AT_ONCE))
        async with self._looking, turns:
            look = await self._reader.look(ahead=self._owes_lines)
            self._say_trouble(log, look.trouble)
            self._sort_in(look.new)
            if self._owes_lines:
                self._tell(log, look)
            await self._match(log, look)
            return look

    def _say_trouble(self, log: Log, error: Exception | None) -> None:
        """Once, and not again for the same reason until it has passed."""
        code = None if error is None else code_of(error)
        if code != self._trouble and error is not None:
            needs = "; it takes logs:FilterLogEvents" if is_denied(error) else ""
            log.info("The training log cannot be read just now (%s%s).", code, needs)
        self._trouble = code

    def _sort_in(self, lines: Sequence[Line]) -> None:
        for line in lines:
            if line.id in self._told_ahead:
                del self._told_ahead[line.id]
            elif line.at < self._not_before:
                self._left_out += 1
            else:
                self._left_out += len(self._untold) == MOST_LINES
                self._untold.append(line)

    def _tell(self, log: Log, look: Look) -> None:
        if look.is_at_the_end:
            lines = sorted(self._untold)
        elif look.ahead:
            lines = [
                line for line in look.ahead if line.at >= self._not_before and line.id not in self._told_ahead
            ]
            self._left_out += len(self._untold)
        else:
            return  # what was read is not the newest: the next look may tell that
        self._untold.clear()
        self._owes_lines = False
        told = lines[-MOST_LINES:]
        if not self._was_told and told:
            told = [line for line in told if line.at >= told[-1].at - FEW_MINUTES]
        if look.is_at_the_end:
            self._left_out += len(lines) - len(told)
        elif told:
            self._not_before = told[0].at
            self._told_ahead.update(dict.fromkeys(line.id for line in told))
            for forgotten in list(self._told_ahead)[:-_MOST_TOLD_AHEAD]:
                del self._told_ahead[forgotten]
        if told:
            self._was_told = True
            self._say_what_is_left_out(log, is_all=look.is_at_the_end)
        for line in told:
            log.info("[%s] %s", self._job_name, line.text)

    def _say_what_is_left_out(self, log: Log, *, is_all: bool) -> None:
        if self._left_out:
            log.info(
                "%s%s older lines of the training log are not repeated here. They are in CloudWatch Logs: group %s, streams %s*.",
                f"{self._left_out:,}",
                "" if is_all else " or more",
                LOG_GROUP,
                streams_of(self._job_name),
            )
        self._left_out = 0

    async def _match(self, log: Log, look: Look) -> None:
        new = [(line.at, line.text) for line in look.new] if self._definitions else []
        final = [(line.at, line.text) for line in look.final] if self.objective is not None else []
        if new and self._definitions:
            before = None if self._curves is None else json.loads(self._curves)
            matched = await asyncio.to_thread(
                match_lines, self._definitions, new, curves=before, since=self._since
            )
            if matched.refused:
                log.warning("%s", refusals(matched.refused))
                self._definitions = {
                    name: regex for name, regex in self._definitions.items() if name not in matched.refused
                }
            if matched.curves != (before or {}):
                self._curves = json.dumps(matched.curves)
                self._unpublished = True
                self.newest = newest_of(matched.curves)
        if final and self.objective is not None and self._objective_refused is None:
            try:
                self._values += await asyncio.to_thread(values_of, self.objective, final)
            except CannotMatch as error:
                self._objective_refused = error


def values_of(expression: str, lines: Sequence[tuple[int, str]]) -> list[float]:
    """The values that an objective's regular expression finds, one for each line at most; infinities and NaN among them.

    :raises CannotMatch: it is none, or it takes too long.
    """
    values: list[float] = []
    for _, text in found_by(expression, lines, first_only=True):
        try:
            values.append(float(text))
        except ValueError:
            continue  # it matched something that is no number
    return values


def _asking(watcher: Watcher) -> Callable[..., Any]:
    async def _ask(operation: str, **members: Any) -> dict[str, Any]:
        return await watcher.line("logs").call(operation, patient=False, **members)

    return _ask
