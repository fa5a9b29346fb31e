"""Answers as JSON that any browser reads, and problems as a sentence."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from typing import Any

from fastapi import Request, Response, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

log = logging.getLogger(__name__)

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    # Plotly writes styles into the page; scripts come from here alone.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; frame-ancestors 'self'; "
        "base-uri 'none'; form-action 'none'"
    ),
}
"""Of every answer."""
_WORDS = {
    status.HTTP_401_UNAUTHORIZED: "You are signed out of Airflow: sign in, and load this page again.",
    status.HTTP_403_FORBIDDEN: "You may not do that. Whoever runs this Airflow can grant it.",
    status.HTTP_404_NOT_FOUND: "There is no such page of spot training.",
    status.HTTP_405_METHOD_NOT_ALLOWED: "That is nothing to be asked in this way.",
}
_OF_AIRFLOW = ("", "Forbidden", "Method Not Allowed", "Not Found", "Not authenticated")


class Json(JSONResponse):
    """JSON in ASCII: text that tasks have published may hold halves of characters, which no encoding of text takes."""

    def render(self, content: Any) -> bytes:
        """The body; a number that JSON does not have is not known."""
        try:
            return _dumped(content)
        except ValueError:
            return _dumped(_finite(content))


def _dumped(content: Any) -> bytes:
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def _finite(part: Any) -> Any:
    """What a quotient of a stranger's numbers may come to is infinite."""
    match part:
        case float():
            return part if math.isfinite(part) else None
        case dict():
            return {name: _finite(member) for name, member in part.items()}
        case list() | tuple():
            return [_finite(member) for member in part]
        case _:
            return part


def tag_of(content: bytes) -> str:
    """What tells a content from any other, as an ETag."""
    return f'"{hashlib.sha256(content).hexdigest()[:24]}"'


def is_known(request: Request, tag: str) -> bool:
    """Whether the browser has what bears this tag. A proxy that compresses has made ``W/"..."`` of it; a browser may name several."""
    return tag in request.headers.get("if-none-match", "")


def answer(request: Request, view: dict[str, Any]) -> Response:
    """A view; no more than its time if nothing else has changed since the browser asked last."""
    tag = tag_of(json.dumps({**view, "server_time": None}, sort_keys=True).encode("ascii"))
    headers = {"ETag": tag, "X-Server-Time": str(view["server_time"])}
    if is_known(request, tag):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    return Json(view, headers=headers)


async def problem(_request: Request, error: Exception) -> Response:
    """What was raised for the user to be told."""
    assert isinstance(error, HTTPException)
    plain = error.detail if error.detail not in _OF_AIRFLOW else None
    return Json({"detail": plain or _WORDS.get(error.status_code, "That did not work.")}, error.status_code)


async def invalid(_request: Request, error: Exception) -> Response:
    """What is wrong with a request, and what is right."""
    if isinstance(error, RequestValidationError):
        # Each of a route's dependencies has read the same parameter, and tells the same of it.
        parts = dict.fromkeys(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors())
        detail = f"The request is not one that this takes: {'; '.join(parts)}."
    else:
        detail = str(error)
    return Json({"detail": detail}, 422)


async def unexpected(_request: Request, error: Exception) -> Response:
    """What was not foreseen: the API server's log has the whole of it."""
    log.error("A page of spot training could not be answered.", exc_info=error)
    detail = "That did not work, for a reason that this page does not know: the API server's log tells it."
    # It is told outside of all middleware.
    headers = {"Cache-Control": "no-store", **HEADERS}
    return Json({"detail": detail}, status.HTTP_500_INTERNAL_SERVER_ERROR, headers=headers)
