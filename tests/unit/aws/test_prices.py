"""Prices from the AWS Price List: asked once a week, kept on disk, and nobody's trouble when they cannot be had."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from airflow_spot_provider.aws.price_cache import FRESH, LOOKED, PriceCache
from airflow_spot_provider.aws.prices import BUSY, REFUSED, Prices, endpoint_region_of
from airflow_spot_provider.training import Price

TYPE = "ml.m5.xlarge"


def _product(*offers: tuple[str, str, dict[str, str]], **attributes: str) -> str:
    """A product as GetProducts tells it: unit, name of the terms, price per unit."""
    terms: dict[str, Any] = {}
    for number, (unit, kind, price) in enumerate(offers):
        dimensions = {f"r{number}": {"unit": unit, "pricePerUnit": price}}
        terms.setdefault(kind, {})[f"o{number}"] = {"priceDimensions": dimensions}
    named = {"instanceName": TYPE, "usagetype": f"USE1-Train:{TYPE}", "locationType": "AWS Region"}
    return json.dumps({"product": {"attributes": named | attributes}, "terms": terms})


def _hourly(amount: str, currency: str = "USD", **attributes: str) -> str:
    return _product(("Hrs", "OnDemand", {currency: amount}), **attributes)


HOURLY = _hourly("0.2300000000")


class _PriceList:
    """Answers GetProducts, and counts how often it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        self.closed = 0

    def get_products(self, **members: Any) -> dict[str, Any]:
        self.asked.append(json.loads(json.dumps(members)))
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, dict) else {"PriceList": answer}

    def close(self) -> None:
        self.closed += 1


class _Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


def _never(seconds: float) -> None:
    raise AssertionError(f"somebody waits {seconds} s for a turn that is free")


def _prices(
    price_list: _PriceList,
    file: Path,
    clock: Callable[[], datetime],
    *,
    asker: str = "aws_default",
    pause: Callable[[float], None] = _never,
    **kwargs: Any,
) -> Prices:
    return Prices(
        "us-east-1",
        client=lambda: price_list,
        cache=PriceCache(file, now=clock, pause=pause),
        now=clock,
        asker=asker,
        **kwargs,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "us-east-1.json"


def _error(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "GetProducts",
    )


DENIED = _error("AccessDeniedException")
THROTTLED = _error("ThrottlingException")
BROKEN = _error("InternalErrorException", 500)
UNREACHABLE = ConnectTimeoutError(endpoint_url="http://x")


# Asking, and remembering


def test_price_is_asked_once_and_kept_with_its_date(tmp_path: Path, clock: _Clock) -> None:
    price_list, file = _PriceList([HOURLY]), tmp_path / "deep" / "us-east-1.json"
    first = _prices(price_list, file, clock).of(TYPE)
    clock.now += FRESH - timedelta(days=1)
    second = _prices(price_list, file, clock).of(TYPE)

    assert first == second == Price(0.23, "USD", "2026-11-21")
    assert len(price_list.asked) == price_list.closed == 1


def test_old_price_is_asked_for_anew(file: Path, clock: _Clock) -> None:
    price_list = _PriceList([HOURLY], [_hourly("0.2")])
    _prices(price_list, file, clock).of(TYPE)
    clock.now += FRESH + timedelta(days=1)

    assert _prices(price_list, file, clock).of(TYPE) == Price(0.2, "USD", "2026-11-29")


@pytest.mark.parametrize(
    ("error", "pause"),
    [
        (DENIED, REFUSED),
        (UNREACHABLE, REFUSED),
        (ValueError("no JSON"), REFUSED),
        (THROTTLED, BUSY),
        (BROKEN, BUSY),
    ],
)
def test_price_list_that_cannot_be_asked_is_left_alone_for_a_while_and_that_is_said_once(
    file: Path, clock: _Clock, error: Exception, pause: timedelta, caplog: pytest.LogCaptureFixture
) -> None:
    price_list = _PriceList(error, [HOURLY])
    with caplog.at_level(logging.INFO):
        assert _prices(price_list, file, clock).of(TYPE) is None
        assert _prices(price_list, file, clock).of("ml.c5.xlarge") is None
    assert len(price_list.asked) == price_list.closed == 1
    assert [record.message.count("cannot be asked") for record in caplog.records] == [1]
    assert ("Grant pricing:GetProducts" in caplog.text) == (error is DENIED)

    clock.now += pause - timedelta(seconds=1)
    assert _prices(price_list, file, clock).of(TYPE) is None
    clock.now += timedelta(seconds=2)
    assert _prices(price_list, file, clock).of(TYPE) is not None


def test_permission_that_one_connection_lacks_is_not_held_against_another(file: Path, clock: _Clock) -> None:
    assert _prices(_PriceList(DENIED), file, clock, asker="aws_poor").of(TYPE) is None
    assert _prices(_PriceList([HOURLY]), file, clock, asker="aws_rich").of(TYPE) is not None
    # What one has learnt serves both.
    assert _prices(_PriceList(DENIED), file, clock, asker="aws_poor").of(TYPE) is not None


def test_client_that_cannot_be_made_is_nobodys_trouble(
    file: Path, clock: _Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def _client() -> Any:
        raise LookupError("us-gov-west-1 has none")

    prices = Prices("us-gov-west-1", client=_client, cache=PriceCache(file, now=clock), now=clock)
    with caplog.at_level(logging.INFO):
        assert prices.of(TYPE) is None
        assert prices.of(TYPE) is None
    assert caplog.text.count("us-gov-west-1 has none") == 1


def test_old_price_serves_with_its_own_date_while_the_list_cannot_be_asked(file: Path, clock: _Clock) -> None:
    price_list = _PriceList([HOURLY], DENIED)
    _prices(price_list, file, clock).of(TYPE)
    clock.now += timedelta(days=90)

    assert _prices(price_list, file, clock).of(TYPE) == Price(0.23, "USD", "2026-11-21")
    assert _prices(price_list, file, clock).of(TYPE) == Price(0.23, "USD", "2026-11-21")
    assert len(price_list.asked) == 2


def test_old_price_serves_when_the_list_has_the_type_no_more(file: Path, clock: _Clock) -> None:
    price_list = _PriceList([HOURLY], [])
    _prices(price_list, file, clock).of(TYPE)
    clock.now += timedelta(days=90)

    for _ in range(2):
        assert _prices(price_list, file, clock).of(TYPE) == Price(0.23, "USD", "2026-11-21")
    assert len(price_list.asked) == 3  # by name and by usage type; then it is remembered


def test_type_without_a_price_is_asked_for_once_a_day(
    file: Path, clock: _Clock, caplog: pytest.LogCaptureFixture
) -> None:
    price_list = _PriceList([])
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            assert _prices(price_list, file, clock).of("ml.unheard-of.xlarge") is None
    assert len(price_list.asked) == 2
    assert caplog.text.count("no prices of ml.unheard-of.xlarge") == 1

    clock.now += LOOKED
    _prices(price_list, file, clock).of("ml.unheard-of.xlarge")
    assert len(price_list.asked) == 4


def test_answer_that_does_not_come_is_not_waited_for(
    file: Path, clock: _Clock, caplog: pytest.LogCaptureFixture
) -> None:
    it_comes = threading.Event()

    class _Silent(_PriceList):
        def get_products(self, **members: Any) -> dict[str, Any]:
            it_comes.wait()
            return super().get_products(**members)

    silent = _Silent([HOURLY])
    try:
        with caplog.at_level(logging.INFO):
            assert _prices(silent, file, clock, deadline=0.01).of(TYPE) is None
            assert _prices(silent, file, clock, deadline=0.01).of(TYPE) is None
    finally:
        it_comes.set()
    assert caplog.text.count("cannot be asked (TimeoutError)") == 1


# What the list says


@pytest.mark.parametrize(
    ("products", "price"),
    [
        ([], None),
        ([_product(("Quantity", "OnDemand", {"USD": "3"}))], None),
        ([_product(("Hrs", "Reserved", {"USD": "3"}))], None),
        ([_product(("Hrs", "OnDemand", {"USD": "0.23"}), ("Hrs", "Reserved", {"USD": "0.1"}))], 0.23),
        ([_hourly("0", usagetype=f"USE1-FreeTrain:{TYPE}"), HOURLY], 0.23),
        ([_product(("Hrs", "OnDemand", {"USD": "0"}), ("Hrs", "OnDemand", {"USD": "0.23"}))], 0.23),
        ([HOURLY, HOURLY], 0.23),
        ([HOURLY, _hourly("9")], None),  # which of the two?
        ([_hourly("1.5", "CNY")], 1.5),
        ([_product(("Hrs", "OnDemand", {"CNY": "1.5", "USD": "0.2"}))], None),
        ([_hourly("0.3", usagetype=f"USE1-Host:{TYPE}", component="Hosting"), HOURLY], 0.23),
        ([_hourly("0.1", usagetype=f"USE1-SpotTrain:{TYPE}", component="Training"), HOURLY], 0.23),
        ([_hourly("0.1", usagetype=f"USE1-Train:{TYPE}-reserved"), HOURLY], 0.23),
        ([_hourly("0.5", locationType="AWS Outposts"), HOURLY], 0.23),
        ([_hourly("0.4", usagetype=f"Train:{TYPE}")], 0.4),
        ([_hourly("0.4", usagetype="", component="Training")], 0.4),
        ([_hourly("0.4", usagetype="", component="Processing")], None),
        ([_hourly("nan")], None),
        ([_hourly("inf")], None),
        ([_hourly("-1")], None),
        ([_hourly("1", "dollars")], None),
        ([json.dumps({"terms": None, "product": None})], None),
        ([json.dumps({})], None),
    ],
)
def test_price_is_the_one_hourly_price_of_training_on_demand(
    file: Path, clock: _Clock, products: list[str], price: float | None
) -> None:
    found = _prices(_PriceList(products), file, clock).of(TYPE)
    assert (None if found is None else found.per_hour) == price


@pytest.mark.parametrize(
    "answer",
    [
        ["{"],
        ["[]"],
        [None],
        {"PriceList": "x"},
        [_hourly("much")],
        ['{"product": {"attributes": {"usagetype": 3}}}'],
    ],
)
def test_list_that_says_something_else_is_one_that_cannot_be_asked(
    file: Path, clock: _Clock, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert _prices(_PriceList(answer), file, clock).of(TYPE) is None
    assert caplog.text.count("cannot be asked") == 1


def test_list_is_asked_for_one_type_in_one_region_by_name_first_and_then_by_usage(
    file: Path, clock: _Clock
) -> None:
    price_list = _PriceList([], [_hourly("0.4", instanceName="")])
    assert _prices(price_list, file, clock).of(TYPE) == Price(0.4, "USD", "2026-11-21")
    filters = [
        {each["Field"]: (each["Type"], each["Value"]) for each in asked["Filters"]}
        for asked in price_list.asked
    ]
    assert filters == [
        {"regionCode": ("TERM_MATCH", "us-east-1"), "instanceName": ("TERM_MATCH", TYPE)},
        {"regionCode": ("TERM_MATCH", "us-east-1"), "usagetype": ("CONTAINS", f"Train:{TYPE}")},
    ]


def test_list_that_takes_no_such_filter_has_no_price(file: Path, clock: _Clock) -> None:
    price_list = _PriceList([], _error("InvalidParameterException"), [HOURLY])
    assert _prices(price_list, file, clock).of(TYPE) is None
    # It is this type that is not asked for again; others are.
    assert _prices(price_list, file, clock).of("ml.c5.xlarge") is None
    assert len(price_list.asked) == 4


def test_list_that_is_busy_for_the_second_question_is_asked_again_soon(file: Path, clock: _Clock) -> None:
    price_list = _PriceList([], THROTTLED, [HOURLY])
    assert _prices(price_list, file, clock).of(TYPE) is None
    clock.now += BUSY
    assert _prices(price_list, file, clock).of(TYPE) is not None


def test_all_pages_are_read(file: Path, clock: _Clock) -> None:
    first = {"PriceList": [_hourly("0.5", usagetype=f"USE1-Host:{TYPE}")], "NextToken": "more"}
    price_list = _PriceList(first, [HOURLY])
    assert _prices(price_list, file, clock).of(TYPE) == Price(0.23, "USD", "2026-11-21")
    assert price_list.asked[1]["NextToken"] == "more"


def test_list_without_an_end_is_given_up(file: Path, clock: _Clock) -> None:
    price_list = _PriceList({"PriceList": [], "NextToken": "more"})
    assert _prices(price_list, file, clock).of(TYPE) is None
    assert len(price_list.asked) == 10


# The file


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '"text"',
        "\x00\xff",
        "[" * 100_000,
        json.dumps({"prices": [], "not_before": 3}),
        json.dumps({"prices": {TYPE: 3}}),
        json.dumps({"prices": {TYPE: {"per_hour": "x", "currency": "USD", "as_of": "2026-11-21"}}}),
        json.dumps({"prices": {TYPE: {"per_hour": 0.1, "currency": 7, "as_of": "2026-11-21"}}}),
        json.dumps({"prices": {TYPE: {"per_hour": 0.1, "currency": "dollars", "as_of": "2026-11-21"}}}),
        json.dumps({"prices": {TYPE: {"per_hour": 0.1, "currency": "USD", "as_of": "lately"}}}),
        json.dumps({"prices": {TYPE: {"per_hour": 0.1, "currency": "USD", "as_of": "2026-11-99"}}}),
        json.dumps({"prices": {TYPE: {"per_hour": 0.1, "currency": "USD", "as_of": "2999-01-01"}}}),
        json.dumps({"prices": {TYPE: {"per_hour": float("nan"), "currency": "USD", "as_of": "2026-11-21"}}}),
        json.dumps({"prices": {TYPE: {"per_hour": -0.1, "currency": "USD", "as_of": "2026-11-21"}}}),
        json.dumps({"prices": {TYPE: {"looked": "2999-01-01"}}}),
        json.dumps({"not_before": {"aws_default": "soon"}}),
        json.dumps({"not_before": {"aws_default": "2999-01-01T00:00:00+00:00"}}),
        json.dumps({"not_before": {"aws_default": ["2026-11-21T12:30:00+00:00"]}}),
    ],
)
def test_file_that_holds_something_else_is_written_anew(file: Path, clock: _Clock, content: str) -> None:
    file.write_text(content)
    assert _prices(_PriceList([HOURLY]), file, clock).of(TYPE) == Price(0.23, "USD", "2026-11-21")
    assert json.loads(file.read_text())["prices"][TYPE]["per_hour"] == 0.23
    assert list(file.parent.iterdir()) == [file]


def test_prices_beside_a_broken_one_stay(file: Path, clock: _Clock) -> None:
    _prices(
        _PriceList([_hourly("1", instanceName="ml.c5.xlarge", usagetype="Train:ml.c5.xlarge")]), file, clock
    ).of("ml.c5.xlarge")
    kept = json.loads(file.read_text())
    file.write_text(json.dumps({"prices": {**kept["prices"], TYPE: "broken"}}))

    _prices(_PriceList([HOURLY]), file, clock).of(TYPE)
    assert _prices(_PriceList(DENIED), file, clock).of("ml.c5.xlarge") == Price(1.0, "USD", "2026-11-21")


def test_file_can_be_read_by_tasks_of_other_users(file: Path, clock: _Clock) -> None:
    _prices(_PriceList([HOURLY]), file, clock).of(TYPE)
    assert file.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("occupied", ["us-east-1.json/folder", "."])
def test_place_that_cannot_be_written_does_no_harm_and_is_told(
    tmp_path: Path, clock: _Clock, occupied: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "prices"
    if occupied == ".":
        folder.write_text("a file where the folder should be")
    else:
        (folder / occupied).mkdir(parents=True)
    file = folder / "us-east-1.json"
    with caplog.at_level(logging.INFO):
        assert _prices(_PriceList([HOURLY]), file, clock).of(TYPE) == Price(0.23, "USD", "2026-11-21")
    assert f"cannot be kept in {file}" in caplog.text
    assert not folder.is_dir() or list(folder.iterdir()) == [file]  # nothing half-written stays


# Several processes


def test_who_waits_for_another_process_takes_what_that_one_has_heard(file: Path, clock: _Clock) -> None:
    other = os.open(file.parent, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    looks: list[float] = []

    def _it_answers(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 2:
            PriceCache(file, now=clock).keep(TYPE, Price(0.23, "USD", "2026-11-21"))
            os.close(other)

    price_list = _PriceList([HOURLY])
    assert _prices(price_list, file, clock, pause=_it_answers).of(TYPE) == Price(0.23, "USD", "2026-11-21")
    assert (len(looks), price_list.asked) == (2, [])


def test_who_has_waited_for_another_process_long_enough_goes_without(file: Path, clock: _Clock) -> None:
    PriceCache(file, now=clock).keep(TYPE, Price(0.23, "USD", "2026-11-21"))
    clock.now += timedelta(days=90)
    other = os.open(file.parent, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    waited: list[float] = []
    try:
        price_list = _PriceList([HOURLY])
        assert _prices(price_list, file, clock, pause=waited.append).of(TYPE) == Price(
            0.23, "USD", "2026-11-21"
        )
    finally:
        os.close(other)
    assert price_list.asked == []
    assert sum(waited) < 7


def test_file_system_without_locks_is_no_hindrance(
    file: Path, clock: _Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def _unsupported(_handle: int, _operation: int) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(fcntl, "flock", _unsupported)
    assert _prices(_PriceList([HOURLY]), file, clock).of(TYPE) is not None


_ASKS_FOR_A_PRICE = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
from airflow_spot_provider.aws.price_cache import PriceCache
from airflow_spot_provider.aws.prices import Prices

name, file, asked = sys.argv[1], Path(sys.argv[2]), []

class PriceList:
    def get_products(self, **members):
        asked.append(members)
        dimension = {"unit": "Hrs", "pricePerUnit": {"USD": "0.23"}}
        terms = {"OnDemand": {"o": {"priceDimensions": {"r": dimension}}}}
        product = {"product": {"attributes": {"usagetype": f"Train:{name}"}}, "terms": terms}
        return {"PriceList": [json.dumps(product)]}

    def close(self): pass

def now():
    return datetime(2026, 11, 21, tzinfo=UTC)

sys.stdin.readline()  # all begin at once
price = Prices("us-east-1", client=PriceList, cache=PriceCache(file, now=now), now=now).of(name)
print(json.dumps([price.per_hour, len(asked)]))
"""


def test_many_processes_at_once_ask_once_for_each_type_and_lose_nothing(file: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _ASKS_FOR_A_PRICE, name, str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ["ml.m5.large", "ml.m5.xlarge"] * 2
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    told = [json.loads(process.communicate()[0]) for process in processes]

    assert [price for price, _ in told] == [0.23] * 4
    assert sum(asked for _, asked in told) == 2
    assert len(json.loads(file.read_text())["prices"]) == 2


# Whose price list


AWS = ["ap-south-1", "eu-central-1", "us-east-1"]


@pytest.mark.parametrize(
    ("region", "there_are", "endpoint"),
    [
        ("us-west-2", AWS, "us-east-1"),
        ("eu-west-3", AWS, "eu-central-1"),
        ("ap-northeast-1", AWS, "ap-south-1"),
        ("sa-east-1", AWS, "us-east-1"),
        ("moon-1", AWS, "us-east-1"),
        ("cn-north-1", ["cn-northwest-1"], "cn-northwest-1"),
        ("us-gov-west-1", [], None),
    ],
)
def test_region_without_a_price_list_asks_the_one_next_to_it(
    region: str, there_are: list[str], endpoint: str | None
) -> None:
    assert endpoint_region_of(region, there_are) == endpoint
