"""``airflow-spot demo``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the demo to a parser."""
    parser.add_argument(
        "--dag", default="spot_training_branching", help="which of the example DAGs (default: %(default)s)"
    )
    parser.add_argument("--keep", action="store_true", help="leave both up until Ctrl-C")
    parser.add_argument(
        "--dags", type=Path, default=Path("dags"), help="folder of the example DAGs (default: %(default)s)"
    )
    parser.add_argument(
        "--build", type=Path, default=Path("build"), help="folder to work in (default: %(default)s)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="where the figures are written (default: <build>/demo.json, demo-<dag>.json for others)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run a DAG, and return the exit status."""
    from airflow_spot_provider.demo import lifecycles
    from airflow_spot_provider.demo.run import run_demo

    there_are = sorted(file.stem for file in arguments.dags.glob("*.py"))
    if arguments.dag not in there_are:
        print(
            f"airflow-spot demo: {arguments.dags} has no {arguments.dag}.py; it has {', '.join(there_are) or 'no DAGs'}. Name "
            "one of them with --dag; or run it from a clone, or name the folder with --dags.",
            file=sys.stderr,
        )
        return 1
    name = "demo.json" if arguments.dag == lifecycles.DAG_ID else f"demo-{arguments.dag}.json"
    return run_demo(
        arguments.dag,
        dags=arguments.dags,
        build=arguments.build,
        output=arguments.output or arguments.build / name,
        keep=arguments.keep,
    )
