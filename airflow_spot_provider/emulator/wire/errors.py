"""Errors in the protocol of whatever service was called."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from botocore.exceptions import UnknownServiceError

from airflow_spot_provider.emulator.wire.protocol import Answer, service_model

_SIGNED_AS = {
    "monitoring": "cloudwatch",
    "servicequotas": "service-quotas",
    "api.pricing": "pricing",
}
"""Services whose signatures bear another name than botocore's."""


def service_of(environ: Mapping[str, Any]) -> str:
    """The service that a request is signed for; S3 where it is not signed, as moto has it."""
    authorization: str = environ.get("HTTP_AUTHORIZATION", "")
    _, _, scope = authorization.partition("Credential=")
    parts = scope.partition(",")[0].split("/")
    service = parts[3].lower() if len(parts) >= 5 else "s3"
    return _SIGNED_AS.get(service, service)


def error_answer(environ: Mapping[str, Any], code: str, message: str, status: int) -> Answer:
    """An error as the called service would write it.

    :param environ: the WSGI request.
    :param code: such as ``ThrottlingException``.
    :param message: for people.
    :param status: of HTTP.
    """
    request_id = str(uuid.uuid4())
    match _protocol_of(environ):
        case "json" | "rest-json" | "smithy-rpc-v2-cbor":
            headers = {
                "Content-Type": "application/x-amz-json-1.1",
                "x-amzn-errortype": code,
                "x-amzn-RequestId": request_id,
            }
            return status, headers, json.dumps({"__type": code, "message": message}).encode()
        case "ec2":
            body = (
                f"<Response><Errors><Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error></Errors>"
                f"<RequestID>{request_id}</RequestID></Response>"
            )
        case "rest-xml":
            body = (
                f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
                f"<RequestId>{request_id}</RequestId></Error>"
            )
        case _:
            kind = "Sender" if status < 500 else "Receiver"
            body = (
                f"<ErrorResponse><Error><Type>{kind}</Type><Code>{escape(code)}</Code>"
                f"<Message>{escape(message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
            )
    headers = {"Content-Type": "text/xml", "x-amzn-RequestId": request_id}
    return status, headers, f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode()


def _protocol_of(environ: Mapping[str, Any]) -> str:
    if environ.get("HTTP_X_AMZ_TARGET"):
        return "json"
    try:
        protocol: str = service_model(service_of(environ)).metadata["protocol"]
    except UnknownServiceError:
        return "rest-xml"
    return protocol
