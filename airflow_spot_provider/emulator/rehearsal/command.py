"""``airflow-spot rehearse``: from its arguments to what it prints."""

from __future__ import annotations

import argparse
import json
import sys

from rich.console import Console

from airflow_spot_provider.emulator.rehearsal.exceptions import RehearsalError
from airflow_spot_provider.emulator.rehearsal.rehearse import Plan, rehearse
from airflow_spot_provider.emulator.rehearsal.source import source_of
from airflow_spot_provider.emulator.rehearsal.table import show, show_failure

PASSED, FINDINGS, NOT_RUN = 0, 1, 2


def run(arguments: argparse.Namespace) -> int:
    """Rehearse, print the report, and return the exit status: 0 passed, 1 something was found, 2 it could not be run."""
    progress = Console(stderr=True, quiet=arguments.quiet)
    try:
        plan = Plan(
            interruptions=arguments.interruptions,
            at=tuple(arguments.at),
            seed=arguments.seed,
            metrics=_metrics(arguments.metric),
            tolerance=arguments.tolerance,
            grace_seconds=arguments.grace,
            max_seconds=arguments.max_seconds,
        )
        source = source_of(
            arguments.script,
            program=arguments.program,
            data=arguments.data,
            channels=arguments.channel,
            hyperparameters=arguments.hyperparameter,
        )
        report = rehearse(source, plan, lambda line: progress.print(line, markup=False, highlight=False))
    except RehearsalError as error:
        if arguments.json:
            answer = {"verdict": f"COULD NOT BE RUN: {error}", "passed": False, "log": error.log}
            sys.stdout.write(json.dumps(answer, indent=2) + "\n")
        else:
            show_failure(str(error), error.log, _terminal())
        return NOT_RUN
    if arguments.json:
        sys.stdout.write(report.model_dump_json(indent=2) + "\n")
    else:
        show(report, _terminal())
    return PASSED if report.passed else FINDINGS


def _terminal() -> Console:
    """Standard output; in a file or a log, tables get some room."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def _metrics(given: list[str]) -> dict[str, str]:
    metrics = {}
    for text in given:
        name, separator, regex = text.partition("=")
        if not name or not separator or not regex:
            raise RehearsalError(f"--metric {text!r} is no NAME=REGEX.")
        metrics[name] = regex
    return metrics
