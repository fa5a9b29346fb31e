"""The trigger for tuning jobs: wait for automatic model tuning in the triggerer, watched as training jobs are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_spot_provider.aws.watching.kinds import TUNING_JOBS
from airflow_spot_provider.aws.watching.subscription import Notice, Subscription
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.training import SpotTrainingError
from airflow_spot_provider.triggers._watching import watcher_for


class SageMakerSpotTuningTrigger(BaseTrigger):
    """Watch a tuning job until it ends, however long that takes.

    It logs a line whenever the numbers of its training jobs change, and ends with one event: ``{"tuning_job_name",
    "status"}``, status being HyperParameterTuningJobStatus (``Completed``, ``Failed``, ``Stopped``), or ``{"tuning_job_name",
    "status": None, "error"}`` if the job cannot be watched any more. It never stops the job.

    :param tuning_job_name: HyperParameterTuningJobName.
    :param aws_conn_id: Airflow connection to take credentials, region, role and endpoint from.
    :param region_name: AWS region; None for the connection's.
    :param verify: whether to verify TLS certificates, or a path to a CA bundle.
    :param botocore_config: keyword arguments of ``botocore.config.Config``.
    :param poll_interval: seconds; a change is known within about two of them.
    """

    def __init__(
        self,
        tuning_job_name: str,
        *,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        poll_interval: float = 30.0,
    ) -> None:
        super().__init__()
        self.tuning_job_name = tuning_job_name
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class path, and every argument."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "tuning_job_name": self.tuning_job_name,
                "aws_conn_id": self.aws_conn_id,
                "region_name": self.region_name,
                "verify": self.verify,
                "botocore_config": self.botocore_config,
                "poll_interval": self.poll_interval,
            },
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
            status = await self._until_ended()
        except SpotTrainingError as error:
            yield TriggerEvent({"tuning_job_name": self.tuning_job_name, "status": None, "error": str(error)})
            return
        yield TriggerEvent({"tuning_job_name": self.tuning_job_name, "status": status})

    async def _until_ended(self) -> str:
        subscription = Subscription(self.tuning_job_name, poll_interval=self.poll_interval)
        settings = (self.aws_conn_id, self.region_name, self.verify, self.botocore_config)
        watcher = watcher_for(self.hook, tuple(map(repr, settings)))
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
