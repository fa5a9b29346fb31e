"""The trigger for tuning jobs: wait for automatic model tuning in the triggerer, watched as training jobs are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_spot_provider.aws.watching.kinds import TUNING_JOBS
from airflow_spot_provider.aws.watching.subscription import Notice, Subscription
from airflow_spot_provider.training import SpotTrainingError
from airflow_spot_provider.triggers._watching import WatchingTrigger


class SageMakerSpotTuningTrigger(WatchingTrigger):
    """Watch a tuning job until it ends, however long that takes.

    It logs a line whenever the numbers of its training jobs change, and ends with one event: ``{"tuning_job_name",
    "status"}``, status being HyperParameterTuningJobStatus (``Completed``, ``Failed``, ``Stopped``), or ``{"tuning_job_name",
    "status": None, "error"}`` if the job cannot be watched any more. It never stops the job.

    :param tuning_job_name: HyperParameterTuningJobName.
    :param connection: ``aws_conn_id``, ``region_name``, ``verify``, ``botocore_config`` and ``poll_interval`` (seconds; a change
        is known within about two of them), as the operators take them.
    """

    def __init__(self, tuning_job_name: str, **connection: Any) -> None:
        super().__init__(**connection)
        self.tuning_job_name = tuning_job_name

    def arguments(self) -> dict[str, Any]:
        """The arguments that are this trigger's own."""
        return {"tuning_job_name": self.tuning_job_name}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the job's news, tell them, and yield one event when it has ended."""
        try:
            status = await self._until_ended()
        except SpotTrainingError as error:
            yield TriggerEvent({"tuning_job_name": self.tuning_job_name, "status": None, "error": str(error)})
            return
        yield TriggerEvent({"tuning_job_name": self.tuning_job_name, "status": status})

    async def _until_ended(self) -> str:
        subscription = Subscription(self.tuning_job_name, poll_interval=self.poll_interval)
        watcher = self.watcher()
        watcher.add(TUNING_JOBS, subscription)
        try:
            while True:
                news = await subscription.next()
                if isinstance(news, Notice):
                    (self.logger().warning if news.warning else self.logger().info)("%s", news.text)
                    continue
                self.logger().info("%s", _sentence(news.description))
                if TUNING_JOBS.has_ended(news.description):
                    return str(news.description[TUNING_JOBS.status])
        finally:
            watcher.remove(TUNING_JOBS, subscription)


def _sentence(description: Mapping[str, Any]) -> str:
    """Status and counters, such as "InProgress; training jobs: 3 Completed, 2 InProgress"."""
    counters = description.get("TrainingJobStatusCounters") or {}
    counted = ", ".join(f"{number} {name}" for name, number in counters.items() if number)
    return f"{description.get(TUNING_JOBS.status)}; training jobs: {counted or 'none yet'}"
