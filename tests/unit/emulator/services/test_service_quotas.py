"""Service Quotas over the quotas that jobs are measured by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_spot_provider.emulator.clock import SteppedClock
from airflow_spot_provider.emulator.exceptions import ResourceLimitExceeded
from airflow_spot_provider.emulator.market.quotas import DEFAULT_QUOTA, Quotas
from airflow_spot_provider.emulator.services.service_quotas import ServiceQuotasAPI, quota_code
from airflow_spot_provider.emulator.spec import JobSpec

NAME = "ml.m5.large for spot training job usage"
OURS = {"ServiceCode": "sagemaker", "QuotaCode": quota_code(NAME)}


@pytest.fixture
def quotas() -> Quotas:
    return Quotas({NAME: 2})


@pytest.fixture
def call(caller_of: Callable[..., Any], quotas: Quotas, clock: SteppedClock) -> Any:
    return caller_of("service-quotas", ServiceQuotasAPI(quotas, clock).operations)


def test_quota_has_the_name_and_value_that_jobs_are_measured_by(call: Any) -> None:
    quota = call("GetServiceQuota", **OURS)["Quota"]
    assert (quota["QuotaName"], quota["Value"]) == (NAME, 2.0)


def test_all_training_quotas_are_listed_on_demand_and_spot(call: Any) -> None:
    quotas = call.all("ListServiceQuotas", "Quotas", ServiceCode="sagemaker")
    values = {quota["QuotaName"]: quota["Value"] for quota in quotas}
    assert values[NAME] == 2.0
    assert values["ml.p3.2xlarge for training job usage"] == DEFAULT_QUOTA
    assert len({quota["QuotaCode"] for quota in quotas}) == len(quotas)


def test_increase_is_granted_at_once_and_only_where_it_was_asked_for(
    call: Any, quotas: Quotas, request_of: Callable[..., dict[str, Any]]
) -> None:
    spec = JobSpec(
        request_of(ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 3, "VolumeSizeInGB": 1}),
        "123456789012",
        "us-east-1",
    )
    with pytest.raises(ResourceLimitExceeded):
        quotas.check(spec, [])
    asked = call("RequestServiceQuotaIncrease", DesiredValue=5, **OURS)["RequestedQuota"]
    assert asked["Status"] == "APPROVED"
    quotas.check(spec, [])
    assert call("GetServiceQuota", **OURS)["Quota"]["Value"] == 5.0
    assert call("GetAWSDefaultServiceQuota", **OURS)["Quota"]["Value"] == 2.0
    assert call("GetServiceQuota", region="eu-west-1", **OURS)["Quota"]["Value"] == 2.0
    assert call("GetRequestedServiceQuotaChange", RequestId=asked["Id"])["RequestedQuota"] == asked


def test_requests_are_listed_with_the_latest_first(call: Any) -> None:
    for wanted in (3, 4):
        call("RequestServiceQuotaIncrease", DesiredValue=wanted, **OURS)
    listed = call("ListRequestedServiceQuotaChangeHistory", ServiceCode="sagemaker")["RequestedQuotas"]
    assert [request["DesiredValue"] for request in listed] == [4.0, 3.0]
    assert call("ListRequestedServiceQuotaChangeHistory", Status="DENIED")["RequestedQuotas"] == []
    assert call("ListRequestedServiceQuotaChangeHistory", region="eu-west-1")["RequestedQuotas"] == []


def test_quotas_that_moto_has_are_answered_as_before(call: Any) -> None:
    theirs = call.all("ListAWSDefaultServiceQuotas", "Quotas", ServiceCode="vpc")
    one = call("GetServiceQuota", ServiceCode="vpc", QuotaCode=theirs[0]["QuotaCode"])["Quota"]
    assert one == theirs[0]
    assert {"sagemaker", "vpc"} == {entry["ServiceCode"] for entry in call("ListServices")["Services"]}


@pytest.mark.parametrize(
    ("operation", "parameters", "code"),
    [
        (
            "GetServiceQuota",
            {"ServiceCode": "sagemaker", "QuotaCode": "L-00000000"},
            "NoSuchResourceException",
        ),
        ("GetServiceQuota", {"ServiceCode": "nothing", "QuotaCode": "L-00000000"}, "NoSuchResourceException"),
        ("GetServiceQuota", {"ServiceCode": "sagemaker"}, "IllegalArgumentException"),
        ("RequestServiceQuotaIncrease", {**OURS, "DesiredValue": 2}, "IllegalArgumentException"),
        ("RequestServiceQuotaIncrease", {**OURS, "DesiredValue": 2.5}, "IllegalArgumentException"),
        ("RequestServiceQuotaIncrease", {**OURS, "DesiredValue": float("inf")}, "IllegalArgumentException"),
        (
            "ListServiceQuotas",
            {"ServiceCode": "sagemaker", "NextToken": "abc"},
            "InvalidPaginationTokenException",
        ),
        ("ListServiceQuotas", {"ServiceCode": "sagemaker", "MaxResults": 0}, "IllegalArgumentException"),
        ("GetRequestedServiceQuotaChange", {"RequestId": "none"}, "NoSuchResourceException"),
    ],
)
def test_request_that_makes_no_sense_is_refused(
    call: Any, operation: str, parameters: dict[str, Any], code: str
) -> None:
    assert call.refusal(operation, **parameters).code == code
