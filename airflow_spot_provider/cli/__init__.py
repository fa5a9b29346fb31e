"""The console command ``airflow-spot``; from Airflow 3.2 on its commands are Airflow's as well: ``airflow spot ...``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from airflow_spot_provider import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    :param argv: its arguments; those of this process if left out.
    :return: exit status.
    """
    from airflow_spot_provider.cli.commands import COMMANDS

    parser = argparse.ArgumentParser(
        prog="airflow-spot", description="Spot training on Amazon SageMaker from Airflow."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    for command in COMMANDS:
        own = commands.add_parser(command.name, help=command.help, epilog=command.epilog)
        command.add_arguments(own)
        own.set_defaults(_command=command)  # no argument is named so
    arguments = parser.parse_args(argv)
    status: int = arguments._command.start(arguments)
    return status
