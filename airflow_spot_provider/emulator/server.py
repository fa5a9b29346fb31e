"""One server: moto's, with our training backend and the control API on it."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.sagemaker import urls
from werkzeug.serving import BaseWSGIServer, make_server

from airflow_spot_provider.emulator.clock import Clock
from airflow_spot_provider.emulator.control import PREFIX, ControlAPI
from airflow_spot_provider.emulator.lifecycles import lifecycle_named
from airflow_spot_provider.emulator.market import SpotPrices
from airflow_spot_provider.emulator.models import World
from airflow_spot_provider.emulator.responses import Plans, TrainingResponse, all_jobs
from airflow_spot_provider.emulator.storage import Storage


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
        if not 0 < speed < 1e6:
            raise ValueError(f"speed is {speed}; it takes a number above 0: emulated seconds in a real one.")
        self._plans = Plans(lifecycle_named(lifecycle))
        self._clock = Clock(speed)
        self._control = ControlAPI(self._plans, self._clock)
        urls.url_paths["{0}/$"] = TrainingResponse.dispatch
        self._moto = DomainDispatcherApplication(create_backend_app)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._http: BaseWSGIServer = make_server(
            host, port, self._answer, threaded=True, request_handler=_QuietHandler
        )
        self.endpoint_url = f"http://{_reachable(host)}:{self._http.server_port}"
        self._folder = tempfile.TemporaryDirectory(prefix="sagemaker-emulator-")
        s3 = boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id="emulator",
            aws_secret_access_key="emulator",  # noqa: S106 - moto takes any
        )
        TrainingResponse.plans = self._plans
        TrainingResponse.world = World(
            clock=self._clock,
            prices=SpotPrices(seed),
            storage=Storage(s3),
            endpoint_url=self.endpoint_url,
            folder=Path(self._folder.name),
        )

    def serve(self, *, until_stdin_closes: bool) -> None:
        """Answer until SIGTERM or SIGINT, or until standard input is closed; then end all training processes.

        :param until_stdin_closes: end with the process that holds the other end of standard input.
        """
        done = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: done.set())
        if until_stdin_closes:
            threading.Thread(target=_wait_for_end_of_stdin, args=(done,), daemon=True).start()
        threading.Thread(target=self._http.serve_forever, name="http", daemon=True).start()
        sys.stdout.write(json.dumps({"endpoint_url": self.endpoint_url, "pid": os.getpid()}) + "\n")
        sys.stdout.flush()
        while not done.wait(1):
            pass
        self._clock.stop()
        for job in all_jobs():
            job.shut_down()
        self._http.shutdown()
        self._folder.cleanup()

    def _answer(self, environ: Any, start_response: Any) -> Any:
        if environ.get("PATH_INFO", "").startswith(PREFIX):
            return self._control(environ, start_response)
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if target:
            self._plans.calls[target.rpartition(".")[2]] += 1
        return self._moto(environ, start_response)


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not listened on


def _wait_for_end_of_stdin(done: threading.Event) -> None:
    sys.stdin.read()
    done.set()
