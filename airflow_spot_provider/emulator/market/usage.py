"""What a job used of its instances, and what of that is billed."""

from __future__ import annotations

from datetime import datetime

from airflow_spot_provider.emulator.market.prices import DEFAULT_ZONE, SpotPrices


class Usage:
    """What one job used of its instances.

    What is billed is told for one instance, as SageMaker does it.

    :param prices: the spot prices, or None on demand, where every second is billed.
    :param instance_type: such as ``ml.m5.large``.
    """

    def __init__(self, prices: SpotPrices | None, instance_type: str) -> None:
        self._prices = prices
        self._instance_type = instance_type
        self.zone = DEFAULT_ZONE
        self.since: datetime | None = None
        self.training_seconds = 0.0
        self.billable_seconds = 0.0

    @property
    def on_instance(self) -> bool:
        """Whether it is on an instance now."""
        return self.since is not None

    def begin(self, now: datetime, zone: str = DEFAULT_ZONE) -> None:
        """It is on instances of this zone from now on."""
        self.zone = zone
        self.since = now

    def end(self, now: datetime) -> None:
        """It is on no instance any more; nothing happens if it was on none."""
        if self.since is None:
            return
        seconds = (now - self.since).total_seconds()
        self.training_seconds += seconds
        self.billable_seconds += (
            self._prices.billable_seconds(self._instance_type, self.since, now, self.zone)
            if self._prices
            else seconds
        )
        self.since = None
