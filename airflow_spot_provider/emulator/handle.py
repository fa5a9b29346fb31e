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
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from types import TracebackType
from typing import IO, Any, Self
from urllib.error import HTTPError
from urllib.parse import quote

from airflow_spot_provider.emulator.settings import Settings

REGION = "us-east-1"
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
START_SECONDS = 60.0
STOP_SECONDS = 15.0
_KEYS = {"aws_access_key_id": "emulator", "aws_secret_access_key": "emulator"}


class EmulatorError(RuntimeError):
    """The emulator did not start, or refused what the control API was asked; the message is its own."""


class EmulatedClock:
    """The clock of a running emulator.

    :param control: asks the control API.
    """

    def __init__(self, control: Callable[..., Any]) -> None:
        self._control = control

    def now(self) -> datetime:
        """The emulated time, timezone-aware (UTC)."""
        return datetime.fromisoformat(self._control("/clock")["time"])

    def advance(self, step: timedelta) -> datetime:
        """Move a stepped clock on, and run all that happens on the way.

        :param step: how far, 0 or more.
        :return: the emulated time then.
        :raises EmulatorError: the clock runs by itself, or the step is none.
        """
        answer = self._control("/clock/advance", {"seconds": step.total_seconds()})
        return datetime.fromisoformat(answer["time"])


class SageMakerEmulator:
    """A local SageMaker on loopback, for as long as the ``with`` block lasts.

    .. code-block:: python

        with SageMakerEmulator(lifecycle="interrupted-once", speed=60) as emulator:
            sagemaker = emulator.client("sagemaker")

    Each one is a process of its own, and shares nothing with any other. Its arguments are those of
    :class:`~airflow_spot_provider.emulator.settings.Settings`, by name; without a port it takes a free one.

    :raises ValueError: an argument makes no sense.
    :raises EmulatorError: it did not start; the message says why.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = Settings(**{"port": 0, **settings})
        self.clock = EmulatedClock(self._control)
        self._command = [
            sys.executable,
            "-m",
            "airflow_spot_provider.emulator",
            *_arguments(self.settings),
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
        import boto3  # large, and Airflow reads the arguments of `airflow spot emulator` for each of its commands

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

    def interrupt(self, job_name: str, *, torn: bool = False) -> None:
        """Take a job's instance away now.

        :param torn: without a grace period, and in the middle of writing a checkpoint.
        :raises EmulatorError: it is not a spot job in Training.
        """
        self._control(f"/jobs/{quote(job_name, safe='')}/interrupt", {"torn": torn})

    def job(self, job_name: str) -> dict[str, Any]:
        """What SageMaker does not tell of a job: each stay on an instance, and how it ended.

        :raises EmulatorError: there is no such job.
        """
        answer: dict[str, Any] = self._control(f"/jobs/{quote(job_name, safe='')}")
        return answer

    def set_faults(self, *rules: Mapping[str, Any], **settings: Any) -> None:
        """Have these things go wrong, and nothing else, from now on.

        :param rules: such as ``{"operation": "DescribeTrainingJob", "probability": 0.3, "latency_seconds": 1}``.
        :param settings: ``seed``, ``events``, and the liberties that SageMaker is to take, such as ``lag_seconds``, ``list``, ``pending``:
            those of :class:`~airflow_spot_provider.emulator.control.faults.FaultSettings`.
        :raises EmulatorError: one of them makes no sense.
        """
        self._control("/faults", {"rules": [dict(rule) for rule in rules], **settings})

    def set_capacity(
        self, instance_type: str, capacity: int | None, *, zone: str, region: str = REGION
    ) -> None:
        """Hold a pool of the spot market at a capacity, or with None let it go its own way again.

        :param zone: a zone's letter, or ``on-demand``.
        """
        self._control(
            "/market/capacity",
            {"instance_type": instance_type, "capacity": capacity, "zone": zone, "region": region},
        )

    def set_availability(self, instance_type: str, *, available: bool | None, region: str = REGION) -> None:
        """Say whether a region has an instance type for training; CreateTrainingJob is refused where it has not.

        :param instance_type: a pattern, such as ``ml.p5.*``.
        :param available: None takes back what was said of this pattern.
        :param region: a pattern too.
        """
        self._control(
            "/market/availability",
            {"instance_type": instance_type, "available": available, "region": region},
        )

    def set_quota(self, name: str, limit: int) -> None:
        """Set a service quota, such as ``ml.m5.large for spot training job usage``, in instances."""
        self._control("/quotas", {"name": name, "limit": limit})

    def call_log(self, operation: str | None = None) -> list[dict[str, Any]]:
        """The latest calls, the oldest first: ``service``, ``operation``, ``at`` (emulated time), ``status``."""
        answer: list[dict[str, Any]] = self._control(
            f"/calls/log?operation={quote(operation)}" if operation else "/calls/log"
        )
        return answer

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


def _arguments(settings: Settings) -> list[str]:
    """The settings as arguments of the command line."""
    arguments = [
        part
        for name in (field.name for field in fields(settings) if field.name != "images")
        if (value := getattr(settings, name)) is not None
        for part in (f"--{name.replace('_', '-')}", value.isoformat() if name == "start" else str(value))
    ]
    for pattern, command in settings.images.items():
        arguments += ["--image", f"{pattern}={command}"]
    return arguments


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
