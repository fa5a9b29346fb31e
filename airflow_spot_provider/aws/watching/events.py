"""Push: EventBridge's events of SageMaker, read from an SQS queue, so that a change is known within a second.

An event is only a hint to look at a job: one that comes twice, late, out of order, about somebody else's job, or that is no
event at all does no harm. A queue belongs to one process; see docs/decisions/007. Polling stays, slowly, as a safety net.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Mapping
from typing import Any, Protocol

from airflow_spot_provider.aws.errors import (
    Backoff,
    code_of,
    is_denied,
    is_expired_credentials,
    is_worth_a_retry,
)
from airflow_spot_provider.aws.watching.line import Line
from airflow_spot_provider.aws.watching.metrics import Metrics

log = logging.getLogger(__name__)

WAIT_SECONDS = 15
"""How long SQS holds a receive that finds nothing: shorter than the client waits for an answer."""
_BATCH = 10
_ORDINAL = "{ordinal}"


class Listener(Protocol):
    """Who wants to hear of events: a watcher."""

    def announce(self, description: Mapping[str, Any]) -> None:
        """A job has changed."""
        ...

    def events_arrive(self, arrive: bool) -> None:
        """Whether events are read just now."""
        ...


def queue_of_host(setting: str, hostname: str) -> str:
    """The queue of this host's triggerer.

    :param setting: queue name or URL; ``{ordinal}`` stands for the number at the end of the host's name, as a triggerer of
        a StatefulSet has it.
    :raises ValueError: the name has no number at its end.
    """
    if _ORDINAL not in setting:
        return setting
    number = re.search(r"\d+$", hostname.partition(".")[0])
    if number is None:
        raise ValueError(
            f"The queue {setting!r} takes the number at the end of the triggerer's host name, and {hostname!r} has none. "
            "Name the queue itself, one for each triggerer."
        )
    return setting.replace(_ORDINAL, number.group())


def checked_region(queue: str, region: str | None) -> str:
    """The queue, if it can hold events of this region.

    :raises ValueError: its URL names another region: rules of EventBridge reach queues of their own region.
    """
    found = re.match(r"https://(?:sqs\.)?([a-z0-9-]+)(?:\.queue)?\.amazonaws\.com", queue)
    if found and region and found.group(1) not in ("queue", region):
        raise ValueError(
            f"The queue {queue} is in {found.group(1)}, the jobs are in {region}. Events reach a queue of their own region: "
            f"make one with `airflow-spot events setup --region {region}`."
        )
    return queue


class QueueReader:
    """Reads one queue, and tells all watchers of this process of it.

    :param queue: queue name or URL.
    :param line: makes the calls to SQS.
    :param metrics: where lag is measured.
    :param backoff: how long to wait before the queue is tried again.
    """

    def __init__(self, queue: str, line: Line, *, metrics: Metrics, backoff: Backoff) -> None:
        self._queue = queue
        self._line = line
        self._metrics = metrics
        self._backoff = backoff
        self._listeners: list[Listener] = []
        self._arrive = False
        self._trouble: str | None = None

    def __len__(self) -> int:
        return len(self._listeners)

    def add(self, listener: Listener) -> None:
        """Tell it of events."""
        self._listeners.append(listener)
        listener.events_arrive(self._arrive)

    def remove(self, listener: Listener) -> None:
        """Tell it no more."""
        self._listeners.remove(listener)

    async def run(self) -> None:
        """Read until cancelled."""
        try:
            while True:
                operation = "get_queue_url"
                try:
                    url = await self._url()
                    operation = "receive_message"
                    while True:
                        await self._receive(url)
                except Exception as error:  # noqa: BLE001 - whatever it is, polling goes on and the queue is tried again
                    self._not_read(operation, error)
                    await asyncio.sleep(self._backoff.next_delay())
        finally:
            await self._line.close()

    async def _url(self) -> str:
        if self._queue.startswith(("http://", "https://")):
            return self._queue
        answer = await self._line.call("get_queue_url", patient=False, QueueName=self._queue)
        return str(answer["QueueUrl"])

    async def _receive(self, url: str) -> None:
        answer = await self._line.call(
            "receive_message",
            patient=False,
            QueueUrl=url,
            MaxNumberOfMessages=_BATCH,
            WaitTimeSeconds=WAIT_SECONDS if self._arrive else 1,
            AttributeNames=["SentTimestamp", "ApproximateFirstReceiveTimestamp"],
        )
        self._read()
        messages = answer.get("Messages") or []
        for message in messages:
            self._measure(message)
            self._tell(message)
        if messages:
            await self._line.call(
                "delete_message_batch",
                patient=False,
                QueueUrl=url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                    for number, message in enumerate(messages)
                ],
            )

    def _tell(self, message: Mapping[str, Any]) -> None:
        try:
            detail = json.loads(message["Body"])["detail"]
            for listener in self._listeners:
                listener.announce(detail)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            self._metrics.incr("push_unreadable")
            log.warning(
                "A message in %s is no event of SageMaker and is dropped (%r): only the rules that `airflow-spot events "
                "setup` makes should send to this queue.",
                self._queue,
                error,
            )

    def _measure(self, message: Mapping[str, Any]) -> None:
        """By SQS's own clock."""
        attributes = message.get("Attributes") or {}
        sent, received = (
            attributes.get(name) for name in ("SentTimestamp", "ApproximateFirstReceiveTimestamp")
        )
        if sent is not None and received is not None:
            self._metrics.timing("push_lag", max(0.0, (int(received) - int(sent)) / 1000))

    def _read(self) -> None:
        self._backoff.reset()
        if self._trouble is not None or not self._arrive:
            log.info("Events are read from %s; polling is the safety net.", self._queue)
            self._trouble, self._arrive = None, True
            for listener in self._listeners:
                listener.events_arrive(True)

    def _not_read(self, operation: str, error: Exception) -> None:
        if self._arrive:
            self._arrive = False
            for listener in self._listeners:
                listener.events_arrive(False)
        kind, advice = _trouble(operation, error)
        if kind == self._trouble:
            return
        self._trouble = kind
        log.warning(
            "No events can be read from %s (%s): %s. Jobs are watched by polling meanwhile, and the queue is tried again.",
            self._queue,
            error,
            advice,
        )


def _trouble(operation: str, error: Exception) -> tuple[str, str]:
    """What kind of trouble it is, which is told once, and what to do."""
    if is_denied(error):
        needed = {
            "get_queue_url": "sqs:GetQueueUrl",
            "receive_message": "sqs:ReceiveMessage and sqs:DeleteMessage",
        }
        return "denied", f"grant {needed[operation]} on it (`airflow-spot events policy` prints the policy)"
    if is_expired_credentials(error):
        return "credentials", "new credentials are taken as soon as the connection has them"
    if is_worth_a_retry(error):
        return "unreachable", "SQS cannot be reached, or does not answer"
    return code_of(error), "is it there, in this account and region? `airflow-spot events setup` makes it"
