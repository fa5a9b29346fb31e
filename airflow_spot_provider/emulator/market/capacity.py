"""Where spot capacity comes from: series of changes over emulated time, the same for the same seed."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Changes = Iterator[tuple[float, int]]
"""Seconds since the start, in ascending order, and how many instances there are from then on. The first is at 0."""

LONGEST_OUTAGE_SECONDS = 98 * 3600.0
"""The longest outage of the public EC2 traces."""


def constant(capacity: int) -> Changes:
    """The same capacity for ever."""
    yield 0.0, capacity


def scripted(steps: Sequence[tuple[float, int]]) -> Changes:
    """Capacity as it is written down; none before the first step."""
    if not steps or steps[0][0] > 0:
        yield 0.0, 0
    yield from steps


def on_and_off(
    chance: random.Random, *, interruptions_per_hour: float, mean_outage_seconds: float, capacity: int
) -> Changes:
    """Capacity that goes and comes back after exponentially distributed times.

    :param chance: the source of the times.
    :param interruptions_per_hour: of available time, more than 0.
    :param mean_outage_seconds: how long it is away on average, more than 0.
    :param capacity: how many instances there are when it is there.
    """
    seconds = 0.0
    while True:
        yield seconds, capacity
        seconds += chance.expovariate(interruptions_per_hour / 3600)
        yield seconds, 0
        seconds += chance.expovariate(1 / mean_outage_seconds)


@dataclass(frozen=True)
class HeavyTail:
    """A log-normal distribution, told by what people measure of it.

    :param median_hours: half of all are shorter.
    :param mean_hours: the average, more than the median.
    """

    median_hours: float
    mean_hours: float

    def seconds(self, chance: random.Random) -> float:
        """Draw one, in seconds."""
        sigma = math.sqrt(2 * math.log(self.mean_hours / self.median_hours))
        return chance.lognormvariate(math.log(self.median_hours), sigma) * 3600


@dataclass(frozen=True)
class Preset:
    """Capacity whose life and outage times are like those of a measured zone.

    :param life: how long capacity stays.
    :param outage: how long it stays away.
    """

    life: HeavyTail
    outage: HeavyTail

    def changes(self, chance: random.Random, capacity: int) -> Changes:
        """Capacity that goes and comes back, and is away for 98 hours at most."""
        seconds = 0.0
        while True:
            yield seconds, capacity
            seconds += self.life.seconds(chance)
            yield seconds, 0
            seconds += min(self.outage.seconds(chance), LONGEST_OUTAGE_SECONDS)


# Medians and means as in public EC2 availability traces of accelerated instances; of SageMaker's own capacity none is known.
PRESETS = {
    "steady": Preset(HeavyTail(1.2, 9.7), HeavyTail(0.4, 0.8)),
    "plentiful": Preset(HeavyTail(0.9, 6.0), HeavyTail(0.4, 1.3)),
    "contended": Preset(HeavyTail(0.5, 1.7), HeavyTail(0.7, 2.5)),
    "scarce": Preset(HeavyTail(0.3, 0.7), HeavyTail(0.5, 3.5)),
}
"""From 0.1 interruptions in an available hour (steady) to 1.4 (scarce)."""


def replayed(data: Sequence[int], *, gap_seconds: float, start_seconds: float = 0.0) -> Changes:
    """A trace of instances available at each tick, from a place in it on; it begins again at its end.

    :param data: instances at each tick, one at least.
    :param gap_seconds: seconds between two ticks, more than 0.
    :param start_seconds: the place in it at which the emulated time begins.
    """
    tick, place = 0, int(start_seconds / gap_seconds) % len(data)
    last: int | None = None
    changeless = 0
    while changeless <= len(data):
        capacity = data[place]
        if capacity != last:
            yield tick * gap_seconds, capacity
            changeless = 0
        last, changeless = capacity, changeless + 1
        tick, place = tick + 1, (place + 1) % len(data)
