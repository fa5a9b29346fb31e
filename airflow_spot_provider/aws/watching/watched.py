"""One watched job: what is known of it, and who waits for it."""

from __future__ import annotations

import math

from airflow_spot_provider.aws.kinds import Description
from airflow_spot_provider.aws.standing import Seen
from airflow_spot_provider.aws.watching.subscription import Subscription

_LONGEST_LAG = 16.0


class WatchedJob:
    """As little as it takes, for there may be ten thousand.

    :param due: when it is to be looked at, by the event loop's clock.
    """

    __slots__ = (
        "_lagged",
        "announced",
        "born_at",
        "created",
        "due",
        "end",
        "hinted",
        "interval",
        "is_over",
        "known",
        "missing_since",
        "subscriptions",
    )

    def __init__(self, due: float) -> None:
        self.subscriptions: tuple[Subscription, ...] = ()
        self.interval = math.inf
        """The shortest ``poll_interval`` of those who wait, seconds."""
        self.due = due
        self.known: Seen | None = None
        """What was told last."""
        self.hinted: Seen | None = None
        """The newest that a list or an event has shown, and that a description may have yet to catch up with."""
        self.announced: float | None = None
        """LastModifiedTime of the newest event, epoch seconds."""
        self.created: float | None = None
        """CreationTime, epoch seconds."""
        self.born_at: float | None = None
        """The same by the event loop's clock."""
        self.missing_since: float | None = None
        self.end: Description | None = None
        """The summary of a job that has ended, until that is told."""
        self.is_over = False
        """Whether its end was told, or that it cannot be watched: nothing more is to be found out."""
        self._lagged = 0

    def join(self, subscription: Subscription) -> None:
        """Someone else waits for it, who knows nothing yet."""
        self.subscriptions = (*self.subscriptions, subscription)
        self.interval = min(self.interval, subscription.poll_interval)
        self.known = self.hinted = None
        self.is_over = False

    def leave(self, subscription: Subscription) -> None:
        """Someone waits no more."""
        self.subscriptions = tuple(other for other in self.subscriptions if other is not subscription)
        self.interval = min((other.poll_interval for other in self.subscriptions), default=math.inf)

    def seconds_until_it_catches_up(self) -> float | None:
        """How long to wait until a description that was behind is asked for again; None when it has been given its time.

        Of a job that is over, it is asked for again at each look besides.
        """
        seconds = 2.0**self._lagged
        if seconds > _LONGEST_LAG:
            return None
        self._lagged += 1
        return seconds

    def has_caught_up(self) -> None:
        """A description has shown what the list or an event had."""
        self._lagged = 0
