"""Run an example DAG on a local SageMaker and a local Airflow, show how it goes, and write down what came out."""

from __future__ import annotations

import json
import logging
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from airflow_spot_provider.demo import lifecycles
from airflow_spot_provider.demo.jobs import Jobs, line_of, progress_of
from airflow_spot_provider.demo.local_airflow import LocalAirflow, LocalAirflowError
from airflow_spot_provider.demo.published import tell_results
from airflow_spot_provider.emulator import EmulatorError, SageMakerEmulator
from airflow_spot_provider.training import Timeline

BUCKET = "spot-training"
ROLE = "arn:aws:iam::123456789012:role/spot-training"
SPEED = 60.0
"""A minute of SageMaker's time passes in a second."""
STILL_SECONDS = 600.0
"""For which a DAG run may stand still, no task and no job changing: a slow machine is no reason to end what goes on."""


def run_demo(dag_id: str, *, dags: Path, build: Path, output: Path, keep: bool) -> int:
    """Run the demo.

    :param dag_id: which of the example DAGs.
    :param dags: folder of the example DAGs.
    :param build: folder to work in.
    :param output: where the results are written, as JSON.
    :param keep: leave Airflow and the emulator up until Ctrl-C.
    :return: exit status: 0 if the DAG run succeeded (and, of the four lifecycles, if every training went through its own).
    """
    for noisy in ("httpx", "botocore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    console = Console()
    if not console.is_terminal:
        console.width = 150  # the tables, with no name folded
    wrong: list[str] = []
    try:
        with _ended_by_signals(), SageMakerEmulator(speed=SPEED) as emulator:
            emulator.client("s3").create_bucket(Bucket=BUCKET)
            console.print(f"Local SageMaker: {emulator.endpoint_url} (a minute passes in a second)")
            console.print("Starting Airflow: scheduler, triggerer, DAG processor, API server")
            with LocalAirflow(
                build / "airflow-demo", dags, environment=_environment(emulator, build)
            ) as airflow:
                console.print(f"Airflow: {airflow.url}")
                run_id = _run_dag(console, emulator, airflow, dag_id)
                figures: Any
                if dag_id == lifecycles.DAG_ID:
                    figures, wrong = lifecycles.tell_lifecycles(console, emulator, airflow, run_id)
                else:
                    figures = tell_results(console, emulator, airflow, dag_id, run_id)
                output.parent.mkdir(parents=True, exist_ok=True)
                output.write_text(json.dumps(figures, indent=2) + "\n")
                console.print(f"The figures are in {os.path.relpath(output)}.", soft_wrap=True)
                if keep:
                    for line in where_to_look(
                        f"{airflow.url}/dags/{dag_id}",
                        emulator.endpoint_url,
                        AIRFLOW_HOME=str(airflow.home),
                        AIRFLOW_CONN_AWS_DEFAULT=emulator.airflow_connection(),
                    ):
                        console.print(line, markup=False, highlight=False, soft_wrap=True)
                    _wait_for_interrupt()
                else:
                    console.print(f"The Airflow UI was at {airflow.url}.", soft_wrap=True)
    except KeyboardInterrupt:
        console.print("Stopped; nothing is left running.")
        return 130
    except (EmulatorError, LocalAirflowError) as error:
        console.print(f"The demo failed: {error}", style="red", markup=False, soft_wrap=True)
        return 1
    for sentence in wrong:
        console.print(sentence, style="red", soft_wrap=True)
    return 1 if wrong else 0


def _environment(emulator: SageMakerEmulator, build: Path) -> dict[str, str]:
    return {
        "AIRFLOW_VAR_SPOT_TRAINING_FOLDER": str(build.resolve()),
        "AIRFLOW_CONN_AWS_DEFAULT": emulator.airflow_connection(),
        "AIRFLOW_VAR_SPOT_TRAINING_BUCKET": BUCKET,
        "AIRFLOW_VAR_SPOT_TRAINING_ROLE_ARN": ROLE,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _run_dag(console: Console, emulator: SageMakerEmulator, airflow: LocalAirflow, dag_id: str) -> str:
    """Run a DAG to its end, and give the id of the run."""
    run_id = f"demo-{int(time.time())}"
    airflow.trigger(dag_id, run_id)
    console.print(f"Triggered {dag_id}, run {run_id}")
    jobs = Jobs(emulator, run_id)
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4) as live:
            for timelines in _until_over(airflow, dag_id, run_id, jobs):
                live.update(progress_of(timelines))
    else:
        told: dict[str, str] = {}
        for timelines in _until_over(airflow, dag_id, run_id, jobs):
            for name, timeline in timelines.items():
                if told.get(name) != (line := f"{name}: {line_of(timeline).plain}"):
                    told[name] = line
                    console.print(line, markup=False, highlight=False, soft_wrap=True)
    state = airflow.run_state(dag_id, run_id)
    if state != "success":
        states = airflow.task_states(dag_id, run_id)
        raise LocalAirflowError(
            f"The DAG run ended as {state}: {states}. Its logs are in {airflow.home / 'logs'}."
        )
    return run_id


def _until_over(
    airflow: LocalAirflow,
    dag_id: str,
    run_id: str,
    jobs: Jobs,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Mapping[str, Timeline]]:
    """The jobs' timelines, over and over, until the run has ended.

    :raises LocalAirflowError: it stands still.
    """
    stood, changed = None, clock()
    while airflow.run_state(dag_id, run_id) not in ("success", "failed"):
        timelines = jobs.timelines()
        yield timelines
        states = airflow.task_states(dag_id, run_id)
        stands = (states, {name: line_of(timeline).plain for name, timeline in timelines.items()})
        if stands != stood:
            stood, changed = stands, clock()
        elif clock() - changed > STILL_SECONDS:
            raise LocalAirflowError(
                f"The DAG run stands still: for {STILL_SECONDS:.0f} s no task and no job has changed. Tasks: {states}. Its logs are "
                f"in {airflow.home / 'logs'}."
            )
        sleep(0.5)
    yield jobs.timelines()


def where_to_look(dag_url: str, endpoint_url: str, **environment: str) -> list[str]:
    """Where the kept demo is, for a browser and for another terminal.

    :param environment: the variables with which ``airflow-spot jobs`` and ``airflow-spot savings`` find it.
    """
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
    clock = (
        f"The local SageMaker's clock runs {SPEED:g} times as fast, and the pages in Airflow go by the real one: there, for how long a "
        "job waits and how much of MaxWait is left stand still near 0 s."
    )
    return [
        f"Airflow is up at {dag_url} and the local SageMaker at {endpoint_url}/_emulator/. Ctrl-C stops both.",
        clock,
        "In another terminal, for airflow-spot jobs and airflow-spot savings:",
        f"export {variables}",
    ]


def _wait_for_interrupt() -> None:
    with suppress(KeyboardInterrupt):
        while True:
            signal.pause()


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal end the demo with all it started; a second signal does not cut that short."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def _interrupt(number: int, _frame: object) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = {each: signal.signal(each, _interrupt) for each in numbers}
    try:
        yield
    finally:
        sys.stdout.flush()
        for each, handler in before.items():
            signal.signal(each, handler)
