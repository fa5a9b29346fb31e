"""Which commands there are. What they stand on is imported when one is run: Airflow reads this list for each of its own commands."""

from __future__ import annotations

import argparse

from airflow_spot_provider.cli import demo, events, savings
from airflow_spot_provider.cli.command import Command
from airflow_spot_provider.cli.jobs import arguments as jobs
from airflow_spot_provider.emulator import __main__ as emulator
from airflow_spot_provider.emulator.rehearsal import arguments as rehearsal


def _rehearse(arguments: argparse.Namespace) -> int:
    from airflow_spot_provider.emulator.rehearsal.command import run

    return run(arguments)


COMMANDS = (
    Command(
        name="jobs",
        help="list the jobs at SageMaker that bear this provider's tags, and those that nobody waits for any more",
        add_arguments=jobs.add_arguments,
        run=jobs.run,
        epilog=jobs.EPILOG,
        keeps_output=True,
    ),
    Command(
        name="savings",
        help="what spot saved and cost, from what tasks published in Airflow's metadata database",
        add_arguments=savings.add_arguments,
        run=savings.run,
        epilog=savings.EPILOG,
        keeps_output=True,
    ),
    Command(
        name="events",
        help="have SageMaker's events sent to a queue for each triggerer (push mode)",
        add_arguments=events.add_arguments,
        run=events.run,
    ),
    Command(
        name="emulator",
        help="run a local SageMaker that really trains and really interrupts",
        add_arguments=emulator.add_arguments,
        run=emulator.run,
        extra="emulator",
        needs=("moto", "flask"),
    ),
    Command(
        name="rehearse",
        help="run a training script uninterrupted, then interrupted, and report whether it resumes",
        add_arguments=rehearsal.add_arguments,
        run=_rehearse,
        epilog="Exit status: 0 passed, 1 something was found, 2 it could not be run.",
        extra="emulator",
        needs=("moto", "flask", "rich", "watchdog"),
        not_run=2,
    ),
    Command(
        name="demo",
        help="run an example DAG on a local SageMaker and a local Airflow",
        add_arguments=demo.add_arguments,
        run=demo.run,
        extra="demo",
        needs=("moto", "flask", "rich", "httpx", "sklearn"),
    ),
)
