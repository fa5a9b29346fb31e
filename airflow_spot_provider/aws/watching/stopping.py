"""Stops the jobs of tasks that users have killed, however many at once and whatever becomes of their triggers meanwhile.

A trigger hands its job over in one step and may be gone in the next. What follows is the watcher's own work:

1. Ask Airflow what the task is doing now. One that is still waited for was not killed: its trigger went to another triggerer, or this
   one is shutting down (Airflow 3.3.0 to 3.3.2 calls ``on_kill`` in the first case, too: apache/airflow#73454; before
   3.3 all of these look alike).
2. Stop the job by the rules of :mod:`airflow_spot_provider.aws.ownership`, over the watcher's own client, some at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from airflow_spot_provider.aws.errors import Backoff, code_of, is_not_found
from airflow_spot_provider.aws.kinds import Kind
from airflow_spot_provider.aws.ownership import stop_killed
from airflow_spot_provider.aws.watching.line import Line

log = logging.getLogger(__name__)

AT_ONCE = 8
"""Jobs that are being stopped at the same time; the client keeps ten connections."""
WAITED_FOR = frozenset({"deferred", "running", "up_for_retry", "up_for_reschedule"})
"""States of a task instance that waits for its job still, or takes it up again: nobody has killed it."""
FINISH_SECONDS = 8.0
"""Airflow gives a triggerer that is told to end ten seconds."""
_GATHER = 0.05
_ANSWER_SECONDS, _LONGEST_PAUSE = 30.0, 15.0
_SAY_AFTER = 60.0
_NAMED_AT_MOST = 20
_ADVICE = "`airflow-spot jobs --stop-orphans` finds jobs that no task waits for, and stops them."


class TaskKey(NamedTuple):
    """Which task instance it is."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int


AskStates = Callable[[str, str, str], Awaitable[Mapping[int, str | None]]]
"""Asks Airflow for the states of a task (DAG, run and task id) by map index; -1 if it is not mapped. What is not there has none."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A job that is to be stopped.

    :param kind: of the job.
    :param job_name: its name.
    :param task: the killed task; None where it is certain that the job is to be stopped.
    :param try_number: the try that waited for it; a later one may have taken it over.
    :param is_kill: whether nobody waits for the job any more. Of a trial that loses, its task still does.
    :param is_reported: whether Airflow has said that a user acted on the task. A shutdown looks much like it otherwise.
    """

    kind: Kind
    job_name: str
    task: TaskKey | None = None
    try_number: int | None = None
    is_kill: bool = True
    is_reported: bool = True


class Stopper:
    """Stops jobs over one line.

    :param line: makes the calls, and repeats them until SageMaker can be asked.
    :param ask_states: asks Airflow.
    :param jitter: spreads what is repeated.
    :param idle: is told when the last job has been dealt with.
    """

    def __init__(
        self, line: Line, ask_states: AskStates, *, jitter: random.Random, idle: Callable[[], None]
    ) -> None:
        self._line = line
        self._ask_states = ask_states
        self._jitter = jitter
        self._idle = idle
        self._undecided: dict[str, Stop] = {}
        self._certain: dict[str, Stop] = {}
        self._new: list[Stop] = []
        self._came = asyncio.Event()
        self._turns = asyncio.Semaphore(AT_ONCE)

    def __len__(self) -> int:
        return len(self._undecided) + len(self._certain)

    def add(self, stop: Stop) -> None:
        """Take a job over, to be stopped. It returns at once."""
        if stop.job_name in self._undecided or stop.job_name in self._certain:
            return
        (self._certain if stop.task is None else self._undecided)[stop.job_name] = stop
        self._new.append(stop)
        self._came.set()

    async def run(self) -> None:
        """Stop jobs until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._came.wait()
                await asyncio.sleep(_GATHER)  # a crowd's states are asked for with one question
                self._came.clear()
                new, self._new = self._new, []
                tasks.create_task(self._say_what_takes_long({stop.job_name for stop in new}))
                for whose, stops in _by_task(new):
                    tasks.create_task(self._deal_with(whose, stops))

    async def finish(self) -> None:
        """Stop what is certain to be stopped, in the time that a process has that is told to end, and say what is left."""
        if self._certain:
            log.warning("Ending, with jobs of killed tasks still to be stopped: %s.", _names(self._certain))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FINISH_SECONDS), asyncio.TaskGroup() as tasks:
                    for stop in self._certain.values():
                        tasks.create_task(self._carry_out(stop))
        left = [*self._certain, *(name for name, stop in self._undecided.items() if stop.is_reported)]
        if left:
            log.error("Jobs whose tasks were killed may run on, and bill: %s. %s", _names(left), _ADVICE)

    async def _deal_with(self, whose: tuple[str, str, str] | None, stops: Sequence[Stop]) -> None:
        """Find out which of these jobs, all of one task, are to be stopped, and stop them."""
        if whose is not None:
            states = await self._states(whose, stops)
            for stop in stops:
                assert stop.task is not None
                state = states.get(stop.task.map_index)
                del self._undecided[stop.job_name]
                if state in WAITED_FOR:
                    log.info(
                        "%s goes on: its task is %s, so it is waited for elsewhere now.", stop.job_name, state
                    )
                else:
                    self._certain[stop.job_name] = stop
            stops = [stop for stop in stops if stop.job_name in self._certain]
        async with asyncio.TaskGroup() as tasks:
            for stop in stops:
                tasks.create_task(self._carry_out(stop))
        if not len(self):
            self._idle()

    async def _states(self, whose: tuple[str, str, str], stops: Sequence[Stop]) -> Mapping[int, str | None]:
        """Ask until there is an answer: no job is stopped on a guess."""
        backoff = Backoff(self._jitter, cap=_LONGEST_PAUSE)
        while True:
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    return await self._ask_states(*whose)
            except Exception as error:  # noqa: BLE001 - whatever it is, the question is asked again
                log.info(
                    "Airflow does not say just now whether tasks were killed (%r): %s.",
                    error,
                    _names(stop.job_name for stop in stops),
                )
            await asyncio.sleep(backoff.next_delay())

    async def _carry_out(self, stop: Stop) -> None:
        try:
            async with self._turns:
                jobs = _JobsOverLine(self._line, stop.kind)
                if stop.is_kill:
                    is_stopping = await stop_killed(jobs, stop.job_name, try_number=stop.try_number)
                else:
                    is_stopping = await jobs.stop(stop.job_name)
        except Exception as error:  # noqa: BLE001 - one that cannot be stopped must not keep the others
            log.error(
                "%s %s of a killed task cannot be stopped (%s: %s), runs on, and bills. Grant sagemaker:Stop%s, ListTags and AddTags "
                "to this connection, then stop it. %s",
                stop.kind.noun.capitalize(),
                stop.job_name,
                code_of(error),
                error,
                stop.kind.resource,
                _ADVICE,
            )
        else:
            if is_stopping:
                why = "nobody waits for it any more" if stop.is_kill else "its task has given it up"
                log.info("Stopping %s: %s.", stop.job_name, why)
            else:
                log.info("%s is not stopped: it has ended, or a later try has taken it over.", stop.job_name)
        self._certain.pop(stop.job_name, None)

    async def _say_what_takes_long(self, names: set[str]) -> None:
        await asyncio.sleep(_SAY_AFTER)
        if left := names & (self._undecided.keys() | self._certain.keys()):
            log.warning(
                "Jobs of killed tasks could not be stopped within %.0f s and bill meanwhile (%s): %s. It is tried on. %s",
                _SAY_AFTER,
                code_of(self._line.trouble) if self._line.trouble is not None else "no answer",
                _names(left),
                _ADVICE,
            )


class _JobsOverLine:
    """The jobs of one kind, asked about over a line."""

    def __init__(self, line: Line, kind: Kind) -> None:
        self._line = line
        self.kind = kind

    async def get(self, job_name: str) -> Mapping[str, Any]:
        try:
            name: dict[str, Any] = {self.kind.name: job_name}
            return await self._line.call(self.kind.describe, **name)
        except ClientError as error:
            if is_not_found(error):
                raise self.kind.not_found(job_name) from error
            raise

    async def get_tags(self, job_arn: str) -> dict[str, str]:
        tags: dict[str, str] = {}
        members: dict[str, Any] = {"ResourceArn": job_arn}
        while True:
            answer = await self._line.call("list_tags", **members)
            tags |= {tag["Key"]: tag["Value"] for tag in answer.get("Tags") or ()}
            if not answer.get("NextToken"):
                return tags
            members["NextToken"] = answer["NextToken"]

    async def add_tags(self, job_arn: str, tags: Mapping[str, str]) -> None:
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        await self._line.call("add_tags", ResourceArn=job_arn, Tags=listed)

    async def stop(self, job_name: str) -> bool:
        try:
            name: dict[str, Any] = {self.kind.name: job_name}
            await self._line.call(self.kind.stop, **name)
        except ClientError as error:
            if is_not_found(error) or code_of(error) == "ValidationException":
                return False
            raise
        return True


def _by_task(stops: Iterable[Stop]) -> Iterable[tuple[tuple[str, str, str] | None, list[Stop]]]:
    """Those of the same task together, whatever its map indexes; None for those that are certain."""
    found: dict[tuple[str, str, str] | None, list[Stop]] = {}
    for stop in stops:
        found.setdefault(None if stop.task is None else stop.task[:3], []).append(stop)
    return found.items()


def _names(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = len(listed) - _NAMED_AT_MOST
    return ", ".join(listed[:_NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
