"""The lifecycle of a training job: its statuses, their transitions, and how it ended.

Source: `DescribeTrainingJob
<https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html>`_ and
`Managed Spot Training <https://docs.aws.amazon.com/sagemaker/latest/dg/model-managed-spot-training.html>`_.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from itertools import zip_longest
from typing import Any


class SecondaryStatus(StrEnum):
    """SageMaker's SecondaryStatus.

    SageMaker says that its valid values are subject to change, so a value that is not listed here is kept
    as it is: ``SecondaryStatus("Hibernating")`` is a member named and valued so, and ``is_known`` tells.
    """

    PENDING = "Pending"
    STARTING = "Starting"
    LAUNCHING_ML_INSTANCES = "LaunchingMLInstances"
    PREPARING_TRAINING_STACK = "PreparingTrainingStack"
    DOWNLOADING = "Downloading"
    DOWNLOADING_TRAINING_IMAGE = "DownloadingTrainingImage"
    TRAINING = "Training"
    UPDATING = "Updating"
    RESTARTING = "Restarting"
    INTERRUPTED = "Interrupted"
    UPLOADING = "Uploading"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"
    MAX_RUNTIME_EXCEEDED = "MaxRuntimeExceeded"
    MAX_WAIT_TIME_EXCEEDED = "MaxWaitTimeExceeded"

    @classmethod
    def _missing_(cls, value: object) -> SecondaryStatus | None:
        if not isinstance(value, str):
            return None
        unlisted = str.__new__(cls, value)
        unlisted._name_ = value
        unlisted._value_ = value
        return unlisted

    @property
    def is_known(self) -> bool:
        """Whether this value is one that SageMaker documents."""
        return any(self is member for member in type(self))


WAITING_STATUSES = frozenset(
    {
        SecondaryStatus.PENDING,
        SecondaryStatus.STARTING,
        SecondaryStatus.LAUNCHING_ML_INSTANCES,
        SecondaryStatus.PREPARING_TRAINING_STACK,
        SecondaryStatus.INTERRUPTED,
        SecondaryStatus.RESTARTING,
    }
)
"""Statuses in which a job has no instance yet, or has lost the one it had."""


class Outcome(StrEnum):
    """How a training job ended: exactly one of these."""

    COMPLETED = "Completed"
    MAX_WAIT_TIME_EXCEEDED = "MaxWaitTimeExceeded"
    MAX_RUNTIME_EXCEEDED = "MaxRuntimeExceeded"
    STOPPED = "Stopped"
    FAILED = "Failed"


_REASONS_OF_STOPPED = {
    SecondaryStatus.MAX_WAIT_TIME_EXCEEDED: Outcome.MAX_WAIT_TIME_EXCEEDED,
    SecondaryStatus.MAX_RUNTIME_EXCEEDED: Outcome.MAX_RUNTIME_EXCEEDED,
    SecondaryStatus.STOPPED: Outcome.STOPPED,
}


def outcome_of(description: Mapping[str, Any]) -> Outcome | None:
    """Tell how a training job ended, from its TrainingJobStatus and SecondaryStatus alone.

    SageMaker reports a job that passed MaxWaitTimeInSeconds or MaxRuntimeInSeconds as ``Stopped``, just as one
    that somebody stopped; only its SecondaryStatus tells them apart. Messages are never looked at: SageMaker
    says that their wording may change. A summary may leave SecondaryStatus out: of a ``Stopped`` job it does not tell then
    how it ended, and neither does this.

    :param description: a DescribeTrainingJob answer, a TrainingJobSummary, or the ``detail`` of a training
        job state change event.
    :return: the outcome, or None while the job has not ended, or nothing tells how it did.
    """
    match description.get("TrainingJobStatus"):
        case "Completed":
            return Outcome.COMPLETED
        case "Failed":
            return Outcome.FAILED
        case "Stopped":
            return _why_stopped(description)
        case _:
            return None


@dataclass(frozen=True, slots=True)
class Transition:
    """One entry of SecondaryStatusTransitions.

    :param status: the status that the job went into.
    :param start: when it did; timezone-aware. None if SageMaker did not say.
    :param end: when it left it. None while it is the current one.
    """

    status: SecondaryStatus
    start: datetime | None
    end: datetime | None

    @property
    def is_timed(self) -> bool:
        """Whether both its start and its end are known."""
        return self.start is not None and self.end is not None

    @property
    def seconds(self) -> float:
        """Seconds from start to end, never negative; 0 while either is not known."""
        if self.start is None or self.end is None:
            return 0.0
        return max(0.0, (self.end - self.start).total_seconds())


@dataclass(frozen=True)
class Timeline:
    """What a training job went through, oldest first.

    Built with :meth:`of`; entries that are listed twice or out of order are put right, and a missing end is taken
    from the start of the entry that follows.

    :param transitions: the transitions in order of their start.
    """

    transitions: tuple[Transition, ...] = ()

    @classmethod
    def of(cls, description: Mapping[str, Any]) -> Timeline:
        """Fold the SecondaryStatusTransitions of a description into a timeline.

        :param description: a DescribeTrainingJob answer or the ``detail`` of a state change event (whose times are
            epoch milliseconds). Missing or unreadable times and unknown statuses are carried, never refused;
            entries without a status are left out.
        """
        entries = description.get("SecondaryStatusTransitions")
        return cls.from_transitions(
            Transition(
                SecondaryStatus(str(entry["Status"])),
                instant(entry.get("StartTime")),
                instant(entry.get("EndTime")),
            )
            for entry in (entries if isinstance(entries, list | tuple) else ())
            if isinstance(entry, Mapping) and entry.get("Status")
        )

    @classmethod
    def from_transitions(cls, transitions: Iterable[Transition]) -> Timeline:
        """Put transitions in order, drop repeated ones, and close each with the start of the next."""
        entries = _in_order(_once_each(transitions))
        followers = [entry.start for entry in entries[1:]]
        return cls(
            tuple(
                Transition(entry.status, entry.start, entry.end or next_start)
                for entry, next_start in zip_longest(entries, followers)
            )
        )

    @property
    def current(self) -> SecondaryStatus | None:
        """The newest status, or None when nothing has been reported yet."""
        return self.transitions[-1].status if self.transitions else None

    @cached_property
    def interruptions(self) -> int:
        """How often the job went into ``Interrupted``."""
        return sum(entry.status is SecondaryStatus.INTERRUPTED for entry in self.transitions)

    @cached_property
    def seconds_by_status(self) -> dict[SecondaryStatus, float]:
        """Seconds spent in each status, summed over all visits, in order of the first visit."""
        seconds: dict[SecondaryStatus, float] = {}
        for entry in self.transitions:
            seconds[entry.status] = seconds.get(entry.status, 0.0) + entry.seconds
        return seconds

    @property
    def waiting_seconds(self) -> float:
        """Seconds without an instance: waiting for capacity, first and after each interruption."""
        return sum(
            seconds for status, seconds in self.seconds_by_status.items() if status in WAITING_STATUSES
        )


def instant(value: object) -> datetime | None:
    """Read a time: always aware, in UTC; None if unreadable.

    :param value: a time as SageMaker's API, its events or our own JSON write it: a datetime, epoch seconds, epoch milliseconds, or
        either as text, or ISO 8601.
    """
    try:
        match value:
            case datetime():
                return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
            case bool():
                return None
            case int() | float():
                # EventBridge gives epoch milliseconds, the API's JSON epoch seconds: no date from 1974 to 5138 is both.
                return datetime.fromtimestamp(value / 1000 if abs(value) >= 1e11 else value, tz=UTC)
            case str():
                return instant(_epoch(value) or datetime.fromisoformat(value))
            case _:
                return None
    except (ValueError, OverflowError, OSError):
        return None


def _epoch(text: str) -> float | None:
    """Epoch seconds or milliseconds in text; None for ISO 8601, whose 20260101 is a number too. From 1973 on, so are all epochs."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number >= 1e8 else None


def _why_stopped(description: Mapping[str, Any]) -> Outcome | None:
    if secondary_status := description.get("SecondaryStatus"):
        return _REASONS_OF_STOPPED.get(SecondaryStatus(str(secondary_status)), Outcome.STOPPED)
    went_through = {entry.status for entry in Timeline.of(description).transitions}
    return next((outcome for status, outcome in _REASONS_OF_STOPPED.items() if status in went_through), None)


def _once_each(transitions: Iterable[Transition]) -> Iterable[Transition]:
    """Drop repeated entries; of two, the one that tells its end stays. Without a start nothing shows a repetition."""
    entries: dict[object, Transition] = {}
    for place, entry in enumerate(transitions):
        key = place if entry.start is None else (entry.status, entry.start)
        if key not in entries or entries[key].end is None:
            entries[key] = entry
    return entries.values()


def _in_order(transitions: Iterable[Transition]) -> list[Transition]:
    """Sort by start; an entry without one stays right behind the entry that it was listed after."""
    keyed: list[tuple[datetime, Transition]] = []
    latest = datetime.min.replace(tzinfo=UTC)
    for entry in transitions:
        latest = entry.start or latest
        keyed.append((latest, entry))
    return [entry for _, entry in sorted(keyed, key=lambda pair: pair[0])]
