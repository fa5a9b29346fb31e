"""The same in a real triggerer process: ``python -m benchmarks.watching.triggerer --jobs 5000``.

A metadata database gets a DAG's runs with so many deferred tasks, each with its trigger, as a scheduler would have left
them; then a real ``airflow triggerer`` is started on it. Writes build/bench-triggerer.json, which the report reads.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from airflow_spot_provider.demo.processes import end_session, free_ports
from benchmarks.watching.account import Setting
from benchmarks.watching.fake import FakeSageMaker, allow_many_sockets

BUILD = Path("build")
OUTPUT = BUILD / "bench-triggerer.json"
PATIENCE_SECONDS = 300.0
_TASKS = 100
_DAG = f"""
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

with DAG("waiting", schedule=None):
    for number in range({_TASKS}):
        EmptyOperator(task_id=f"task-{{number}}")
"""


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1_000, 5_000])
    parser.add_argument("--subjects", nargs="+", default=["nothing", "ours"])
    parser.add_argument("--fill", nargs=2, metavar=("SUBJECT", "JOBS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fill:
        _fill(arguments.fill[0], _names(int(arguments.fill[1])))
        return
    allow_many_sockets()
    runs = []
    for jobs in arguments.jobs:
        for subject in arguments.subjects:
            runs.append(_run(subject, jobs))
            print(json.dumps(runs[-1], indent=2), flush=True)
            OUTPUT.write_text(json.dumps({"runs": runs}, indent=2))


def _names(jobs: int) -> list[str]:
    return [f"digits-{number:05d}-real" for number in range(jobs)]


def _run(subject: str, jobs: int) -> dict[str, Any]:
    home = (BUILD / "bench-triggerer" / f"{subject}-{jobs}").absolute()
    shutil.rmtree(home, ignore_errors=True)
    (home / "dags").mkdir(parents=True)
    (home / "dags" / "waiting.py").write_text(_DAG)
    with FakeSageMaker() as fake:
        fake.set_account(Setting(tuple(_names(jobs))))
        environment = {**fake.environment(), **_settings(home)}
        for command in (["db", "migrate"], ["dags", "reserialize"]):
            subprocess.run(
                [sys.executable, "-m", "airflow", *command],
                env=environment,
                check=True,
                stdout=subprocess.DEVNULL,
            )
        fill = [sys.executable, "-m", "benchmarks.watching.triggerer", "--fill", subject, str(jobs)]
        subprocess.run(fill, env=environment, check=True, stdout=subprocess.DEVNULL)
        with (home / "triggerer.log").open("w") as log:
            started = time.monotonic()
            triggerer = subprocess.Popen(
                [sys.executable, "-m", "airflow", "triggerer", "--capacity", str(2 * jobs)],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                figures = _watched(subject, jobs, fake, triggerer, home, started)
            finally:
                end_session(triggerer, signal.SIGKILL)
        blocked = (home / "triggerer.log").read_text().count("async thread was blocked")
    return {"subject": subject, "jobs": jobs, **figures, "times Airflow found its loop blocked": blocked}


def _settings(home: Path) -> dict[str, str]:
    [port] = free_ports(1)
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(port),
        # One loop takes up all: by default it is fifty a second, whatever the triggers cost.
        "AIRFLOW__TRIGGERER__MAX_TRIGGER_TO_SELECT_PER_LOOP": "100000",
    }


def _watched(
    subject: str,
    jobs: int,
    fake: FakeSageMaker,
    triggerer: subprocess.Popen[bytes],
    home: Path,
    started: float,
) -> dict[str, Any]:
    running, seen = None, None
    while time.monotonic() - started < PATIENCE_SECONDS and (running is None or seen is None):
        elapsed = round(time.monotonic() - started, 1)
        if running is None and _with_a_log(home) >= jobs:
            running = elapsed
        if seen is None and (subject == "nothing" or fake.sightings()["seen"] >= jobs):
            seen = elapsed
        time.sleep(0.5)
    time.sleep(30)
    processes = [psutil.Process(triggerer.pid), *psutil.Process(triggerer.pid).children(recursive=True)]
    first = {process.pid: sum(process.cpu_times()[:2]) for process in processes}
    memory = sum(process.memory_info().rss for process in processes) / 1024**2
    time.sleep(20)
    cpu = sum(
        sum(process.cpu_times()[:2]) - first[process.pid] for process in processes if process.is_running()
    )
    return {
        "seconds until all run": running if running is not None else f"> {PATIENCE_SECONDS:.0f}",
        "seconds until all are seen": "-" if subject == "nothing" else seen or f"> {PATIENCE_SECONDS:.0f}",
        "steady CPU, supervisor and triggers, % of a core": round(100 * cpu / 20, 1),
        "memory of all processes, MB": round(memory),
    }


def _with_a_log(home: Path) -> int:
    """Each trigger logs that it starts: the supervisor gives it a file then."""
    return sum(1 for _ in (home / "logs").rglob("*.trigger.*.log"))


def _fill(subject: str, names: list[str]) -> None:
    """In a process with the settings of the bench's Airflow: runs, task instances, triggers."""
    from airflow.api.common.trigger_dag import trigger_dag
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunTriggeredByType
    from sqlalchemy import select

    from benchmarks.watching.measure import INTERVAL_SECONDS
    from benchmarks.watching.subjects import SUBJECTS

    for number in range(-(-len(names) // _TASKS)):
        trigger_dag("waiting", triggered_by=DagRunTriggeredByType.TEST, run_id=f"run-{number}")
    with create_session() as session:
        instances = session.scalars(select(TaskInstance).where(TaskInstance.dag_id == "waiting")).all()
        for name, instance in zip(names, instances, strict=False):
            trigger = Trigger.from_object(SUBJECTS[subject](name, INTERVAL_SECONDS))
            session.add(trigger)
            session.flush()
            instance.trigger_id, instance.state = trigger.id, "deferred"


if __name__ == "__main__":
    main()
