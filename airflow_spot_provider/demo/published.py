"""The figures of any DAG: the published result of every training job, and what its report task says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from airflow_spot_provider.demo.jobs import COLOURS
from airflow_spot_provider.demo.local_airflow import LocalAirflow
from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.training import SpotTrainingResult

REPORT = "report"
"""The id of the task whose XCom sums a DAG run up."""
_TUNING_JOB = ":hyper-parameter-tuning-job/"
_COLUMNS = ("Training job", "Outcome", "Metrics", "Interruptions", "Trained", "Billed", "Savings")


def tell_results(
    console: Console, emulator: SageMakerEmulator, airflow: LocalAirflow, dag_id: str, run_id: str
) -> dict[str, Any]:
    """Show the training jobs of a run that is over.

    :return: what the figures' file holds: ``state``, ``results`` and ``report``.
    """
    results: dict[str, SpotTrainingResult] = {}
    for published in _xcoms(airflow, dag_id, run_id):
        for result in _results_in(published, emulator):
            # A task that passes a result on (the best, a join) publishes it once more.
            results.setdefault(result.job_name, result)
    report = airflow.xcom(dag_id, run_id, REPORT)
    table = Table(title=f"Training jobs of {dag_id}")
    for number, heading in enumerate(_COLUMNS):
        table.add_column(heading, overflow="fold", justify="right" if number > 2 else "left")
    for result in results.values():
        table.add_row(*_cells(result))
    console.print(table)
    console.print("Report:", report)
    return {
        "state": airflow.run_state(dag_id, run_id),
        "results": [result.to_json() for result in results.values()],
        "report": report,
    }


def _cells(result: SpotTrainingResult) -> Iterator[str | Text]:
    yield result.job_name
    yield Text(result.outcome, style=COLOURS.get(result.outcome, ""))
    yield ", ".join(f"{name} {value:.4g}" for name, value in result.metrics.items())
    yield str(result.interruptions)
    for seconds in (result.training_seconds, result.billable_seconds):
        yield "-" if seconds is None else f"{seconds:,} s"
    yield "not known" if result.savings_percent is None else f"{result.savings_percent:.1f}%"


def _xcoms(airflow: LocalAirflow, dag_id: str, run_id: str) -> Iterator[dict[str, Any]]:
    """Every XCom that may be a result, in the order of tasks and map indexes."""
    for entry in sorted(airflow.xcoms(dag_id, run_id)):
        if entry.task_id == REPORT:
            continue
        value = airflow.xcom(dag_id, run_id, entry.task_id, entry.key, map_index=entry.map_index)
        if isinstance(value, dict) and "job_arn" in value:
            yield value


def _results_in(published: dict[str, Any], emulator: SageMakerEmulator) -> Iterator[SpotTrainingResult]:
    if _TUNING_JOB in published["job_arn"]:
        yield from _members(published["job_name"], emulator)
        return
    try:
        yield SpotTrainingResult.from_json(published)
    except ValidationError:
        return  # an XCom of another kind, with an ARN of its own


def _members(tuning_job: str, emulator: SageMakerEmulator) -> Iterator[SpotTrainingResult]:
    """What a tuning job published is a sum: each of its training jobs is described."""
    sagemaker = emulator.client("sagemaker")
    pages = sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        HyperParameterTuningJobName=tuning_job, SortBy="CreationTime", SortOrder="Ascending"
    )
    for member in (member for page in pages for member in page["TrainingJobSummaries"]):
        name = member["TrainingJobName"]
        yield SpotTrainingResult.of(sagemaker.describe_training_job(TrainingJobName=name))
