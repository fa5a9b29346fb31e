"""One server: moto's, with our backend, the services around it and the control API on it."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from wsgiref.handlers import format_date_time

import boto3
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from airflow_spot_provider.emulator.clock import Clock, RunningClock, SteppedClock
from airflow_spot_provider.emulator.control.api import ControlAPI
from airflow_spot_provider.emulator.control.calls import CallLog
from airflow_spot_provider.emulator.control.faults import Faults
from airflow_spot_provider.emulator.control.front import Front
from airflow_spot_provider.emulator.instances import sandbox
from airflow_spot_provider.emulator.instances.container import Surroundings
from airflow_spot_provider.emulator.instances.fleet import Fleet
from airflow_spot_provider.emulator.instances.storage import S3Storage
from airflow_spot_provider.emulator.instances.warden import Warden
from airflow_spot_provider.emulator.jobs.liberties import Liberties
from airflow_spot_provider.emulator.jobs.lifecycles import lifecycle_named
from airflow_spot_provider.emulator.jobs.plans import Plans
from airflow_spot_provider.emulator.jobs.registry import Registry
from airflow_spot_provider.emulator.jobs.training_job import TrainingJob
from airflow_spot_provider.emulator.jobs.world import World
from airflow_spot_provider.emulator.market.availability import Availability, Lack
from airflow_spot_provider.emulator.market.prices import SpotPrices
from airflow_spot_provider.emulator.market.quotas import Quotas
from airflow_spot_provider.emulator.market.settings import MarketSettings, read_market
from airflow_spot_provider.emulator.market.spot_market import SpotMarket
from airflow_spot_provider.emulator.services.catalog import default_catalog
from airflow_spot_provider.emulator.services.events import TrainingEvents
from airflow_spot_provider.emulator.services.fallback import Fallback
from airflow_spot_provider.emulator.services.job_metrics import install_job_metrics
from airflow_spot_provider.emulator.services.log_events import install_log_events
from airflow_spot_provider.emulator.services.object_times import install_object_times
from airflow_spot_provider.emulator.services.policy_simulation import install_policy_simulation
from airflow_spot_provider.emulator.services.pricing import PricingAPI
from airflow_spot_provider.emulator.services.service_quotas import ServiceQuotasAPI
from airflow_spot_provider.emulator.services.spot_price_history import install_spot_price_history
from airflow_spot_provider.emulator.settings import STEPPED, STEPPED_START, Settings
from airflow_spot_provider.emulator.state.keeper import WSGI, Keeper
from airflow_spot_provider.emulator.tuning.tuning_jobs import TuningJobs
from airflow_spot_provider.emulator.wire.protocol import JsonService
from airflow_spot_provider.emulator.wire.search import SearchAPI
from airflow_spot_provider.emulator.wire.training import TrainingAPI
from airflow_spot_provider.emulator.wire.tuning import TuningAPI


def _handler(now: Callable[[], datetime]) -> type[MotoRequestHandler]:
    """Requests are counted, not printed; and answers are dated as all that they tell, by the emulated clock."""

    class _Handler(MotoRequestHandler):
        def log_request(self, *_args: Any) -> None:
            return

        def date_time_string(self, _timestamp: float | None = None) -> str:
            return format_date_time(now().timestamp())

    return _Handler


class Server:
    """The HTTP server of one emulator; a process has one, since moto keeps its state in the process.

    :param settings: how it is to run.
    :raises ValueError: the market file makes no sense.
    :raises OSError: the port is taken.
    """

    def __init__(self, settings: Settings) -> None:
        market = MarketSettings() if settings.market is None else read_market(settings.market)
        self._keeper = None if settings.state is None else Keeper(settings.state)
        self._time_lock = threading.Lock()
        self._kept_until: datetime | None = None
        self._clock = _clock(settings, None if self._keeper is None else self._keeper.latest_time())
        self._http: BaseWSGIServer = make_server(
            settings.host,
            settings.port,
            self._answer,
            threaded=True,
            request_handler=_handler(self._clock.now),
        )
        self.endpoint_url = f"http://{_reachable(settings.host)}:{self._http.server_port}"
        folder = Path(tempfile.mkdtemp(prefix="sagemaker-emulator-"))
        self._warden = Warden(folder)
        self._events = TrainingEvents(self._clock, seed=settings.seed)
        calls, faults = CallLog(), Faults(lambda changed: self._events.set(changed.events, changed.seed))

        def _liberties() -> Liberties:
            return faults.settings.liberties(settings.list)

        self._registry, quotas = self._jobs(settings, market, folder, _liberties)
        catalog, prices = default_catalog(), self._registry.world.prices
        # moto's EC2 takes a second to load: it waits for its first call.
        spot_prices = partial(install_spot_price_history, prices, catalog, self._clock, market.zones)
        moto: WSGI = Fallback(DomainDispatcherApplication(create_backend_app), {"ec2": spot_prices})
        install_policy_simulation()
        install_log_events()
        install_object_times(self._clock)
        install_job_metrics(self._registry.of, self._clock)
        self._tuning_jobs = self._tuning(settings)
        if self._keeper is not None:
            self._keeper.restore(moto)
            for job in self._keeper.jobs(self._registry.world):
                self._registry.add(job)
            for tuning_job in self._keeper.tuning_jobs(self._tuning_jobs):
                self._tuning_jobs.add(tuning_job)
        self._front = Front(
            control=ControlAPI(
                registry=self._registry, quotas=quotas, calls=calls, faults=faults, clock=self._clock
            ),
            services=[
                JsonService(
                    "sagemaker",
                    {
                        **TrainingAPI(self._registry, _liberties).operations,
                        **TuningAPI(self._tuning_jobs, _liberties).operations,
                        **SearchAPI().operations,
                    },
                ),
                JsonService("pricing", PricingAPI(catalog, self._registry.availability).operations),
                JsonService("service-quotas", ServiceQuotasAPI(quotas, self._clock).operations),
            ],
            moto=moto if self._keeper is None else self._keeper.keeping(moto),
            calls=calls,
            faults=faults,
            clock=self._clock,
        )
        logging.getLogger("werkzeug").setLevel(logging.ERROR)

    def _jobs(
        self, settings: Settings, market: MarketSettings, folder: Path, liberties: Callable[[], Liberties]
    ) -> tuple[Registry, Quotas]:
        """The training jobs, and all that they need."""
        surroundings = Surroundings(
            storage=S3Storage(_s3(self.endpoint_url)),
            endpoint_url=self.endpoint_url,
            warden=self._warden,
            own_view=sandbox.is_available(),
        )
        fleet = Fleet(
            clock=self._clock,
            surroundings=surroundings,
            folder=folder,
            images=settings.images,
            grace_seconds=settings.grace_seconds,
        )
        if self._keeper is not None:
            fleet = replace(fleet, written=self._keeper.objects.keep, keep_line=self._keeper.log_lines.keep)
        prices = SpotPrices(settings.seed)
        world = World(
            clock=self._clock,
            prices=prices,
            market=SpotMarket(market, prices, self._clock, settings.seed, self._clock.now()),
            launch=fleet.launch,
            background=_at_once if settings.clock == STEPPED else _in_a_thread,
            keep=self._keep,
            announce=self._announce,
            liberties=liberties,
        )
        quotas = Quotas(market.quotas)
        plans = Plans(lifecycle_named(settings.default_lifecycle))
        forget = self._keeper.forget if self._keeper is not None else lambda _job: None
        return Registry(world, plans, quotas, forget, _availability(market)), quotas

    def _tuning(self, settings: Settings) -> TuningJobs:
        """The tuning jobs."""
        keeper, now = self._keeper, self._clock.now
        if keeper is None:
            tuning_jobs = TuningJobs(self._registry, self._clock, settings.seed)
        else:
            tuning_jobs = TuningJobs(
                self._registry,
                self._clock,
                settings.seed,
                keep=lambda job: keeper.keep_tuning_job(job, now()),
                forget=keeper.forget_tuning_job,
            )
        tuning_jobs.observers.append(self._events.tuning_job_changed)
        return tuning_jobs

    def _announce(self, job: TrainingJob) -> None:
        """A job has made a transition."""
        self._events.training_job_changed(job)
        self._tuning_jobs.training_job_changed(job)

    def _keep(self, job: TrainingJob) -> None:
        """A job has changed."""
        if self._keeper is not None:
            self._keeper.keep(job, self._clock.now())

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
        # Jobs go on when S3, which they need, is there again.
        for job in self._registry.all():
            if not job.has_ended:
                job.take_up()
        for tuning_job in self._tuning_jobs.all():
            if not tuning_job.has_ended:
                tuning_job.take_up()
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
        if self._keeper is not None:
            self._keeper.keep_time(self._clock.now())
        endings = [threading.Thread(target=job.shut_down) for job in self._registry.all()]
        for ending in endings:
            ending.start()
        for ending in endings:
            ending.join()
        self._warden.close()

    def _answer(self, environ: Any, start_response: Any) -> Any:
        answer = self._front(environ, start_response)
        self._keep_time()
        return answer

    def _keep_time(self) -> None:
        """Before an answer tells the time, keep one that is later: two seconds' worth, so that few answers have to write."""
        if self._keeper is None:
            return
        now, second = self._clock.now(), timedelta(seconds=self._clock.emulated_seconds(1))
        with self._time_lock:
            if self._kept_until is None or now + second > self._kept_until:
                self._kept_until = now + 2 * second
                self._keeper.keep_time(self._kept_until)


def _availability(market: MarketSettings) -> Availability:
    """What regions have: all but what is known to be lacking, and what the market file says."""
    known = [
        Lack(pattern, region.name)
        for region in default_catalog().regions.values()
        for pattern in region.lacks
    ]
    said = [Lack(entry.instance_type, entry.region) for entry in market.unavailable]
    return Availability([*known, *said])


def _clock(settings: Settings, latest: datetime | None) -> Clock:
    """The clock; it never goes back behind what an earlier server has told."""
    if settings.clock == STEPPED:
        return SteppedClock(max(settings.start or STEPPED_START, latest or STEPPED_START))
    now = datetime.now(UTC)
    return RunningClock(settings.speed, max(settings.start or now, latest or settings.start or now))


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


def _at_once(work: Callable[[], None]) -> None:
    work()


def _in_a_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="work", daemon=True).start()


def _wait_for_end_of_stdin(tell_end: int) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.write(tell_end, b".")
