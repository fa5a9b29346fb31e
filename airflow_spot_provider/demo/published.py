"""The figures of any DAG: the published result of every training job, and what its report task says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from airflow_spot_provider.demo.jobs import COLOURS
from airflow_spot_provider.demo.local_airflow import LocalAirflow
from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.reports.sentences import headline_of, trend_sentence
from airflow_spot_provider.training import Cost, SpotTrainingResult
from airflow_spot_provider.training.narration import money

REPORT = "report"
"""The id of the task whose XCom sums a DAG run up."""
_TUNING_JOB = ":hyper-parameter-tuning-job/"
_COLUMNS = (
    *("Training job", "Outcome", "Metrics"),
    *("Interruptions", "Trained", "Billed", "Savings", "Cost", "On demand"),
)
_LONGEST_MEMBER = 200
_OF_A_SAVINGS_REPORT = frozenset({"jobs", "money", "outcomes", "trend", "runs", "waiting_seconds"})


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
    table = Table(title=f"Training jobs of {dag_id}, run {run_id}")
    for number, heading in enumerate(_COLUMNS):
        table.add_column(heading, overflow="fold", justify="right" if number > 2 else "left")
    for result in results.values():
        table.add_row(*_cells(result))
    console.print(table)
    for line in report_lines(report, run_id):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
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
    yield from costs_of(result.known_cost)


def costs_of(cost: Cost | None) -> tuple[str, str]:
    """What a job cost, and what it would have cost on demand."""
    if cost is None:
        return "not known", "not known"
    return money(cost.amount, cost.currency), money(cost.on_demand, cost.currency)


def report_lines(report: Any, run_id: str) -> list[str]:
    """What a report task published, in a few lines: the whole of it is in the figures' file.

    :param report: that of :class:`SpotSavingsReportOperator`, or a DAG's own.
    :param run_id: the run whose jobs were told above it.
    """
    if not isinstance(report, dict):
        return [] if report is None else [f"Report: {_clipped(report)}"]
    if not report.keys() >= _OF_A_SAVINGS_REPORT:
        return ["Report:", *(f"  {name}: {_clipped(member)}" for name, member in report.items())]
    lines = [f"Report: {headline_of(report)}"]
    lines.append(f"Outcomes: {', '.join(f'{number} {name}' for name, number in report['outcomes'].items())}.")
    if trend := trend_sentence(report["trend"]):
        lines.append(trend)
    runs = [run["run_id"] for run in report["runs"]]
    if len(runs) > 1:
        lines.append(
            f"The report is of {len(runs)} runs ({', '.join(runs)}); the table has the jobs of {run_id}."
        )
    return lines


def _clipped(member: Any) -> str:
    told = member if isinstance(member, str) else json.dumps(member, default=str)
    return told if len(told) <= _LONGEST_MEMBER else f"{told[:_LONGEST_MEMBER]} ..."


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
