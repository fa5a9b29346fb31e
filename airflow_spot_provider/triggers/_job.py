"""What the triggers of training jobs and of tuning jobs share: wait for a job's news, and stop the job when a user kills the task."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

from airflow.triggers.base import TriggerEvent

from airflow_spot_provider._compat.supervisor import USER_ACTION
from airflow_spot_provider.aws.kinds import Kind, instance_types_of
from airflow_spot_provider.aws.watching.stopping import Stop
from airflow_spot_provider.aws.watching.subscription import Notice, Sighting, Subscription
from airflow_spot_provider.aws.watching.watcher import Watcher
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
        ti, watcher = self.task_instance, self.watcher()
        try:
            try:
                event: dict[str, Any] = {self.how_it_ended: await self._until_it_ends(watcher)}
            except SpotTrainingError as error:
                event = {self.how_it_ended: None, "error": str(error)}
            if ti is not None and (left := deferred_since + shortest_deferral() - now()) > 0:
                await asyncio.sleep(left)
        except asyncio.CancelledError as error:
            if ti is not None:
                # Perhaps a user's doing, perhaps a shutdown. What Airflow calls next may be cut short by its next cancel.
                self._hand_over(watcher, ti, is_reported=error.args == (USER_ACTION,))
            raise
        yield TriggerEvent({"job_name": self.job_name, **event})

    async def on_kill(self) -> None:
        """Stop the job: a user has cleared, failed or succeeded the task (Airflow 3.3 and later)."""
        if not self.cancel_on_kill:
            self.logger().info("%s goes on: cancel_on_kill is False.", self.job_name)
            return
        self._hand_over(self.watcher(), self.task_instance, is_reported=True)
        self.logger().info(
            "The task was killed: %s is stopped, so that it bills no more, unless a later try has taken it over.",
            self.job_name,
        )

    async def _until_it_ends(self, watcher: Watcher) -> str:
        """How the job ended.

        :raises SpotTrainingError: it cannot be watched any more.
        """
        ti = self.task_instance
        subscription = Subscription(self.job_name, poll_interval=self.poll_interval)
        told = 0
        if ti is not None:
            watcher.turns.taken(key_of(ti))
        watcher.add(self.kind, subscription)
        try:
            while True:
                # The news are not kept while waiting: a description takes more memory than all else here.
                news = await subscription.next()
                if isinstance(news, Notice):
                    (self.logger().warning if news.warning else self.logger().info)("%s", news.text)
                else:
                    told, ended = self.tell(news, told)
                    if ended is not None:
                        watcher.turns.freed(instance_types_of(news.description))
                        return ended
                del news
        finally:
            watcher.remove(self.kind, subscription)
            self.stopped()
            if ti is not None:
                publisher_of_this_loop().forget(ti)

    def _hand_over(self, watcher: Watcher, task_instance: Any, *, is_reported: bool) -> None:
        """Have the watcher stop the job, if the task was killed: in one step, which no cancel can cut."""
        if self.cancel_on_kill:
            watcher.stop_job(
                Stop(
                    self.kind,
                    self.job_name,
                    task=None if task_instance is None else key_of(task_instance),
                    try_number=self.try_number,
                    is_reported=is_reported,
                )
            )
