"""Capacity that jobs compete for: pools by instance type and availability zone, and who holds what."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from airflow_spot_provider.emulator.clock import Clock
from airflow_spot_provider.emulator.market.capacity import Changes, constant
from airflow_spot_provider.emulator.market.prices import SpotPrices
from airflow_spot_provider.emulator.market.settings import MarketSettings

ON_DEMAND = "on-demand"
"""In the place of a zone: on-demand capacity is not told apart by zones."""
_HISTORY = 500


@dataclass(eq=False)
class Lease:
    """Instances that a job has, or waits for.

    :param region: where.
    :param needs: instances by type; all or none, in one zone.
    :param spot: whether they can be taken away.
    :param granted: is called when they are there.
    :param lost: is called when they are taken away.
    """

    region: str
    needs: Mapping[str, int]
    spot: bool
    granted: Callable[[], object]
    lost: Callable[[], object]
    zone: str | None = None
    released: bool = False


@dataclass(eq=False)
class Pool:
    """The capacity of one instance type in one zone.

    :param changes: its capacity over time.
    :param chance: chooses who is interrupted.
    """

    changes: Changes
    chance: random.Random
    capacity: int = 0
    held_at: int | None = None
    holders: dict[Lease, int] = field(default_factory=dict)
    history: list[tuple[datetime, int]] = field(default_factory=list)

    @property
    def used(self) -> int:
        """Instances that jobs have."""
        return sum(self.holders.values())


class SpotMarket:
    """The capacity of one server. All that it tells a job comes as an event of the clock.

    :param settings: where capacity comes from.
    :param prices: of the zones; the cheapest that has room is taken.
    :param clock: the emulated time; the capacity's begins where it stands.
    :param seed: makes it repeatable.
    """

    def __init__(
        self, settings: MarketSettings, prices: SpotPrices, clock: Clock, seed: int, start: datetime
    ) -> None:
        self._settings = settings
        self._prices = prices
        self._clock = clock
        self._seed = seed
        self._start = start
        self._pools: dict[tuple[str, str, str], Pool] = {}
        self._waiting: list[Lease] = []
        self._lock = threading.RLock()

    def request(self, lease: Lease) -> None:
        """Have a lease granted as soon as there is room; the oldest that fits comes first."""
        with self._lock:
            self._waiting.append(lease)
            self._serve()

    def release(self, lease: Lease) -> None:
        """Give a lease back, or wait for it no longer."""
        with self._lock:
            lease.released = True
            if lease in self._waiting:
                self._waiting.remove(lease)
            if self._take(lease):
                self._serve()

    def hold(self, instance_type: str, zone: str, region: str, capacity: int | None) -> None:
        """Hold a pool at a capacity, whatever its source says, or let it go its own way again.

        :param zone: a zone's letter, or ``on-demand``.
        :param capacity: instances; None lets go.
        """
        with self._lock:
            pool = self._pool(region, instance_type, zone)
            pool.held_at = capacity
            self._apply(pool)

    def capacity_error_after(self, instance_type: str) -> float | None:
        """After how many seconds without on-demand capacity a job fails, if it does."""
        settings = self._settings.on_demand_of(instance_type)
        return None if settings is None else settings.capacity_error_after_seconds

    def is_waited_for(self, lease: Lease) -> bool:
        """Whether a lease has to wait for capacity."""
        with self._lock:
            return lease in self._waiting

    def told(self) -> list[dict[str, Any]]:
        """Every pool that a job has asked for, with its prices and its latest changes."""
        now = self._clock.now()
        with self._lock:
            return [
                {
                    "region": region,
                    "instance_type": instance_type,
                    "zone": zone,
                    "capacity": _capacity_of(pool),
                    "used": pool.used,
                    "held": pool.held_at is not None,
                    "price_share": 1.0
                    if zone == ON_DEMAND
                    else round(self._prices.share(instance_type, now, zone), 4),
                    "history": [[at.isoformat(), capacity] for at, capacity in pool.history],
                }
                for (region, instance_type, zone), pool in sorted(self._pools.items())
            ]

    def _serve(self) -> None:
        """Grant whatever there is room for."""
        in_vain: set[tuple[Any, ...]] = set()
        for lease in list(self._waiting):
            # Where one finds no room, those that want the same find none either: there may be thousands of them.
            wanted = (lease.region, lease.spot, *sorted(lease.needs.items()))
            zone = None if wanted in in_vain else self._zone_for(lease)
            if zone is None:
                in_vain.add(wanted)
                continue
            self._waiting.remove(lease)
            lease.zone = zone
            for instance_type, count in lease.needs.items():
                self._pool(lease.region, instance_type, zone).holders[lease] = count
            self._clock.call_later(0, lease.granted)

    def _zone_for(self, lease: Lease) -> str | None:
        """The cheapest zone with room for all of a lease."""
        zones = self._settings.zones if lease.spot else [ON_DEMAND]
        fitting = [
            zone
            for zone in zones
            if all(
                _capacity_of(pool) - pool.used >= count
                for instance_type, count in lease.needs.items()
                for pool in [self._pool(lease.region, instance_type, zone)]
            )
        ]
        now = self._clock.now()
        return min(
            fitting,
            key=lambda zone: (
                sum(self._prices.share(kind, now, zone) * n for kind, n in lease.needs.items()),
                zone,
            ),
            default=None,
        )

    def _pool(self, region: str, instance_type: str, zone: str) -> Pool:
        """A pool, with the capacity that it has by now."""
        key = (region, instance_type, zone)
        if key not in self._pools:
            name = f"{self._seed}/{region}/{instance_type}/{zone}"
            # Two sources of chance: who is interrupted must not change when capacity goes.
            changes = self._changes(instance_type, zone, random.Random(name))
            pool = self._pools[key] = Pool(changes, random.Random(f"{name}/interrupted"))
            self._advance(pool)
        return self._pools[key]

    def _changes(self, instance_type: str, zone: str, chance: random.Random) -> Changes:
        if zone != ON_DEMAND:
            return self._settings.source(instance_type, zone).changes(chance)
        settings = self._settings.on_demand_of(instance_type)
        return constant(1_000_000 if settings is None else settings.capacity)

    def _advance(self, pool: Pool) -> None:
        """Bring a pool to the present, and come back at its next change."""
        now = self._clock.now()
        for seconds, capacity in pool.changes:
            when = self._start + timedelta(seconds=seconds)
            if when > now:
                self._clock.call_at(when, partial(self._change, pool, capacity))
                return
            pool.capacity = capacity
            self._note(pool, when)

    def _change(self, pool: Pool, capacity: int) -> None:
        with self._lock:
            pool.capacity = capacity
            self._note(pool, self._clock.now())
            self._apply(pool)
            self._advance(pool)

    def _note(self, pool: Pool, when: datetime) -> None:
        pool.history.append((when, pool.capacity))
        del pool.history[:-_HISTORY]

    def _apply(self, pool: Pool) -> None:
        """Take away what there is no room for any more, or give what there is room for now."""
        while pool.used > _capacity_of(pool):
            lease = pool.chance.choice(list(pool.holders))
            self._take(lease)
            self._clock.call_later(0, lease.lost)
        self._serve()

    def _take(self, lease: Lease) -> bool:
        """Put a lease's instances back into their pools; False if it has none."""
        if lease.zone is None:
            return False
        held = [
            self._pool(lease.region, instance_type, lease.zone).holders.pop(lease, None)
            for instance_type in lease.needs
        ]
        return any(held)


def _capacity_of(pool: Pool) -> int:
    return pool.capacity if pool.held_at is None else pool.held_at
