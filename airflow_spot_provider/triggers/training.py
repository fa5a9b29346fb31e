"""The trigger: wait for a training job in the triggerer, holding no worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_spot_provider._compat import TRIGGERS_HAVE_ON_KILL, was_killed_by_user
from airflow_spot_provider.aws.ownership import stop_unless_taken_over
from airflow_spot_provider.aws.watching.kinds import TRAINING_JOBS
from airflow_spot_provider.aws.watching.subscription import Notice, Subscription
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.training import Outcome, SpotTrainingError, outcome_of
from airflow_spot_provider.training.narration import sentences_of, sentences_of_summary
from airflow_spot_provider.triggers._watching import subscribe


class SageMakerSpotTrainingTrigger(BaseTrigger):
    """Watch a training job until it ends, however long that takes.

    It starts again from its arguments at any moment: after a restart, a crash, or in another triggerer. It logs one
    line for each transition and ends with one event: ``{"job_name", "outcome"}``, or ``{"job_name", "outcome": None,
    "error"}`` if the job cannot be watched any more. When a user clears, fails or succeeds the deferred task, it stops the
    job; when the triggerer goes away, it does not.

    :param job_name: TrainingJobName.
    :param aws_conn_id: Airflow connection to take credentials, region, role and endpoint from.
    :param region_name: AWS region; None for the connection's.
    :param verify: whether to verify TLS certificates, or a path to a CA bundle.
    :param botocore_config: keyword arguments of ``botocore.config.Config``.
    :param poll_interval: seconds between two looks.
    :param cancel_on_kill: whether a user's kill of the task stops the job.
    :param try_number: the try of the task that waits; a kill leaves a job alone that a later try has taken over.
    """

    def __init__(
        self,
        job_name: str,
        *,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        poll_interval: float = 30.0,
        cancel_on_kill: bool = True,
        try_number: int | None = None,
    ) -> None:
        super().__init__()
        self.job_name = job_name
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        self.poll_interval = poll_interval
        self.cancel_on_kill = cancel_on_kill
        self.try_number = try_number

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class path, and every argument: nothing of the operator's settings is lost on the way."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "job_name": self.job_name,
                "aws_conn_id": self.aws_conn_id,
                "region_name": self.region_name,
                "verify": self.verify,
                "botocore_config": self.botocore_config,
                "poll_interval": self.poll_interval,
                "cancel_on_kill": self.cancel_on_kill,
                "try_number": self.try_number,
            },
        )

    def _settings(self) -> tuple[str, ...]:
        """What tells connections to AWS apart."""
        return tuple(
            repr(part) for part in (self.aws_conn_id, self.region_name, self.verify, self.botocore_config)
        )

    def hook(self) -> SageMakerSpotHook:
        """A new hook with the operator's settings."""
        return SageMakerSpotHook(
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            config=self.botocore_config,
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the job's news, tell them, and yield one event when it has ended."""
        try:
            with self._subscribe() as subscription:
                outcome = await self._until_ended(subscription)
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
            self.log.info("%s goes on: cancel_on_kill is False.", self.job_name)
            return
        if await sync_to_async(stop_unless_taken_over)(
            self.hook(), self.job_name, try_number=self.try_number
        ):
            self.log.info(
                "The task was killed: stopping %s, so that it bills no more.",
                self.job_name,
            )
        else:
            self.log.info(
                "The task was killed; %s has ended, or a later try has taken it over.",
                self.job_name,
            )

    def _subscribe(self) -> AbstractContextManager[Subscription]:
        ti = self.task_instance
        subscription = Subscription(
            self.job_name,
            poll_interval=self.poll_interval,
            group=f"{ti.dag_id}/{ti.task_id}" if ti is not None else None,
        )
        return subscribe(self.hook, TRAINING_JOBS, subscription, key=self._settings())

    async def _until_ended(self, subscription: Subscription) -> Outcome:
        told = 0
        while True:
            news = await subscription.next()
            if isinstance(news, Notice):
                (self.log.warning if news.warning else self.log.info)("%s", news.text)
                continue
            if news.whole:
                lines = sentences_of(news.description, told=told)
                told += len(lines)
            else:
                lines = sentences_of_summary(news.description)
                told = max(told, 1)
            for line in lines:
                self.log.info("%s", line)
            if (outcome := outcome_of(news.description)) is not None:
                return outcome

    async def _stop_if_killed(self) -> None:
        """Before Airflow 3.3 a kill and a shutdown look alike here; only the task's state tells them apart."""
        try:
            killed = await was_killed_by_user(self.task_instance)
        except Exception as error:  # noqa: BLE001 - a job is never stopped on a guess
            self.log.warning(
                "Cannot tell why the trigger was cancelled (%s); %s goes on.",
                error,
                self.job_name,
            )
            return
        if killed:
            await self.on_kill()
