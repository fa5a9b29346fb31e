"""The price list."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_spot_provider.emulator.market.availability import Availability, Lack
from airflow_spot_provider.emulator.services.catalog import default_catalog
from airflow_spot_provider.emulator.services.pricing import PricingAPI


@pytest.fixture
def call(caller_of: Callable[..., Any]) -> Any:
    return caller_of("pricing", PricingAPI(default_catalog()).operations)


def _filters(**terms: str) -> list[dict[str, str]]:
    return [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in terms.items()]


def _products(call: Any, **terms: str) -> list[dict[str, Any]]:
    found = call.all("GetProducts", "PriceList", ServiceCode="AmazonSageMaker", Filters=_filters(**terms))
    return [json.loads(product) for product in found]


def test_product_of_an_instance_type_in_a_region_tells_its_price(call: Any) -> None:
    (found,) = _products(call, instanceName="ml.m5.xlarge", regionCode="us-east-1", component="Training")
    assert found["serviceCode"] == "AmazonSageMaker"
    assert found["product"]["attributes"]["usagetype"] == "USE1-Train:ml.m5.xlarge"
    (term,) = found["terms"]["OnDemand"].values()
    (dimension,) = term["priceDimensions"].values()
    assert dimension["unit"] == "Hrs"
    assert float(dimension["pricePerUnit"]["USD"]) == 0.23


def test_every_price_is_found_once_over_all_pages(call: Any) -> None:
    catalog = default_catalog()
    skus = [product["product"]["sku"] for product in _products(call)]
    assert len(skus) == len(set(skus)) == len(catalog.instance_types) * len(catalog.regions)


@pytest.mark.parametrize(
    ("kind", "value", "count"),
    [
        ("EQUALS", "ml.p3.2xlarge", 1),
        ("CONTAINS", "ml.p3.", 3),
        ("ANY_OF", "ml.p3.2xlarge,ml.m5.large", 2),
        ("NONE_OF", "ml.p3.2xlarge", 140),
    ],
)
def test_filters_of_every_type_are_known(call: Any, kind: str, value: str, count: int) -> None:
    filters = [*_filters(regionCode="us-east-1"), {"Type": kind, "Field": "InstanceName", "Value": value}]
    found = call.all("GetProducts", "PriceList", ServiceCode="AmazonSageMaker", Filters=filters)
    assert len(found) == count


def test_there_is_no_price_where_the_region_does_not_have_the_instance_type(
    caller_of: Callable[..., Any],
) -> None:
    availability = Availability([Lack("ml.p2.*", "us-west-1")])
    call = caller_of("pricing", PricingAPI(default_catalog(), availability).operations)
    assert _products(call, instanceName="ml.p2.xlarge", regionCode="us-west-1") == []
    assert len(_products(call, instanceName="ml.p2.xlarge", regionCode="us-west-2")) == 1
    availability.set("ml.p2.xlarge", "us-*", available=True)
    assert len(_products(call, instanceName="ml.p2.xlarge", regionCode="us-west-1")) == 1


def test_field_that_no_product_has_matches_none(call: Any) -> None:
    assert _products(call, tenancy="Shared") == []


def test_attributes_and_their_values_are_listed(call: Any) -> None:
    (service,) = call.all("DescribeServices", "Services")
    assert "regionCode" in service["AttributeNames"]
    values = call.all(
        "GetAttributeValues", "AttributeValues", ServiceCode="AmazonSageMaker", AttributeName="location"
    )
    assert {"Value": "US East (N. Virginia)"} in values


@pytest.mark.parametrize(
    ("operation", "parameters", "code", "told"),
    [
        ("GetProducts", {}, "InvalidParameterException", "ServiceCode"),
        ("GetProducts", {"ServiceCode": "AmazonEC2"}, "InvalidParameterException", "AmazonSageMaker"),
        (
            "GetProducts",
            {"ServiceCode": "AmazonSageMaker", "MaxResults": 101},
            "InvalidParameterException",
            "100",
        ),
        (
            "GetProducts",
            {"ServiceCode": "AmazonSageMaker", "MaxResults": "x"},
            "InvalidParameterException",
            "MaxR",
        ),
        (
            "GetProducts",
            {"ServiceCode": "AmazonSageMaker", "NextToken": "x"},
            "InvalidNextTokenException",
            "x",
        ),
        (
            "GetProducts",
            {"ServiceCode": "AmazonSageMaker", "Filters": [{"Type": "LIKE", "Field": "a", "Value": "b"}]},
            "InvalidParameterException",
            "TERM_MATCH",
        ),
        (
            "GetAttributeValues",
            {"ServiceCode": "AmazonSageMaker", "AttributeName": "x"},
            "InvalidParameterException",
            "x",
        ),
    ],
)
def test_request_that_makes_no_sense_is_refused(
    call: Any, operation: str, parameters: dict[str, Any], code: str, told: str
) -> None:
    error = call.refusal(operation, **parameters)
    assert error.code == code
    assert told in error.message
