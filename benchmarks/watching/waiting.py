"""The measured process: one event loop with the triggers of one subject in it, and a heartbeat.

Airflow's own ``TriggerRunner`` (3.3) decodes, builds and runs the triggers, as it does in the subprocess of a triggerer;
only the supervisor is missing, which would hand in the work and take the events.

``python -m benchmarks.watching.waiting SUBJECT INTERVAL_SECONDS`` reads a JSON list of job names from standard input, then one command
a line, and answers each with one line of JSON. ``start`` starts the triggers; ``mark`` tells the longest stall since the
last mark and the CPU time; ``events`` tells which triggers have fired.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import uuid
from collections import deque
from typing import Any

import aiobotocore.client
import aiobotocore.session
import botocore.client
import botocore.waiter
from airflow.executors.workloads.task import TaskInstanceDTO
from airflow.executors.workloads.trigger import RunTrigger
from airflow.jobs.triggerer_job_runner import TriggerRunner
from airflow.models.trigger import Trigger

from benchmarks.watching.fake import allow_many_sockets
from benchmarks.watching.subjects import SUBJECTS

IMPORTED = (aiobotocore.client, aiobotocore.session, botocore.client, botocore.waiter)
"""What the triggers would import late: nobody's first trigger pays for it here."""
HEARTBEATS_PER_INTERVAL = 1_000
"""5 ms at 5 s. The heartbeat itself costs CPU (some 4% of a core at 5 ms), so it is as fine as the interval needs."""


class Heartbeat:
    """A task that wants to run every so often, and notes how late it was.

    :param seconds: between two beats.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last = time.monotonic()
        self._longest = 0.0

    async def beat(self) -> None:
        """Beat until cancelled."""
        while True:
            await asyncio.sleep(self._seconds)
            self._note()

    def longest_stall(self) -> float:
        """The longest stall in seconds since this was asked last; one that goes on counts."""
        self._note()
        longest, self._longest = self._longest, 0.0
        return longest

    def _note(self) -> None:
        now = time.monotonic()
        self._longest = max(self._longest, now - self._last - self._seconds)
        self._last = now


class _Stamped(deque[Any]):
    """The events of a TriggerRunner, and when each was put in."""

    def __init__(self) -> None:
        super().__init__()
        self.stamps: list[float] = []

    def append(self, entry: Any) -> None:
        """Note the time as well."""
        self.stamps.append(time.monotonic())
        super().append(entry)


class Waiting:
    """The triggers of many jobs in the running loop, as a triggerer runs them.

    :param subject: one of :data:`SUBJECTS`.
    :param interval_seconds: how often they look.
    :param names: of the jobs to wait for.
    """

    def __init__(self, subject: str, interval_seconds: int, names: list[str]) -> None:
        self._names = names
        self._triggers = [SUBJECTS[subject](name, interval_seconds).serialize() for name in names]
        # What a triggerer reads from the database: written before anything is measured.
        self._kwargs = [Trigger.encrypt_kwargs(kwargs) for _, kwargs in self._triggers]
        self._runner = TriggerRunner()
        self._runner.events = self._events = _Stamped()
        self._heart = Heartbeat(interval_seconds / HEARTBEATS_PER_INTERVAL)

    async def obey(self, commands: asyncio.StreamReader, out: int) -> None:
        """Do what standard input says until it ends."""
        beating = asyncio.create_task(self._heart.beat())
        _say(out, self._mark())
        while line := (await commands.readline()).decode().strip():
            if line == "start":
                self._heart.longest_stall()
                begun = time.monotonic()
                await self._start()
                _say(out, {"begun": begun, "running": time.monotonic(), "cpu_seconds": time.process_time()})
            elif line == "mark":
                _say(out, self._mark())
            elif line == "events":
                _say(out, self._tell_events())
            else:
                raise ValueError(f"{line!r} is none of start, mark, events.")
        beating.cancel()

    async def _start(self) -> None:
        for number, (classpath, _) in enumerate(self._triggers):
            self._runner.to_create.append(
                RunTrigger(
                    id=number,
                    classpath=classpath,
                    encrypted_kwargs=self._kwargs[number],
                    ti=_task_instance(number),
                )
            )
        await self._runner.create_triggers()
        await asyncio.sleep(0)

    def _tell_events(self) -> dict[str, Any]:
        told = [
            (self._names[entry.trigger_id], at, entry.event.payload)
            for entry, at in zip(self._events, self._events.stamps, strict=True)
        ]
        return {"events": told, "ended": sum(each["task"].done() for each in self._runner.triggers.values())}

    def _mark(self) -> dict[str, float]:
        return {"stall_seconds": self._heart.longest_stall(), "cpu_seconds": time.process_time()}


def _task_instance(number: int) -> TaskInstanceDTO:
    return TaskInstanceDTO(
        id=uuid.uuid4(),
        dag_version_id=uuid.UUID(int=1),
        dag_id="fan_out",
        task_id="train",
        run_id="manual__2026-01-01T00:00:00+00:00",
        map_index=number,
        try_number=1,
        queue="default",
        pool_slots=1,
        priority_weight=1,
    )


def _say(out: int, told: dict[str, Any]) -> None:
    line = json.dumps(told).encode() + b"\n"
    while line:
        line = line[os.write(out, line) :]


async def _main() -> None:
    allow_many_sockets()
    # Airflow logs to standard output; what it says goes where standard error goes, and the answers alone go out.
    out = os.dup(1)
    os.dup2(2, 1)
    commands = asyncio.StreamReader(limit=64 * 1024**2)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    names = json.loads(await commands.readline())
    await Waiting(sys.argv[1], int(sys.argv[2]), names).obey(commands, out)
    # The fake SageMaker's answer to ten thousand farewells is not of interest.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(_main())
