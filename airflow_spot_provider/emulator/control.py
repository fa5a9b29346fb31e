"""The control API under /_emulator/: plan jobs, interrupt one, read the calls made."""

from __future__ import annotations

import json
from typing import Any

from werkzeug.exceptions import BadRequest, HTTPException, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from airflow_spot_provider.emulator.clock import Clock
from airflow_spot_provider.emulator.lifecycles import lifecycle_named
from airflow_spot_provider.emulator.models import TrainingJob
from airflow_spot_provider.emulator.responses import Plans, all_jobs

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


class ControlAPI:
    """Answers what is asked under ``/_emulator/``, in JSON.

    :param plans: the plans and the calls of this server.
    :param clock: its clock.
    """

    def __init__(self, plans: Plans, clock: Clock) -> None:
        self._planned = plans
        self._clock = clock

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """WSGI."""
        request = Request(environ)
        try:
            endpoint, arguments = _ROUTES.bind_to_environ(environ).match()
            answer, status = getattr(self, f"_{endpoint}")(request, **arguments), 200
        except HTTPException as error:
            answer, status = {"error": error.description or error.name}, error.code or 500
        response = Response(json.dumps(answer, default=str), status=status, content_type="application/json")
        return response(environ, start_response)

    def _health(self, _request: Request) -> dict[str, Any]:
        return {"status": "ok", "time": self._clock.now().isoformat(), "speed": self._clock.speed}

    def _calls(self, _request: Request) -> dict[str, int]:
        return dict(self._planned.calls)

    def _jobs(self, _request: Request) -> dict[str, Any]:
        return {"time": self._clock.now().isoformat(), "jobs": [_told(job) for job in all_jobs()]}

    def _plan(self, request: Request) -> dict[str, Any]:
        try:
            body = json.loads(request.get_data())
            job_name = body.get("job_name")
            lifecycle = lifecycle_named(body["lifecycle"])
        except (KeyError, ValueError, AttributeError) as error:
            raise BadRequest(
                f'Send {{"lifecycle": <name>, "job_name": <a name, or leave it out for the next job>}} as JSON. {error}'
            ) from error
        self._planned.plan(lifecycle, job_name)
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
    description = job.response_object
    return {
        "job_name": job.training_job_name,
        "status": description["TrainingJobStatus"],
        "secondary_status": description["SecondaryStatus"],
        "timeline": [
            [
                entry["Status"],
                entry["StartTime"].isoformat(),
                entry["EndTime"].isoformat() if "EndTime" in entry else None,
            ]
            for entry in description["SecondaryStatusTransitions"]
        ],
    }
