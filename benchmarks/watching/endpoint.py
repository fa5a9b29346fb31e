"""A fake SageMaker in a process of its own: fast, with AWS's latency, and with a throttle if wanted.

It answers DescribeTrainingJob and ListTrainingJobs, remembers who saw what and when, and puts the events of what changes
into a queue for push mode. It is no emulator: there is a
real one in ``airflow_spot_provider.emulator``; this one is there to cost little beside what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from contextlib import suppress
from typing import Any

from aiohttp import web

from benchmarks.watching.events import EventQueue
from benchmarks.watching.jobs import Job, Jobs

KEEP_ALIVE_SECONDS = 300
_JSON = "application/x-amz-json-1.1"


class Throttle:
    """A bucket of tokens, filled at a rate: one second of it may be spent at once.

    :param rate: requests a second; None for no limit.
    """

    def __init__(self, rate: float | None = None) -> None:
        self._rate = rate
        self._tokens = rate or 0.0
        self._filled_at = time.monotonic()

    def admits(self) -> bool:
        """Whether this request is served; one that is refused costs nothing."""
        if self._rate is None:
            return True
        now = time.monotonic()
        self._tokens = min(self._rate, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Endpoint:
    """The two operations, and a control interface under ``/control/``.

    All times it tells are of ``time.monotonic()``, which all processes of a machine share.

    :param latency: seconds that each answer takes.
    """

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._throttle = Throttle()
        self._jobs = Jobs([])
        self._calls: Counter[str] = Counter()
        self._seen: dict[str, float] = {}
        self._changed: dict[str, float] = {}
        self._planned: list[asyncio.TimerHandle] = []
        self._queue = EventQueue()
        self._operations = {
            "DescribeTrainingJob": self._describe_training_job,
            "ListTrainingJobs": self._list_training_jobs,
        }

    def application(self) -> web.Application:
        """The web application."""
        application = web.Application(client_max_size=64 * 1024**2)
        application.router.add_post("/", self._answer)
        application.router.add_post("/123456789012/{queue}", self._answer)
        application.router.add_put("/control/jobs", self._set_jobs)
        application.router.add_put("/control/rate", self._set_rate)
        application.router.add_post("/control/completions", self._plan_completions)
        application.router.add_get("/control/sightings", self._tell_sightings)
        application.router.add_get("/control/record", self._tell_record)
        return application

    async def _answer(self, request: web.Request) -> web.Response:
        service, _, operation = request.headers.get("X-Amz-Target", "").rpartition(".")
        query = json.loads(await request.read() or b"{}")
        if service == "AmazonSQS":
            return await self._answer_about_queue(operation, query, request.host)
        if not self._throttle.admits():
            self._calls["ThrottlingException"] += 1
            await asyncio.sleep(self._latency)
            return _error("ThrottlingException", "Rate exceeded")
        self._calls[operation] += 1
        await asyncio.sleep(self._latency)
        if (answer := self._operations.get(operation)) is None:
            return _error(
                "UnknownOperationException", f"{operation!r} is not one of {list(self._operations)}."
            )
        return answer(query)

    async def _answer_about_queue(self, operation: str, query: dict[str, Any], host: str) -> web.Response:
        """SQS is another service, with limits of its own: no throttle of SageMaker's touches it."""
        self._calls[f"sqs:{operation}"] += 1
        await asyncio.sleep(self._latency)
        answer = await self._queue.operations[operation](query, host)
        return web.Response(body=json.dumps(answer).encode(), content_type="application/x-amz-json-1.0")

    def _describe_training_job(self, query: dict[str, Any]) -> web.Response:
        name = query["TrainingJobName"]
        try:
            job = self._jobs[name]
        except KeyError:
            return _error("ValidationException", "Requested resource not found.")
        self._sighted([job])
        return web.Response(body=job.description, content_type=_JSON)

    def _list_training_jobs(self, query: dict[str, Any]) -> web.Response:
        jobs, token = self._jobs.page(query)
        self._sighted(jobs)
        end = b"]}" if token is None else b'],"NextToken":' + json.dumps(token).encode() + b"}"
        body = b'{"TrainingJobSummaries":[' + b",".join(job.summary for job in jobs) + end
        return web.Response(body=body, content_type=_JSON)

    def _sighted(self, jobs: list[Job]) -> None:
        now = time.monotonic()
        for job in jobs:
            self._seen.setdefault(job.name, now)

    async def _set_jobs(self, request: web.Request) -> web.Response:
        """Start anew: ``{"names": [...], "secondary_status": "Training"}``."""
        wanted = await request.json()
        for plan in self._planned:
            plan.cancel()
        self._planned = []
        self._jobs = Jobs(wanted["names"], wanted.get("secondary_status", "Training"))
        self._throttle = Throttle()
        self._queue.clear()
        self._calls.clear()
        self._seen.clear()
        self._changed.clear()
        return web.json_response({})

    async def _set_rate(self, request: web.Request) -> web.Response:
        """``{"requests_per_second": 10}``, over all operations; null for no limit."""
        self._throttle = Throttle((await request.json())["requests_per_second"])
        return web.json_response({})

    async def _plan_completions(self, request: web.Request) -> web.Response:
        """``{job name: seconds from now}``: complete these jobs then."""
        loop = asyncio.get_running_loop()
        self._planned += [
            loop.call_later(seconds, self._complete, name) for name, seconds in (await request.json()).items()
        ]
        return web.json_response({})

    def _complete(self, name: str) -> None:
        self._jobs[name].complete(round(time.time(), 3))
        self._changed[name] = time.monotonic()
        self._queue.put(self._jobs[name])

    async def _tell_sightings(self, _request: web.Request) -> web.Response:
        """How many jobs an answer has named, and when the last of them was named first; the calls by operation."""
        return web.json_response(
            {"seen": len(self._seen), "last": max(self._seen.values(), default=None), "calls": self._calls}
        )

    async def _tell_record(self, _request: web.Request) -> web.Response:
        """When each job was first seen, and when each was completed."""
        return web.json_response({"seen": self._seen, "changed": self._changed})


def _error(code: str, message: str) -> web.Response:
    body = json.dumps({"__type": code, "message": message}).encode()
    return web.Response(status=400, body=body, content_type=_JSON)


async def serve(latency: float) -> None:
    """Serve on a free port of loopback, which the first line of output names, until the process is ended."""
    runner = web.AppRunner(
        Endpoint(latency).application(), access_log=None, keepalive_timeout=KEEP_ALIVE_SECONDS
    )
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--latency", type=float, default=0.02, help="seconds that each answer takes (default: 0.02)"
    )
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(parser.parse_args().latency))
