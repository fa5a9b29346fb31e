"""The queue into which EventBridge puts SageMaker's events: late, twice, out of order, or not at all."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass
from typing import Any

from airflow_spot_provider.emulator.jobs.training_job import TrainingJob
from tests.simulation.sagemaker import START, SageMaker

QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/events"


@dataclass(frozen=True)
class Delivery:
    """How events are delivered.

    :param delay: seconds at least and at most, of each by itself: order is not kept.
    :param lost: the share of events that never come.
    :param doubled: the share that come twice.
    """

    delay: tuple[float, float] = (0.2, 0.2)
    lost: float = 0.0
    doubled: float = 0.0


class Queue:
    """One queue, with what EventBridge puts into it.

    :param sagemaker: whose events they are.
    :param delivery: how they come.
    """

    def __init__(self, sagemaker: SageMaker, delivery: Delivery, random_: random.Random) -> None:
        self.delivery = delivery
        self._sagemaker = sagemaker
        self._random = random_
        self._messages: list[str] = []
        self._came = asyncio.Event()
        sagemaker.listeners.append(self._changed)

    async def __aenter__(self) -> Queue:
        return self

    async def __aexit__(self, *_: object) -> None:
        """It stays."""

    async def receive_message(self, **asked: Any) -> dict[str, Any]:
        if not self._messages:
            self._came.clear()
            try:
                async with asyncio.timeout(asked["WaitTimeSeconds"]):
                    await self._came.wait()
            except TimeoutError:
                return {}
        taken, self._messages = self._messages[:10], self._messages[10:]
        return {"Messages": [{"Body": body, "ReceiptHandle": "x"} for body in taken]}

    async def delete_message_batch(self, **_asked: Any) -> dict[str, Any]:
        return {}

    def _changed(self, job: TrainingJob) -> None:
        if self._random.random() < self.delivery.lost:
            return
        detail = {
            "TrainingJobName": job.training_job_name,
            "TrainingJobStatus": job.training_job_status,
            "SecondaryStatus": job.secondary_status,
            "CreationTime": job.creation_time.timestamp() * 1_000,
            "LastModifiedTime": self._sagemaker.clock.now().timestamp() * 1_000,
            "TrainingEndTime": None,
        }
        body = json.dumps({"source": "aws.sagemaker", "detail": detail})
        # The clock of what happened may be behind the loop's: it runs up to the loop's next moment.
        behind = self._sagemaker.loop.now - (self._sagemaker.clock.now() - START).total_seconds()
        for _ in range(2 if self._random.random() < self.delivery.doubled else 1):
            delay = max(0.0, self._random.uniform(*self.delivery.delay) - behind)
            self._sagemaker.loop.call_later(delay, self._put, body)

    def _put(self, body: str) -> None:
        self._messages.append(body)
        self._came.set()
