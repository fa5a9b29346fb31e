"""AWS Price List: what training instances cost on demand.

Source: `Finding services and products with the Price List Query API
<https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html>`_.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from moto.core.exceptions import ServiceException

from airflow_spot_provider.emulator.market.availability import Availability
from airflow_spot_provider.emulator.services.catalog import Catalog, InstanceType, Region
from airflow_spot_provider.emulator.services.parameters import checked, sliced
from airflow_spot_provider.emulator.wire.protocol import Call, Operation

SERVICE_CODE = "AmazonSageMaker"
_ON_DEMAND_TERM, _HOURLY_RATE = "JRTCKXETXF", "6YS6EN2CT7"
"""AWS's codes of the on-demand term and of its one price dimension: the same in all of its price lists."""
_FAMILIES = {
    "m": "General purpose",
    "t": "General purpose",
    "c": "Compute optimized",
    "r": "Memory optimized",
}


class InvalidParameter(ServiceException):
    """What the price list says to a request that it does not take."""

    code = "InvalidParameterException"


class InvalidNextToken(ServiceException):
    """What the price list says to a token that it has not given."""

    code = "InvalidNextTokenException"


class PricingAPI:
    """Answers the service ``pricing`` for SageMaker training instances.

    :param catalog: instance types, regions and prices.
    :param availability: which instance types each region has; there are no prices of the others.
    """

    def __init__(self, catalog: Catalog, availability: Availability | None = None) -> None:
        self._catalog = catalog
        self._availability = availability or Availability()

    @property
    def operations(self) -> dict[str, Operation]:
        """What answers each operation."""
        answers: dict[str, Operation] = {
            "DescribeServices": self.describe_services,
            "GetAttributeValues": self.get_attribute_values,
            "GetProducts": self.get_products,
        }
        return checked("pricing", answers, InvalidParameter)

    def describe_services(self, call: Call) -> Mapping[str, Any]:
        """DescribeServices: of the one service that there are prices of."""
        if call.parameters.get("ServiceCode") is not None:
            _check_service(call)
        names = sorted({name for product in self._products for name in _fields(product)})
        services, token = _page([{"ServiceCode": SERVICE_CODE, "AttributeNames": names}], call)
        return {"Services": services, "FormatVersion": "aws_v1", "NextToken": token}

    def get_attribute_values(self, call: Call) -> Mapping[str, Any]:
        """GetAttributeValues."""
        _check_service(call)
        name = call.parameters["AttributeName"]
        values = {_fields(product).get(name) for product in self._products} - {None}
        if not values:
            raise InvalidParameter(f"{SERVICE_CODE} has no attribute {name}")
        page, token = _page(sorted(str(value) for value in values), call)
        return {"AttributeValues": [{"Value": value} for value in page], "NextToken": token}

    def get_products(self, call: Call) -> Mapping[str, Any]:
        """GetProducts: each is a JSON document in a string, as AWS sends it."""
        _check_service(call)
        tests = [_test_of(entry) for entry in call.parameters.get("Filters", [])]
        fitting = [product for product in self._products if all(test(product) for test in tests)]
        page, token = _page(fitting, call)
        return {
            "FormatVersion": "aws_v1",
            "PriceList": [json.dumps(self._priced(product)) for product in page],
            "NextToken": token,
        }

    @property
    def _products(self) -> list[dict[str, Any]]:
        return [
            product
            for product in self._known_products
            if self._availability.has(
                product["attributes"]["instanceName"], product["attributes"]["regionCode"]
            )
        ]

    @cached_property
    def _known_products(self) -> list[dict[str, Any]]:
        return [
            _product(entry, region)
            for region in self._catalog.regions.values()
            for entry in self._catalog.instance_types.values()
        ]

    def _priced(self, product: Mapping[str, Any]) -> dict[str, Any]:
        attributes, sku = product["attributes"], product["sku"]
        name, location = attributes["instanceName"], attributes["location"]
        usd = self._catalog.usd_per_hour(name, attributes["regionCode"])
        offer, published = f"{sku}.{_ON_DEMAND_TERM}", f"{self._catalog.as_of}T00:00:00Z"
        dimension = {
            "unit": "Hrs",
            "endRange": "Inf",
            "description": f"${usd} per Training {name} hour in {location}",
            "appliesTo": [],
            "rateCode": f"{offer}.{_HOURLY_RATE}",
            "beginRange": "0",
            "pricePerUnit": {"USD": f"{usd:.10f}"},
        }
        term = {
            "priceDimensions": {dimension["rateCode"]: dimension},
            "sku": sku,
            "effectiveDate": published,
            "offerTermCode": _ON_DEMAND_TERM,
            "termAttributes": {},
        }
        return {
            "product": product,
            "serviceCode": SERVICE_CODE,
            "terms": {"OnDemand": {offer: term}},
            "version": self._catalog.as_of.replace("-", "") + "000000",
            "publicationDate": published,
        }


def _product(entry: InstanceType, region: Region) -> dict[str, Any]:
    usage = f"{region.usage_prefix}-Train:{entry.name}"
    family = entry.name.split(".")[1]
    return {
        "productFamily": "ML Instance",
        "attributes": {
            "regionCode": region.name,
            "servicecode": SERVICE_CODE,
            "servicename": "Amazon SageMaker",
            "instanceName": entry.name,
            "instanceType": f"{entry.name}-Training",
            "component": "Training",
            "computeType": _FAMILIES.get(family[0], "Accelerated computing"),
            "vCpu": str(entry.vcpus),
            "memory": f"{entry.memory_gib} GiB",
            "gpu": str(entry.gpus) if entry.gpus else "N/A",
            "location": region.location,
            "locationType": "AWS Region",
            "platoinstancename": entry.name,
            "platoinstancetype": "Training",
            "usagetype": usage,
            "operation": "RunInstance",
        },
        "sku": hashlib.sha256(usage.encode()).hexdigest()[:16].upper(),
    }


def _fields(product: Mapping[str, Any]) -> dict[str, str]:
    """What products can be filtered by."""
    return {"productFamily": product["productFamily"], "sku": product["sku"], **product["attributes"]}


def _test_of(entry: Mapping[str, str]) -> Callable[[Mapping[str, Any]], bool]:
    """What a filter asks of a product; AWS takes the names of fields in any case."""
    field, wanted, kind = entry["Field"].lower(), entry["Value"], entry["Type"]
    values = wanted.split(",")
    compare: dict[str, Callable[[str], bool]] = {
        "TERM_MATCH": lambda value: value == wanted,
        "EQUALS": lambda value: value == wanted,
        "CONTAINS": lambda value: wanted in value,
        "ANY_OF": lambda value: value in values,
        "NONE_OF": lambda value: value not in values,
    }
    if kind not in compare:
        raise InvalidParameter(f"The filter type is {kind}; it takes one of {', '.join(compare)}")

    def _test(product: Mapping[str, Any]) -> bool:
        value = {name.lower(): value for name, value in _fields(product).items()}.get(field)
        return value is not None and compare[kind](value)

    return _test


def _check_service(call: Call) -> None:
    code = call.parameters["ServiceCode"]
    if code != SERVICE_CODE:
        raise InvalidParameter(f"There are no prices of {code} here, only of {SERVICE_CODE}")


def _page(entries: list[Any], call: Call) -> tuple[list[Any], str | None]:
    return sliced(entries, call.parameters, refusal=InvalidParameter, bad_token=InvalidNextToken)
