"""What clients get where moto has no answer of AWS's."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_spot_provider.emulator.services.fallback import Fallback

HTML = b"<!doctype html>\n<title>404 Not Found</title>"


class _Moto:
    """Answers as it is told to."""

    def __init__(self, app: Callable[..., Any] | None) -> None:
        self._app = app

    def get_application(self, _: Any) -> Any:
        if self._app is None:
            raise AttributeError("'NoneType' object has no attribute 'replace'")
        return self._app


def _environ(service: str, method: str = "POST", body: bytes = b"", **headers: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": "/",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential=key/20260301/us-east-1/{service}/aws4_request, Signature=x",
        **headers,
    }


def _form(action: str) -> dict[str, Any]:
    return {
        "body": f"Action={action}&Version=2010-05-08".encode(),
        "CONTENT_TYPE": "application/x-www-form-urlencoded; charset=utf-8",
    }


def _answering(status: str, body: bytes, content_type: str) -> Callable[..., Any]:
    def _app(_environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response(status, [("Content-Type", content_type)])
        return iter([body])

    return _app


def _failing(error: Exception) -> Callable[..., Any]:
    def _app(_environ: Any, _start_response: Any) -> Any:
        raise error

    return _app


def _ask(app: Callable[..., Any] | None, environ: dict[str, Any]) -> tuple[str, str]:
    heads: list[str] = []
    moto: Any = _Moto(app)
    parts = Fallback(moto)(environ, lambda status, _headers, _exc_info=None: heads.append(status))
    return heads[-1], b"".join(parts).decode()


@pytest.mark.parametrize(
    ("environ", "status", "told"),
    [
        (_environ("iam", **_form("GetNothing")), "400", "<Code>InvalidAction</Code>"),
        (
            _environ("ec2", **_form("GetNothing")),
            "400",
            "<Response><Errors><Error><Code>InvalidAction</Code>",
        ),
        (
            _environ("sqs", HTTP_X_AMZ_TARGET="AmazonSQS.GetNothing"),
            "400",
            '"__type": "UnknownOperationException"',
        ),
        (_environ("lambda", "GET"), "404", '"__type": "UnknownOperationException"'),
        (_environ("s3"), "501", "<Error><Code>NotImplemented</Code>"),
    ],
)
@pytest.mark.parametrize(
    "app",
    [
        _failing(NotImplementedError("The get_nothing action has not been implemented")),
        _answering("404 NOT FOUND", HTML, "text/html; charset=utf-8"),
        _answering("405 METHOD NOT ALLOWED", HTML, "text/html; charset=utf-8"),
    ],
)
def test_operation_that_is_not_there_is_refused_in_the_protocol_of_its_service(
    app: Any, environ: dict[str, Any], status: str, told: str
) -> None:
    environ["wsgi.input"].seek(0)
    answered, body = _ask(app, dict(environ))
    assert answered.startswith(status)
    assert told in body
    assert "is not emulated here" in body


def test_refusal_names_the_operation_of_a_rest_service() -> None:
    environ = _environ("batch", PATH_INFO="/v1/describeservicejob")
    _, body = _ask(_answering("404 NOT FOUND", HTML, "text/html"), environ)
    assert "batch:DescribeServiceJob" in json.loads(body)["message"]


def test_service_that_is_not_there_is_named() -> None:
    _, body = _ask(None, _environ("workmail", HTTP_X_AMZ_TARGET="WorkMailService.ListOrganizations"))
    assert "workmail" in json.loads(body)["message"]


@pytest.mark.parametrize(
    "app",
    [
        _failing(KeyError("RoleName")),
        _answering("500 INTERNAL SERVER ERROR", b"<html>Traceback</html>", "text/html"),
        _answering("500 INTERNAL SERVER ERROR", b"'NoneType' object is not subscriptable", "text/html"),
    ],
)
def test_crash_is_an_internal_failure_without_python_in_it(
    app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        status, body = _ask(app, _environ("iam", **_form("GetRole")))
    assert status.startswith("500")
    assert "<Code>InternalFailure</Code>" in body
    assert "RoleName" not in body
    assert "NoneType" not in body
    assert "iam:GetRole" in caplog.text


@pytest.mark.parametrize(
    ("status", "content", "kind", "environ"),
    [
        ("200 OK", HTML, "text/html", _environ("s3", "GET")),
        ("200 OK", b"", "text/html", _environ("sqs")),
        ("404 NOT FOUND", b'{"__type": "X"}', "text/html", _environ("sqs")),
        ("404 NOT FOUND", b"<?xml version='1.0'?><Error/>", "text/html", _environ("s3", "GET")),
        ("400 BAD REQUEST", b"<ErrorResponse></ErrorResponse>", "text/xml", _environ("iam")),
        ("404 NOT FOUND", b"", "text/html", _environ("s3", "HEAD")),
        ("304 NOT MODIFIED", b"", "text/html", _environ("s3", "GET")),
    ],
)
def test_answers_of_motos_own_pass_as_they_are(
    status: str, content: bytes, kind: str, environ: dict[str, Any]
) -> None:
    assert _ask(_answering(status, content, kind), environ) == (status, content.decode())


def test_crash_of_a_service_that_botocore_does_not_know_is_an_internal_failure() -> None:
    status, body = _ask(_failing(KeyError("x")), _environ("elasticloadbalancing", **_form("DescribeNothing")))
    assert status.startswith("500")
    assert "InternalFailure" in body


def test_answer_passes_in_a_stream() -> None:
    handed_on: list[int] = []

    def _app(_environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])

        def _parts() -> Iterator[bytes]:
            for number in range(3):
                handed_on.append(number)
                yield b"x"

        return _parts()

    moto: Any = _Moto(_app)
    parts = iter(Fallback(moto)(_environ("s3", "GET"), lambda *_: None))
    next(parts)
    assert handed_on == [0]


def test_connection_that_is_dropped_stays_dropped() -> None:
    with pytest.raises(ConnectionAbortedError):
        _ask(_failing(ConnectionAbortedError("by a fault")), _environ("iam", **_form("GetRole")))


def test_what_a_service_needs_is_loaded_before_its_first_call_and_once() -> None:
    done: list[str] = []
    moto: Any = _Moto(_answering("200 OK", b"", "text/xml"))
    fallback = Fallback(moto, {"ec2": lambda: done.append("ec2")})
    for service in ("sqs", "ec2", "ec2"):
        fallback(_environ(service), lambda *_: None)
    assert done == ["ec2"]


def parse_parameters(_environ: Any, _start_response: Any) -> Any:
    """Stumbles where moto reads a request."""
    raise ValueError("invalid literal for int() with base 10: 'x'")


@pytest.mark.parametrize(
    ("service", "action", "code"),
    [
        ("iam", "SimulateCustomPolicy", "ValidationError"),
        ("ec2", "DescribeSpotPriceHistory", "InvalidParameterValue"),
        ("iam", "GetNothing", "InvalidAction"),
    ],
)
def test_request_that_cannot_be_read_is_the_mistake_of_the_client(
    service: str, action: str, code: str
) -> None:
    status, body = _ask(parse_parameters, _environ(service, **_form(action)))
    assert status.startswith("400")
    assert f"<Code>{code}</Code>" in body
    assert "literal" not in body
