"""The emulator as a Python object: a context manager over a server in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError

import boto3

REGION = "us-east-1"
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
        self._process: subprocess.Popen[str] | None = None
        self.endpoint_url = ""

    def __enter__(self) -> Self:
        """Start the server, and wait until it answers."""
        with tempfile.TemporaryFile("w+") as errors:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
            if not line:
                self._process.wait()
                errors.seek(0)
                self.stop()
                raise EmulatorError(f"The emulator did not start: {errors.read().strip()[-2000:]}")
        self.endpoint_url = json.loads(line)["endpoint_url"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the server and every training process."""
        self.stop()

    @property
    def pid(self) -> int:
        """Process id of the server."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """End the server and every training process; a second time does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

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
        self._control(f"/jobs/{job_name}/interrupt", {})

    def calls(self) -> dict[str, int]:
        """How often each operation of SageMaker, CloudWatch Logs and the like was called."""
        answer: dict[str, int] = self._control("/calls")
        return answer

    def _control(self, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - our own loopback address
            f"{self.endpoint_url}/_emulator{path}", data=None if body is None else json.dumps(body).encode()
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
                return json.load(answer)
        except HTTPError as error:
            with error:
                raise EmulatorError(json.load(error)["error"]) from None
