"""How long until a job is looked at again."""

from __future__ import annotations

QUICK, USUAL, SLOW = 0.5, 1.0, 1.5
"""Parts of the poll_interval. A look takes time of its own, so that a change is known within two intervals at any pace."""
SAFETY_NET = 10.0
"""The part of the poll_interval while events tell of changes."""
LONGEST_SAFETY_NET_SECONDS = 300.0
YOUNG = 4
"""Intervals after its creation for which a job is looked at quickly."""
QUIET = 20
"""Intervals without any change after which jobs are looked at slowly."""


def seconds_to_next_look(interval: float, *, age: float, quiet_for: float, events_arrive: bool) -> float:
    """Tell how long to wait.

    :param interval: ``poll_interval``, seconds.
    :param age: seconds since the job was created.
    :param quiet_for: seconds since any of the watched jobs changed.
    :param events_arrive: whether EventBridge tells of changes, so that looking is only the safety net.
    """
    if events_arrive:
        return min(SAFETY_NET * interval, max(LONGEST_SAFETY_NET_SECONDS, interval))
    if age < YOUNG * interval:
        return max(QUICK * interval, min(1.0, interval))
    return interval * (SLOW if quiet_for > QUIET * interval else USUAL)
