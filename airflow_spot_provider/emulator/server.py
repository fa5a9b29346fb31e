"""One server: moto's, with our training backend and the control API on it."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import boto3
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.sagemaker import urls
from werkzeug.serving import BaseWSGIServer, make_server

from airflow_spot_provider.emulator.clock import RunningClock
from airflow_spot_provider.emulator.control.api import PREFIX, Calls, ControlAPI
from airflow_spot_provider.emulator.instances.instance import Fleet
from airflow_spot_provider.emulator.instances.storage import S3Storage
from airflow_spot_provider.emulator.instances.warden import Warden
from airflow_spot_provider.emulator.jobs.lifecycles import lifecycle_named
from airflow_spot_provider.emulator.jobs.plans import Plans
from airflow_spot_provider.emulator.jobs.training_job import World
from airflow_spot_provider.emulator.market.prices import SpotPrices
from airflow_spot_provider.emulator.wire.training import TrainingResponse, all_jobs

_LONGEST_FORM = 1_000_000


class _QuietHandler(MotoRequestHandler):
    """Requests are counted, not printed."""

    def log_request(self, *_args: Any) -> None:
        return


class Server:
    """The HTTP server of one emulator; a process has one, since moto keeps its state in the process.

    :param host: address to listen on.
    :param port: port to listen on; 0 takes a free one.
    :param lifecycle: name of the lifecycle that jobs go through unless told otherwise.
    :param speed: emulated seconds in a real one.
    :param seed: makes the spot prices repeatable.
    :raises ValueError: an unknown lifecycle or a speed that is none.
    :raises OSError: the port is taken.
    """

    def __init__(self, *, host: str, port: int, lifecycle: str, speed: float, seed: int) -> None:
        if not 0 < speed <= 1e6:
            raise ValueError(
                f"speed is {speed}; it takes a number above 0, up to 1000000: emulated seconds in a real one."
            )
        if not 0 <= port <= 65535:
            raise ValueError(f"port is {port}; it takes a number from 0 to 65535, where 0 is any free one.")
        plans = Plans(lifecycle_named(lifecycle))
        self._http: BaseWSGIServer = make_server(
            host, port, self._answer, threaded=True, request_handler=_QuietHandler
        )
        self.endpoint_url = f"http://{_reachable(host)}:{self._http.server_port}"
        self._calls = Calls()
        self._clock = RunningClock(speed)
        self._control = ControlAPI(plans, self._calls, self._clock)
        folder = Path(tempfile.mkdtemp(prefix="sagemaker-emulator-"))
        self._warden = Warden(folder)
        fleet = Fleet(
            clock=self._clock,
            storage=S3Storage(_s3(self.endpoint_url)),
            endpoint_url=self.endpoint_url,
            folder=folder,
            warden=self._warden,
        )
        TrainingResponse.plans = plans
        TrainingResponse.world = World(
            clock=self._clock, prices=SpotPrices(seed), launch=fleet.launch, background=_in_a_thread
        )
        urls.url_paths["{0}/$"] = TrainingResponse.dispatch
        self._moto = DomainDispatcherApplication(create_backend_app)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)

    def serve(self, *, until_stdin_closes: bool) -> None:
        """Answer until SIGTERM or SIGINT, or until standard input is closed; then end all training processes.

        :param until_stdin_closes: end with the process that holds the other end of standard input.
        """
        end, tell_end = os.pipe()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: os.write(tell_end, b"."))
        if until_stdin_closes:
            threading.Thread(target=_wait_for_end_of_stdin, args=(tell_end,), daemon=True).start()
        http = threading.Thread(target=self._http.serve_forever, name="http", daemon=True)
        http.start()
        sys.stdout.write(json.dumps({"endpoint_url": self.endpoint_url, "pid": os.getpid()}) + "\n")
        sys.stdout.flush()
        # Nobody need read on: what moto prints goes where it can fill no pipe.
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        os.read(end, 1)
        self._shut_down()

    def _shut_down(self) -> None:
        self._clock.stop()
        self._http.shutdown()
        self._http.server_close()
        endings = [threading.Thread(target=job.shut_down) for job in all_jobs()]
        for ending in endings:
            ending.start()
        for ending in endings:
            ending.join()
        self._warden.close()

    def _answer(self, environ: Any, start_response: Any) -> Any:
        path = environ.get("PATH_INFO", "")
        if path == PREFIX or path.startswith(f"{PREFIX}/"):
            return self._control(environ, start_response)
        if operation := _operation(environ):
            self._calls.count(operation)
        return self._moto(environ, start_response)


def _operation(environ: Any) -> str | None:
    """The AWS operation that a request calls; None for S3 and others that tell theirs by method and path."""
    target: str = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return target.rpartition(".")[2]
    length = int(environ.get("CONTENT_LENGTH") or 0)
    form = environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
    if not form or not 0 < length < _LONGEST_FORM:
        return None
    body = environ["wsgi.input"].read(length)
    environ["wsgi.input"] = io.BytesIO(body)
    actions = parse_qs(body.decode("utf-8", "replace")).get("Action")
    return actions[0] if actions else None


def _s3(endpoint_url: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="emulator",
        aws_secret_access_key="emulator",  # noqa: S106 - moto takes any
        config=Config(max_pool_connections=50, proxies={}),
    )


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not listened on


def _in_a_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="work", daemon=True).start()


def _wait_for_end_of_stdin(tell_end: int) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.write(tell_end, b".")
