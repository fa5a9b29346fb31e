"""Airflow as a trigger sees it: a runner that starts, cancels and forgets triggers, and a supervisor that answers questions.

The runner does to a trigger what Airflow 3.3.2's ``TriggerRunner`` does (``airflow/jobs/triggerer_job_runner.py``): it cancels
the trigger of a task that is no longer deferred with the a message of its own, calls ``on_kill`` in the cancelled task, and
cancels again with every sync until the trigger is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import GetTaskStates, GetXCom, SetXCom, TaskStatesResult
from airflow.triggers.base import BaseTrigger

from airflow_spot_provider._compat.supervisor import USER_ACTION
from airflow_spot_provider.aws.watching.subscription import Sighting
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.triggers import _watching
from airflow_spot_provider.triggers.training import SageMakerSpotTrainingTrigger
from tests.simulation.sagemaker import AsyncClient, BlockingClient, SageMaker
from tests.simulation.sqs import QUEUE, Queue

SYNC_SECONDS = 1.0
"""Between two syncs of the runner with its supervisor."""
ON_KILL_SECONDS = 30.0
"""``[triggerer] on_kill_timeout``."""


@dataclass
class Task:
    """A task instance that is deferred.

    :param job_name: the job that it waits for.
    :param map_index: -1 if it is not mapped.
    """

    job_name: str
    dag_id: str = "dag"
    run_id: str = "run"
    task_id: str = "train"
    map_index: int = -1
    try_number: int = 1
    state: str | None = "deferred"
    told: list[tuple[float, Sighting]] = field(default_factory=list)
    events: list[tuple[float, Any]] = field(default_factory=list)
    joined: float | None = None
    left: float | None = None

    @property
    def instance(self) -> Any:
        """What Airflow gives the trigger as ``task_instance``."""
        return SimpleNamespace(
            id=uuid4(),
            dag_id=self.dag_id,
            run_id=self.run_id,
            task_id=self.task_id,
            map_index=self.map_index,
            try_number=self.try_number,
        )


class RecordedTrigger(SageMakerSpotTrainingTrigger):
    """The trigger itself, which has its news written down."""

    simulated: Task

    def tell(self, sighting: Sighting, told: int) -> tuple[int, str | None]:
        self.simulated.told.append((asyncio.get_running_loop().time(), sighting))
        return super().tell(sighting, told)


class Supervisor:
    """Answers what triggers ask of Airflow.

    :param tasks: all task instances that there are.
    """

    def __init__(self, tasks: list[Task]) -> None:
        self._tasks = tasks
        self.xcoms: dict[tuple[Any, ...], Any] = {}
        self.seconds = 0.05
        """What an answer takes."""
        self.silent = False
        self.asked: list[str] = []

    async def asend(self, message: Any) -> Any:
        self.asked.append(type(message).__name__)
        await asyncio.sleep(self.seconds)
        if self.silent:
            raise BrokenPipeError("the supervisor is gone")
        match message:
            case SetXCom():
                self.xcoms[self._place(message)] = message.value
                return None
            case GetXCom():
                return SimpleNamespace(value=self.xcoms.get(self._place(message)))
            case GetTaskStates():
                return TaskStatesResult(task_states=self._states(message))
        raise AssertionError(f"Nobody answers {message!r}")

    def send(self, message: Any) -> Any:
        """The blocking way, from a thread."""
        assert isinstance(message, GetTaskStates)
        return TaskStatesResult(task_states=self._states(message))

    def _states(self, message: GetTaskStates) -> dict[str, dict[str, str | None]]:
        found: dict[str, dict[str, str | None]] = {}
        for task in self._tasks:
            if (
                task.dag_id == message.dag_id
                and task.task_id in (message.task_ids or [task.task_id])
                and task.run_id in (message.run_ids or [task.run_id])
                and task.map_index
                == (task.map_index if message.map_index in (None, -1) else message.map_index)
                and task.state != "deleted"
            ):
                key = task.task_id if task.map_index < 0 else f"{task.task_id}_{task.map_index}"
                found.setdefault(task.run_id, {})[key] = task.state
        return found

    @staticmethod
    def _place(message: Any) -> tuple[Any, ...]:
        return message.dag_id, message.run_id, message.task_id, message.map_index, message.key


class Triggerer:
    """The process that runs triggers, and the supervisor that tells it which."""

    def __init__(self) -> None:
        self._running: dict[int, asyncio.Task[None]] = {}
        self._cancelling: set[int] = set()
        self._syncs: asyncio.Task[None] | None = None

    def start(self, task: Task, **arguments: Any) -> RecordedTrigger:
        """Take up a task's trigger."""
        trigger = RecordedTrigger(
            task.job_name, **{"try_number": task.try_number, "region_name": "us-east-1", **arguments}
        )
        trigger.simulated = task
        trigger.task_instance = task.instance
        loop = asyncio.get_running_loop()
        if task.joined is None:
            task.joined = loop.time()
        self._running[id(task)] = loop.create_task(self._run(trigger, task))
        if self._syncs is None:
            self._syncs = loop.create_task(self._sync())
        return trigger

    def kill(self, task: Task, state: str | None = "failed") -> None:
        """A user acts on a deferred task; the supervisor finds that its trigger is no longer wanted."""
        task.state = state
        self.drop(task)

    def drop(self, task: Task) -> None:
        """The trigger is no longer this triggerer's, for whatever reason: Airflow 3.3.2 treats them alike (apache/airflow#73454)."""
        self._cancelling.add(id(task))

    async def ended(self, *tasks: Task) -> None:
        """Wait until their triggers are gone."""
        await asyncio.wait([self._running[id(task)] for task in tasks])

    def crash(self) -> None:
        """End it as a shutdown does: all triggers are cancelled without a word."""
        for running in self._running.values():
            running.cancel()

    async def _sync(self) -> None:
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            for wanted in list(self._cancelling):
                running = self._running[wanted]
                if running.done():
                    self._cancelling.discard(wanted)
                else:
                    running.cancel(USER_ACTION)
                    await asyncio.sleep(0)

    async def _run(self, trigger: RecordedTrigger, task: Task) -> None:
        now = asyncio.get_running_loop().time
        try:
            async for event in trigger.run():
                task.events.append((now(), event.payload))
                task.state = "scheduled"
        except asyncio.CancelledError as error:
            if error.args and error.args[0] == USER_ACTION:
                await asyncio.sleep(0.01)  # it logs, in a thread
                with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                    await asyncio.wait_for(_on_kill(trigger), ON_KILL_SECONDS)
            raise
        finally:
            task.left = now()
            await trigger.cleanup()


async def _on_kill(trigger: BaseTrigger) -> None:
    await trigger.on_kill()


class Counts:
    """Metrics that are only counted."""

    def __init__(self, region: str) -> None:
        self.region = region

    counted: ClassVar[Counter[str]] = Counter()

    def incr(self, name: str, count: int = 1, **_tags: str) -> None:
        self.counted[name] += count

    def gauge(self, name: str, value: float, **_tags: str) -> None:
        """Not looked at."""

    def timing(self, name: str, seconds: float, **_tags: str) -> None:
        assert seconds >= 0, name


@contextlib.contextmanager
def airflow_around(
    sagemaker: SageMaker, tasks: list[Task], queue: Queue | None = None
) -> Iterator[Supervisor]:
    """Have the provider find this SageMaker behind its hook, and this Airflow around its triggers.

    :param sagemaker: what any client asks.
    :param tasks: the task instances of this Airflow; it may grow.
    :param queue: of events; None to watch by polling.
    """
    supervisor = Supervisor(tasks)
    Counts.counted = Counter()

    async def _connect(_hook: SageMakerSpotHook, service: str = "sagemaker") -> Any:
        if service == "sqs":
            return queue
        assert service == "sagemaker", service
        return AsyncClient(sagemaker)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SageMakerSpotHook, "connect", _connect)
        patch.setattr(SageMakerSpotHook, "conn", property(lambda _: BlockingClient(sagemaker)))
        patch.setattr(SageMakerSpotHook, "events_queue", lambda _: None if queue is None else QUEUE)
        patch.setattr(_watching, "AirflowMetrics", Counts)
        patch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
        yield supervisor
