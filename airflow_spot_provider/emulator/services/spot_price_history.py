"""EC2's DescribeSpotPriceHistory, from the prices of the emulator's spot market.

Source: `DescribeSpotPriceHistory <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotPriceHistory.html>`_.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult

from airflow_spot_provider.emulator.clock import Clock
from airflow_spot_provider.emulator.market.prices import SpotPrices
from airflow_spot_provider.emulator.services.catalog import Catalog

_PRODUCTS = ("Linux/UNIX", "Linux/UNIX (Amazon VPC)")
"""EC2 takes both names for what training runs on, and answers with the one that was asked for."""
_STEP = timedelta(hours=1)
_LONGEST = timedelta(days=90)
_LARGEST_PAGE = 1000
_MOST_LOOKED_AT = 100_000
"""Prices that a page is chosen from; one with fewer than were asked for goes on with its token, as AWS's do."""


@dataclass(frozen=True)
class _Pool:
    """An instance type in one zone, as a product."""

    instance_type: str
    zone: str
    zone_id: str
    product: str


class SpotPriceHistory:
    """The prices of spot capacity: those of the market, with a change every hour.

    :param prices: spot prices over on-demand prices.
    :param catalog: on-demand prices.
    :param clock: the emulated time.
    :param zones: letters of the availability zones.
    """

    def __init__(self, prices: SpotPrices, catalog: Catalog, clock: Clock, zones: Sequence[str]) -> None:
        self._prices = prices
        self._catalog = catalog
        self._clock = clock
        self._zones = zones

    def knows(self, instance_type: str) -> bool:
        """Whether it has prices of an EC2 instance type."""
        return f"ml.{instance_type}" in self._catalog.instance_types

    def page(self, region: str, sent: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
        """One page of the history, the newest first, and the token of the next.

        :param region: whose it is.
        :param sent: the request's parameters.
        :raises ServiceException: one of them is not taken.
        """
        now = self._clock.now()
        end, start_at = _place(sent.get("NextToken")) or (min(_time(sent, "EndTime", now), now), 0)
        size = sent.get("MaxResults") or _LARGEST_PAGE
        if not 1 <= size <= _LARGEST_PAGE:
            raise _refused("InvalidParameterValue", f"MaxResults is {size}; it takes 1 to {_LARGEST_PAGE}")
        start = max(_time(sent, "StartTime", now - _LONGEST), now - _LONGEST)
        if start > end:
            raise _refused("InvalidParameterValue", "StartTime is after EndTime")
        of_pools, of_prices = _tests_of(sent)
        pools = [pool for pool in self._pools(region, sent) if of_pools(pool)]
        if not pools:
            return [], None
        # Whole hours are skipped by arithmetic; only what a page shows, or a filter turns away, is reckoned.
        entries = self._entries(region, pools, end, start, skip=start_at)
        page: list[dict[str, Any]] = []
        for place, entry in islice(entries, _MOST_LOOKED_AT):
            if of_prices(entry):
                page.append(entry)
            if len(page) == size:
                return page, None if next(entries, None) is None else _token(end, place + 1)
        more = next(entries, None)
        return page, None if more is None else _token(end, more[0])

    def _entries(
        self, region: str, pools: Sequence[_Pool], end: datetime, start: datetime, skip: int
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """The prices from the last change before ``end`` to the last one before ``start``, which still held then."""
        change = end.replace(minute=0, second=0, microsecond=0) - skip // len(pools) * _STEP
        place, first = skip, skip % len(pools)
        while True:
            for pool in pools[first:]:
                yield place, self._entry(region, pool, change)
                place += 1
            first = 0
            if change <= start:
                return
            change -= _STEP

    def _entry(self, region: str, pool: _Pool, at: datetime) -> dict[str, Any]:
        name = f"ml.{pool.instance_type}"
        on_demand = self._catalog.usd_per_hour(name, region)
        assert on_demand is not None
        return {
            "InstanceType": pool.instance_type,
            "ProductDescription": pool.product,
            "SpotPrice": f"{on_demand * self._prices.share(name, at, pool.zone[-1]):.6f}",
            "AvailabilityZone": pool.zone,
            "AvailabilityZoneId": pool.zone_id,
            "Timestamp": at,
        }

    def _pools(self, region: str, sent: Mapping[str, Any]) -> Iterator[_Pool]:
        from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend

        if region not in self._catalog.regions:
            return
        products = sent.get("ProductDescriptions") or _filter(sent, "product-description") or _PRODUCTS[:1]
        fitting = [product for product in _PRODUCTS if _is_any(product, products)]
        ids = {zone.name: zone.zone_id for zone in RegionsAndZonesBackend.zones.get(region, [])}
        types = sent.get("InstanceTypes") or ()
        for name in self._catalog.instance_types:
            instance_type = name.removeprefix("ml.")
            if types and instance_type not in types:
                continue
            for letter in self._zones:
                zone = f"{region}{letter}"
                zone_id = ids.get(zone, "")
                if sent.get("AvailabilityZone") not in (None, zone):
                    continue
                if sent.get("AvailabilityZoneId") not in (None, zone_id):
                    continue
                for product in fitting:
                    yield _Pool(instance_type, zone, zone_id, product)


def install_spot_price_history(
    prices: SpotPrices, catalog: Catalog, clock: Clock, zones: Sequence[str] = ("a", "b", "c")
) -> None:
    """Let moto's EC2 answer with the prices of the market; of instance types without any here, it answers as ever.

    This loads moto's EC2, which takes a second: leave it until EC2 is first called.

    :param prices: spot prices over on-demand prices.
    :param catalog: on-demand prices.
    :param clock: the emulated time.
    :param zones: letters of the availability zones.
    """
    from moto.ec2.responses.spot_instances import SpotInstances

    history = SpotPriceHistory(prices, catalog, clock, zones)
    of_moto = _original(SpotInstances.describe_spot_price_history)

    def describe_spot_price_history(self: SpotInstances) -> ActionResult:
        self.error_on_dryrun()
        sent = self._get_params()
        entries, token = history.page(self.region, sent)
        wanted = sent.get("InstanceTypes") or _filter(sent, "instance-type") or ()
        answer: dict[str, Any] = {"SpotPriceHistory": entries, "NextToken": token or ""}
        if wanted and not any(history.knows(instance_type) for instance_type in wanted):
            answer["SpotPriceHistory"] = of_moto(self).result["SpotPriceHistory"]
        return ActionResult(answer)

    describe_spot_price_history.of_moto = of_moto  # type: ignore[attr-defined]  # for the next server of this process
    SpotInstances.describe_spot_price_history = describe_spot_price_history  # type: ignore[method-assign]  # what it is for


def _original(method: Callable[..., Any]) -> Callable[..., Any]:
    original: Callable[..., Any] = getattr(method, "of_moto", method)
    return original


_POOL_FILTERS: Mapping[str, Callable[[_Pool], str]] = {
    "availability-zone": lambda pool: pool.zone,
    "availability-zone-id": lambda pool: pool.zone_id,
    "instance-type": lambda pool: pool.instance_type,
    "product-description": lambda pool: pool.product,
}
_PRICE_FILTERS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "spot-price": lambda entry: str(entry["SpotPrice"]),
    "timestamp": lambda entry: entry["Timestamp"].strftime("%Y-%m-%dT%H:%M:%S.000Z"),
}


def _tests_of(
    sent: Mapping[str, Any],
) -> tuple[Callable[[_Pool], bool], Callable[[Mapping[str, Any]], bool]]:
    """What the filters ask of pools and of prices: any value of each, in which * and ? stand for other characters."""
    names = {str(entry.get("Name")) for entry in sent.get("Filters") or ()}
    for name in sorted(names - {*_POOL_FILTERS, *_PRICE_FILTERS}):
        raise _refused("InvalidParameterValue", f"The filter '{name}' is invalid")
    values = {name: _filter(sent, name) for name in names}

    def _of_pools(pool: _Pool) -> bool:
        return all(
            _is_any(read(pool), values[name]) for name, read in _POOL_FILTERS.items() if name in values
        )

    def _of_prices(entry: Mapping[str, Any]) -> bool:
        return all(
            _is_any(read(entry), values[name]) for name, read in _PRICE_FILTERS.items() if name in values
        )

    return _of_pools, _of_prices


def _is_any(value: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(value, pattern) for pattern in patterns)


def _filter(sent: Mapping[str, Any], name: str) -> list[str]:
    return [
        value
        for entry in sent.get("Filters") or ()
        if entry.get("Name") == name
        for value in entry.get("Values") or ()
    ]


def _time(sent: Mapping[str, Any], member: str, otherwise: datetime) -> datetime:
    time: datetime | None = sent.get(member)
    if time is None:
        return otherwise
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _token(end: datetime, place: int) -> str:
    return base64.b64encode(json.dumps([end.timestamp(), place]).encode()).decode()


def _place(token: str | None) -> tuple[datetime, int] | None:
    if not token:
        return None
    try:
        end, place = json.loads(base64.b64decode(token, validate=True))
        return datetime.fromtimestamp(end, UTC), max(0, int(place))
    except (ValueError, TypeError, OverflowError):
        raise _refused("InvalidPaginationToken", f"The token is not valid: {token}") from None


def _refused(code: str, message: str) -> ServiceException:
    from moto.ec2.exceptions import EC2ClientError  # moto tells by the class which service's error it is

    return EC2ClientError(code, message)
