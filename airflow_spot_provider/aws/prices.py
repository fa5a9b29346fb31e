"""On-demand prices of training instances, from the AWS Price List, kept on disk with their date.

Source: `AWS Price List Query API
<https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html>`_.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from airflow_spot_provider.aws.errors import code_of, is_denied
from airflow_spot_provider.training.money import Price

log = logging.getLogger(__name__)

FRESH = timedelta(days=7)
"""A price is asked for anew when it is older."""
REFUSED = timedelta(hours=1)
"""For how long nobody asks again when the price list could not be asked."""
SERVICE_CODE = "AmazonSageMaker"


def endpoint_region_of(region: str) -> str:
    """The region whose price list tells the prices of another region: there are four of them."""
    if region.startswith("cn-"):
        return "cn-northwest-1"
    if region.startswith("eu-"):
        return "eu-central-1"
    return "ap-south-1" if region.startswith("ap-") else "us-east-1"


class Prices:
    """The prices of a region. Everything is best effort: a price that cannot be told is None, and nobody's task fails for it.

    :param region: AWS region of the training jobs.
    :param client: makes a client of the service ``pricing``; called only when the price list has to be asked.
    :param file: where prices are kept. One that cannot be read is written anew; a folder that cannot be written does no harm.
    :param now: tells the time.
    """

    def __init__(
        self, region: str, *, client: Callable[[], Any], file: Path, now: Callable[[], datetime]
    ) -> None:
        self._region = region
        self._client = client
        self._file = file
        self._now = now

    def of(self, instance_type: str) -> Price | None:
        """What an instance of this type costs on demand; None if nobody can tell.

        :param instance_type: such as ``ml.m5.xlarge``.
        """
        kept = self._read()
        price = _price_in(kept.get(instance_type))
        if price is not None and self._is_younger(price.as_of, FRESH):
            return price
        if self._is_younger(kept.get("refused"), REFUSED):
            return price
        try:
            asked = self._ask(instance_type)
        except (BotoCoreError, ClientError) as error:
            grant = " Grant pricing:GetProducts." if is_denied(error) else ""
            log.info("The AWS Price List cannot be asked just now (%s).%s", code_of(error), grant)
            self._keep("refused", self._now().isoformat())
            return price
        if asked is None:
            return price
        self._keep(
            instance_type, {"per_hour": asked.per_hour, "currency": asked.currency, "as_of": asked.as_of}
        )
        return asked

    def _ask(self, instance_type: str) -> Price | None:
        fields = {"regionCode": self._region, "instanceName": instance_type, "component": "Training"}
        answer = self._client().get_products(
            ServiceCode=SERVICE_CODE,
            Filters=[
                {"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in fields.items()
            ],
            MaxResults=100,
        )
        found = {price for product in answer.get("PriceList", ()) for price in _hourly_prices(product)}
        # One type has one price; where the list tells several, none of them is known to be the right one.
        if len(found) != 1:
            log.info(
                "The AWS Price List has %s prices of %s in %s.",
                len(found) or "no",
                instance_type,
                self._region,
            )
            return None
        [(per_hour, currency)] = found
        return Price(per_hour, currency, self._now().date().isoformat())

    def _is_younger(self, told: object, age: timedelta) -> bool:
        try:
            time = datetime.fromisoformat(str(told))
        except ValueError:
            return False
        return self._now() - (time if time.tzinfo else time.replace(tzinfo=UTC)) < age

    def _read(self) -> dict[str, Any]:
        try:
            kept = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}

    def _keep(self, key: str, value: object) -> None:
        """Write the file whole: another process that reads it meanwhile sees the old one or the new one."""
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._file.parent, prefix=self._file.name)
            try:
                with os.fdopen(handle, "w") as written:
                    json.dump({**self._read(), key: value}, written)
                Path(name).replace(self._file)
            except OSError:
                Path(name).unlink(missing_ok=True)
                raise


def _price_in(kept: object) -> Price | None:
    if not isinstance(kept, Mapping):
        return None
    per_hour, currency, as_of = (kept.get(name) for name in ("per_hour", "currency", "as_of"))
    if not isinstance(per_hour, float) or not isinstance(currency, str) or not isinstance(as_of, str):
        return None
    return Price(per_hour, currency, as_of)


def _hourly_prices(product: str) -> Iterator[tuple[float, str]]:
    """The on-demand prices in one product of the list, a JSON document in a string; free tiers, which cost nothing, are none."""
    terms = (json.loads(product).get("terms") or {}).get("OnDemand") or {}
    for offer in terms.values():
        for dimension in (offer.get("priceDimensions") or {}).values():
            if dimension.get("unit") not in ("Hrs", "Hours"):
                continue
            for currency, amount in (dimension.get("pricePerUnit") or {}).items():
                price = float(amount)
                if math.isfinite(price) and price > 0:
                    yield price, currency
