"""The fake SageMaker as the benchmark holds it: a process, and what can be asked of it."""

from __future__ import annotations

import base64
import http.client
import json
import os
import resource
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

from benchmarks.watching.account import Setting
from benchmarks.watching.events import QUEUE


class FakeSageMaker:
    """Start the endpoint in a process of its own, and end it with the block."""

    def __enter__(self) -> Self:
        allow_many_sockets()
        command = [sys.executable, "-m", "benchmarks.watching.endpoint"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.strip().isdigit():
            self._process.wait(10)
            raise RuntimeError(f"The fake SageMaker did not start: it ended with {self._process.returncode}.")
        self._port = int(line)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._process.kill()
        self._process.communicate()

    @property
    def endpoint_url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def environment(self, *, push: bool = False) -> dict[str, str]:
        """What a process needs to take it for AWS through the connection ``aws_default``.

        :param push: name the queue of events in the connection, too.
        """
        ours = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        extra = {"endpoint_url": self.endpoint_url, "region_name": "us-east-1"}
        connection = {
            "conn_type": "aws",
            "login": "AKIAIOSFODNN7EXAMPLE",
            "password": "made-up",
            "extra": extra | ({"spot_events_queue": QUEUE} if push else {}),
        }
        # Of a triggerer's subprocess: it asks its supervisor, or its environment, and never the database.
        ours["_AIRFLOW_PROCESS_CONTEXT"] = "client"
        ours["AIRFLOW__CORE__FERNET_KEY"] = base64.urlsafe_b64encode(os.urandom(32)).decode()
        return ours | {
            "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection),
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def set_account(self, setting: Setting) -> None:
        """Start anew with these jobs, no throttle and nothing seen."""
        self._ask("PUT", "account", asdict(setting))

    def set_rate(self, requests_per_second: float | None) -> None:
        """Refuse what is more than that, over all operations; None for no limit."""
        self._ask("PUT", "rate", {"requests_per_second": requests_per_second})

    def complete(self, after_seconds: dict[str, float]) -> None:
        """Complete each of these jobs so many seconds from now; one that does not train yet begins a moment before."""
        self._ask("POST", "completions", after_seconds)

    def sightings(self) -> dict[str, Any]:
        """``seen``: watched jobs that an answer has named; ``last``: when the last was named first; ``calls`` by operation."""
        return self._ask("GET", "sightings")

    def record(self) -> dict[str, Any]:
        """``seen`` and ``changed``: when (``time.monotonic()``) each job was first named, and was completed."""
        return self._ask("GET", "record")

    def _ask(self, method: str, path: str, wanted: dict[str, Any] | None = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request(method, f"/control/{path}", None if wanted is None else json.dumps(wanted))
            answer = connection.getresponse()
            told: dict[str, Any] = json.load(answer)
        finally:
            connection.close()
        return told


def allow_many_sockets() -> None:
    """Allow as many open files as this user may have: the stock trigger takes a socket for each job."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
