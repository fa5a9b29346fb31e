"""One watched job: what is known of it, and who waits for it."""

from __future__ import annotations

from airflow_spot_provider.aws.kinds import Description, State
from airflow_spot_provider.aws.watching.subscription import Subscription


class Watched:
    """As little as it takes, for there may be ten thousand."""

    __slots__ = ("announced", "created", "missing_since", "state", "subscriptions", "summary")

    def __init__(self) -> None:
        self.subscriptions: tuple[Subscription, ...] = ()
        self.state: State | None = None
        self.created: int | None = None
        self.missing_since: float | None = None
        self.announced: int | None = None
        """LastModifiedTime that SageMaker has told of, and that a description has yet to catch up with."""
        self.summary: Description | None = None
        """The last summary of a job that has ended, until it is delivered."""


def is_older(state: State, than: State | None) -> bool:
    """By LastModifiedTime, the last part of a state."""
    if than is None or state[-1] is None or than[-1] is None:
        return False
    return bool(state[-1] < than[-1])
