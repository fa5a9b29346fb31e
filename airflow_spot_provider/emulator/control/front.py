"""What every request goes through: the control API, faults, the services that are ours, and moto."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from airflow_spot_provider.emulator.clock import Clock
from airflow_spot_provider.emulator.control.calls import CallLog, called
from airflow_spot_provider.emulator.control.faults import Faults
from airflow_spot_provider.emulator.wire.errors import error_answer, service_of
from airflow_spot_provider.emulator.wire.protocol import Answer, JsonService, caller_of, respond
from airflow_spot_provider.emulator.wire.regions import is_known

log = logging.getLogger(__name__)

PREFIX = "/_emulator"
WSGI = Callable[[Any, Any], Iterable[bytes]]


class Front:
    """The WSGI application of one server.

    :param control: answers what is asked under ``/_emulator/``.
    :param services: those that the emulator answers for itself.
    :param moto: answers everything else.
    :param calls: the calls that were made.
    :param faults: what goes wrong.
    :param clock: the emulated time.
    """

    def __init__(
        self,
        *,
        control: WSGI,
        services: Iterable[JsonService],
        moto: WSGI,
        calls: CallLog,
        faults: Faults,
        clock: Clock,
    ) -> None:
        self._control = control
        self._services: Mapping[str, JsonService] = {service.target_prefix: service for service in services}
        self._moto = moto
        self._calls = calls
        self._faults = faults
        self._clock = clock

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        """WSGI."""
        path = environ.get("PATH_INFO", "")
        if path == PREFIX or path.startswith(f"{PREFIX}/"):
            return self._control(environ, start_response)
        service, operation = called(environ)
        # moto tells accounts apart by this header; ours by the access key too (see caller_of).
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = caller_of(environ)[0]
        at = self._clock.now()

        def _noted(status: str, headers: Any, exc_info: Any = None) -> Any:
            self._calls.note(service, operation, at, int(status.split(maxsplit=1)[0]))
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        if not self._faults.concern(service, operation):
            return self._answer(environ, operation, _noted)
        answer = self._faults.answer(
            environ, service, operation, lambda: _collected(self._answer, environ, operation)
        )
        if answer is None:
            self._calls.note(service, operation, at, None)
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            # What werkzeug takes for a client that went away: it says nothing more.
            raise ConnectionAbortedError("dropped by a fault")
        return respond(answer, _noted)

    def _answer(self, environ: Any, operation: str, start_response: Any) -> Iterable[bytes]:
        prefix = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[0]
        service = self._services.get(prefix)
        region = caller_of(environ)[1]
        if not is_known(service_of(environ), region):
            message = f"The region {region!r} is none that {service_of(environ)} is in: name one of AWS's, such as 'us-east-1'."
            return respond(error_answer(environ, "ValidationException", message, 400), start_response)
        try:
            if service is not None and service.answers(operation):
                answer = service.answer(operation, environ)
                if answer is not None:
                    return respond(answer, start_response)
            return self._moto(environ, start_response)
        except ConnectionError:
            raise
        except Exception:
            # Our defect, or moto's; the client gets AWS's words for it, and the log the details.
            log.exception("%s could not be answered", operation)
            message = "We encountered an internal error. Please try again."
            return respond(error_answer(environ, "InternalFailure", message, 500), start_response)


def _collected(answer: Callable[..., Iterable[bytes]], environ: Any, operation: str) -> Answer:
    """A whole answer of a WSGI application."""
    heads: list[tuple[int, dict[str, str]]] = []

    def _start_response(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> Any:
        heads.append((int(status.split(maxsplit=1)[0]), dict(headers)))
        return None

    parts = answer(environ, operation, _start_response)
    try:
        body = b"".join(parts)
    finally:
        if close := getattr(parts, "close", None):
            close()
    status, headers = heads[-1]
    return status, headers, body
