"""The arguments of ``airflow-spot rehearse``; they can be told where the emulator's packages are missing."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a rehearsal to a parser."""
    parser.add_argument(
        "script", type=Path, metavar="SCRIPT_OR_SOURCE_DIR", help="a training script, or the folder with it"
    )
    parser.add_argument(
        "--program", help="the script in that folder (default: train.py, or its only Python file)"
    )
    parser.add_argument("--data", type=Path, help="folder or file of the channel 'training'")
    parser.add_argument(
        "--channel", action="append", default=[], metavar="NAME=DIR", help="another channel; may be repeated"
    )
    parser.add_argument(
        "--hyperparameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an argument of the script; may be repeated",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--interruptions",
        type=int,
        default=3,
        help="how many, from 1: after a checkpoint, in the middle of a checkpoint write, right before the end, more after "
        "checkpoints (default: %(default)s)",
    )
    how.add_argument(
        "--at",
        action="append",
        default=[],
        metavar="SECONDS[:torn]",
        help="interrupt after so many seconds of training, :torn in the middle of the newest checkpoint write; may be repeated",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="gives the same moments again (default: %(default)s)"
    )
    parser.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME=REGEX",
        help="a metric to compare, as in MetricDefinitions; may be repeated (default: what the log calls name=value or "
        "name: value, and the numbers in the model's JSON files)",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=0.01,
        help="how far a metric may be off, as a share of it (default: %(default)s)",
    )
    parser.add_argument(
        "--grace",
        type=float,
        default=10.0,
        help="seconds from SIGTERM to SIGKILL; SageMaker gives 120 (default: %(default)s)",
    )
    parser.add_argument(
        "--max-seconds", type=float, default=1800.0, help="longest that a run may take (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    parser.add_argument("--quiet", action="store_true", help="say nothing until the report")
