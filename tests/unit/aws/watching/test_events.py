"""The reader of a queue of events, against a queue in memory."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from airflow_spot_provider.aws.errors import Backoff
from airflow_spot_provider.aws.watching.events import QueueReader

DENIED = ClientError({"Error": {"Code": "AccessDenied"}}, "GetQueueUrl")
EXPIRED = ClientError({"Error": {"Code": "ExpiredTokenException"}}, "GetQueueUrl")
MISSING = ClientError({"Error": {"Code": "AWS.SimpleQueueService.NonExistentQueue"}}, "GetQueueUrl")
NO_NETWORK = EndpointConnectionError(endpoint_url="https://sqs")


class Queue:
    """A line to SQS whose answers are given."""

    def __init__(self, *answers: Mapping[str, Any] | Exception) -> None:
        self._answers = list(answers)
        self.at_end = asyncio.Event()

    async def call(self, operation: str, *, patient: bool, **_members: Any) -> Any:
        assert not patient
        if operation == "delete_message_batch":
            return {}
        if not self._answers:
            self.at_end.set()
            await asyncio.Event().wait()
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        """Nothing to close."""


class Timings:
    """Metrics that are kept."""

    def __init__(self) -> None:
        self.timings: list[tuple[str, float]] = []

    def timing(self, name: str, seconds: float, **_tags: str) -> None:
        self.timings.append((name, seconds))

    def incr(self, name: str, **_tags: str) -> None:
        raise AssertionError(name)


def _read(*answers: Mapping[str, Any] | Exception) -> Timings:
    metrics = Timings()

    async def _run() -> None:
        queue = Queue(*answers)
        backoff = Backoff(random.Random(1), base=0.0, cap=0.0)
        reader = QueueReader("events", queue, metrics=metrics, backoff=backoff)  # type: ignore[arg-type] # what it needs of both
        reading = asyncio.create_task(reader.run())
        await queue.at_end.wait()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

    asyncio.run(_run())
    return metrics


@pytest.mark.parametrize(
    ("errors", "advice"),
    [
        ((DENIED, DENIED), "grant sqs:GetQueueUrl"),
        ((EXPIRED, EXPIRED), "new credentials are taken as soon as the connection has them"),
        ((NO_NETWORK, ConnectionResetError("gone"), TimeoutError()), "SQS cannot be reached"),
        ((MISSING, MISSING), "`airflow-spot events setup` makes it"),
    ],
    ids=["denied", "expired", "network", "missing"],
)
def test_trouble_with_the_queue_is_told_once_with_what_to_do(
    errors: tuple[Exception, ...], advice: str, caplog: pytest.LogCaptureFixture
) -> None:
    _read(*errors)
    [said] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert advice in said


def test_another_trouble_and_the_end_of_it_are_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    _read(NO_NETWORK, DENIED, {"QueueUrl": "https://sqs/events"}, {}, {}, NO_NETWORK)
    said = [record.getMessage() for record in caplog.records if "events" in record.getMessage()]
    assert ["cannot be reached" in line for line in said] == [True, False, False, True]
    assert said[2].startswith("Events are read from")


def test_lag_is_by_the_clock_of_sqs() -> None:
    attributes = {"SentTimestamp": "1000000", "ApproximateFirstReceiveTimestamp": "1000250"}
    message = {"Body": '{"detail": {}}', "ReceiptHandle": "1", "Attributes": attributes}
    metrics = _read({"QueueUrl": "https://sqs/events"}, {"Messages": [message]})
    assert metrics.timings == [("push_lag", 0.25)]
