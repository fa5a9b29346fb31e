"""The capacity that one job holds, or waits for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from airflow_spot_provider.emulator.market.prices import DEFAULT_ZONE
from airflow_spot_provider.emulator.market.spot_market import Lease, SpotMarket
from airflow_spot_provider.emulator.spec import JobSpec


class Capacity:
    """What one job has of the market: a lease, or none.

    :param spec: the job.
    :param market: where it comes from.
    :param lock: the job's.
    :param lost: is called under it when the capacity is taken away.
    """

    def __init__(
        self,
        spec: JobSpec,
        market: SpotMarket,
        lock: AbstractContextManager[object],
        lost: Callable[[], object],
    ) -> None:
        self._spec = spec
        self._market = market
        self._lock = lock
        self._lost = lost
        self._lease: Lease | None = None

    @property
    def is_asked_for(self) -> bool:
        """Whether the job has it, or waits for it."""
        return self._lease is not None

    @property
    def is_missing(self) -> bool:
        """Whether the job waits for it."""
        return self._lease is not None and self._market.is_waited_for(self._lease)

    @property
    def zone(self) -> str:
        """The availability zone of what the job has."""
        if self._lease is None or not self._spec.spot:
            return DEFAULT_ZONE
        return self._lease.zone or DEFAULT_ZONE

    @property
    def error_after_seconds(self) -> float | None:
        """After how long a wait the job fails, if it does: on demand, where the market says so."""
        return None if self._spec.spot else self._market.capacity_error_after(self._spec.instance_type)

    def request(self, granted: Callable[[], object]) -> None:
        """Ask for it; what the job had before is not its own any more.

        :param granted: is called under the lock when it is there, unless the job has given it back by then.
        """

        def _of_this_lease(event: Callable[[], object]) -> Callable[[], None]:
            def _guarded() -> None:
                with self._lock:
                    if self._lease is lease:
                        event()

            return _guarded

        self.release()
        lease = Lease(
            self._spec.region,
            self._spec.instances,
            self._spec.spot,
            granted=_of_this_lease(granted),
            lost=_of_this_lease(self._lost),
        )
        self._lease = lease
        self._market.request(lease)

    def release(self) -> None:
        """Give it back, or wait for it no longer."""
        lease, self._lease = self._lease, None
        if lease is not None:
            self._market.release(lease)
