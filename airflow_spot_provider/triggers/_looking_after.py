"""What a task has asked for while its job is under way: a look at the checkpoints now and then, and alerts."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_spot_provider._compat.supervisor import read_own_xcom
from airflow_spot_provider.aws.watching.subscription import Sighting
from airflow_spot_provider.training import progress_of
from airflow_spot_provider.training.progress import Checkpoints
from airflow_spot_provider.triggers._alerts import JobAlerts
from airflow_spot_provider.triggers._checkpoints import CheckpointLooks
from airflow_spot_provider.triggers._progress import PROGRESS_KEY

if TYPE_CHECKING:
    from airflow_spot_provider.triggers.training import SageMakerSpotTrainingTrigger


class LookingAfter:
    """Looks after one job, for a trigger that was told to.

    :param trigger: the trigger.
    """

    __slots__ = ("_alerts", "_looks", "_now", "_progress", "_reading", "_trigger")

    def __init__(self, trigger: SageMakerSpotTrainingTrigger) -> None:
        ti, log = trigger.task_instance, trigger.logger()
        self._trigger = trigger
        self._progress: dict[str, Any] = {}
        self._now: tuple[datetime, float] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._looks: CheckpointLooks | None = None
        self._alerts: JobAlerts | None = None
        if trigger.checkpoint_interval is not None:
            tags = {} if ti is None else {"dag_id": ti.dag_id, "task_id": ti.task_id}
            self._looks = CheckpointLooks(
                trigger.watcher(),
                trigger.checkpoint_interval,
                trigger.checkpoint_s3_uri,
                log=log,
                tags=tags,
                told=self._looked,
            )
        if trigger.alerts:
            self._alerts = JobAlerts(trigger.alerts, trigger.job_name, task_instance=ti, log=log)

    @property
    def checkpoints(self) -> Checkpoints | None:
        """What was seen of them last."""
        return None if self._looks is None else self._looks.latest

    def saw(self, sighting: Sighting, progress: dict[str, Any] | None, now: datetime | None) -> None:
        """Take in how the job is now.

        :param sighting: of a job that has not ended.
        :param progress: what was published of it; None if it was only seen in a list.
        :param now: by AWS's clock.
        """
        if now is not None:
            self._now = now, asyncio.get_running_loop().time()
        self._progress = self._of_summary(sighting) if progress is None else progress
        if self._looks is not None:
            self._looks.saw(sighting.description)
        self._alert()

    def stop(self) -> None:
        """The trigger waits no more."""
        for part in (self._looks, self._alerts):
            if part is not None:
                part.stop()
        if self._reading is not None:
            self._reading.cancel()

    def _of_summary(self, sighting: Sighting) -> dict[str, Any]:
        """A list tells little: what else alerts go by, the task has told the trigger, or has been seen before."""
        known: dict[str, Any] = {"EnableManagedSpotTraining": True}
        if self._trigger.max_wait is not None:
            known["StoppingCondition"] = {"MaxWaitTimeInSeconds": self._trigger.max_wait}
        if self._trigger.checkpoint_s3_uri is not None:
            known["CheckpointConfig"] = {"S3Uri": self._trigger.checkpoint_s3_uri}
        return progress_of(
            {**known, **sighting.description}, facts=self._trigger.told_facts(), checkpoints=self.checkpoints
        )

    def _looked(self, checkpoints: Checkpoints) -> None:
        """Checkpoints were looked at."""
        news, ti = checkpoints.model_dump(mode="json"), self._trigger.task_instance
        self._progress = {**self._progress, "checkpoints": news}
        if self._trigger.has_published:
            self._trigger.publish_also(checkpoints=news)
        elif ti is not None and self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(
                self._take_up_what_was_published(ti), name="reading a task's progress"
            )
        self._alert()

    async def _take_up_what_was_published(self, task_instance: Any) -> None:
        """A job that this triggerer has only seen in a list: what an earlier one published of it says more."""
        try:
            async with asyncio.timeout(30):
                published = await read_own_xcom(task_instance, PROGRESS_KEY)
        except Exception as error:  # noqa: BLE001 - the next look tries again
            self._trigger.logger().info("What was published of this job cannot be read just now (%r).", error)
            published = None
        finally:
            self._reading = None
        if isinstance(published, dict) and published.get("job_name") == self._trigger.job_name:
            assert self.checkpoints is not None
            self._trigger.publish_also(published, checkpoints=self.checkpoints.model_dump(mode="json"))

    def _alert(self) -> None:
        if self._alerts is not None:
            self._alerts.saw(self._progress, self._now_at_aws())

    def _now_at_aws(self) -> datetime | None:
        """AWS's clock as it was read last, and what has passed here since."""
        if self._now is None:
            return None
        told, read_at = self._now
        return told + timedelta(seconds=asyncio.get_running_loop().time() - read_at)
