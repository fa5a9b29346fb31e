"""The trigger: wait for a training job in the triggerer, holding no worker."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import TriggerEvent
from asgiref.sync import sync_to_async

from airflow_spot_provider._compat import TRIGGERS_HAVE_ON_KILL, was_killed_by_user
from airflow_spot_provider.aws.ownership import stop_unless_taken_over
from airflow_spot_provider.aws.watching.kinds import TRAINING_JOBS
from airflow_spot_provider.aws.watching.subscription import Notice, Sighting, Subscription
from airflow_spot_provider.training import Outcome, SpotTrainingError, outcome_of, progress_of
from airflow_spot_provider.training.narration import sentences_of, sentences_of_summary
from airflow_spot_provider.triggers._progress import publisher_of_this_loop
from airflow_spot_provider.triggers._training_log import NewLogLines
from airflow_spot_provider.triggers._watching import WatchingTrigger


class SageMakerSpotTrainingTrigger(WatchingTrigger):
    """Watch a training job until it ends, however long that takes.

    It starts again from its arguments at any moment: after a restart, a crash, or in another triggerer. It logs one
    line for each transition and ends with one event: ``{"job_name", "outcome"}``, or ``{"job_name", "outcome": None,
    "error"}`` if the job cannot be watched any more. When a user clears, fails or succeeds the deferred task, it stops the
    job; when the triggerer goes away, it does not.

    :param job_name: TrainingJobName.
    :param cancel_on_kill: whether a user's kill of the task stops the job.
    :param try_number: the try of the task that waits; a kill leaves a job alone that a later try has taken over.
    :param print_log: whether the training log's new lines are repeated in the task's log at each transition.
    :param connection: ``aws_conn_id``, ``region_name``, ``verify``, ``botocore_config`` and ``poll_interval`` (seconds; a change
        is known within about two of them), as the operator takes them.
    """

    def __init__(
        self,
        job_name: str,
        *,
        cancel_on_kill: bool = True,
        try_number: int | None = None,
        print_log: bool = False,
        **connection: Any,
    ) -> None:
        super().__init__(**connection)
        self.job_name = job_name
        self.cancel_on_kill = cancel_on_kill
        self.try_number = try_number
        self.print_log = print_log

    def arguments(self) -> dict[str, Any]:
        """The arguments that are this trigger's own."""
        return {
            "job_name": self.job_name,
            "cancel_on_kill": self.cancel_on_kill,
            "try_number": self.try_number,
            "print_log": self.print_log,
        }

    # logger() is the class's; self.log would keep a logger for each of thousands of triggers.

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the job's news, tell them, and yield one event when it has ended."""
        try:
            ti, watcher = self.task_instance, self.watcher()
            group = sys.intern(f"{ti.dag_id}/{ti.task_id}") if ti is not None else None
            subscription = Subscription(self.job_name, poll_interval=self.poll_interval, group=group)
            training_log = NewLogLines(watcher, self.job_name) if self.print_log else None
            told, outcome = 0, None
            watcher.add(TRAINING_JOBS, subscription)
            try:
                while outcome is None:
                    # The news are not kept while waiting: a description takes more memory than all else here.
                    told, outcome = self._tell(await subscription.next(), told, training_log)
            finally:
                watcher.remove(TRAINING_JOBS, subscription)
                if training_log is not None:
                    training_log.stop()
                if ti is not None:
                    publisher_of_this_loop().forget(ti)
        except SpotTrainingError as error:
            yield TriggerEvent({"job_name": self.job_name, "outcome": None, "error": str(error)})
            return
        except asyncio.CancelledError:
            if not TRIGGERS_HAVE_ON_KILL:
                await self._stop_if_killed()
            raise
        yield TriggerEvent({"job_name": self.job_name, "outcome": str(outcome)})

    async def on_kill(self) -> None:
        """Stop the job: a user has cleared, failed or succeeded the task (Airflow 3.3 and later)."""
        if not self.cancel_on_kill:
            self.logger().info("%s goes on: cancel_on_kill is False.", self.job_name)
            return
        if await sync_to_async(stop_unless_taken_over)(
            self.hook(), self.job_name, try_number=self.try_number
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

    def _tell(
        self, news: Sighting | Notice, told: int, training_log: NewLogLines | None
    ) -> tuple[int, Outcome | None]:
        """Log what is new, and have it published.

        :param told: how many transitions have been logged.
        :return: how many have been now, and how the job ended if it did.
        """
        if isinstance(news, Notice):
            (self.logger().warning if news.warning else self.logger().info)("%s", news.text)
            return told, None
        description = news.description
        outcome = outcome_of(description)
        lines = sentences_of(description, told=told) if news.whole else sentences_of_summary(description)
        for line in lines:
            self.logger().info("%s", line)
        if outcome is None and news.whole:
            # What a job ends with, the task tells and publishes itself.
            if training_log is not None and told:
                training_log.repeat(self.logger())
            if self.task_instance is not None:
                publisher_of_this_loop().publish(self.task_instance, progress_of(description))
        if news.whole:
            told += len(lines)
        elif TRAINING_JOBS.is_at_its_beginning(description):
            told = 1
        return told, outcome

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
