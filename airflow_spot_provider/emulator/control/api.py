"""The control API under ``/_emulator/``: plan, interrupt, move the clock and the market, have things go wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from importlib.resources import files
from typing import Any

from werkzeug.exceptions import BadRequest, HTTPException, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from airflow_spot_provider.emulator.clock import Clock, RunningClock, SteppedClock
from airflow_spot_provider.emulator.control import bodies
from airflow_spot_provider.emulator.control.calls import CallLog
from airflow_spot_provider.emulator.control.faults import Faults, FaultSettings
from airflow_spot_provider.emulator.control.front import PREFIX
from airflow_spot_provider.emulator.jobs.lifecycles import lifecycle_named
from airflow_spot_provider.emulator.jobs.registry import Registry
from airflow_spot_provider.emulator.jobs.training_job import TrainingJob
from airflow_spot_provider.emulator.market.quotas import Quotas

Answer = dict[str, Any] | list[Any]


class ControlAPI:
    """Answers what is asked under ``/_emulator/``: in JSON, and the page for people.

    :param registry: the training jobs of this server.
    :param quotas: how many there may be.
    :param calls: the calls that were made to it.
    :param faults: what goes wrong.
    :param clock: its clock.
    """

    def __init__(
        self, *, registry: Registry, quotas: Quotas, calls: CallLog, faults: Faults, clock: Clock
    ) -> None:
        self._registry = registry
        self._quotas = quotas
        self._calls = calls
        self._faults = faults
        self._clock = clock
        self._endpoints: dict[str, tuple[str, str, Callable[..., Answer]]] = {
            "jobs": ("GET", "/jobs", self._jobs),
            "job": ("GET", "/jobs/<name>", self._job),
            "interrupt": ("POST", "/jobs/<name>/interrupt", self._interrupt),
            "stop": ("POST", "/jobs/<name>/stop", self._stop),
            "health": ("GET", "/health", self._health),
            "calls": ("GET", "/calls", self._counts),
            "log": ("GET", "/calls/log", self._log),
            "plan": ("POST", "/plans", self._plan),
            "clock": ("GET", "/clock", self._health),
            "advance": ("POST", "/clock/advance", self._advance),
            "market": ("GET", "/market", self._market),
            "capacity": ("POST", "/market/capacity", self._capacity),
            "availability": ("GET", "/market/availability", self._availability),
            "set-availability": ("POST", "/market/availability", self._set_availability),
            "quotas": ("GET", "/quotas", self._limits),
            "quota": ("POST", "/quotas", self._quota),
            "faults": ("GET", "/faults", self._settings),
            "set-faults": ("POST", "/faults", self._set_faults),
            "clear-faults": ("DELETE", "/faults", self._clear_faults),
        }
        self._routes = Map(
            [
                Rule(f"{PREFIX}/", endpoint="page", methods=["GET"]),
                *(
                    Rule(f"{PREFIX}{path}", endpoint=name, methods=[method])
                    for name, (method, path, _) in self._endpoints.items()
                ),
            ],
            strict_slashes=False,
        )

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        """WSGI."""
        request = Request(environ)
        try:
            endpoint, arguments = self._routes.bind_to_environ(environ).match()
            kinds = ["application/json", "text/html"]
            if endpoint == "page" and request.accept_mimetypes.best_match(kinds) == "text/html":
                page = files(__package__).joinpath("page.html").read_bytes()
                return Response(page, content_type="text/html; charset=utf-8")(environ, start_response)
            answer = self._endpoints["jobs" if endpoint == "page" else endpoint][2](request, **arguments)
            status = 200
        except HTTPException as error:
            answer, status = {"error": error.description or error.name}, error.code or 500
        except ValueError as error:
            answer, status = {"error": str(error)}, 400
        response = Response(json.dumps(answer), status=status, content_type="application/json")
        return response(environ, start_response)

    def _health(self, _request: Request) -> Answer:
        kind = {"speed": self._clock.speed} if isinstance(self._clock, RunningClock) else {"stepped": True}
        return {"status": "ok", "time": self._clock.now().isoformat(), **kind}

    def _advance(self, request: Request) -> Answer:
        if not isinstance(self._clock, SteppedClock):
            raise BadRequest("This clock runs by itself; start the emulator with --clock stepped to move it.")
        self._clock.advance(timedelta(seconds=bodies.read(bodies.AdvanceBody, request.get_data()).seconds))
        return self._health(request)

    def _counts(self, _request: Request) -> Answer:
        return self._calls.counts()

    def _log(self, request: Request) -> Answer:
        return self._calls.log(request.args.get("operation"))

    def _jobs(self, _request: Request) -> Answer:
        return {
            "time": self._clock.now().isoformat(),
            "jobs": [told(job) for job in self._registry.all()],
        }

    def _job(self, _request: Request, name: str) -> Answer:
        job = self._named(name)[0]
        return {**told(job), "stays": job.stays.told()}

    def _interrupt(self, request: Request, name: str) -> Answer:
        torn = bodies.read(bodies.InterruptBody, request.get_data()).torn
        jobs = self._named(name)
        if not any(job.interrupt(torn=torn) for job in jobs):
            raise BadRequest(
                f"{name} is {jobs[0].secondary_status}; only a managed spot training job in Training can be interrupted."
            )
        return {"interrupted": name}

    def _stop(self, _request: Request, name: str) -> Answer:
        jobs = self._named(name)
        if not any(job.stop() for job in jobs):
            raise BadRequest(f"{name} is {jobs[0].secondary_status}; only a job in progress can be stopped.")
        return {"stopping": name}

    def _plan(self, request: Request) -> Answer:
        body = bodies.read(bodies.PlanBody, request.get_data())
        lifecycle = lifecycle_named(body.lifecycle)
        self._registry.plans.plan(lifecycle, body.job_name)
        return {"lifecycle": lifecycle.name, "job_name": body.job_name}

    def _market(self, _request: Request) -> Answer:
        return {"time": self._clock.now().isoformat(), "pools": self._registry.world.market.told()}

    def _capacity(self, request: Request) -> Answer:
        body = bodies.read(bodies.CapacityBody, request.get_data())
        self._registry.world.market.hold(body.instance_type, body.zone, body.region, body.capacity)
        return body.model_dump()

    def _availability(self, _request: Request) -> Answer:
        return list(self._registry.availability.told())

    def _set_availability(self, request: Request) -> Answer:
        body = bodies.read(bodies.AvailabilityBody, request.get_data())
        self._registry.availability.set(body.instance_type, body.region, available=body.available)
        return self._availability(request)

    def _limits(self, _request: Request) -> Answer:
        return self._quotas.limits()

    def _quota(self, request: Request) -> Answer:
        body = bodies.read(bodies.QuotaBody, request.get_data())
        self._quotas.set(body.name, body.limit)
        return self._quotas.limits()

    def _settings(self, _request: Request) -> Answer:
        return self._faults.settings.model_dump(exclude_none=True)

    def _set_faults(self, request: Request) -> Answer:
        self._faults.set(bodies.read(FaultSettings, request.get_data()))
        return self._settings(request)

    def _clear_faults(self, request: Request) -> Answer:
        self._faults.set(FaultSettings())
        return self._settings(request)

    def _named(self, name: str) -> list[TrainingJob]:
        """The jobs of a name; accounts and regions may each have one."""
        jobs = [job for job in self._registry.all() if job.training_job_name == name]
        if not jobs:
            raise NotFound(f"There is no training job {name!r}.")
        return jobs


def told(job: TrainingJob) -> dict[str, Any]:
    """A job as the control API tells it: no environment, no hyperparameters."""
    description = job.describe() or {}
    return {
        "job_name": job.training_job_name,
        "account_id": job.spec.account_id,
        "region": job.spec.region,
        "managed_spot": job.spec.spot,
        "instances": job.spec.instances,
        "lifecycle": job.course.lifecycle.name,
        "max_wait_seconds": job.spec.max_wait_seconds,
        "status": job.training_job_status,
        "secondary_status": job.secondary_status,
        "failure_reason": description.get("FailureReason"),
        "training_seconds": description.get("TrainingTimeInSeconds"),
        "billable_seconds": description.get("BillableTimeInSeconds"),
        "timeline": [
            [
                entry["Status"],
                entry["StartTime"].isoformat(),
                entry["EndTime"].isoformat() if "EndTime" in entry else None,
            ]
            for entry in description.get("SecondaryStatusTransitions", ())
        ],
    }
