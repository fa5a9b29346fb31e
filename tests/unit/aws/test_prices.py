"""Prices from the AWS Price List: asked once a week, kept on disk, and nobody's trouble when they cannot be had."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from airflow_spot_provider.aws.prices import FRESH, REFUSED, Prices, endpoint_region_of
from airflow_spot_provider.training import Price


def _product(*offers: tuple[str, str, dict[str, str]]) -> str:
    """A product as GetProducts tells it: unit, name of the terms, price per unit."""
    terms: dict[str, Any] = {}
    for number, (unit, kind, price) in enumerate(offers):
        dimensions = {f"r{number}": {"unit": unit, "pricePerUnit": price}}
        terms.setdefault(kind, {})[f"o{number}"] = {"priceDimensions": dimensions}
    return json.dumps({"product": {"attributes": {}}, "terms": terms})


class _PriceList:
    """Answers GetProducts, and counts how often it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def get_products(self, **members: Any) -> dict[str, Any]:
        self.asked.append(members)
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return {"PriceList": answer}


class _Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


def _prices(price_list: _PriceList, file: Path, clock: _Clock) -> Prices:
    return Prices("us-east-1", client=lambda: price_list, file=file, now=clock)


HOURLY = _product(("Hrs", "OnDemand", {"USD": "0.2300000000"}))


def test_price_is_asked_once_and_kept_with_its_date(tmp_path: Path, clock: _Clock) -> None:
    price_list, file = _PriceList([HOURLY]), tmp_path / "deep" / "us-east-1.json"
    first = _prices(price_list, file, clock).of("ml.m5.xlarge")
    clock.now += FRESH - timedelta(days=1)
    second = _prices(price_list, file, clock).of("ml.m5.xlarge")

    assert first == second == Price(0.23, "USD", "2026-11-21")
    assert len(price_list.asked) == 1


def test_old_price_is_asked_for_anew(tmp_path: Path, clock: _Clock) -> None:
    cheaper = _product(("Hrs", "OnDemand", {"USD": "0.2"}))
    price_list, file = _PriceList([HOURLY], [cheaper]), tmp_path / "p.json"
    _prices(price_list, file, clock).of("ml.m5.xlarge")
    clock.now += FRESH + timedelta(days=1)

    assert _prices(price_list, file, clock).of("ml.m5.xlarge") == Price(0.2, "USD", "2026-11-29")


DENIED = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetProducts")


@pytest.mark.parametrize("error", [DENIED, ConnectTimeoutError(endpoint_url="http://x")])
def test_price_list_that_cannot_be_asked_is_left_alone_for_an_hour(
    tmp_path: Path, clock: _Clock, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    price_list, file = _PriceList(error, error, [HOURLY]), tmp_path / "p.json"
    with caplog.at_level(logging.INFO):
        assert _prices(price_list, file, clock).of("ml.m5.xlarge") is None
        assert _prices(price_list, file, clock).of("ml.c5.xlarge") is None
    assert len(price_list.asked) == 1
    assert caplog.text.count("cannot be asked") == 1
    assert ("Grant pricing:GetProducts" in caplog.text) == (error is DENIED)

    clock.now += REFUSED + timedelta(minutes=1)
    assert _prices(price_list, file, clock).of("ml.m5.xlarge") is None
    clock.now += REFUSED + timedelta(minutes=1)
    assert _prices(price_list, file, clock).of("ml.m5.xlarge") is not None


def test_old_price_serves_with_its_own_date_while_the_list_cannot_be_asked(
    tmp_path: Path, clock: _Clock
) -> None:
    price_list, file = _PriceList([HOURLY], DENIED), tmp_path / "p.json"
    _prices(price_list, file, clock).of("ml.m5.xlarge")
    clock.now += timedelta(days=90)

    assert _prices(price_list, file, clock).of("ml.m5.xlarge") == Price(0.23, "USD", "2026-11-21")
    assert _prices(price_list, file, clock).of("ml.m5.xlarge") == Price(0.23, "USD", "2026-11-21")
    assert len(price_list.asked) == 2


@pytest.mark.parametrize(
    ("products", "price"),
    [
        ([], None),
        ([_product(("Quantity", "OnDemand", {"USD": "3"}))], None),
        ([_product(("Hrs", "Reserved", {"USD": "3"}))], None),
        ([_product(("Hrs", "OnDemand", {"USD": "0"})), HOURLY], 0.23),  # a free tier
        ([HOURLY, HOURLY], 0.23),
        ([HOURLY, _product(("Hrs", "OnDemand", {"USD": "9"}))], None),  # which of the two?
        ([_product(("Hrs", "OnDemand", {"CNY": "1.5"}))], 1.5),
        ([json.dumps({"terms": None})], None),
    ],
)
def test_price_is_the_one_hourly_price_on_demand(
    tmp_path: Path, clock: _Clock, products: list[str], price: float | None
) -> None:
    found = _prices(_PriceList(products), tmp_path / "p.json", clock).of("ml.m5.xlarge")
    assert (None if found is None else found.per_hour) == price


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '"text"',
        '{"ml.m5.xlarge": 3}',
        '{"ml.m5.xlarge": {"per_hour": "x"}}',
        '{"refused": "soon"}',
    ],
)
def test_file_that_holds_something_else_is_written_anew(tmp_path: Path, clock: _Clock, content: str) -> None:
    file = tmp_path / "p.json"
    file.write_text(content)
    assert _prices(_PriceList([HOURLY]), file, clock).of("ml.m5.xlarge") == Price(0.23, "USD", "2026-11-21")
    assert json.loads(file.read_text())["ml.m5.xlarge"]["per_hour"] == 0.23
    assert list(tmp_path.iterdir()) == [file]


def test_folder_that_cannot_be_written_does_no_harm(tmp_path: Path, clock: _Clock) -> None:
    (tmp_path / "occupied").write_text("a file where the folder should be")
    file = tmp_path / "occupied" / "p.json"
    assert _prices(_PriceList([HOURLY]), file, clock).of("ml.m5.xlarge") == Price(0.23, "USD", "2026-11-21")


@pytest.mark.parametrize(
    ("region", "endpoint"),
    [
        ("us-west-2", "us-east-1"),
        ("eu-west-3", "eu-central-1"),
        ("ap-south-2", "ap-south-1"),
        ("cn-north-1", "cn-northwest-1"),
        ("sa-east-1", "us-east-1"),
    ],
)
def test_region_without_a_price_list_asks_the_one_next_to_it(region: str, endpoint: str) -> None:
    assert endpoint_region_of(region) == endpoint
