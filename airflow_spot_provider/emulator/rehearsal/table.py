"""The report of a rehearsal for a person at a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from airflow_spot_provider.emulator.rehearsal.findings import Severity
from airflow_spot_provider.emulator.rehearsal.report import InterruptionReport, RehearsalReport
from airflow_spot_provider.emulator.rehearsal.resumption import Start

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow"}


def show(report: RehearsalReport, console: Console) -> None:
    """Print a report: the verdict, the interruptions, the metrics, what was found and what to change."""
    console.print(Text(report.verdict, style="bold green" if report.passed else "bold red"), soft_wrap=True)
    console.print(
        Text(
            f"{report.script}: {report.reference_seconds:.1f} s uninterrupted, {report.rehearsed_seconds:.1f} s with "
            f"{len(report.interruptions)} interruptions (seed {report.seed})"
        ),
        soft_wrap=True,
    )
    if report.interruptions:
        console.print(_interruptions(report.interruptions, report.step or "step"))
    if report.metrics:
        console.print(_metrics(report))
    for found in report.findings:
        kind = (f"{found.severity} {found.kind}: ", _COLOURS[found.severity])
        console.print(Text.assemble(kind, f"{found.detail}\n  {found.advice}"), soft_wrap=True)
    for note in report.notes:
        console.print(Text(f"note: {note}"), soft_wrap=True)


def show_failure(message: str, log: Sequence[str], console: Console) -> None:
    """Print why a rehearsal could not be held."""
    console.print(Text(f"COULD NOT BE RUN: {message}", style="bold red"), soft_wrap=True)
    for line in log:
        console.print(Text(f"  {line}"), soft_wrap=True)


def _interruptions(interruptions: Sequence[InterruptionReport], step: str) -> Table:
    table = Table(title="Interruptions", title_justify="left")
    table.add_column("", justify="right")
    table.add_column("came")
    table.add_column(f"at {step}", justify="right")
    table.add_column("SIGTERM")
    table.add_column("then")
    table.add_column(f"next {step}", justify="right")
    table.add_column("done again", justify="right")
    for each in interruptions:
        table.add_row(
            str(each.number),
            each.when,
            _number(each.last_step, f"{each.at_seconds:.1f} s"),
            _reaction(each),
            Text(each.start, style="green" if each.start is Start.RESUMED else "red"),
            _number(each.next_step, "-"),
            _lost(each),
        )
    return table


def _reaction(each: InterruptionReport) -> str:
    if each.seconds_to_exit is None:
        return "none was sent"
    if each.killed:
        return f"killed after {each.seconds_to_exit:.1f} s"
    return f"exit {each.exit_status} after {each.seconds_to_exit:.1f} s"


def _lost(each: InterruptionReport) -> str:
    steps = [] if each.steps_repeated is None else [f"{each.steps_repeated} steps"]
    seconds = [] if each.seconds_lost is None else [f"{each.seconds_lost:.1f} s"]
    return ", ".join([*steps, *seconds]) or "-"


def _metrics(report: RehearsalReport) -> Table:
    table = Table(title=f"Metrics (tolerance {report.tolerance:g})", title_justify="left")
    table.add_column("metric")
    table.add_column("uninterrupted", justify="right")
    table.add_column("interrupted", justify="right")
    table.add_column("")
    for metric in report.metrics:
        verdict = Text("agree", style="green") if metric.agree else Text("differ", style="red")
        table.add_row(Text(metric.name), f"{metric.reference:g}", f"{metric.rehearsed:g}", verdict)
    return table


def _number(value: float | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:g}"
