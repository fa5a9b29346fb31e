"""The figures of ``spot_training_branching``: each lifecycle has to end as AWS documents it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from airflow_spot_provider.demo.jobs import COLOURS
from airflow_spot_provider.demo.local_airflow import LocalAirflow
from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.training import SpotTrainingResult, Timeline
from airflow_spot_provider.training.narration import money

DAG_ID = "spot_training_branching"
LIFECYCLES = {
    "uninterrupted": ("Completed", 0),
    "interrupted-once": ("Completed", 1),
    "interrupted-twice-then-max-wait": ("MaxWaitTimeExceeded", 2),
    "never-launched": ("MaxWaitTimeExceeded", 0),
}
"""What each comes to: its outcome, and how often it is interrupted."""


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
    cost: float | None
    on_demand_cost: float | None
    currency: str | None


def tell_lifecycles(
    console: Console, emulator: SageMakerEmulator, airflow: LocalAirflow, run_id: str
) -> tuple[list[dict[str, Any]], list[str]]:
    """Show the trainings of a run that is over.

    :return: what the figures' file holds, and what went otherwise than AWS documents.
    """
    rows = [_row(emulator, airflow, run_id, lifecycle) for lifecycle in LIFECYCLES]
    _show(console, rows)
    wrong = []
    for row in rows:
        outcome, interruptions = LIFECYCLES[row.lifecycle]
        if (row.outcome, row.interruptions) != (outcome, interruptions):
            wrong.append(
                f"{row.lifecycle} ended as {row.outcome} after {row.interruptions} interruptions, "
                f"not as {outcome} after {interruptions}."
            )
    return [asdict(row) for row in rows], wrong


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
        cost=result.cost,
        on_demand_cost=result.on_demand_cost,
        currency=result.currency,
    )


def _show(console: Console, rows: list[Row]) -> None:
    table = Table(title="Four lifecycles of managed spot training")
    for heading in ("Lifecycle", "Outcome", "Branch taken"):
        table.add_column(heading, overflow="fold")  # in a narrow terminal no name is cut off
    for heading in ("Interruptions", "Trained", "Billed", "Savings", "Cost", "On demand"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row.lifecycle,
            Text(row.outcome, style=COLOURS.get(row.outcome, "")),
            row.branch,
            str(row.interruptions),
            *(
                "-" if seconds is None else f"{seconds:,} s"
                for seconds in (row.training_seconds, row.billable_seconds)
            ),
            "not known" if row.savings_percent is None else f"{row.savings_percent:.1f}%",
            *(
                "not known" if amount is None else money(amount, row.currency or "")
                for amount in (row.cost, row.on_demand_cost)
            ),
        )
    console.print(table)
