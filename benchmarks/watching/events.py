"""The queue that EventBridge would fill with SageMaker's events: as much of SQS as one reader needs."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import uuid
from typing import Any

from benchmarks.watching.jobs import Job

QUEUE = "airflow-spot-events"
DELIVERY_SECONDS = 0.2
"""What EventBridge takes to hand an event to its target; AWS tells of about 0.13 s at the 99th percentile."""
_VISIBILITY_SECONDS = 30
_TIMES = ("CreationTime", "LastModifiedTime", "TrainingStartTime", "TrainingEndTime")


class EventQueue:
    """One queue; who reads it may read every event in it."""

    def __init__(self) -> None:
        self._messages: dict[str, tuple[float, str]] = {}
        self._arrived = asyncio.Event()
        self.operations = {
            "GetQueueUrl": self._get_queue_url,
            "GetQueueAttributes": self._get_queue_attributes,
            "ReceiveMessage": self._receive_message,
            "DeleteMessage": self._delete_message,
            "DeleteMessageBatch": self._delete_message_batch,
        }

    def clear(self) -> None:
        """Forget all messages."""
        self._messages.clear()

    def put(self, job: Job) -> None:
        """The job has changed: its event arrives a moment later."""
        asyncio.get_running_loop().call_later(DELIVERY_SECONDS, self._arrive, json.dumps(_event(job)))

    def _arrive(self, body: str) -> None:
        self._messages[str(uuid.uuid4())] = (0.0, body)
        self._arrived.set()

    async def _get_queue_url(self, query: dict[str, Any], host: str) -> dict[str, Any]:
        return {"QueueUrl": f"http://{host}/123456789012/{query['QueueName']}"}

    async def _get_queue_attributes(self, _query: dict[str, Any], _host: str) -> dict[str, Any]:
        return {
            "Attributes": {
                "QueueArn": f"arn:aws:sqs:us-east-1:123456789012:{QUEUE}",
                "VisibilityTimeout": "30",
            }
        }

    async def _receive_message(self, query: dict[str, Any], _host: str) -> dict[str, Any]:
        deadline = time.monotonic() + query.get("WaitTimeSeconds", 0)
        while True:
            now = time.monotonic()
            found = [identity for identity, (visible_at, _) in self._messages.items() if visible_at <= now]
            if found or now >= deadline:
                break
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), min(1.0, deadline - now))
            except TimeoutError:
                continue
        messages = []
        for identity in found[: query.get("MaxNumberOfMessages", 1)]:
            _, body = self._messages[identity]
            self._messages[identity] = (now + _VISIBILITY_SECONDS, body)
            checksum = hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()
            messages.append(
                {"MessageId": identity, "ReceiptHandle": identity, "Body": body, "MD5OfBody": checksum}
            )
        return {"Messages": messages} if messages else {}

    async def _delete_message(self, query: dict[str, Any], _host: str) -> dict[str, Any]:
        self._messages.pop(query["ReceiptHandle"], None)
        return {}

    async def _delete_message_batch(self, query: dict[str, Any], _host: str) -> dict[str, Any]:
        for entry in query["Entries"]:
            self._messages.pop(entry["ReceiptHandle"], None)
        return {"Successful": [{"Id": entry["Id"]} for entry in query["Entries"]], "Failed": []}


def _event(job: Job) -> dict[str, Any]:
    """The event as EventBridge writes it: a description whose times are epoch milliseconds."""
    detail = job.details
    for name in _TIMES:
        if name in detail:
            detail[name] = round(1_000 * detail[name])
    for transition in detail["SecondaryStatusTransitions"]:
        for name in ("StartTime", "EndTime"):
            if name in transition:
                transition[name] = round(1_000 * transition[name])
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "SageMaker Training Job State Change",
        "source": "aws.sagemaker",
        "account": "123456789012",
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(job.modified)),
        "region": "us-east-1",
        "resources": [detail["TrainingJobArn"]],
        "detail": detail,
    }
