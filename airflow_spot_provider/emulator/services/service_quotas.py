"""Service Quotas: how many training instances an account may have.

Source: `Service Quotas API <https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/Welcome.html>`_.
"""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from moto.core.exceptions import JsonRESTError, ServiceException
from moto.servicequotas.models import servicequotas_backends
from moto.utilities.utils import get_partition

from airflow_spot_provider.emulator.clock import Clock
from airflow_spot_provider.emulator.market.quotas import DEFAULT_QUOTA, Quotas, quota_name
from airflow_spot_provider.emulator.services.parameters import checked, sliced
from airflow_spot_provider.emulator.wire.protocol import Call, Operation, service_model

SERVICE_CODE = "sagemaker"
_SERVICES = {SERVICE_CODE: "Amazon SageMaker", "vpc": "Amazon Virtual Private Cloud (Amazon VPC)"}
"""Ours, and the one that moto knows."""


class IllegalArgument(ServiceException):
    """What Service Quotas says to a request that it does not take."""

    code = "IllegalArgumentException"


class InvalidPaginationToken(ServiceException):
    """What Service Quotas says to a token that it has not given."""

    code = "InvalidPaginationTokenException"


class NoSuchResource(ServiceException):
    """What Service Quotas says to a service, quota or request that it does not know."""

    code = "NoSuchResourceException"


def quota_code(name: str) -> str:
    """The code of a quota: made from its name, so that it is the same on every emulator (at AWS it is another)."""
    return f"L-{hashlib.sha256(name.encode()).hexdigest()[:8].upper()}"


class ServiceQuotasAPI:
    """Answers the service ``service-quotas``: for SageMaker from the emulator's quotas, for others what moto knows.

    :param quotas: what jobs are measured by; an increase changes it at once, for the account and region that asks.
    :param clock: tells when an increase was asked for.
    """

    def __init__(self, quotas: Quotas, clock: Clock) -> None:
        self._quotas = quotas
        self._clock = clock
        self._requests: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._lock = threading.Lock()

    @property
    def operations(self) -> dict[str, Operation]:
        """What answers each operation."""
        answers: dict[str, Operation] = {
            "ListServices": self.list_services,
            "ListServiceQuotas": self.list_service_quotas,
            "GetServiceQuota": self.get_service_quota,
            "ListAWSDefaultServiceQuotas": self.list_default_quotas,
            "GetAWSDefaultServiceQuota": self.get_default_quota,
            "RequestServiceQuotaIncrease": self.request_increase,
            "GetRequestedServiceQuotaChange": self.get_request,
            "ListRequestedServiceQuotaChangeHistory": self.list_requests,
            "ListRequestedServiceQuotaChangeHistoryByQuota": self.list_requests,
        }
        return checked("service-quotas", answers, IllegalArgument)

    def list_services(self, call: Call) -> Mapping[str, Any]:
        """ListServices."""
        services = [{"ServiceCode": code, "ServiceName": name} for code, name in _SERVICES.items()]
        page, token = _page(services, call)
        return {"Services": page, "NextToken": token}

    def list_service_quotas(self, call: Call) -> Mapping[str, Any]:
        """ListServiceQuotas: as they are for this account and region."""
        wanted = call.parameters.get("QuotaCode")
        quotas = [quota for quota in self._all(call, self._applied) if wanted in (None, quota["QuotaCode"])]
        page, token = _page(quotas, call)
        return {"Quotas": page, "NextToken": token}

    def get_service_quota(self, call: Call) -> Mapping[str, Any]:
        """GetServiceQuota: as it is for this account and region."""
        return {"Quota": self._one(call, self._applied)}

    def list_default_quotas(self, call: Call) -> Mapping[str, Any]:
        """ListAWSDefaultServiceQuotas: as they are for an account that has none of its own."""
        page, token = _page(self._all(call, self._default), call)
        return {"Quotas": page, "NextToken": token}

    def get_default_quota(self, call: Call) -> Mapping[str, Any]:
        """GetAWSDefaultServiceQuota: as it is for an account that has none of its own."""
        return {"Quota": self._one(call, self._default)}

    def request_increase(self, call: Call) -> Mapping[str, Any]:
        """RequestServiceQuotaIncrease: granted at once."""
        sent = call.parameters
        if sent["ServiceCode"] != SERVICE_CODE:
            raise NoSuchResource(f"Quotas of {sent['ServiceCode']} cannot be increased here")
        quota, wanted = self._one(call, self._applied), sent["DesiredValue"]
        if not (wanted > quota["Value"] and float(wanted).is_integer()):
            raise IllegalArgument(
                f"You must provide a whole quota value greater than the current quota value {quota['Value']}; it is {wanted}"
            )
        name = quota["QuotaName"]
        self._quotas.set(name, int(wanted), account_id=call.account_id, region=call.region)
        now = self._clock.now()
        with self._lock:
            requests = self._requests.setdefault((call.account_id, call.region), [])
            request = {
                "Id": uuid.uuid5(uuid.NAMESPACE_URL, f"{quota['QuotaArn']}/{len(requests)}").hex,
                "RequestType": "AutomaticManagement",
                **{key: quota[key] for key in ("ServiceCode", "ServiceName", "QuotaCode", "QuotaName")},
                "DesiredValue": float(wanted),
                "Status": "APPROVED",
                "Created": now,
                "LastUpdated": now,
                "Requester": f'{{"accountId":"{call.account_id}","callerArn":"arn:{get_partition(call.region)}:iam::{call.account_id}:root"}}',
                **{key: quota[key] for key in ("QuotaArn", "GlobalQuota", "Unit")},
                "QuotaRequestedAtLevel": "ACCOUNT",
            }
            requests.append(request)
        return {"RequestedQuota": request}

    def get_request(self, call: Call) -> Mapping[str, Any]:
        """GetRequestedServiceQuotaChange."""
        wanted = call.parameters["RequestId"]
        for request in self._requests_of(call):
            if request["Id"] == wanted:
                return {"RequestedQuota": request}
        raise NoSuchResource(f"There is no request {wanted}")

    def list_requests(self, call: Call) -> Mapping[str, Any]:
        """ListRequestedServiceQuotaChangeHistory, and the same ByQuota: the latest first."""
        sent = call.parameters
        requests = [
            request
            for request in reversed(self._requests_of(call))
            if all(
                sent.get(member) in (None, request[member])
                for member in ("ServiceCode", "QuotaCode", "Status")
            )
        ]
        page, token = _page(requests, call)
        return {"RequestedQuotas": page, "NextToken": token}

    def _requests_of(self, call: Call) -> list[dict[str, Any]]:
        with self._lock:
            return list(self._requests.get((call.account_id, call.region), []))

    @cached_property
    def _names(self) -> dict[str, str]:
        """Names of all quotas, by code."""
        types = sorted(service_model(SERVICE_CODE).shape_for("TrainingInstanceType").enum)
        names = [quota_name(instance_type, spot=spot) for instance_type in types for spot in (False, True)]
        return {quota_code(name): name for name in names}

    def _applied(self, call: Call, name: str) -> int:
        return self._quotas.limit(call.account_id, call.region, name)

    def _default(self, _: Call, name: str) -> int:
        return self._quotas.limits().get(name, DEFAULT_QUOTA)

    def _all(self, call: Call, value: Callable[[Call, str], int]) -> list[dict[str, Any]]:
        service = call.parameters["ServiceCode"]
        if service != SERVICE_CODE:
            return self._of_moto(call, service)
        return [_quota(call, code, name, value(call, name)) for code, name in self._names.items()]

    def _one(self, call: Call, value: Callable[[Call, str], int]) -> dict[str, Any]:
        service, code = call.parameters["ServiceCode"], call.parameters["QuotaCode"]
        if service == SERVICE_CODE and code in self._names:
            name = self._names[code]
            return _quota(call, code, name, value(call, name))
        theirs = [] if service == SERVICE_CODE else self._of_moto(call, service)
        found = next((quota for quota in theirs if quota["QuotaCode"] == code), None)
        if found is None:
            raise NoSuchResource(f"The service {service} has no quota {code}")
        return found

    def _of_moto(self, call: Call, service: str) -> list[dict[str, Any]]:
        backend = servicequotas_backends[call.account_id][call.region]
        try:
            return list(backend.list_aws_default_service_quotas(service))
        except JsonRESTError as error:
            raise NoSuchResource(error.message) from error


def _quota(call: Call, code: str, name: str, value: int) -> dict[str, Any]:
    arn = f"arn:{get_partition(call.region)}:servicequotas:{call.region}:{call.account_id}:{SERVICE_CODE}/{code}"
    return {
        "ServiceCode": SERVICE_CODE,
        "ServiceName": _SERVICES[SERVICE_CODE],
        "QuotaArn": arn,
        "QuotaCode": code,
        "QuotaName": name,
        "Value": float(value),
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
        "QuotaAppliedAtLevel": "ACCOUNT",
    }


def _page(entries: list[Any], call: Call) -> tuple[list[Any], str | None]:
    return sliced(entries, call.parameters, refusal=IllegalArgument, bad_token=InvalidPaginationToken)
