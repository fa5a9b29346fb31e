"""The arguments of ``airflow-spot jobs``; what it stands on is imported when it runs."""

from __future__ import annotations

import argparse

from airflow_spot_provider.cli.periods import since

EPILOG = (
    "Exit status: 0 told, and all that was asked for is stopped or needs no stop; 1 AWS or Airflow's metadata database cannot be asked, or "
    "a job could not be stopped; 2 wrong arguments, or nobody there to confirm."
)
EVERY_SECONDS = 10.0
_SHORTEST_INTERVAL, _LONGEST_INTERVAL = 2.0, 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add its arguments to a parser."""
    parser.add_argument(
        "--all", action="store_true", help="those too that ended in the last 24 hours (see --since)"
    )
    parser.add_argument(
        "--since",
        type=since,
        metavar="TIME",
        help="those too that ended since: 30m, 12h, 30d, 4w ago, or an ISO date",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--watch", action="store_true", help="look again and again, until Ctrl-C")
    what.add_argument(
        "--stop-orphans", action="store_true", help="stop the jobs that no task waits for, after you say yes"
    )
    parser.add_argument("--yes", action="store_true", help="with --stop-orphans: do not ask")
    parser.add_argument(
        "--every",
        type=_interval,
        metavar="SECONDS",
        help=f"with --watch: how often (default: {EVERY_SECONDS:g})",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON list; with --stop-orphans, of the orphans"
    )
    parser.add_argument(
        "--conn-id", help="Airflow connection to AWS (default: aws_default, or what boto3 finds without it)"
    )
    parser.add_argument(
        "--region", help="AWS region of the jobs (default: the connection's, or the profile's)"
    )
    parser.add_argument("--profile", help="AWS profile to take credentials from, instead of a connection")
    parser.add_argument(
        "--endpoint-url", help="another AWS, such as a local emulator, instead of a connection"
    )


def run(arguments: argparse.Namespace) -> int:
    """List, watch or stop them, and return the exit status."""
    from airflow_spot_provider.cli.jobs.listing import run as _run

    return _run(arguments)


def _interval(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not _SHORTEST_INTERVAL <= seconds <= _LONGEST_INTERVAL:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no interval; it takes {_SHORTEST_INTERVAL:g} to {_LONGEST_INTERVAL:g} seconds."
        )
    return seconds
