"""``python -m airflow_spot_provider.emulator``, and the arguments of ``airflow-spot emulator``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from airflow_spot_provider.emulator.jobs.lifecycles import DEFAULT_LIFECYCLE, LIFECYCLES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the emulator's arguments to a parser."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=4566, help="port to listen on, 0 for a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--lifecycle",
        default=DEFAULT_LIFECYCLE,
        choices=list(LIFECYCLES),
        help="what jobs go through unless a plan or their tag emulator:lifecycle says otherwise (default: %(default)s)",
    )
    parser.add_argument(
        "--speed", type=float, default=1.0, help="emulated seconds in a real one (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="makes the spot prices repeatable (default: %(default)s)"
    )
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="end with the process that started it"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run a server until it is told to end, and return the exit status."""
    # The server is nobody's client: settings of the person who starts it must not reach it.
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]

    from airflow_spot_provider.emulator.server import Server

    try:
        server = Server(
            host=arguments.host,
            port=arguments.port,
            lifecycle=arguments.lifecycle,
            speed=arguments.speed,
            seed=arguments.seed,
        )
    except (OSError, ValueError) as error:
        print(f"airflow-spot emulator: {error}", file=sys.stderr)
        return 1
    server.serve(until_stdin_closes=arguments.until_stdin_closes)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="airflow-spot emulator", description="A local SageMaker.")
    add_arguments(parser)
    return run(parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
