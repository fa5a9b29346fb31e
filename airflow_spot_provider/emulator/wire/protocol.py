"""AWS's JSON protocol: a call comes in, an answer or an error goes out.

Source: `AWS JSON 1.1 protocol <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html>`_.
"""

from __future__ import annotations

import io
import json
import math
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from http.client import responses
from typing import Any

import botocore.session
from moto.core.exceptions import ServiceException
from moto.iam.models import get_account_id_from

from airflow_spot_provider.emulator.exceptions import (
    InternalFailure,
    RequestTooLarge,
    SerializationException,
    UnknownOperation,
)

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""

_LARGEST_BODY = 16_000_000
_ACCESS_KEY = re.compile(r"Credential=([^/,\s]+)/")
_REGION = re.compile(r"Credential=[^/,\s]+/[^/,\s]+/([a-z0-9-]+)/")
_ACCOUNT = re.compile(r"\d{12}")
DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True)
class Call:
    """One call of an operation.

    :param operation: such as ``CreateTrainingJob``.
    :param parameters: the request as it was sent.
    :param account_id: whose call it is.
    :param region: where it is made.
    """

    operation: str
    parameters: dict[str, Any]
    account_id: str
    region: str


Operation = Callable[[Call], Mapping[str, Any]]
"""Answers a call with the members of its output; raises moto's ServiceException to refuse it, NotOurs to leave it to moto."""


class NotOurs(Exception):
    """Raised by an operation that leaves a call to moto."""


@cache
def service_model(service: str) -> Any:
    """Botocore's model of a service, such as ``sagemaker``."""
    return botocore.session.get_session().get_service_model(service)


class JsonService:
    """One service, as far as the emulator answers for it itself.

    :param service: botocore's name of it.
    :param operations: what answers each operation.
    """

    def __init__(self, service: str, operations: Mapping[str, Operation]) -> None:
        self._service = service
        self._operations = dict(operations)

    @property
    def target_prefix(self) -> str:
        """What its ``X-Amz-Target`` headers begin with."""
        return str(service_model(self._service).metadata["targetPrefix"])

    def answers(self, operation: str) -> bool:
        """Whether it answers this one: one of its own, or one that the service does not have."""
        return operation in self._operations or operation not in service_model(self._service).operation_names

    def answer(self, operation: str, environ: dict[str, Any]) -> Answer | None:
        """Answer one HTTP request; None leaves it to moto, as it came."""
        try:
            if operation not in self._operations:
                raise UnknownOperation(f"{self._service} has no operation {operation!r}")
            account_id, region = caller_of(environ)
            body = body_of(environ)
            environ["wsgi.input"] = io.BytesIO(body)
            return told(self._operations[operation](Call(operation, parsed(body), account_id, region)))
        except NotOurs:
            return None
        except RecursionError:
            return refusal(SerializationException("The request is nested too deeply"))
        except ServiceException as error:
            return refusal(error)


def caller_of(environ: Mapping[str, Any]) -> tuple[str, str]:
    """Account and region of a request, by its signature; an access key of twelve digits is an account of its own."""
    authorization = environ.get("HTTP_AUTHORIZATION", "")
    key, region = _ACCESS_KEY.search(authorization), _REGION.search(authorization)
    account = environ.get("HTTP_X_MOTO_ACCOUNT_ID")
    if account is None:
        access_key = key[1] if key else ""
        account = access_key if _ACCOUNT.fullmatch(access_key) else get_account_id_from(access_key)
    return str(account), region[1] if region else DEFAULT_REGION


def body_of(environ: Mapping[str, Any]) -> bytes:
    """The body of a request.

    :raises RequestTooLarge: it is longer than any request is.
    """
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > _LARGEST_BODY:
        raise RequestTooLarge(f"The request is {length} bytes long; {_LARGEST_BODY} are taken")
    body: bytes = environ["wsgi.input"].read(length)
    return body


def parsed(body: bytes) -> dict[str, Any]:
    """The request as the client sent it; a member that is null is one that is not there.

    :raises SerializationException: it is no JSON object.
    """
    try:
        sent = json.loads(body or b"{}", object_pairs_hook=_given, parse_constant=_refuse)
    except (ValueError, RecursionError):
        sent = None
    if not isinstance(sent, dict):
        raise SerializationException("The request is not a JSON object")
    return sent


def _given(members: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in members if value is not None}


def _refuse(constant: str) -> None:
    """Python reads NaN and Infinity in JSON, where there are none."""
    raise ValueError(f"{constant} is no JSON")


def told(answer: Mapping[str, Any]) -> Answer:
    """An answer in the JSON protocol; members without a value are left out."""
    body = {name: value for name, value in answer.items() if value is not None}
    return 200, _headers(), json.dumps(body, default=_epoch, allow_nan=False).encode()


def refusal(error: ServiceException) -> Answer:
    """An error in the JSON protocol."""
    status = 500 if isinstance(error, InternalFailure) else 400
    body = {"__type": error.code, "message": error.message}
    return status, {**_headers(), "x-amzn-errortype": str(error.code)}, json.dumps(body).encode()


def _headers() -> dict[str, str]:
    return {"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": str(uuid.uuid4())}


def _epoch(value: Any) -> float:
    """A time as the protocol writes it: epoch seconds, to the millisecond."""
    if not isinstance(value, datetime):
        raise TypeError(f"{value!r} has no place in an answer")
    return math.floor(value.timestamp() * 1000) / 1000


def respond(answer: Answer, start_response: Any) -> Iterable[bytes]:
    """Hand an answer to a WSGI server."""
    status, headers, body = answer
    named = {name.lower() for name in headers}
    length = [] if "content-length" in named else [("Content-Length", str(len(body)))]
    start_response(f"{status} {responses.get(status, 'Unknown')}", [*headers.items(), *length])
    return [body]
