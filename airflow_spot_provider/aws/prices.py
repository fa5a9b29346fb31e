"""On-demand prices of training instances, from the AWS Price List.

Source: `AWS Price List Query API
<https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html>`_.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from airflow_spot_provider.aws.errors import code_of, is_denied, is_worth_a_retry
from airflow_spot_provider.aws.price_cache import PriceCache
from airflow_spot_provider.training.money import Price

log = logging.getLogger(__name__)

REFUSED = timedelta(hours=1)
"""For how long nobody asks again when the price list cannot be asked: no permission, no way to it."""
BUSY = timedelta(minutes=5)
"""The same, when the price list itself says that it is busy."""
DEADLINE_SECONDS = 6.0
"""What is nice to know is not waited for longer."""
SERVICE_CODE = "AmazonSageMaker"
_MAX_PAGES = 5

_Answer = TypeVar("_Answer")


def endpoint_region_of(region: str, there_are: Collection[str]) -> str | None:
    """Which region's endpoint tells the prices of a region: few have one, and each tells the prices of all.

    :param region: of the training jobs.
    :param there_are: the regions of its partition that have an endpoint of the price list.
    :return: one on the same continent, or else the first of all; None if there is none, as in AWS GovCloud.
    """
    continent = region.partition("-")[0]

    def _distance(each: str) -> tuple[bool, bool, str]:
        return (each.partition("-")[0] != continent, each != "us-east-1", each)

    return min(there_are, key=_distance, default=None)


class Prices:
    """The prices of a region. Everything is best effort: a price that cannot be told is None, and nobody's task fails for it,
    or waits for more than some seconds.

    :param region: AWS region of the training jobs.
    :param client: makes a client of the service ``pricing``; called only when the price list has to be asked.
    :param cache: where prices are kept.
    :param now: tells the time.
    :param asker: whose permission the price list is asked with: an Airflow connection.
    :param deadline: seconds after which an answer is not waited for any more; None takes :data:`DEADLINE_SECONDS`.
    """

    def __init__(
        self,
        region: str,
        *,
        client: Callable[[], Any],
        cache: PriceCache,
        now: Callable[[], datetime],
        asker: str = "",
        deadline: float | None = None,
    ) -> None:
        self._region = region
        self._client = client
        self._cache = cache
        self._now = now
        self._asker = asker
        self._deadline = DEADLINE_SECONDS if deadline is None else deadline

    def of(self, instance_type: str) -> Price | None:
        """What an instance of this type costs on demand; None if nobody can tell.

        :param instance_type: such as ``ml.m5.xlarge``.
        """
        kept = self._cache.read(instance_type, self._asker)
        if kept.is_settled:
            return kept.price
        with self._cache.turn() as is_ours:
            kept = self._cache.read(instance_type, self._asker)  # who had the turn before may have asked
            if kept.is_settled or not is_ours:
                return kept.price
            return self._look_up(instance_type) or kept.price

    def _look_up(self, instance_type: str) -> Price | None:
        try:
            found = _within(self._deadline, lambda: set(self._ask(instance_type)))
        except Exception as error:  # noqa: BLE001 - whatever it is, a training that has ended does not fail for it
            self._give_up(error)
            return None
        price = None
        # One type has one price; where the list tells several, none of them is known to be the right one.
        if len(found) == 1:
            [(per_hour, currency)] = found
            price = Price(per_hour, currency, self._now().date().isoformat())
        else:
            log.info(
                "The AWS Price List has %s prices of %s for training in %s: what it costs is not known.",
                len(found) or "no",
                instance_type,
                self._region,
            )
        self._cache.keep(instance_type, price)
        return price

    def _give_up(self, error: Exception) -> None:
        pause = BUSY if isinstance(error, ClientError) and is_worth_a_retry(error) else REFUSED
        log.info(
            "The AWS Price List cannot be asked (%s), so what jobs cost is known by prices of earlier days or not at all; it is "
            "asked again in %d minutes.%s",
            error if isinstance(error, LookupError) else code_of(error),
            pause.total_seconds() / 60,
            " Grant pricing:GetProducts, or set [airflow_spot] prices = False." if is_denied(error) else "",
        )
        self._cache.keep_pause(self._asker, pause)

    def _ask(self, instance_type: str) -> list[tuple[float, str]]:
        """By the type's name; older products of the list have it in nothing but their usage type."""
        with contextlib.closing(self._client()) as client:
            found = [*self._prices(client, instance_type, "instanceName", "TERM_MATCH", instance_type)]
            if not found:
                with _unless_it_takes_no_such_filter():
                    usage = f"Train:{instance_type}"
                    found += self._prices(client, instance_type, "usagetype", "CONTAINS", usage)
            return found

    def _prices(
        self, client: Any, instance_type: str, field: str, comparison: str, value: str
    ) -> Iterator[tuple[float, str]]:
        for product in self._products(client, field, comparison, value):
            if _is_of_training(product.get("product") or {}, instance_type):
                yield from _hourly_prices(product.get("terms") or {})

    def _products(self, client: Any, field: str, comparison: str, value: str) -> Iterator[Mapping[str, Any]]:
        members: dict[str, Any] = {
            "ServiceCode": SERVICE_CODE,
            "Filters": [
                {"Type": "TERM_MATCH", "Field": "regionCode", "Value": self._region},
                {"Type": comparison, "Field": field, "Value": value},
            ],
            "MaxResults": 100,
        }
        for _ in range(_MAX_PAGES):
            answer = client.get_products(**members)
            yield from map(json.loads, answer.get("PriceList") or ())
            if not answer.get("NextToken"):
                return
            members["NextToken"] = answer["NextToken"]


@contextlib.contextmanager
def _unless_it_takes_no_such_filter() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if code_of(error) != "InvalidParameterException":
            raise


def _is_of_training(product: Mapping[str, Any], instance_type: str) -> bool:
    """Whether a product is this type, for training, on demand, in the region itself: the same name is hosted, processed with,
    trained with on spot, and had in Outposts.
    """
    attributes = product.get("attributes") or {}
    if attributes.get("locationType", "AWS Region") != "AWS Region":
        return False
    if usage := attributes.get("usagetype"):
        return re.fullmatch(rf"([A-Z0-9]+-)?Train:{re.escape(instance_type)}", usage) is not None
    return bool(attributes.get("component") == "Training")


def _hourly_prices(terms: Mapping[str, Any]) -> Iterator[tuple[float, str]]:
    """What an hour costs on demand; free tiers, which cost nothing, are no price."""
    for offer in (terms.get("OnDemand") or {}).values():
        for dimension in (offer.get("priceDimensions") or {}).values():
            if dimension.get("unit") not in ("Hrs", "Hours"):
                continue
            for currency, amount in (dimension.get("pricePerUnit") or {}).items():
                price = float(amount)
                if math.isfinite(price) and price > 0 and re.fullmatch(r"[A-Z]{3}", currency):
                    yield price, currency


def _within(seconds: float, call: Callable[[], _Answer]) -> _Answer:
    """Wait for so long for what a call comes to: to look a name up and to try one address after the other takes no time limit.

    :raises TimeoutError: it has come to nothing yet.
    """
    answer: Future[_Answer] = Future()

    def _call() -> None:
        try:
            answer.set_result(call())
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            answer.set_exception(error)

    threading.Thread(target=_call, name="prices", daemon=True).start()
    return answer.result(seconds)
