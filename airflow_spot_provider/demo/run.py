"""Run the example DAG on a local SageMaker and a local Airflow, show how it goes, and write down what came out."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from botocore.exceptions import ClientError
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from airflow_spot_provider.demo.local_airflow import LocalAirflow, LocalAirflowError
from airflow_spot_provider.emulator import EmulatorError, SageMakerEmulator
from airflow_spot_provider.training import SpotTrainingResult, Timeline, outcome_of
from airflow_spot_provider.training.narration import duration

DAG_ID = "spot_training_branching"
BUCKET = "spot-training"
ROLE = "arn:aws:iam::123456789012:role/spot-training"
SPEED = 60.0
"""A minute of SageMaker's time passes in a second."""
TIMEOUT_SECONDS = 240.0
LIFECYCLES = {
    "uninterrupted": ("Completed", 0),
    "interrupted-once": ("Completed", 1),
    "interrupted-twice-then-max-wait": ("MaxWaitTimeExceeded", 2),
    "never-launched": ("MaxWaitTimeExceeded", 0),
}
"""What each comes to: its outcome, and how often it is interrupted."""
_COLOURS = {
    "Starting": "grey62",
    "Downloading": "cyan",
    "Training": "blue",
    "Interrupted": "dark_orange",
    "Uploading": "magenta",
    "Stopping": "yellow",
    "Completed": "green",
    "MaxWaitTimeExceeded": "red",
}


@dataclass(frozen=True)
class Row:
    """One training of the demo, as ``build/demo.json`` has it."""

    lifecycle: str
    outcome: str
    branch: str
    interruptions: int
    training_seconds: int | None
    billable_seconds: int | None
    savings_percent: float | None
    statuses: list[str]
    model_artifact: str | None
    metrics: dict[str, float]


def run_demo(*, dags: Path, build: Path, output: Path, keep: bool) -> int:
    """Run the demo.

    :param dags: folder of the example DAGs.
    :param build: folder to work in.
    :param output: where the results are written, as JSON.
    :param keep: leave Airflow and the emulator up until Ctrl-C.
    :return: exit status: 0 if every training went through its lifecycle.
    """
    for noisy in ("httpx", "botocore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    console = Console()
    if not console.is_terminal:
        console.width = 130
    try:
        with _ended_by_signals(), SageMakerEmulator(speed=SPEED) as emulator:
            emulator.client("s3").create_bucket(Bucket=BUCKET)
            console.print(f"Local SageMaker: {emulator.endpoint_url} (a minute passes in a second)")
            console.print("Starting Airflow: scheduler, triggerer, DAG processor, API server")
            with LocalAirflow(build / "airflow-demo", dags, environment=_environment(emulator)) as airflow:
                console.print(f"Airflow: {airflow.url}")
                rows = _run_dag(console, emulator, airflow)
                output.parent.mkdir(parents=True, exist_ok=True)
                output.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
                wrong = [row for row in rows if (row.outcome, row.interruptions) != LIFECYCLES[row.lifecycle]]
                _show(console, rows)
                console.print(f"The figures are in {os.path.relpath(output)}.", soft_wrap=True)
                if keep:
                    _wait_for_interrupt(console, airflow.url, emulator.endpoint_url)
                else:
                    console.print(f"The Airflow UI was at {airflow.url}.", soft_wrap=True)
    except KeyboardInterrupt:
        console.print("Stopped; nothing is left running.")
        return 130
    except (EmulatorError, LocalAirflowError) as error:
        console.print(f"The demo failed: {error}", style="red", markup=False, soft_wrap=True)
        return 1
    for row in wrong:
        outcome, interruptions = LIFECYCLES[row.lifecycle]
        console.print(
            f"{row.lifecycle} ended as {row.outcome} after {row.interruptions} interruptions, "
            f"not as {outcome} after {interruptions}.",
            style="red",
            soft_wrap=True,
        )
    return 1 if wrong else 0


def _environment(emulator: SageMakerEmulator) -> dict[str, str]:
    return {
        "AIRFLOW_CONN_AWS_DEFAULT": emulator.airflow_connection(),
        "AIRFLOW_VAR_SPOT_TRAINING_BUCKET": BUCKET,
        "AIRFLOW_VAR_SPOT_TRAINING_ROLE_ARN": ROLE,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _run_dag(console: Console, emulator: SageMakerEmulator, airflow: LocalAirflow) -> list[Row]:
    run_id = f"demo-{int(time.time())}"
    airflow.trigger(DAG_ID, run_id)
    console.print(f"Triggered {DAG_ID}, run {run_id}")
    jobs = _Jobs(emulator)
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4) as live:
            for timelines in _until_over(airflow, run_id, jobs):
                live.update(_progress(timelines))
    else:
        told: dict[str, str] = {}
        for timelines in _until_over(airflow, run_id, jobs):
            for name, timeline in timelines.items():
                if told.get(name) != (line := f"{name}: {_line(timeline).plain}"):
                    told[name] = line
                    console.print(line, markup=False, highlight=False, soft_wrap=True)
    state = airflow.run_state(DAG_ID, run_id)
    if state != "success":
        states = airflow.task_states(DAG_ID, run_id)
        raise LocalAirflowError(
            f"The DAG run ended as {state}: {states}. Its logs are in {airflow.home / 'logs'}."
        )
    return [_row(emulator, airflow, run_id, lifecycle) for lifecycle in LIFECYCLES]


def _until_over(airflow: LocalAirflow, run_id: str, jobs: _Jobs) -> Iterator[Mapping[str, Timeline]]:
    end = time.monotonic() + TIMEOUT_SECONDS
    while airflow.run_state(DAG_ID, run_id) not in ("success", "failed"):
        yield jobs.timelines()
        if time.monotonic() > end:
            raise LocalAirflowError(
                f"The DAG run took more than {TIMEOUT_SECONDS:.0f} s: {airflow.task_states(DAG_ID, run_id)}"
            )
        time.sleep(0.5)
    yield jobs.timelines()


class _Jobs:
    """The training jobs at the emulator, asked as anyone asks SageMaker.

    :param emulator: the local SageMaker.
    """

    def __init__(self, emulator: SageMakerEmulator) -> None:
        self._sagemaker = emulator.client("sagemaker")
        self._names: dict[str, str] = {}
        self._ended: dict[str, Timeline] = {}

    def timelines(self) -> dict[str, Timeline]:
        """The timeline of each job so far, by lifecycle."""
        listed = self._sagemaker.list_training_jobs(SortOrder="Ascending", MaxResults=100)
        timelines = {}
        for job in listed["TrainingJobSummaries"]:
            name, arn = job["TrainingJobName"], job["TrainingJobArn"]
            if name not in self._names:
                self._names[name] = self._label(arn)
            label = self._names[name]
            if name not in self._ended:
                try:
                    description = self._sagemaker.describe_training_job(TrainingJobName=name)
                except ClientError:
                    continue  # listed, and not there yet
                timeline = Timeline.of(description)
                if outcome_of(description):
                    self._ended[name] = timeline
                timelines[label] = timeline
            else:
                timelines[label] = self._ended[name]
        return timelines

    def _label(self, arn: str) -> str:
        tags = {tag["Key"]: tag["Value"] for tag in self._sagemaker.list_tags(ResourceArn=arn)["Tags"]}
        on_demand = tags.get("airflow-spot:task-id", "").endswith("train_on_demand")
        return f"{tags.get('emulator:lifecycle', '?')}{', on demand' if on_demand else ''}"


def _progress(timelines: Mapping[str, Timeline]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, timeline in timelines.items():
        table.add_row(name, _line(timeline))
    return table


def _line(timeline: Timeline) -> Text:
    line = Text()
    for entry in timeline.transitions:
        lasted = f" {duration(entry.seconds)}" if entry.end and entry.seconds >= 1 else ""
        line.append(f"{' > ' if line else ''}")
        line.append(f"{entry.status}{lasted}", style=_COLOURS.get(entry.status, ""))
    return line


def _row(emulator: SageMakerEmulator, airflow: LocalAirflow, run_id: str, lifecycle: str) -> Row:
    group = lifecycle.replace("-", "_")
    published = airflow.xcom(DAG_ID, run_id, f"{group}.train_on_spot")
    result = SpotTrainingResult.from_json(published)
    description = emulator.client("sagemaker").describe_training_job(TrainingJobName=result.job_name)
    ran = airflow.task_states(DAG_ID, run_id)
    return Row(
        lifecycle=lifecycle,
        outcome=result.outcome,
        branch="train_on_demand" if ran[f"{group}.train_on_demand"] == "success" else "result",
        interruptions=result.interruptions,
        training_seconds=result.training_seconds,
        billable_seconds=result.billable_seconds,
        savings_percent=airflow.xcom(DAG_ID, run_id, f"{group}.train_on_spot", "savings_percent"),
        statuses=[str(entry.status) for entry in Timeline.of(description).transitions],
        model_artifact=result.model_artifacts,
        metrics=result.metrics,
    )


def _show(console: Console, rows: list[Row]) -> None:
    table = Table(title="Four lifecycles of managed spot training")
    for heading in ("Lifecycle", "Outcome", "Branch taken"):
        table.add_column(heading, overflow="fold")  # in a narrow terminal no name is cut off
    for heading in ("Interruptions", "Trained", "Billed", "Savings"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row.lifecycle,
            Text(row.outcome, style=_COLOURS.get(row.outcome, "")),
            row.branch,
            str(row.interruptions),
            *(
                "-" if seconds is None else f"{seconds:,} s"
                for seconds in (row.training_seconds, row.billable_seconds)
            ),
            "not known" if row.savings_percent is None else f"{row.savings_percent:.1f}%",
        )
    console.print(table)


def _wait_for_interrupt(console: Console, airflow_url: str, endpoint_url: str) -> None:
    console.print(
        f"Airflow is up at {airflow_url}/dags/{DAG_ID} and the local SageMaker at {endpoint_url}/_emulator/. "
        "Ctrl-C stops both.",
        soft_wrap=True,
    )
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
