"""What one trigger holds of the watcher: its job's news."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from airflow_spot_provider.aws.kinds import Description
from airflow_spot_provider.aws.standing import Seen


@dataclass(frozen=True, slots=True)
class Sighting:
    """How a job is now.

    :param description: DescribeTrainingJob's answer, or only the summary of a List answer.
    :param whole: whether it is the former.
    """

    description: Description
    whole: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """What whoever reads the task's log should know about the watching itself.

    :param text: one sentence.
    :param warning: whether someone may have to see to it.
    """

    text: str
    warning: bool


class Subscription:
    """The news of one job, newest first seen: a sighting that nobody took is replaced by the next.

    :param job_name: the job's name.
    :param poll_interval: seconds; a change is known within about two of them.
    """

    __slots__ = (
        "_error",
        "_notices",
        "_sighting",
        "_waiter",
        "job_name",
        "known",
        "knows_trouble",
        "poll_interval",
    )

    def __init__(self, job_name: str, *, poll_interval: float) -> None:
        self.job_name = job_name
        self.poll_interval = poll_interval
        self.known: Seen | None = None
        """What was put last."""
        self.knows_trouble = False
        self._sighting: Sighting | None = None
        self._notices: tuple[Notice, ...] = ()
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def next(self) -> Sighting | Notice:
        """Wait for news.

        :raises SpotTrainingError: the job cannot be watched any more.
        """
        while True:
            if self._notices:
                notice, *rest = self._notices
                self._notices = tuple(rest)
                return notice
            if self._sighting is not None:
                sighting, self._sighting = self._sighting, None
                return sighting
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def put(self, news: Sighting | Notice | Exception) -> None:
        """Hand news over; an exception is the last."""
        match news:
            case Sighting():
                self._sighting = news
            case Notice():
                self._notices = (*self._notices, news)
            case _:
                self._error = news
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __repr__(self) -> str:
        return f"<Subscription to {self.job_name}, every {self.poll_interval:g} s>"
