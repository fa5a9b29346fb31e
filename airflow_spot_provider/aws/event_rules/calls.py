"""Calls to SQS, EventBridge and STS, with errors that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from airflow_spot_provider.aws.errors import code_of, is_denied

_GONE = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
    }
)
_DELETED_RECENTLY = frozenset({"AWS.SimpleQueueService.QueueDeletedRecently", "QueueDeletedRecently"})


class EventRulesError(Exception):
    """The rules and queues could not be made or removed; the message says what to do."""


class NotThere(EventRulesError):
    """There is no such rule or queue (any more)."""


class Calls:
    """The clients of one account and region.

    :param session: boto3 session.
    :param endpoint_url: of another AWS, such as the emulator.
    :raises BotoCoreError: no region is known, or there is no such profile.
    """

    def __init__(self, session: Any, *, endpoint_url: str | None) -> None:
        self._clients = {
            service: session.client(service, endpoint_url=endpoint_url)
            for service in ("sqs", "events", "sts")
        }
        self.region: str = self._clients["sqs"].meta.region_name
        self.partition: str = self._clients["sqs"].meta.partition

    def call(self, service: str, operation: str, **members: Any) -> Any:
        """One answer.

        :param operation: by boto3's name.
        :raises NotThere: there is no such rule or queue.
        :raises EventRulesError: a permission is missing, or AWS refused for another reason.
        """
        with _explained(service):
            answer = getattr(self._clients[service], operation)(**members)
        # EventBridge answers 200 when it has refused some of the targets.
        if answer.get("FailedEntryCount"):
            reasons = "; ".join(
                f"{entry.get('TargetId')}: {entry.get('ErrorCode')} {entry.get('ErrorMessage', '')}".strip()
                for entry in answer.get("FailedEntries", [])
            )
            raise EventRulesError(f"AWS refused targets of rule {members.get('Rule')} ({reasons}).")
        return answer

    def pages(self, service: str, operation: str, **members: Any) -> Iterator[Any]:
        """All pages of a list; errors as of ``call``."""
        with _explained(service):
            yield from self._clients[service].get_paginator(operation).paginate(**members)


@contextmanager
def _explained(service: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        what = f"{service}:{error.operation_name}"
        if is_denied(error):
            raise EventRulesError(
                f"{what} is not permitted ({error}). `airflow-spot events policy --for setup` prints what is needed."
            ) from error
        if code_of(error) in _GONE:
            raise NotThere(f"{what}: {error}") from error
        if code_of(error) in _DELETED_RECENTLY:
            raise EventRulesError(
                f"{what}: a queue of this name was deleted less than 60 seconds ago. Run the same again in a minute."
            ) from error
        raise EventRulesError(f"AWS refused {what}: {error}") from error
