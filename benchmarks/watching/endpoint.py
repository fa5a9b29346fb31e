"""A fake SageMaker in a process of its own: fast, with AWS's latency, and with a throttle if wanted.

It answers DescribeTrainingJob and ListTrainingJobs, remembers who saw what and when, and puts the events of what changes
into a queue for push mode. It is no emulator: there is a
real one in ``airflow_spot_provider.emulator``; this one is there to cost little beside what is measured.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiohttp import web

from benchmarks.watching.account import CHANGE_SECONDS, Account, Setting
from benchmarks.watching.events import EventQueue
from benchmarks.watching.jobs import Job

KEEP_ALIVE_SECONDS = 300
TRAINING_SECONDS = 10.0
"""So long before it is completed a job begins to train, if it has not yet."""
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
    """

    def __init__(self) -> None:
        self._account = Account(Setting())
        self._latency = Setting.latency_seconds
        self._throttle = Throttle()
        self._calls: Counter[str] = Counter()
        self._unseen: set[str] = set()
        self._seen: dict[str, float] = {}
        self._changed: dict[str, float] = {}
        self._planned: list[asyncio.TimerHandle | asyncio.Task[None]] = []
        self._queue = EventQueue()
        self._operations: dict[str, Callable[[dict[str, Any]], tuple[list[Job], web.Response]]] = {
            "DescribeTrainingJob": self._describe_training_job,
            "ListTrainingJobs": self._list_training_jobs,
        }

    def application(self) -> web.Application:
        """The web application."""
        application = web.Application(client_max_size=64 * 1024**2)
        application.router.add_post("/", self._answer)
        application.router.add_post("/123456789012/{queue}", self._answer)
        application.router.add_put("/control/account", self._set_account)
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
        # An answer tells how things are in the middle of a call: it has its way back to go.
        await asyncio.sleep(self._latency / 2)
        if (answer := self._operations.get(operation)) is None:
            return _error(
                "UnknownOperationException", f"{operation!r} is not one of {list(self._operations)}."
            )
        jobs, told = answer(query)
        await asyncio.sleep(self._latency / 2)
        self._sighted(jobs)
        return told

    async def _answer_about_queue(self, operation: str, query: dict[str, Any], host: str) -> web.Response:
        """SQS is another service, with limits of its own: no throttle of SageMaker's touches it."""
        self._calls[f"sqs:{operation}"] += 1
        await asyncio.sleep(self._latency)
        answer = await self._queue.operations[operation](query, host)
        return web.Response(body=json.dumps(answer).encode(), content_type="application/x-amz-json-1.0")

    def _describe_training_job(self, query: dict[str, Any]) -> tuple[list[Job], web.Response]:
        try:
            job = self._account[query["TrainingJobName"]]
        except KeyError:
            return [], _error("ValidationException", "Requested resource not found.")
        return [job], web.Response(body=job.description, content_type=_JSON)

    def _list_training_jobs(self, query: dict[str, Any]) -> tuple[list[Job], web.Response]:
        jobs, token = self._account.page(query)
        end = b"]}" if token is None else b'],"NextToken":' + json.dumps(token).encode() + b"}"
        body = b'{"TrainingJobSummaries":[' + b",".join(job.summary for job in jobs) + end
        return jobs, web.Response(body=body, content_type=_JSON)

    def _sighted(self, jobs: list[Job]) -> None:
        now = time.monotonic()
        for job in jobs:
            if job.name in self._unseen:
                self._unseen.discard(job.name)
                self._seen[job.name] = now

    async def _set_account(self, request: web.Request) -> web.Response:
        """Start anew with the members of a :class:`Setting`."""
        for plan in self._planned:
            plan.cancel()
        setting = Setting(**await request.json())
        self._account = Account(setting)
        self._latency = setting.latency_seconds
        self._throttle = Throttle()
        self._queue.clear()
        self._calls.clear()
        self._unseen = set(setting.watched)
        self._seen.clear()
        self._changed.clear()
        self._planned = [asyncio.create_task(self._go_on_with_others())] if setting.others else []
        return web.json_response({})

    async def _go_on_with_others(self) -> None:
        while True:
            await asyncio.sleep(CHANGE_SECONDS)
            self._account.change_others(round(time.time(), 3))

    async def _set_rate(self, request: web.Request) -> web.Response:
        """``{"requests_per_second": 10}``, over all operations; null for no limit."""
        self._throttle = Throttle((await request.json())["requests_per_second"])
        return web.json_response({})

    async def _plan_completions(self, request: web.Request) -> web.Response:
        """``{job name: seconds from now}``: complete these jobs then."""
        loop = asyncio.get_running_loop()
        for name, seconds in (await request.json()).items():
            if self._account[name].began is None:
                begin = max(seconds - TRAINING_SECONDS, 0.0)
                self._planned.append(loop.call_later(begin, self._move_on, name, "Training"))
            self._planned.append(loop.call_later(seconds, self._complete, name))
        return web.json_response({})

    def _complete(self, name: str) -> None:
        self._move_on(name, "Completed")
        self._changed[name] = time.monotonic()

    def _move_on(self, name: str, secondary_status: str) -> None:
        job = self._account[name]
        job.move_on(secondary_status, round(time.time(), 3))
        self._queue.put(job)

    async def _tell_sightings(self, _request: web.Request) -> web.Response:
        """How many watched jobs an answer has named, and when the last of them was named first; the calls by operation."""
        return web.json_response(
            {"seen": len(self._seen), "last": max(self._seen.values(), default=None), "calls": self._calls}
        )

    async def _tell_record(self, _request: web.Request) -> web.Response:
        """When each watched job was first seen, and when each was completed."""
        return web.json_response({"seen": self._seen, "changed": self._changed})


def _error(code: str, message: str) -> web.Response:
    body = json.dumps({"__type": code, "message": message}).encode()
    return web.Response(status=400, body=body, content_type=_JSON)


async def serve() -> None:
    """Serve on a free port of loopback, which the first line of output names, until the process is ended."""
    runner = web.AppRunner(Endpoint().application(), access_log=None, keepalive_timeout=KEEP_ALIVE_SECONDS)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(serve())
