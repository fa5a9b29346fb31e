"""The documented lifecycles as exact plans, and those that the spot market makes.

Source: `Managed Spot Training lifecycle
<https://docs.aws.amazon.com/sagemaker/latest/dg/model-managed-spot-training.html>`_.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class End(Enum):
    """What ends a stay on an instance."""

    DONE = "done"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    MAX_WAIT = "max wait"


@dataclass(frozen=True, slots=True)
class Stay:
    """One stay of a job on an instance.

    :param end: what ends it.
    :param starting: whether the job goes through Starting before it. The guide lists none after a second interruption.
    """

    end: End
    starting: bool = True


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """What a job goes through.

    :param name: its name.
    :param stays: its stays on instances; without one it is never launched.
    :param on_market: whether it competes for the capacity of the spot market.
    """

    name: str
    stays: tuple[Stay, ...]
    on_market: bool = False


_ALL = (
    Lifecycle("uninterrupted", (Stay(End.DONE),)),
    Lifecycle("interrupted-once", (Stay(End.INTERRUPTED), Stay(End.DONE))),
    Lifecycle(
        "interrupted-twice-then-max-wait",
        (Stay(End.INTERRUPTED), Stay(End.INTERRUPTED), Stay(End.MAX_WAIT, starting=False)),
    ),
    Lifecycle("never-launched", ()),
    Lifecycle("failed", (Stay(End.FAILED),)),
    Lifecycle("random", (Stay(End.DONE),), on_market=True),
    Lifecycle("trace", (Stay(End.DONE),), on_market=True),
    Lifecycle("market", (Stay(End.DONE),), on_market=True),
)
LIFECYCLES = {lifecycle.name: lifecycle for lifecycle in _ALL}
DEFAULT_LIFECYCLE = "uninterrupted"


def lifecycle_named(name: object) -> Lifecycle:
    """The lifecycle of this name.

    :raises ValueError: there is none; the message names those that there are.
    """
    if not isinstance(name, str) or name not in LIFECYCLES:
        raise ValueError(f"There is no lifecycle {name!r}; choose one of {', '.join(LIFECYCLES)}.")
    return LIFECYCLES[name]


def for_job(lifecycle: Lifecycle, *, managed_spot: bool) -> Lifecycle:
    """The same lifecycle for a job on demand: never interrupted, never kept waiting for spot capacity."""
    if managed_spot or (lifecycle.stays and lifecycle.stays[0].end is End.FAILED):
        return lifecycle
    return LIFECYCLES[DEFAULT_LIFECYCLE]


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the parts of a job take that are nobody's work, in emulated seconds.

    :param starting: until an instance is there.
    :param downloading: at least; longer if the inputs take longer.
    :param uploading: after the upload itself.
    :param stopping: of a job that is on no instance.
    :param outage: without spot capacity after an interruption.
    :param interruption: from the start of Training to a planned interruption, where no checkpoint sets its moment.
    """

    starting: float = 15.0
    downloading: float = 5.0
    uploading: float = 3.0
    stopping: float = 2.0
    outage: float = 45.0
    interruption: float = 30.0


def timing_of(lifecycle: Lifecycle, *, training_seconds: float, max_wait: float | None) -> Timing:
    """The timing with which a plan fits into MaxWait: interruptions come sooner, and outages are shorter, where it is short.

    :param lifecycle: the plan.
    :param training_seconds: how long the job trains in all.
    :param max_wait: MaxWaitTimeInSeconds, or None on demand.
    """
    interruptions = sum(stay.end is End.INTERRUPTED for stay in lifecycle.stays)
    if max_wait is None or not interruptions:
        return Timing(interruption=training_seconds / 2)
    usual = Timing()
    interruption = min(training_seconds / 2, max_wait / 8)
    idle = sum(usual.starting * stay.starting + usual.downloading + usual.outage for stay in lifecycle.stays)
    trained = max(training_seconds, 2 * interruption)
    pace = min(1.0, max(0.02, (max_wait - trained) / 2 / idle))
    return Timing(
        starting=usual.starting * pace,
        downloading=usual.downloading * pace,
        uploading=usual.uploading * pace,
        outage=usual.outage * pace,
        interruption=interruption,
    )
