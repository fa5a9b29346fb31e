"""Around moto: whatever it cannot answer is an AWS error in the service's own protocol, never HTML and never a traceback."""

from __future__ import annotations

import logging
import re
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from botocore.exceptions import UnknownServiceError
from moto.core.request import Request
from moto.core.routing import get_service_router
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from werkzeug.exceptions import NotFound

from airflow_spot_provider.emulator.control.calls import called
from airflow_spot_provider.emulator.wire.errors import error_answer
from airflow_spot_provider.emulator.wire.protocol import Answer, respond, service_model

log = logging.getLogger(__name__)

INTERNAL_FAILURE = "We encountered an internal error. Please try again."
_FIRST_ERROR = 400
_AWS_BODY = re.compile(rb"\s*(\{|\[|<\?xml|<(Error|ErrorResponse|Response)\b)")
_PARSES = "parse_parameters"
"""moto's method that reads a request: what fails in it is the client's mistake."""


class _Codes(NamedTuple):
    """What the services of one protocol say.

    :param unknown: to an operation that they have not.
    :param status: of HTTP, to that.
    :param malformed: to a request that they cannot read.
    """

    unknown: str
    status: int
    malformed: str


_CODES = {
    "json": _Codes("UnknownOperationException", 400, "SerializationException"),
    "query": _Codes("InvalidAction", 400, "ValidationError"),
    "ec2": _Codes("InvalidAction", 400, "InvalidParameterValue"),
    "rest-json": _Codes("UnknownOperationException", 404, "SerializationException"),
    "rest-xml": _Codes("NotImplemented", 501, "InvalidArgument"),
}


class Fallback:
    """The WSGI application of moto's server, with AWS's errors in the place of its own.

    What moto answers passes as it is, in a stream. An operation that it has not, a service that it has not, and its HTML pages become
    an error that names the operation; where a request makes it crash, the client gets an ``InternalFailure``, and the log the rest.

    :param moto: moto's server.
    :param at_first_call: what is done before a service is called for the first time, by botocore's name of it; such as what would
        load a large part of moto, which most emulators never need.
    """

    def __init__(
        self,
        moto: DomainDispatcherApplication,
        at_first_call: Mapping[str, Callable[[], object]] | None = None,
    ) -> None:
        self._moto = moto
        self._at_first_call = dict(at_first_call or {})
        self._preparing = threading.Lock()

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        """WSGI."""
        # Before moto reads the body, which may be the form that names the operation.
        service, operation = called(environ)
        self._prepare(service)
        head: list[tuple[str, list[tuple[str, str]]]] = []

        def _hold_errors(status: str, headers: Any, exc_info: Any = None) -> Any:
            if int(status[:3]) < _FIRST_ERROR:
                return (
                    start_response(status, headers, exc_info) if exc_info else start_response(status, headers)
                )
            head[:] = [(status, headers)]
            return lambda _: None

        try:
            answering = self._moto.get_application(environ)
        except AttributeError:
            # How moto fails where it finds no backend.
            return respond(_no_operation(environ, service, operation), start_response)
        try:
            body = answering(environ, _hold_errors)
        except ConnectionError:
            raise
        except NotImplementedError:
            return respond(_no_operation(environ, service, operation), start_response)
        except Exception as error:
            answer = _refused(environ, service, operation, error)
            if answer is None:
                log.exception("%s:%s could not be answered", service, operation)
                answer = error_answer(environ, "InternalFailure", INTERNAL_FAILURE, 500)
            return respond(answer, start_response)
        if not head:
            return body
        (status, headers), content = head[0], _read(body)
        if _is_of_aws(environ, service, headers, content):
            start_response(status, headers)
            return [content]
        return respond(self._instead(environ, service, operation, int(status[:3])), start_response)

    def _prepare(self, service: str) -> None:
        if service in self._at_first_call:
            with self._preparing:
                if prepare := self._at_first_call.get(service):
                    prepare()
                    del self._at_first_call[service]

    @staticmethod
    def _instead(environ: Any, service: str, operation: str, status: int) -> Answer:
        """An error of AWS's in the place of a page that no client understands."""
        if status in (404, 405):
            return _no_operation(environ, service, operation)
        if status >= 500:
            log.error("%s:%s was answered with status %s and no error of AWS's", service, operation, status)
            return error_answer(environ, "InternalFailure", INTERNAL_FAILURE, 500)
        return error_answer(
            environ, "ValidationException", f"The request of {service}:{operation} is not valid", status
        )


def _read(body: Iterable[bytes]) -> bytes:
    try:
        return b"".join(body)
    finally:
        if close := getattr(body, "close", None):
            close()


def _is_of_aws(environ: Any, service: str, headers: Iterable[tuple[str, str]], content: bytes) -> bool:
    """Whether an error is one that a client of AWS understands. HEAD has no body, and S3 has errors without."""
    if environ.get("REQUEST_METHOD") == "HEAD" or (service == "s3" and not content):
        return True
    kind = {name.lower(): value for name, value in headers}.get("content-type", "")
    return bool(_AWS_BODY.match(content)) or (bool(content) and not kind.startswith("text/html"))


def _refused(environ: Any, service: str, operation: str, error: Exception) -> Answer | None:
    """What the client is told of its mistake, over which moto has stumbled; None if it is none of the client's."""
    if not _exists(service, operation):
        return _no_operation(environ, service, operation)
    if any(frame.f_code.co_name == _PARSES for frame, _ in traceback.walk_tb(error.__traceback__)):
        code = _CODES.get(_protocol(service), _CODES["json"]).malformed
        message = f"The request of {service}:{operation} has a member of another type than it takes"
        return error_answer(environ, code, message, _FIRST_ERROR)
    return None


def _exists(service: str, operation: str) -> bool:
    """Whether the service has such an operation; taken to be so of REST services, where paths stand for names, and of unknown ones."""
    try:
        model = service_model(service)
    except UnknownServiceError:
        return True
    return model.metadata["protocol"].startswith("rest") or operation in model.operation_names


def _no_operation(environ: Any, service: str, operation: str) -> Answer:
    name = _operation_name(environ, service, operation)
    codes = _CODES.get(_protocol(service), _CODES["json"])
    message = f"The operation {service}:{name} is not emulated here, or not with these parameters"
    return error_answer(environ, codes.unknown, message, codes.status)


def _protocol(service: str) -> str:
    try:
        return str(service_model(service).metadata["protocol"])
    except UnknownServiceError:
        return "json"


def _operation_name(environ: Any, service: str, operation: str) -> str:
    """The operation's name; REST requests have it in their method and path only."""
    if not _protocol(service).startswith("rest"):
        return operation
    try:
        found, _ = get_service_router(service).match(Request(dict(environ)))
    except (NotFound, NotImplementedError, UnknownServiceError, ValueError):
        return operation
    return str(found.name)
