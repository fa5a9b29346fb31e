"""One round: so many jobs, one subject, a fresh process; what it took to start, to wait, and to notice."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.watching.account import Setting
from benchmarks.watching.fake import FakeSageMaker

INTERVAL_SECONDS = 5
YOUNG_SECONDS = 10.0
"""Two intervals of the time for which new jobs are looked at quickly."""
SETTLING_SECONDS = 30
"""Longer than new jobs are looked at quickly, at the usual interval."""
COMPLETIONS = 100


@dataclass(frozen=True)
class Plan:
    """What one round does.

    :param subject: ``stock``, ``ours``, ``nothing`` or ``push``.
    :param jobs: how many wait.
    :param case: what tells its figures apart from those of the same subject and size in other circumstances; empty for the usual ones.
    :param interval_seconds: how often the triggers look.
    :param steady_seconds: how long nothing changes while CPU, calls and stalls are measured.
    :param changing_seconds: over how long jobs complete at random moments.
    :param completions: how many complete; 0 for none (the trigger that does nothing would not notice).
    :param requests_per_second: throttle from when all jobs have been seen on; None for no throttle.
    :param patience_seconds: how long to wait until all are seen before the round goes on without the rest.
    :param latency_seconds: what each call takes.
    :param others: how many jobs of other people's run in the same account.
    :param old: how many jobs ended in it long ago.
    :param young: the jobs were created a moment ago; calls are counted while they are new, too.
    :param filters_first: whether lists are filtered before their pages are cut.
    """

    subject: str
    jobs: int
    case: str = ""
    interval_seconds: int = INTERVAL_SECONDS
    steady_seconds: float = 30.0
    changing_seconds: float = 30.0
    completions: int = COMPLETIONS
    requests_per_second: float | None = None
    patience_seconds: float = 300.0
    latency_seconds: float = 0.02
    others: int = 0
    old: int = 0
    young: bool = False
    filters_first: bool = False

    def setting(self, names: list[str], seed: int) -> Setting:
        """The account that it takes."""
        return Setting(
            tuple(names),
            others=self.others,
            old=self.old,
            young=self.young,
            filters_first=self.filters_first,
            latency_seconds=self.latency_seconds,
            seed=seed,
        )


class _Process:
    """The measured process, and its answers.

    :param fake: what it takes for AWS.
    :param plan: whose triggers run in it, and how often they look.
    :param names: the jobs that they wait for.
    :param log: file that gets what Airflow logs in it.
    """

    def __init__(self, fake: FakeSageMaker, plan: Plan, names: list[str], log: Path) -> None:
        self._names = names
        self._log = log.open("w")
        self._process = subprocess.Popen(
            [
                sys.executable,
                *("-m", "benchmarks.watching.waiting"),
                *(plan.subject, str(plan.interval_seconds)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=fake.environment(push=plan.subject == "push"),
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._commands, self._answers = self._process.stdin, self._process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        with suppress(BrokenPipeError):
            self._commands.close()
        self._answers.close()
        self._log.close()

    def ready(self) -> None:
        """Hand over the names; answered when everything is imported."""
        self.ask(json.dumps(self._names))

    def ask(self, command: str) -> dict[str, Any]:
        """Send a command, and wait for its answer."""
        self._commands.write(command + "\n")
        self._commands.flush()
        if not (line := self._answers.readline()):
            raise RuntimeError(
                f"The measured process ended with {self._process.wait(10)}: see {self._log.name}."
            )
        told: dict[str, Any] = json.loads(line)
        return told

    def cpu_seconds(self) -> float:
        """CPU time of the process so far; asked of the kernel, so that a stalled loop does not delay the answer."""
        # clock_getcpuclockid(3): the clock of a process is the complement of its id, and what it counts.
        return time.clock_gettime((~self._process.pid << 3) | 2)

    def memory_kb(self) -> tuple[float, float]:
        """Resident and proportional memory of the process."""
        rollup = Path(f"/proc/{self._process.pid}/smaps_rollup").read_text().splitlines()
        sizes = {line.partition(":")[0]: float(line.split()[1]) for line in rollup[1:]}
        return sizes["Rss"], sizes["Pss"]


def run(plan: Plan, fake: FakeSageMaker, *, seed: int, log: Path) -> dict[str, Any]:
    """Run one round.

    :param plan: what it does.
    :param fake: the endpoint; its jobs and counts are set anew.
    :param seed: of which jobs complete when, and of what happens to other people's.
    :param log: file for what the process logs.
    :return: the plan and the figures, with their unit in their name.
    :raises RuntimeError: the process ended.
    """
    names = [f"digits-{number:05d}-{seed:04x}" for number in range(plan.jobs)]
    with _Process(fake, plan, names, log) as process:
        process.ready()
        fake.set_account(plan.setting(names, seed))
        imported = process.ask("mark")
        rss, pss = process.memory_kb()
        begun = process.ask("start")
        figures = _starting(plan, fake, process, imported, begun)
        if plan.requests_per_second is not None:
            fake.set_rate(plan.requests_per_second)
        if plan.young:
            figures["young_calls_per_interval"] = _calls_per_interval(plan, fake)
        time.sleep(SETTLING_SECONDS)
        figures |= _steady(plan, fake, process)
        steady_rss, steady_pss = process.memory_kb()
        figures |= {
            "kb_per_job": (steady_rss - rss) / plan.jobs,
            "pss_kb_per_job": (steady_pss - pss) / plan.jobs,
            "more_mb": (steady_rss - rss) / 1024,
        }
        if plan.completions:
            figures |= _changing(plan, fake, process, names, random.Random(seed))
    return asdict(plan) | figures


def _starting(
    plan: Plan, fake: FakeSageMaker, process: _Process, imported: dict[str, Any], begun: dict[str, Any]
) -> dict[str, Any]:
    if plan.subject == "nothing":
        cpu, seen, seconds = begun["cpu_seconds"], None, None
    else:
        deadline = begun["begun"] + plan.patience_seconds
        while (told := fake.sightings())["seen"] < plan.jobs and time.monotonic() < deadline:
            time.sleep(0.05 if plan.jobs <= 1_000 else 0.2)
        cpu, seen = process.cpu_seconds(), told["seen"]
        seconds = told["last"] - begun["begun"] if seen == plan.jobs else plan.patience_seconds
    return {
        "start_cpu_ms_per_job": 1_000 * (cpu - imported["cpu_seconds"]) / plan.jobs,
        "all_running_seconds": begun["running"] - begun["begun"],
        "seen": seen,
        "last_seen_seconds": seconds,
        "start_stall_seconds": process.ask("mark")["stall_seconds"],
    }


def _calls_per_interval(plan: Plan, fake: FakeSageMaker) -> float:
    start, first = time.monotonic(), fake.sightings()["calls"]
    time.sleep(YOUNG_SECONDS)
    seconds = time.monotonic() - start
    made = sum(fake.sightings()["calls"].values()) - sum(first.values())
    return float(made * plan.interval_seconds / seconds)


def _steady(plan: Plan, fake: FakeSageMaker, process: _Process) -> dict[str, Any]:
    calls = fake.sightings()["calls"]
    first = process.ask("mark")
    start = time.monotonic()
    time.sleep(plan.steady_seconds)
    seconds = time.monotonic() - start
    cpu = process.cpu_seconds() - first["cpu_seconds"]
    made = {name: count - calls.get(name, 0) for name, count in fake.sightings()["calls"].items()}
    last = process.ask("mark")
    return {
        "settling_stall_seconds": first["stall_seconds"],
        "steady_stall_seconds": last["stall_seconds"],
        "steady_cores": cpu / seconds,
        "steady_calls": made,
        "calls_per_interval": sum(made.values()) * plan.interval_seconds / seconds,
    }


def _changing(
    plan: Plan, fake: FakeSageMaker, process: _Process, names: list[str], chance: random.Random
) -> dict[str, Any]:
    chosen = chance.sample(names, min(plan.completions, plan.jobs))
    calls = fake.sightings()["calls"]
    fake.complete({name: chance.uniform(0, plan.changing_seconds) for name in chosen})
    deadline = time.monotonic() + plan.changing_seconds + 60 + 2 * plan.interval_seconds
    events: list[Any] = []
    while len(events) < len(chosen) and time.monotonic() < deadline:
        time.sleep(0.5)
        events = process.ask("events")["events"]
    # One interval more: an event that comes twice, or for a job that goes on, would come now.
    time.sleep(plan.interval_seconds)
    events = process.ask("events")["events"]
    changed = fake.record()["changed"]
    delays = [at - changed[name] for name, at, _ in events if name in changed]
    lost = set(chosen) - {name for name, _, _ in events}
    doubled = [name for name, times in Counter(name for name, _, _ in events).items() if times > 1]
    wrong = [name for name, _, payload in events if name not in changed or not _says_completed(payload)]
    return {
        "changed": len(chosen),
        "events": len(events),
        "events_lost": len(lost),
        "events_amiss": len(lost) + len(doubled) + len(wrong),
        "changing_stall_seconds": process.ask("mark")["stall_seconds"],
        "changing_calls": {
            name: count - calls.get(name, 0) for name, count in fake.sightings()["calls"].items()
        },
        "change_to_event_p50_seconds": statistics.median(delays) if delays else None,
        "change_to_event_max_seconds": max(delays, default=None),
    }


def _says_completed(payload: dict[str, Any]) -> bool:
    return payload.get("outcome") == "Completed" or payload.get("status") == "success"
