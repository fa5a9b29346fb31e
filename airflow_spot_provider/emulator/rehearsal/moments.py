"""When a script is interrupted: chosen beforehand from a seed, and told from how far it is."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_spot_provider.emulator.rehearsal.facts import Cut, Line, Moment, Run
from airflow_spot_provider.emulator.rehearsal.steps import steps_of

_PATIENCE = 0.2
"""The share of the work after which an interruption waits for a checkpoint no longer."""
_END_SHARE = 0.9
"""What counts as the end where a log tells no steps: this share of the time that the uninterrupted run took."""

_LATEST_LINES = 1000
"""The part of a log that is read to see how far a script is, ten times a second."""


def planned(interruptions: int, seed: int) -> tuple[Moment, ...]:
    """The moments of so many interruptions, in the order in which they come.

    The first is after a checkpoint, the second in the middle of a checkpoint write, the third right before the end; more come
    after checkpoints, anywhere.

    :param interruptions: 1 or more.
    :param seed: the same seed gives the same moments.
    """
    chance = random.Random(seed)
    moments = [
        Moment(Cut.AFTER_CHECKPOINT, chance.uniform(0.25, 0.4)),
        Moment(Cut.MID_WRITE, chance.uniform(0.5, 0.7), torn=True),
        Moment(Cut.BEFORE_END, 1.0),
        *(Moment(Cut.AFTER_CHECKPOINT, chance.uniform(0.15, 0.85)) for _ in range(interruptions - 3)),
    ]
    return tuple(sorted(moments[:interruptions], key=lambda moment: moment.share))


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    :param lines: the log of its stay so far.
    :param training_seconds: how long it has trained in all.
    :param uploads: at which of those seconds this stay's checkpoints came.
    """

    lines: Sequence[Line]
    training_seconds: float
    uploads: Sequence[float]


class Timing:
    """Tells when a moment has come.

    :param reference: the uninterrupted run.
    """

    def __init__(self, reference: Run) -> None:
        self._steps = steps_of(reference.lines)
        self._seconds = reference.training_seconds
        self._checkpoints = any(stay.uploads for stay in reference.stays)
        self._reached: dict[Moment, float] = {}

    def is_due(self, moment: Moment, progress: Progress) -> bool:
        """Whether it has come; ask until it has.

        :param progress: how far the run is now.
        """
        if moment.seconds is not None:
            return progress.training_seconds >= moment.seconds
        share = self._share(progress)
        if moment.cut is Cut.BEFORE_END:
            return share >= self._end_share()
        if share < moment.share:
            return False
        if not self._checkpoints or share >= moment.share + _PATIENCE:
            return True
        reached = self._reached.setdefault(moment, progress.training_seconds)
        # A write can be torn once there is one; after a checkpoint means right after, not some time.
        return bool(progress.uploads) and (moment.torn or progress.uploads[-1] >= reached)

    def _share(self, progress: Progress) -> float:
        if self._steps is None:
            return progress.training_seconds / self._seconds if self._seconds else 1.0
        printed = self._steps.read(progress.lines[-_LATEST_LINES:])
        return self._steps.share(max(value for _, value in printed)) if printed else 0.0

    def _end_share(self) -> float:
        if self._steps is None:
            return _END_SHARE
        count = len(self._steps.values)
        return (count - 1 - count // 20) / count
