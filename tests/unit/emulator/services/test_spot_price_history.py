"""What spot capacity has cost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from moto.core.exceptions import ServiceException

from airflow_spot_provider.emulator.clock import SteppedClock
from airflow_spot_provider.emulator.market.prices import SpotPrices
from airflow_spot_provider.emulator.services.catalog import default_catalog
from airflow_spot_provider.emulator.services.spot_price_history import SpotPriceHistory

PRICES = SpotPrices(7)


@pytest.fixture
def page(clock: SteppedClock) -> Callable[..., Any]:
    history = SpotPriceHistory(PRICES, default_catalog(), clock, ("a", "b", "c"))

    def _page(region: str = "us-east-1", **sent: Any) -> Any:
        return history.page(region, sent)

    return _page


def _all(page: Callable[..., Any], **sent: Any) -> list[dict[str, Any]]:
    entries, token = page(**sent)
    while token:
        more, token = page(**sent, NextToken=token)
        entries += more
    return entries


def _filter(name: str, *values: str) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": list(values)}]


def test_present_price_is_that_of_the_market_in_each_zone(page: Any, clock: SteppedClock) -> None:
    now = clock.now()
    entries, token = page(InstanceTypes=["m5.xlarge"], StartTime=now, EndTime=now)
    assert token is None
    assert [entry["AvailabilityZone"][-1] for entry in entries] == ["a", "b", "c"]
    assert len({entry["SpotPrice"] for entry in entries}) == 3
    for entry in entries:
        share = PRICES.share("ml.m5.xlarge", entry["Timestamp"], entry["AvailabilityZone"][-1])
        assert float(entry["SpotPrice"]) == pytest.approx(0.23 * share, abs=1e-6)
        assert entry["AvailabilityZoneId"].startswith("use1-az")


def test_history_has_a_price_every_hour_and_the_one_that_held_at_its_start(
    page: Any, clock: SteppedClock
) -> None:
    clock.advance(timedelta(minutes=30))
    now = clock.now()
    entries, _ = page(
        InstanceTypes=["m5.xlarge"],
        AvailabilityZone="us-east-1b",
        StartTime=now - timedelta(hours=3),
        EndTime=now,
    )
    hours = [entry["Timestamp"] for entry in entries]
    assert hours == [datetime(2026, 3, 1, hour, tzinfo=now.tzinfo) for hour in (12, 11, 10, 9)]


def test_pages_hold_every_price_once_although_time_passes(page: Any, clock: SteppedClock) -> None:
    sent = {"InstanceTypes": ["m5.xlarge", "c5.xlarge"], "StartTime": clock.now() - timedelta(hours=5)}
    whole = _all(page, **sent)
    entries, token = page(**sent, MaxResults=7)
    while token:
        clock.advance(timedelta(hours=2))
        more, token = page(**sent, MaxResults=7, NextToken=token)
        entries += more
    assert entries == whole
    assert len(whole) == 2 * 3 * 6


def test_without_times_the_history_goes_back_ninety_days(page: Any, clock: SteppedClock) -> None:
    entries = _all(page, InstanceTypes=["m5.xlarge"], AvailabilityZone="us-east-1a")
    assert len(entries) == 90 * 24 + 1
    assert entries[-1]["Timestamp"] == clock.now() - timedelta(days=90)


@pytest.mark.parametrize(
    ("sent", "count"),
    [
        ({"Filters": _filter("instance-type", "p3.*")}, 9),
        ({"Filters": _filter("availability-zone", "us-east-1a"), "InstanceTypes": ["m5.large"]}, 1),
        ({"Filters": _filter("availability-zone-id", "use1-az6"), "InstanceTypes": ["m5.large"]}, 1),
        ({"AvailabilityZoneId": "use1-az6", "InstanceTypes": ["m5.large"]}, 1),
        ({"Filters": _filter("spot-price", "0.0*"), "InstanceTypes": ["m5.large", "p3.2xlarge"]}, 3),
        ({"Filters": _filter("timestamp", "2026-03-01T12*"), "InstanceTypes": ["m5.large"]}, 3),
        ({"Filters": _filter("product-description", "Linux/UNIX"), "InstanceTypes": ["m5.large"]}, 3),
        ({"ProductDescriptions": ["Linux/UNIX (Amazon VPC)"], "InstanceTypes": ["m5.large"]}, 3),
        ({"ProductDescriptions": ["Windows"], "InstanceTypes": ["m5.large"]}, 0),
        ({"InstanceTypes": ["x9.large"]}, 0),
        ({"region": "mars-1"}, 0),
    ],
)
def test_filters_choose_what_is_told(
    page: Any, clock: SteppedClock, sent: dict[str, Any], count: int
) -> None:
    assert len(_all(page, StartTime=clock.now(), **sent)) == count


def test_all_instance_types_of_the_catalog_have_prices(page: Any, clock: SteppedClock) -> None:
    entries = _all(page, StartTime=clock.now(), AvailabilityZone="us-east-1a")
    assert {f"ml.{entry['InstanceType']}" for entry in entries} == default_catalog().instance_types.keys()


@pytest.mark.parametrize(
    "sent",
    [
        {"MaxResults": 1001},
        {"MaxResults": -1},
        {"NextToken": "x"},
        {"NextToken": "e30="},
        {"Filters": _filter("colour", "blue")},
        {"StartTime": datetime.fromisoformat("2027-01-01T00:00:00+00:00")},
    ],
)
def test_request_that_makes_no_sense_is_refused(page: Any, sent: dict[str, Any]) -> None:
    with pytest.raises(ServiceException):
        page(**sent)
