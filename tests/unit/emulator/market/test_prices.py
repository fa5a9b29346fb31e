"""What spot capacity costs, and what a job used of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_spot_provider.emulator.market.prices import SpotPrices
from airflow_spot_provider.emulator.market.usage import Usage

START = datetime(2026, 1, 1, tzinfo=UTC)
moments = st.integers(1_600_000_000, 2_200_000_000).map(lambda second: datetime.fromtimestamp(second, tz=UTC))


@given(seed=st.integers(), instance_type=st.text(max_size=20), at=moments)
def test_spot_costs_a_fifth_to_two_fifths_of_on_demand(seed: int, instance_type: str, at: datetime) -> None:
    assert 0.2 <= SpotPrices(seed).share(instance_type, at) <= 0.4


@given(seed=st.integers(0, 5), start=moments, seconds=st.integers(0, 20_000))
def test_billed_is_the_sum_of_the_price_over_time(seed: int, start: datetime, seconds: int) -> None:
    prices = SpotPrices(seed)
    end = start + timedelta(seconds=seconds)
    step = timedelta(seconds=max(seconds / 500, 0.01))
    billed, at = 0.0, start
    while at < end:
        width = min(step, end - at)
        billed += prices.share("ml.m5.large", at + width / 2) * width.total_seconds()
        at += width
    assert prices.billable_seconds("ml.m5.large", start, end) == pytest.approx(billed, rel=1e-3, abs=1e-3)


def test_prices_are_the_same_for_the_same_seed_and_others_for_another() -> None:
    def _prices(seed: int, instance_type: str) -> list[float]:
        prices = SpotPrices(seed)
        return [prices.share(instance_type, START + timedelta(hours=hour)) for hour in range(24)]

    assert _prices(1, "ml.m5.large") == _prices(1, "ml.m5.large")
    assert _prices(1, "ml.m5.large") != _prices(2, "ml.m5.large")
    assert _prices(1, "ml.m5.large") != _prices(1, "ml.g5.xlarge")
    assert len(set(_prices(1, "ml.m5.large"))) == 24


def test_only_time_on_an_instance_is_used() -> None:
    usage = Usage(None, "ml.m5.large")
    usage.end(START)
    usage.begin(START)
    assert usage.on_instance
    usage.end(START + timedelta(seconds=40))
    usage.end(START + timedelta(seconds=90))
    usage.begin(START + timedelta(seconds=100))
    usage.end(START + timedelta(seconds=102))
    assert (usage.training_seconds, usage.billable_seconds) == (42, 42)
