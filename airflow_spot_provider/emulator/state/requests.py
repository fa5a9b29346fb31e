"""Requests that changed what moto holds besides S3: kept, and made again by the next server."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

_HEADERS = ("HTTP_AUTHORIZATION", "HTTP_X_AMZ_TARGET", "HTTP_X_MOTO_ACCOUNT_ID", "HTTP_HOST", "CONTENT_TYPE")
_KEPT_SERVICES = frozenset({"iam", "events", "sqs", "logs", "ec2", "cloudwatch", "sagemaker", "kms"})
_READING = ("Describe", "Get", "List", "Simulate", "Receive", "Search", "Batch", "Test")
_PASSING = frozenset(
    {"SendMessage", "SendMessageBatch", "DeleteMessage", "DeleteMessageBatch", "ChangeMessageVisibility"}
    | {"ChangeMessageVisibilityBatch", "PurgeQueue", "PutLogEvents", "PutMetricData", "PutEvents"}
)
"""Messages, log lines and figures pass by; queues, groups and rules stay."""


class RequestJournal:
    """The changing requests to moto's services, in their order.

    :param path: the file; a line is a request.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    @staticmethod
    def concerns(service: str, operation: str) -> bool:
        """Whether an operation changes something that is to be kept."""
        return (
            service in _KEPT_SERVICES
            and not operation.startswith(_READING)
            and operation not in _PASSING
            and " " not in operation
        )

    def body_of(self, environ: Any) -> bytes:
        """The body of a request, which is put back for whoever answers it."""
        body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        return body

    def keep(self, environ: Any, body: bytes) -> None:
        """Keep a request that has been answered."""
        line = {
            "path": environ.get("PATH_INFO", "/"),
            "query": environ.get("QUERY_STRING", ""),
            "method": environ["REQUEST_METHOD"],
            "headers": {name: environ[name] for name in _HEADERS if name in environ},
            "body": base64.b64encode(body).decode(),
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock, self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def make_again(self, application: Callable[[Any, Any], Iterable[bytes]]) -> None:
        """Make every request again. A last line that a kill has cut off is left out."""
        if not self._path.exists():
            return
        whole, _, _ = self._path.read_text().rpartition("\n")
        for line in whole.splitlines():
            request = json.loads(line)
            body = base64.b64decode(request["body"])
            environ = {
                **request["headers"],
                "REQUEST_METHOD": request["method"],
                "PATH_INFO": request["path"],
                "QUERY_STRING": request["query"],
                "CONTENT_LENGTH": str(len(body)),
                "SERVER_NAME": "localhost",
                "SERVER_PORT": "80",
                "SERVER_PROTOCOL": "HTTP/1.1",
                "SCRIPT_NAME": "",
                "wsgi.input": io.BytesIO(body),
                "wsgi.url_scheme": "http",
                "wsgi.errors": io.StringIO(),
                "wsgi.version": (1, 0),
                "wsgi.multithread": True,
                "wsgi.multiprocess": False,
                "wsgi.run_once": False,
            }
            for _ in application(environ, lambda *_: None):
                pass
