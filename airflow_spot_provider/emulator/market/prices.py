"""What spot capacity costs, as a share of the on-demand price, and what a job used of it."""

from __future__ import annotations

import math
import random
from datetime import datetime
from functools import lru_cache

_MIDDLE, _SWING, _WAVES = 0.3, 0.1, 4
DEFAULT_ZONE = "a"
"""The availability zone of a job whose lifecycle is planned, and takes no part in the market."""


@lru_cache(maxsize=4096)
def _waves(seed: int, instance_type: str, zone: str) -> tuple[tuple[float, float], ...]:
    """Frequency (radians an hour) and phase of the waves that one pool's price is made of."""
    chance = random.Random(f"{seed}/{instance_type}/{zone}")
    return tuple((chance.uniform(0.2, 5.0), chance.uniform(0, math.tau)) for _ in range(_WAVES))


class SpotPrices:
    """Spot prices that differ by instance type and zone and change over emulated time, the same for the same seed.

    :param seed: makes the prices repeatable.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def share(self, instance_type: str, at: datetime, zone: str = DEFAULT_ZONE) -> float:
        """Spot price over on-demand price at a moment: between 0.2 and 0.4."""
        hours = at.timestamp() / 3600
        waves = _waves(self._seed, instance_type, zone)
        return _MIDDLE + _SWING / _WAVES * sum(math.sin(hours * pace + phase) for pace, phase in waves)

    def billable_seconds(
        self, instance_type: str, start: datetime, end: datetime, zone: str = DEFAULT_ZONE
    ) -> float:
        """Seconds of on-demand price that spot capacity from ``start`` to ``end`` costs: the integral of the share."""
        first, last = start.timestamp() / 3600, end.timestamp() / 3600
        waves = _waves(self._seed, instance_type, zone)
        swing = sum(
            (math.cos(first * pace + phase) - math.cos(last * pace + phase)) / pace for pace, phase in waves
        )
        return ((last - first) * _MIDDLE + _SWING / _WAVES * swing) * 3600
