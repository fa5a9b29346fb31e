"""The console command ``airflow-spot``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from airflow_spot_provider import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    :param argv: its arguments; those of this process if left out.
    :return: exit status.
    """
    arguments = _parser().parse_args(argv)
    missing = [module for module in arguments.needs if find_spec(module) is None]
    if missing:
        print(
            f"airflow-spot {arguments.command} needs {', '.join(missing)}, which is not installed: "
            f"pip install 'airflow-spot-provider[{arguments.extra}]'",
            file=sys.stderr,
        )
        return int(arguments.not_run)
    status: int = arguments.run(arguments)
    return status


def _parser() -> argparse.ArgumentParser:
    from airflow_spot_provider.emulator import __main__ as emulator
    from airflow_spot_provider.emulator.rehearsal import arguments as rehearsal

    parser = argparse.ArgumentParser(
        prog="airflow-spot", description="Spot training on Amazon SageMaker from Airflow."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)

    command = commands.add_parser(
        "emulator", help="run a local SageMaker that really trains and really interrupts"
    )
    emulator.add_arguments(command)
    command.set_defaults(run=emulator.run, extra="emulator", needs=("moto", "flask"), not_run=1)

    command = commands.add_parser(
        "rehearse",
        help="run a training script uninterrupted, then interrupted, and report whether it resumes",
        epilog="Exit status: 0 passed, 1 something was found, 2 it could not be run.",
    )
    rehearsal.add_arguments(command)
    command.set_defaults(
        run=_rehearse, extra="emulator", needs=("moto", "flask", "rich", "watchdog"), not_run=2
    )

    command = commands.add_parser("demo", help="run the example DAG on a local SageMaker and a local Airflow")
    command.add_argument("--keep", action="store_true", help="leave both up until Ctrl-C")
    command.add_argument(
        "--dags", type=Path, default=Path("dags"), help="folder of the example DAGs (default: %(default)s)"
    )
    command.add_argument(
        "--build", type=Path, default=Path("build"), help="folder to work in (default: %(default)s)"
    )
    command.add_argument(
        "--output", type=Path, help="where the figures are written (default: <build>/demo.json)"
    )
    command.set_defaults(
        run=_demo, extra="demo", needs=("moto", "flask", "rich", "httpx", "sklearn"), not_run=1
    )
    return parser


def _rehearse(arguments: argparse.Namespace) -> int:
    from airflow_spot_provider.emulator.rehearsal.command import run

    return run(arguments)


def _demo(arguments: argparse.Namespace) -> int:
    from airflow_spot_provider.demo.run import DAG_ID, run_demo

    if not (arguments.dags / f"{DAG_ID}.py").is_file():
        print(
            f"airflow-spot demo: {arguments.dags} has no {DAG_ID}.py; run it from a clone, or name the folder with --dags",
            file=sys.stderr,
        )
        return 1
    output = arguments.output or arguments.build / "demo.json"
    return run_demo(dags=arguments.dags, build=arguments.build, output=output, keep=arguments.keep)


if __name__ == "__main__":
    sys.exit(main())
