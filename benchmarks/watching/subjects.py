"""What is compared: each subject builds the trigger of one waiting job, that looks at it so often."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from airflow.providers.amazon.aws.triggers.sagemaker import SageMakerTrigger
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_spot_provider.triggers.training import SageMakerSpotTrainingTrigger

_DAY_SECONDS = 24 * 3_600


class IdleTrigger(BaseTrigger):
    """Wait for something that never happens: what any trigger costs, whatever it does."""

    def __init__(self, job_name: str) -> None:
        super().__init__()
        self.job_name = job_name

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class path and the one argument."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"job_name": self.job_name}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait."""
        await asyncio.get_running_loop().create_future()
        yield TriggerEvent({"job_name": self.job_name})


def _stock(job_name: str, interval_seconds: int) -> BaseTrigger:
    """As SageMakerTrainingOperator builds it when it defers, with enough attempts to wait for a day."""
    trigger: BaseTrigger = SageMakerTrigger(
        job_name=job_name,
        job_type="Training",
        waiter_delay=interval_seconds,
        waiter_max_attempts=_DAY_SECONDS // interval_seconds,
        aws_conn_id="aws_default",
        region_name="us-east-1",
        verify=None,
        botocore_config=None,
    )
    return trigger


def _ours(job_name: str, interval_seconds: int) -> BaseTrigger:
    return SageMakerSpotTrainingTrigger(
        job_name, aws_conn_id="aws_default", region_name="us-east-1", poll_interval=float(interval_seconds)
    )


SUBJECTS: dict[str, Callable[[str, int], BaseTrigger]] = {
    "stock": _stock,
    "ours": _ours,
    "nothing": lambda job_name, _interval_seconds: IdleTrigger(job_name),
    "push": _ours,
}
"""By name; ``push`` is ours with a queue of events named in the connection."""
