"""A job's training log in CloudWatch Logs: where it is, and the newest lines of it.

Each start of the job on each instance writes a stream of its own, ``<job>/algo-<instance>-<epoch seconds>``. The newest lines are
read from the end of each stream backwards. A page may be short or empty though there are lines before it: only a
``nextBackwardToken`` that repeats says that a stream has no older ones.

Source: `GetLogEvents <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html>`_.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from airflow_spot_provider.aws.errors import code_of

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
"""The CloudWatch log group of all training jobs; a job's streams begin with its name."""

MOST_CALLS = 300
"""GetLogEvents is asked so often for a job's newest lines at most."""
MOST_CALLS_FOR_A_STREAM = 50
_MOST_EVENTS = 10_000
"""What GetLogEvents answers at most."""

T = TypeVar("T")
Ask = Callable[[Callable[[Any], T]], T]
"""Hands a client of CloudWatch Logs to what makes one call with it, and repeats that while it may help."""


def streams_of(job_name: str) -> str:
    """What the names of a job's streams begin with, and no other job's do: a name may be another's beginning."""
    return f"{job_name}/"


@dataclass(frozen=True, slots=True)
class NewestLines:
    """The newest lines of a training log.

    :param lines: times in epoch milliseconds, and texts; the newest last.
    :param cut: whether there are older ones, or may be.
    :param trouble: what kept the log from being read to its end; None if nothing did.
    """

    lines: list[tuple[int, str]]
    cut: bool
    trouble: Exception | None = None


def newest_lines(ask: Ask[Any], job_name: str, limit: int, *, most_calls: int = MOST_CALLS) -> NewestLines:
    """Read the newest lines of a job's training log, over all its instances and starts, merged by time.

    :param ask: makes the calls.
    :param limit: how many lines at most.
    :param most_calls: of GetLogEvents.
    :return: the lines. None of them, not cut and without trouble: the job wrote no training log.
    :raises ClientError: AWS refuses, and nothing had been read.
    :raises BotoCoreError: AWS cannot be asked, and nothing had been read.
    """
    newest = _Newest(limit)
    left = most_calls
    try:
        for stream in _streams(ask, job_name):
            if not left:
                newest.cut = True
                break
            left -= _read_backwards(ask, stream, newest, min(left, MOST_CALLS_FOR_A_STREAM))
    except (ClientError, BotoCoreError) as error:
        if not newest.lines:
            raise
        return NewestLines(newest.lines, True, error)
    return NewestLines(newest.lines, newest.cut)


class _Newest:
    """The newest of the lines that come, as many as are wanted."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.cut = False
        self._heap: list[tuple[int, int, str]] = []
        self._count = 0

    @property
    def lines(self) -> list[tuple[int, str]]:
        """Times and texts, the newest last; of one moment, in the order of their stream."""
        return [(at, text) for at, _, text in sorted(self._heap)]

    def take(self, events: list[Mapping[str, Any]]) -> bool:
        """Take a page in.

        :param events: in order of time; all pages before were of later lines, or of other streams.
        :return: whether lines before these could be among the newest.
        """
        # The pages of a stream come last one first, so places in it are counted downwards.
        self._count -= len(events)
        for place, event in enumerate(events, self._count):
            entry = (event["timestamp"], place, event["message"])
            if len(self._heap) < self.limit:
                heapq.heappush(self._heap, entry)
            else:
                heapq.heappushpop(self._heap, entry)
                self.cut = True
        return len(self._heap) < self.limit or not events or events[0]["timestamp"] >= self._heap[0][0]


def _streams(ask: Ask[Any], job_name: str) -> list[str]:
    """A job's streams, the last made first."""
    try:
        streams = ask(lambda logs: list(_listed(logs, job_name)))
    except ClientError as error:
        if code_of(error) == "ResourceNotFoundException":
            return []  # no job of this account and region has logged
        raise
    streams.sort(key=lambda stream: stream.get("creationTime") or 0, reverse=True)
    return [stream["logStreamName"] for stream in streams]


def _listed(logs: Any, job_name: str) -> Iterator[Mapping[str, Any]]:
    pages = logs.get_paginator("describe_log_streams")
    for page in pages.paginate(logGroupName=LOG_GROUP, logStreamNamePrefix=streams_of(job_name)):
        yield from page["logStreams"]


def _read_backwards(ask: Ask[Any], stream: str, newest: _Newest, most_calls: int) -> int:
    """Read a stream from its end until older lines cannot be among the newest, and tell in how many calls."""
    members: dict[str, Any] = {
        "logGroupName": LOG_GROUP,
        "logStreamName": stream,
        "limit": min(newest.limit, _MOST_EVENTS),
        "startFromHead": False,
    }
    for calls in range(1, most_calls + 1):
        try:
            answer = ask(lambda logs: logs.get_log_events(**members))
        except ClientError as error:
            if code_of(error) == "ResourceNotFoundException":
                return calls  # deleted meanwhile
            raise
        token = answer.get("nextBackwardToken")
        if not newest.take(answer["events"]):
            newest.cut = newest.cut or token != members.get("nextToken")
            return calls
        if token is None or token == members.get("nextToken"):
            return calls
        members["nextToken"] = token
    newest.cut = True
    return most_calls
