"""What spot capacity costs, as a share of the on-demand price."""

from __future__ import annotations

import math
import random
from datetime import datetime, timedelta

_STEP = timedelta(seconds=10)


class SpotPrices:
    """Spot prices that differ by instance type and change over emulated time, the same for the same seed.

    :param seed: makes the prices repeatable.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def share(self, instance_type: str, at: datetime) -> float:
        """Spot price over on-demand price at a moment: between 0.2 and 0.4."""
        waves = random.Random(f"{self._seed}/{instance_type}")
        hours = at.timestamp() / 3600
        total = sum(math.sin(hours * waves.uniform(0.2, 5.0) + waves.uniform(0, math.tau)) for _ in range(4))
        return 0.3 + 0.1 * total / 4

    def billable_seconds(self, instance_type: str, start: datetime, end: datetime) -> float:
        """Seconds of on-demand price that spot capacity from ``start`` to ``end`` costs."""
        billed, at = 0.0, start
        while at < end:
            step = min(_STEP, end - at)
            billed += step.total_seconds() * self.share(instance_type, at + step / 2)
            at += step
        return billed
