"""Which AWS operations were called, and when."""

from __future__ import annotations

import io
import threading
from collections import Counter, deque
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from airflow_spot_provider.emulator.wire.errors import service_of

_LONGEST_FORM = 1_000_000
_LOGGED = 100_000
_S3_NAMES = {
    ("GET", True): "GetObject",
    ("HEAD", True): "HeadObject",
    ("PUT", True): "PutObject",
    ("POST", True): "PostObject",
    ("DELETE", True): "DeleteObject",
    ("GET", False): "ListObjects",
    ("HEAD", False): "HeadBucket",
    ("PUT", False): "CreateBucket",
    ("POST", False): "DeleteObjects",
    ("DELETE", False): "DeleteBucket",
}
"""What S3's methods mean on an object and on a bucket; its finer operations are counted under these."""


class CallLog:
    """The calls that were made to one server: how often each operation was called, and the latest in their order."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._log: deque[dict[str, Any]] = deque(maxlen=_LOGGED)
        self._lock = threading.Lock()

    def note(self, service: str, operation: str, at: datetime, status: int | None) -> None:
        """One more.

        :param at: the emulated time at which it came.
        :param status: of the answer; None if the caller got none.
        """
        with self._lock:
            if service != "s3":
                self._counts[operation] += 1
            self._log.append(
                {"service": service, "operation": operation, "at": at.isoformat(), "status": status}
            )

    def counts(self) -> dict[str, int]:
        """How often each was called; S3's are in the log only, since the jobs call them too."""
        with self._lock:
            return dict(self._counts)

    def log(self, operation: str | None = None) -> list[dict[str, Any]]:
        """The latest calls, the oldest first; of one operation if it is named."""
        with self._lock:
            return [dict(call) for call in self._log if operation in (None, call["operation"])]


def called(environ: Any) -> tuple[str, str]:
    """The service and the operation that a request calls."""
    service = service_of(environ)
    target: str = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return service, target.rpartition(".")[2]
    if service == "s3":
        is_object = environ.get("PATH_INFO", "/").strip("/").count("/") > 0
        return service, _S3_NAMES.get((environ.get("REQUEST_METHOD", "GET"), is_object), "Other")
    return service, _form_action(environ) or f"{environ.get('REQUEST_METHOD')} {environ.get('PATH_INFO')}"


def _form_action(environ: Any) -> str | None:
    """The Action of a query request, whose body is put back for whoever reads it next."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    form = environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
    if not form or not 0 < length < _LONGEST_FORM:
        return None
    body = environ["wsgi.input"].read(length)
    environ["wsgi.input"] = io.BytesIO(body)
    actions = parse_qs(body.decode("utf-8", "replace")).get("Action")
    return actions[0] if actions else None
