"""What an answer about a job is to somebody who knows of the job already: news, nothing new, or older than what is known.

Answers need not come in order: lists lag behind descriptions, descriptions behind events, and each behind what happens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any

Progress = tuple[Any, ...]
"""What changes besides the status while a job runs: SecondaryStatus, or the counters of a tuning job."""


class Standing(Enum):
    """What an answer is, beside what is known."""

    NEWS = "news"
    """To be told, or looked into: it is newer than what is known, tells more, or cannot be put in order."""
    SAME = "same"
    """Nothing new. It may tell less than what is known, which stays what is known."""
    OLDER = "older"
    """From before what is known, or at odds with an end: never to be told."""


class Stage(IntEnum):
    """How far a job has come for good; no job ever goes back."""

    RUNNING = 0
    OVER = 1
    """It has stopped, and the answer does not tell how it ended, as a summary without SecondaryStatus."""
    ENDED = 2
    """How it ended is told."""


@dataclass(frozen=True, slots=True)
class Seen:
    """As much of an answer as tells it from another of the same job; small, for there may be ten thousand.

    :param status: the job's status.
    :param progress: what has changed besides; None where the answer leaves it out, as summaries may.
    :param modified: LastModifiedTime in epoch seconds, by SageMaker's clock; None where it is left out.
    :param stage: how far the job has come for good.
    """

    status: str | None
    progress: Progress | None
    modified: float | None
    stage: Stage

    def may_abbreviate(self, other: Seen) -> bool:
        """Whether this says nothing that the other does not say."""
        return self.status == other.status and self.progress in (None, other.progress)


_ORDER = {"InProgress": 0, "Stopping": 1, "Deleting": 2}
"""The statuses of a job that has not ended, in the order that they come in."""


def compare(
    known: Seen | None, answer: Seen, *, precedes: Callable[[Progress, Progress], bool] | None = None
) -> Standing:
    """Tell what an answer is to somebody who knows of the job already. Both must be of the same job: a name can be used again.

    An end is newer than anything else, whatever its time, and is never taken back. Before that LastModifiedTime decides, in whole
    seconds, as answers need not agree on their fractions. Within one second those that agree on the statuses are the same, and
    a summary without SecondaryStatus is the same as what it abbreviates; others are put in order by their statuses, by
    the fractions where both have them, and by ``precedes``. What no rule puts in order is news: better looked at once too often
    than missed.

    :param known: what is known; None if nothing is.
    :param answer: the answer, of whichever operation.
    :param precedes: whether the first progress is certain to be from before the second.
    :return: on NEWS, the answer becomes what is known (once it was told); otherwise what is known stays.
    """
    if known is None or answer.stage > known.stage:
        return Standing.NEWS
    if known.stage is not Stage.RUNNING:
        abbreviates = answer.may_abbreviate(known) or known.may_abbreviate(answer)
        return Standing.SAME if abbreviates else Standing.OLDER
    if (in_seconds := _order(_whole(known.modified), _whole(answer.modified))) is not None:
        return in_seconds
    if answer.may_abbreviate(known):
        return Standing.SAME
    by_status = _order(_ORDER.get(str(known.status)), _ORDER.get(str(answer.status)))
    return (
        by_status or _order(_exact(known.modified), _exact(answer.modified)) or _by(precedes, known, answer)
    )


def _order(known: float | None, answer: float | None) -> Standing | None:
    """None where they are equal, or one is not known."""
    if known is None or answer is None or known == answer:
        return None
    return Standing.NEWS if answer > known else Standing.OLDER


def _whole(modified: float | None) -> int | None:
    return None if modified is None else int(modified // 1)


def _exact(modified: float | None) -> float | None:
    """None where the time was cut to whole seconds, as far as one can see."""
    return None if modified is None or modified % 1 == 0 else modified


def _by(precedes: Callable[[Progress, Progress], bool] | None, known: Seen, answer: Seen) -> Standing:
    if precedes is None or known.progress is None or answer.progress is None:
        return Standing.NEWS
    return Standing.OLDER if precedes(answer.progress, known.progress) else Standing.NEWS
