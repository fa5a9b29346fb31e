"""Calls of the small services, without a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.model import Shape
from botocore.validate import ParamValidator
from moto.core.exceptions import ServiceException

from airflow_spot_provider.emulator.wire.protocol import Call, Operation, service_model

ACCOUNT, REGION = "123456789012", "us-east-1"


class Caller:
    """Calls the operations of one service, and checks every answer against botocore's output shape."""

    def __init__(self, service: str, operations: Mapping[str, Operation]) -> None:
        self._service = service
        self._operations = operations

    def __call__(self, name: str, *, region: str = REGION, account: str = ACCOUNT, **parameters: Any) -> Any:
        answer = dict(self._operations[name](Call(name, parameters, account, region)))
        answer = {key: value for key, value in answer.items() if value is not None}
        shape: Shape = service_model(self._service).operation_model(name).output_shape
        report = ParamValidator().validate(answer, shape)
        assert not report.has_errors(), report.generate_report()
        return answer

    def all(self, name: str, member: str, **parameters: Any) -> list[Any]:
        """A list over all of its pages."""
        page = self(name, **parameters)
        entries = list(page[member])
        while token := page.get("NextToken"):
            page = self(name, NextToken=token, **parameters)
            entries += page[member]
        return entries

    def refusal(self, name: str, **parameters: Any) -> ServiceException:
        with pytest.raises(ServiceException) as caught:
            self(name, **parameters)
        return caught.value


@pytest.fixture
def caller_of() -> Callable[[str, Mapping[str, Operation]], Caller]:
    return Caller
