"""What spot capacity costs, as a share of the on-demand price, and what a job used of it."""

from __future__ import annotations

import math
import random
from datetime import datetime
from functools import lru_cache

_MIDDLE, _SWING, _WAVES = 0.3, 0.1, 4


@lru_cache(maxsize=1024)
def _waves(seed: int, instance_type: str) -> tuple[tuple[float, float], ...]:
    """Frequency (radians an hour) and phase of the waves that one instance type's price is made of."""
    chance = random.Random(f"{seed}/{instance_type}")
    return tuple((chance.uniform(0.2, 5.0), chance.uniform(0, math.tau)) for _ in range(_WAVES))


class SpotPrices:
    """Spot prices that differ by instance type and change over emulated time, the same for the same seed.

    :param seed: makes the prices repeatable.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def share(self, instance_type: str, at: datetime) -> float:
        """Spot price over on-demand price at a moment: between 0.2 and 0.4."""
        hours = at.timestamp() / 3600
        waves = _waves(self._seed, instance_type)
        return _MIDDLE + _SWING / _WAVES * sum(math.sin(hours * pace + phase) for pace, phase in waves)

    def billable_seconds(self, instance_type: str, start: datetime, end: datetime) -> float:
        """Seconds of on-demand price that spot capacity from ``start`` to ``end`` costs: the integral of the share."""
        first, last = start.timestamp() / 3600, end.timestamp() / 3600
        waves = _waves(self._seed, instance_type)
        swing = sum(
            (math.cos(first * pace + phase) - math.cos(last * pace + phase)) / pace for pace, phase in waves
        )
        return ((last - first) * _MIDDLE + _SWING / _WAVES * swing) * 3600


class Usage:
    """What one job used of its instances.

    :param prices: the spot prices, or None on demand, where every second is billed.
    :param instance_type: such as ``ml.m5.large``.
    """

    def __init__(self, prices: SpotPrices | None, instance_type: str) -> None:
        self._prices = prices
        self._instance_type = instance_type
        self._since: datetime | None = None
        self.training_seconds = 0.0
        self.billable_seconds = 0.0

    @property
    def on_instance(self) -> bool:
        """Whether it is on an instance now."""
        return self._since is not None

    def begin(self, now: datetime) -> None:
        """It is on an instance from now on."""
        self._since = now

    def end(self, now: datetime) -> None:
        """It is on no instance any more; nothing happens if it was on none."""
        if self._since is None:
            return
        seconds = (now - self._since).total_seconds()
        self.training_seconds += seconds
        self.billable_seconds += (
            self._prices.billable_seconds(self._instance_type, self._since, now) if self._prices else seconds
        )
        self._since = None
