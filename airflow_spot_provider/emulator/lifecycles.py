"""The documented lifecycles as exact plans.

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
    """

    name: str
    stays: tuple[Stay, ...]


_ALL = (
    Lifecycle("uninterrupted", (Stay(End.DONE),)),
    Lifecycle("interrupted-once", (Stay(End.INTERRUPTED), Stay(End.DONE))),
    Lifecycle(
        "interrupted-twice-then-max-wait",
        (Stay(End.INTERRUPTED), Stay(End.INTERRUPTED), Stay(End.MAX_WAIT, starting=False)),
    ),
    Lifecycle("never-launched", ()),
    Lifecycle("failed", (Stay(End.FAILED),)),
)
LIFECYCLES = {lifecycle.name: lifecycle for lifecycle in _ALL}
DEFAULT_LIFECYCLE = "uninterrupted"


def lifecycle_named(name: str) -> Lifecycle:
    """The lifecycle of this name.

    :raises ValueError: there is none; the message names those that there are.
    """
    try:
        return LIFECYCLES[name]
    except (KeyError, TypeError):
        raise ValueError(f"There is no lifecycle {name!r}; choose one of {', '.join(LIFECYCLES)}.") from None


def for_job(lifecycle: Lifecycle, *, managed_spot: bool) -> Lifecycle:
    """The same lifecycle for a job on demand: never interrupted, never kept waiting for spot capacity."""
    if managed_spot or (lifecycle.stays and lifecycle.stays[0].end is End.FAILED):
        return lifecycle
    return LIFECYCLES[DEFAULT_LIFECYCLE]
