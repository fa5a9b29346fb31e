"""What was seen of the runs of a rehearsal. Every time is in real seconds since its run was submitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain


class Cut(StrEnum):
    """Where in its work a script is interrupted."""

    AFTER_CHECKPOINT = "after a checkpoint"
    MID_WRITE = "in the middle of a checkpoint write"
    BEFORE_END = "right before the end"
    CHOSEN = "at a chosen moment"


@dataclass(frozen=True)
class Moment:
    """One interruption as it is planned.

    :param cut: where.
    :param share: how much of the work is to be done by then, from 0 to 1.
    :param seconds: of training, instead of a share.
    :param torn: without a grace period, in the middle of the newest checkpoint write.
    """

    cut: Cut
    share: float = 0.0
    seconds: float | None = None
    torn: bool = False


@dataclass(frozen=True)
class Line:
    """A line of the log."""

    seconds: float
    text: str


@dataclass(frozen=True)
class Upload:
    """A file that appeared or changed under the checkpoints' prefix.

    :param seconds: when that was seen; it was written up to a second before.
    :param name: its key below the prefix.
    :param size: in bytes.
    """

    seconds: float
    name: str
    size: int


@dataclass(frozen=True)
class Interruption:
    """An instance that was taken away.

    :param moment: as it was planned.
    :param seconds: when SIGTERM came, or SIGKILL where there was no grace.
    :param seconds_to_exit: from then to the end of the script's last process.
    :param killed: whether it took SIGKILL to end it.
    :param exit_status: as a shell tells it; None if it was not told.
    """

    moment: Moment
    seconds: float
    seconds_to_exit: float = 0.0
    killed: bool = False
    exit_status: int | None = None


@dataclass(frozen=True)
class Stay:
    """One start of the script, to its end or to an interruption.

    :param started: when its training began.
    :param ended: when it was over.
    :param lines: its log.
    :param uploads: what it left under the checkpoints' prefix, in the order in which that was seen.
    :param interruption: None for the last one.
    """

    started: float
    ended: float
    lines: tuple[Line, ...] = ()
    uploads: tuple[Upload, ...] = ()
    interruption: Interruption | None = None


@dataclass(frozen=True)
class Run:
    """One training job.

    :param stays: in order; at least one.
    :param completed: whether it came to its end.
    :param timed_out: whether it had not ended when its time was up.
    :param failure: FailureReason, or what else is the matter.
    :param files: what was under the checkpoints' prefix at the end: sizes by name.
    :param figures: numbers in the model's JSON files.
    :param missed: the interruptions that were planned and not made: it had ended by then.
    """

    stays: tuple[Stay, ...]
    completed: bool = True
    timed_out: bool = False
    failure: str | None = None
    files: Mapping[str, int] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    missed: tuple[Moment, ...] = ()

    @property
    def lines(self) -> tuple[Line, ...]:
        """The whole log."""
        return tuple(chain.from_iterable(stay.lines for stay in self.stays))

    @property
    def training_seconds(self) -> float:
        """How long it trained in all."""
        return sum(stay.ended - stay.started for stay in self.stays)
