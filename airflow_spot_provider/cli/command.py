"""What a command is, whoever runs it: ``airflow-spot`` or ``airflow spot``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from airflow_spot_provider.cli.terminal import own_output


@dataclass(frozen=True)
class Command:
    """One command.

    :param name: what is typed.
    :param help: one line.
    :param add_arguments: puts its arguments into a parser.
    :param run: runs it, and returns its exit status.
    :param epilog: below the help: its exit statuses.
    :param extra: of this package that brings what it needs.
    :param needs: modules without which it cannot be run.
    :param not_run: exit status where one of them is missing.
    :param keeps_output: whether standard output is for what :mod:`.terminal` writes alone.
    """

    name: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    epilog: str | None = None
    extra: str = ""
    needs: tuple[str, ...] = ()
    not_run: int = 1
    keeps_output: bool = False

    def start(self, arguments: argparse.Namespace) -> int:
        """Run it, if what it needs is there.

        :param arguments: of this command, parsed.
        :return: exit status.
        """
        missing = [module for module in self.needs if find_spec(module) is None]
        if missing:
            print(
                f"airflow-spot {self.name} needs {', '.join(missing)}, which is not installed: "
                f"pip install 'airflow-spot-provider[{self.extra}]'",
                file=sys.stderr,
            )
            return self.not_run
        if not self.keeps_output:
            return self.run(arguments)
        try:
            with own_output():
                return self.run(arguments)
        except BrokenPipeError:  # whoever read it has seen enough
            return 1
