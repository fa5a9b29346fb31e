"""``python -m airflow_spot_provider.emulator``, and the arguments of ``airflow-spot emulator``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from airflow_spot_provider.emulator.jobs.liberties import CUT_FIRST, FILTER_FIRST
from airflow_spot_provider.emulator.jobs.lifecycles import LIFECYCLES
from airflow_spot_provider.emulator.settings import RUNNING, STEPPED, Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the emulator's arguments to a parser."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=4566, help="port to listen on, 0 for a free one (default: %(default)s)")
    add(
        "--lifecycle",
        choices=list(LIFECYCLES),
        help="what jobs go through unless a plan or their tag emulator:lifecycle says otherwise "
        "(default: market with --market, else uninterrupted)",
    )
    add("--speed", type=float, default=1.0, help="emulated seconds in a real one (default: %(default)s)")
    add(
        "--clock",
        choices=[RUNNING, STEPPED],
        default=RUNNING,
        help="runs by itself, or is stepped by a test (default: %(default)s)",
    )
    add(
        "--start",
        type=_time,
        metavar="TIME",
        help="the emulated time at the start, such as 2026-01-01T00:00:00+00:00 (default: now; stepped: that one)",
    )
    add(
        "--seed",
        type=int,
        default=0,
        help="makes prices, capacity and tuning repeatable (default: %(default)s)",
    )
    add(
        "--list",
        choices=[CUT_FIRST, FILTER_FIRST],
        default=CUT_FIRST,
        help="what is done first to a list of jobs: pages are cut, as SageMaker does it, or it is filtered (default: %(default)s)",
    )
    add("--market", type=Path, metavar="FILE", help="the spot market: a market file or an availability trace")
    add("--state", type=Path, metavar="DIR", help="keep the state here, and go on with it the next time")
    add(
        "--grace-seconds",
        type=float,
        metavar="SECONDS",
        help="real seconds from SIGTERM to SIGKILL (default: 120 emulated ones, and 5 real ones at least)",
    )
    add(
        "--image",
        action="append",
        default=[],
        type=_image,
        metavar="PATTERN=COMMAND",
        help="run this command for images of this pattern; can be given several times",
    )
    add("--until-stdin-closes", action="store_true", help="end with the process that started it")


def run(arguments: argparse.Namespace) -> int:
    """Run a server until it is told to end, and return the exit status."""
    # The server is nobody's client: settings of the person who starts it must not reach it.
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]

    from airflow_spot_provider.emulator.server import Server

    try:
        settings = Settings(
            host=arguments.host,
            port=arguments.port,
            lifecycle=arguments.lifecycle,
            clock=arguments.clock,
            speed=arguments.speed,
            start=arguments.start,
            seed=arguments.seed,
            list=arguments.list,
            market=arguments.market,
            state=arguments.state,
            grace_seconds=arguments.grace_seconds,
            images=dict(arguments.image),
        )
        server = Server(settings)
    except (OSError, ValueError) as error:
        print(f"airflow-spot emulator: {error}", file=sys.stderr)
        return 1
    server.serve(until_stdin_closes=arguments.until_stdin_closes)
    return 0


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-01-01T00:00:00+00:00") from None


def _image(text: str) -> tuple[str, str]:
    pattern, equals, command = text.partition("=")
    if not pattern or not equals or not command.strip():
        raise argparse.ArgumentTypeError(
            f"{text!r} is no PATTERN=COMMAND such as 'my-image*=python train.py'"
        )
    return pattern, command


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="airflow-spot emulator", description="A local SageMaker.")
    add_arguments(parser)
    return run(parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
