"""A tuning job in words that a person understands at 3 a.m."""

from __future__ import annotations

from airflow_spot_provider.training.narration import duration, money_sentence
from airflow_spot_provider.training.tuning_result import SpotTuningResult

_HEADING = ("Training job", "Outcome", "Objective", "Billed", "Savings", "Interruptions")
_UNKNOWN = "?"


def table_of_jobs(result: SpotTuningResult) -> str:
    """The training jobs as an aligned text table, the best first; it holds no hyperparameters."""
    rows = [
        (
            name,
            outcome or _UNKNOWN,
            "-" if objective is None else f"{objective:g}",
            _UNKNOWN if billable is None else duration(billable),
            _UNKNOWN if percent is None else f"{percent:.1f}%",
            _UNKNOWN if interruptions is None else str(interruptions),
        )
        for name, outcome, objective, billable, percent, interruptions in result.table
    ]
    widths = [max(len(row[column]) for row in (_HEADING, *rows)) for column in range(len(_HEADING))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (_HEADING, *rows)
    ]
    if result.jobs_left_out:
        lines.append(
            f"... and {result.jobs_left_out} more, which the tuning job's page in the console lists."
        )
    return "\n".join(lines)


def tuning_savings_sentence(result: SpotTuningResult) -> str:
    """What spot saved over all training jobs, and of how many that is not known."""
    interruptions = f"{result.interruptions} interruption{'s' * (result.interruptions != 1)}"
    waited = f"{interruptions}, {duration(result.waiting_seconds)} without an instance"
    if result.savings_percent is None:
        return f"Savings are not known: none of {result.jobs} training jobs has a figure. {waited}."
    unknown = f" ({result.savings_unknown} without a figure)" if result.savings_unknown else ""
    return (
        f"Saved {result.savings_percent:.1f}% over {result.jobs} training jobs{unknown}: "
        f"{result.billable_instance_seconds:,.0f} instance-seconds billed of {result.training_instance_seconds:,.0f} trained. {waited}."
        f"{money_sentence(result.known_cost)}"
    )


def best_sentence(result: SpotTuningResult) -> str:
    """Which training job is the best, and at what."""
    if result.best is None:
        return "No training job came to a value of the objective metric."
    value = "no finite number" if result.best.value is None else f"{result.best.value:g}"
    return f"Best: {result.best.job_name}, {result.best.metric} {value} ({result.objective_type})."
