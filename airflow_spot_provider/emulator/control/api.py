"""The control API under /_emulator/: plan jobs, interrupt one, read the calls made."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from werkzeug.exceptions import BadRequest, HTTPException, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from airflow_spot_provider.emulator.clock import RunningClock
from airflow_spot_provider.emulator.jobs.lifecycles import lifecycle_named
from airflow_spot_provider.emulator.jobs.plans import Plans
from airflow_spot_provider.emulator.jobs.training_job import TrainingJob
from airflow_spot_provider.emulator.wire.training import all_jobs

PREFIX = "/_emulator"
_ROUTES = Map(
    [
        Rule(f"{PREFIX}/", endpoint="jobs", methods=["GET"]),
        Rule(f"{PREFIX}/health", endpoint="health", methods=["GET"]),
        Rule(f"{PREFIX}/calls", endpoint="calls", methods=["GET"]),
        Rule(f"{PREFIX}/plans", endpoint="plan", methods=["POST"]),
        Rule(f"{PREFIX}/jobs/<name>/interrupt", endpoint="interrupt", methods=["POST"]),
    ],
    strict_slashes=False,
)


class Calls:
    """How often each AWS operation was called."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def count(self, operation: str) -> None:
        """One more."""
        with self._lock:
            self._counts[operation] += 1

    def counts(self) -> dict[str, int]:
        """All of them."""
        with self._lock:
            return dict(self._counts)


class ControlAPI:
    """Answers what is asked under ``/_emulator/``, in JSON.

    :param plans: the plans of this server.
    :param calls: the calls that were made to it.
    :param clock: its clock.
    """

    def __init__(self, plans: Plans, calls: Calls, clock: RunningClock) -> None:
        self._plans = plans
        self._calls = calls
        self._clock = clock
        self._endpoints: dict[str, Callable[..., dict[str, Any]]] = {
            "jobs": self._tell_jobs,
            "health": self._tell_health,
            "calls": self._tell_calls,
            "plan": self._plan,
            "interrupt": self._interrupt,
        }

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """WSGI."""
        request = Request(environ)
        try:
            endpoint, arguments = _ROUTES.bind_to_environ(environ).match()
            answer, status = self._endpoints[endpoint](request, **arguments), 200
        except HTTPException as error:
            answer, status = {"error": error.description or error.name}, error.code or 500
        response = Response(json.dumps(answer), status=status, content_type="application/json")
        return response(environ, start_response)

    def _tell_health(self, _request: Request) -> dict[str, Any]:
        return {"status": "ok", "time": self._clock.now().isoformat(), "speed": self._clock.speed}

    def _tell_calls(self, _request: Request) -> dict[str, Any]:
        return self._calls.counts()

    def _tell_jobs(self, _request: Request) -> dict[str, Any]:
        return {"time": self._clock.now().isoformat(), "jobs": [_told(job) for job in all_jobs()]}

    def _plan(self, request: Request) -> dict[str, Any]:
        try:
            body = json.loads(request.get_data())
            if not isinstance(body, dict):
                raise ValueError(f"{body!r} is no object.")
            if unknown := sorted(body.keys() - {"lifecycle", "job_name"}):
                raise ValueError(f"There is no {', '.join(unknown)}.")
            job_name = body.get("job_name")
            if job_name is not None and not isinstance(job_name, str):
                raise ValueError(f"job_name is {job_name!r}, and no name.")
            lifecycle = lifecycle_named(body.get("lifecycle"))
        except ValueError as error:
            raise BadRequest(
                f'Send {{"lifecycle": <name>, "job_name": <a name, or leave it out for the next job>}} as JSON. {error}'
            ) from error
        self._plans.plan(lifecycle, job_name)
        return {"lifecycle": lifecycle.name, "job_name": job_name}

    def _interrupt(self, _request: Request, name: str) -> dict[str, Any]:
        jobs = [job for job in all_jobs() if job.training_job_name == name]
        if not jobs:
            raise NotFound(f"There is no training job {name!r}.")
        if not any(job.interrupt() for job in jobs):
            raise BadRequest(
                f"{name} is {jobs[0].secondary_status}; only a managed spot training job in Training can be interrupted."
            )
        return {"interrupted": name}


def _told(job: TrainingJob) -> dict[str, Any]:
    """A job as the list tells it: no environment, no hyperparameters."""
    description = job.describe()
    return {
        "job_name": job.training_job_name,
        "account_id": job.spec.account_id,
        "region": job.spec.region,
        "managed_spot": job.spec.spot,
        "status": description["TrainingJobStatus"],
        "secondary_status": description["SecondaryStatus"],
        "failure_reason": description.get("FailureReason"),
        "timeline": [
            [
                entry["Status"],
                entry["StartTime"].isoformat(),
                entry["EndTime"].isoformat() if "EndTime" in entry else None,
            ]
            for entry in description["SecondaryStatusTransitions"]
        ],
    }
