"""The same commands as ``airflow spot ...``: Airflow 3.2 and later take commands from providers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from airflow.cli.cli_config import ActionCommand, Arg, CLICommand, GroupCommand

from airflow_spot_provider.cli.command import Command
from airflow_spot_provider.cli.commands import COMMANDS


class _AllArguments(Arg):
    """All arguments of one command: Airflow takes single ones, and these have groups and commands of their own."""

    def __init__(self, command: Command) -> None:
        super().__init__(flags=(f"--{command.name}",))  # Airflow sorts by it
        self._command = command

    def add_to_parser(self, parser: argparse.ArgumentParser) -> None:
        """Add them."""
        self._command.add_arguments(parser)


def spot_commands() -> list[CLICommand]:
    """Airflow's commands ``spot ...`` (provider info, ``cli``)."""
    return [
        GroupCommand(
            name="spot",
            help="Spot training on Amazon SageMaker",
            subcommands=[
                ActionCommand(
                    name=command.name,
                    help=command.help,
                    func=_exiting(command),
                    args=(_AllArguments(command),),
                    epilog=command.epilog,
                )
                for command in COMMANDS
            ],
        )
    ]


def _exiting(command: Command) -> Callable[[argparse.Namespace], None]:
    """Airflow passes no exit status on."""

    def _run(arguments: argparse.Namespace) -> None:
        status = command.start(arguments)
        if status:
            sys.exit(status)

    return _run
