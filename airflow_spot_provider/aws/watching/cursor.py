"""Since when to ask what changed, by SageMaker's own times alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

OVERLAP_SECONDS = 20.0
"""How long a change may take to be listed: for so long after the newest change, what came before it is asked for again."""

_AT_ONE_MOMENT = 50
"""With more changes than these in one second, that second is not asked for again and again."""


class Cursor:
    """Where a poll of ListTrainingJobs by LastModifiedTime goes on.

    The local clock is never compared with the server's: a laptop that is a year off sees every change. It only tells how
    much time has passed here since the newest change was seen.
    """

    def __init__(self) -> None:
        self._newest: int | None = None
        self._at_newest = 0
        self._moved_at = 0.0

    def saw(self, modified: int | None, now: float) -> None:
        """Take in when a job was modified.

        :param modified: LastModifiedTime, epoch seconds.
        :param now: seconds on any monotonic clock.
        """
        if modified is None or (self._newest is not None and modified < self._newest):
            return
        if modified == self._newest:
            self._at_newest += 1
            return
        self._newest, self._at_newest, self._moved_at = modified, 1, now

    def begin(self) -> None:
        """Another poll begins: what it lists in the newest second is counted anew."""
        self._at_newest = 0

    def missed(self, modified: int | None) -> None:
        """A change was found that a poll should have listed: one of the times seen was wrong. Go back to it."""
        if modified is not None and self._newest is not None:
            self._newest = min(self._newest, modified)

    def since(self, now: float) -> datetime | None:
        """LastModifiedTimeAfter for the next poll; None as long as no time has been seen.

        Within :data:`OVERLAP_SECONDS` after the newest change came in, changes before it may still turn up. After that
        none do, and whatever comes is no older than the newest.
        """
        if self._newest is None:
            return None
        newest = datetime.fromtimestamp(self._newest, tz=UTC)
        if now - self._moved_at < OVERLAP_SECONDS:
            return newest - timedelta(seconds=OVERLAP_SECONDS)
        if self._at_newest <= _AT_ONE_MOMENT:
            return newest - timedelta(milliseconds=1)
        return newest + timedelta(seconds=1)
