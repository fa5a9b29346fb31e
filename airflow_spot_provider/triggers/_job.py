"""What the triggers of training jobs and of tuning jobs share: wait for a job's news, and stop the job when a user kills the task."""

from __future__ import annotations

import asyncio
import sys
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

from airflow.triggers.base import TriggerEvent
from asgiref.sync import sync_to_async

from airflow_spot_provider._compat import TRIGGERS_HAVE_ON_KILL, was_killed_by_user
from airflow_spot_provider.aws.kinds import Kind, instance_types_of
from airflow_spot_provider.aws.ownership import stop_unless_taken_over
from airflow_spot_provider.aws.watching.subscription import Notice, Sighting, Subscription
from airflow_spot_provider.training import SpotTrainingError
from airflow_spot_provider.training.progress import Facts
from airflow_spot_provider.triggers._progress import publisher_of_this_loop
from airflow_spot_provider.triggers._watching import WatchingTrigger, key_of, shortest_deferral


class JobTrigger(WatchingTrigger):
    """Watch a job until it ends, however long that takes.

    It starts again from its arguments at any moment: after a restart, a crash, or in another triggerer. It logs what
    happens and ends with one event, which has ``error`` if the job cannot be watched any more. When a user clears, fails or
    succeeds the deferred task, it stops the job; when the triggerer goes away, it does not.

    :param job_name: the job's name.
    :param cancel_on_kill: whether a user's kill of the task stops the job.
    :param try_number: the try of the task that waits; a kill leaves a job alone that a later try has taken over.
    :param facts: what goes into every published progress besides what SageMaker tells (:class:`~.training.progress.Facts`).
    :param connection: ``aws_conn_id``, ``region_name``, ``verify``, ``botocore_config`` and ``poll_interval`` (seconds; a change
        is known within about two of them), as the operator takes them.
    """

    kind: ClassVar[Kind]
    how_it_ended: ClassVar[str]
    """What the event calls how the job ended."""

    def __init__(
        self,
        job_name: str,
        *,
        cancel_on_kill: bool = True,
        try_number: int | None = None,
        facts: Mapping[str, Any] | None = None,
        **connection: Any,
    ) -> None:
        super().__init__(**connection)
        self.facts = facts
        self.job_name = job_name
        self.cancel_on_kill = cancel_on_kill
        self.try_number = try_number

    def arguments(self) -> dict[str, Any]:
        """The arguments that are this trigger's own."""
        return {
            "job_name": self.job_name,
            "cancel_on_kill": self.cancel_on_kill,
            "try_number": self.try_number,
            "facts": self.facts,
        }

    @abstractmethod
    def tell(self, sighting: Sighting, told: int) -> tuple[int, str | None]:
        """Log what is new, and have it published.

        :param told: how many lines have been logged.
        :return: how many have been now, and how the job ended if it did.
        """

    def told_facts(self) -> Facts:
        """What goes into every progress besides what SageMaker tells."""
        return Facts.model_validate({"aws_conn_id": self.aws_conn_id, **(self.facts or {})})

    def stopped(self) -> None:
        """The trigger waits no more."""

    # logger() is the class's; self.log would keep a logger for each of thousands of triggers.

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the job's news, tell them, and yield one event when it has ended."""
        now = asyncio.get_running_loop().time
        deferred_since = now()
        try:
            ti, watcher = self.task_instance, self.watcher()
            group = sys.intern(f"{ti.dag_id}/{ti.task_id}") if ti is not None else None
            subscription = Subscription(self.job_name, poll_interval=self.poll_interval, group=group)
            told, ended = 0, None
            if ti is not None:
                watcher.turns.taken(key_of(ti))
            watcher.add(self.kind, subscription)
            try:
                while ended is None:
                    # The news are not kept while waiting: a description takes more memory than all else here.
                    news = await subscription.next()
                    if isinstance(news, Notice):
                        (self.logger().warning if news.warning else self.logger().info)("%s", news.text)
                    else:
                        told, ended = self.tell(news, told)
                        if ended is not None:
                            watcher.turns.freed(instance_types_of(news.description))
                    del news
            finally:
                watcher.remove(self.kind, subscription)
                self.stopped()
                if ti is not None:
                    publisher_of_this_loop().forget(ti)
        except SpotTrainingError as error:
            yield TriggerEvent({"job_name": self.job_name, self.how_it_ended: None, "error": str(error)})
            return
        except asyncio.CancelledError:
            if not TRIGGERS_HAVE_ON_KILL:
                await self._stop_if_killed()
            raise
        if ti is not None and (left := deferred_since + shortest_deferral() - now()) > 0:
            await asyncio.sleep(left)
        yield TriggerEvent({"job_name": self.job_name, self.how_it_ended: ended})

    async def on_kill(self) -> None:
        """Stop the job: a user has cleared, failed or succeeded the task (Airflow 3.3 and later)."""
        if not self.cancel_on_kill:
            self.logger().info("%s goes on: cancel_on_kill is False.", self.job_name)
            return
        if await sync_to_async(stop_unless_taken_over)(
            self.hook().jobs(self.kind), self.job_name, try_number=self.try_number
        ):
            self.logger().info(
                "The task was killed: stopping %s, so that it bills no more.",
                self.job_name,
            )
        else:
            self.logger().info(
                "The task was killed; %s has ended, or a later try has taken it over.",
                self.job_name,
            )

    async def _stop_if_killed(self) -> None:
        """Before Airflow 3.3 a kill and a shutdown look alike here; only the task's state tells them apart."""
        try:
            killed = await was_killed_by_user(self.task_instance)
        except Exception as error:  # noqa: BLE001 - a job is never stopped on a guess
            self.logger().warning(
                "Cannot tell why the trigger was cancelled (%s); %s goes on.",
                error,
                self.job_name,
            )
            return
        if killed:
            await self.on_kill()
