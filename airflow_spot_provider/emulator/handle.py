"""The emulator as a Python object: a context manager over a server in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import urllib.request
from types import TracebackType
from typing import IO, Any, Self
from urllib.error import HTTPError
from urllib.parse import quote

import boto3

REGION = "us-east-1"
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
START_SECONDS = 60.0
STOP_SECONDS = 15.0
_KEYS = {"aws_access_key_id": "emulator", "aws_secret_access_key": "emulator"}


class EmulatorError(RuntimeError):
    """The emulator did not start, or refused what the control API was asked; the message is its own."""


class SageMakerEmulator:
    """A local SageMaker on loopback, for as long as the ``with`` block lasts.

    .. code-block:: python

        with SageMakerEmulator(lifecycle="interrupted-once", speed=60) as emulator:
            sagemaker = emulator.client("sagemaker")

    Each one is a process of its own, and shares nothing with any other.

    :param host: address to listen on.
    :param port: port to listen on; 0 takes a free one.
    :param lifecycle: what jobs go through unless a tag or a plan says otherwise.
    :param speed: emulated seconds in a real one.
    :param seed: makes the spot prices repeatable.
    :raises EmulatorError: it did not start; the message says why.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        lifecycle: str = "uninterrupted",
        speed: float = 1.0,
        seed: int = 0,
    ) -> None:
        options = {"host": host, "port": port, "lifecycle": lifecycle, "speed": speed, "seed": seed}
        arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        self._command = [
            sys.executable,
            "-m",
            "airflow_spot_provider.emulator",
            *arguments,
            "--until-stdin-closes",
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self.endpoint_url = ""

    def __enter__(self) -> Self:
        """Start the server, and wait until it answers."""
        if self._process is not None:
            raise EmulatorError(
                "This emulator runs already; make another SageMakerEmulator for a second one."
            )
        self._log = tempfile.TemporaryFile("w+b")
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
                start_new_session=True,
            )
            self.endpoint_url = json.loads(self._first_line(self._process))["endpoint_url"]
        except BaseException:
            self.stop()
            raise
        return self

    def _first_line(self, process: subprocess.Popen[bytes]) -> bytes:
        """What the server says when it is ready."""
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            ready = selector.select(START_SECONDS)
        line = process.stdout.readline() if ready else b""
        if not line:
            what = "ended" if ready else f"was not ready after {START_SECONDS:g} seconds"
            raise EmulatorError(f"The emulator did not start: it {what}. {self.server_log().strip()[-2000:]}")
        return line

    def server_log(self) -> str:
        """What the server wrote to its standard output and error."""
        if self._log is None:
            return ""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the server and every training process."""
        self.stop()

    @property
    def pid(self) -> int:
        """Process id of the server.

        :raises EmulatorError: it does not run.
        """
        if self._process is None:
            raise EmulatorError("The emulator does not run; enter it with a with statement first.")
        return self._process.pid

    def stop(self) -> None:
        """End the server and every training process; a second time does nothing."""
        process, self._process = self._process, None
        if process is not None:
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
            _signal_group(process.pid, signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                _signal_group(process.pid, signal.SIGKILL)
                process.wait()
        if self._log is not None:
            self._log.close()
            self._log = None

    def client(self, service: str, region_name: str = REGION, **kwargs: Any) -> Any:
        """A boto3 client that talks to this emulator.

        :param service: such as ``sagemaker``, ``s3``, ``logs``.
        """
        build: Any = boto3.client  # its types know each service by name only
        return build(service, region_name=region_name, endpoint_url=self.endpoint_url, **{**_KEYS, **kwargs})

    def airflow_connection(self) -> str:
        """An Airflow connection to this emulator, as JSON for ``AIRFLOW_CONN_AWS_DEFAULT``."""
        return json.dumps(
            {
                "conn_type": "aws",
                "login": _KEYS["aws_access_key_id"],
                "password": _KEYS["aws_secret_access_key"],
                "extra": {"endpoint_url": self.endpoint_url, "region_name": REGION},
            }
        )

    def plan(self, lifecycle: str, job_name: str | None = None) -> None:
        """Say what the next job, or the one of this name, goes through.

        :raises EmulatorError: there is no such lifecycle.
        """
        self._control("/plans", {"lifecycle": lifecycle, "job_name": job_name})

    def interrupt(self, job_name: str) -> None:
        """Take a job's instance away now.

        :raises EmulatorError: it is not a spot job in Training.
        """
        self._control(f"/jobs/{quote(job_name, safe='')}/interrupt", {})

    def calls(self) -> dict[str, int]:
        """How often each operation was called, such as ``CreateTrainingJob``; those of S3 are not counted."""
        answer: dict[str, int] = self._control("/calls")
        return answer

    def _control(self, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - our own loopback address
            f"{self.endpoint_url}/_emulator{path}", data=None if body is None else json.dumps(body).encode()
        )
        try:
            with _DIRECTLY.open(request, timeout=30) as answer:
                return json.load(answer)
        except HTTPError as error:
            with error:
                raise EmulatorError(json.load(error)["error"]) from None


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
