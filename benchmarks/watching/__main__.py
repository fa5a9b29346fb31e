"""``python -m benchmarks.watching``: measure, print the table, and write ``docs/benchmarks.md``."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.watching import accounts_table, report
from benchmarks.watching.fake import FakeSageMaker
from benchmarks.watching.figures import Results
from benchmarks.watching.measure import INTERVAL_SECONDS, Plan, run
from benchmarks.watching.plans import (
    HEADLINE,
    PARTS,
    SHORT_SECONDS,
    STEADY_SECONDS,
    SUBJECTS,
    part_of,
    plans,
    quick,
)

BUILD = Path("build")
RESULT = BUILD / "bench.json"
TRIGGERER_RESULT = BUILD / "bench-triggerer.json"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watching", description=__doc__)
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument(
        "--quick",
        action="store_true",
        help="one round of 50 jobs: a minute and a half; the page is not written",
    )
    extent.add_argument(
        "--full", action="store_true", help="all sizes three times, the stock trigger at 5,000, too: hours"
    )
    extent.add_argument(
        "--report", action="store_true", help=f"measure nothing: write {report.PAGE} from {RESULT}"
    )
    parser.add_argument("--subjects", type=_some_of(SUBJECTS), help=_only(SUBJECTS))
    parser.add_argument("--parts", type=_some_of(PARTS), help=_only(PARTS))
    parser.add_argument("--sizes", type=_numbers, help="only these numbers of jobs, with commas between")
    parser.add_argument("--rounds", type=int, default=3, help=f"of {HEADLINE:,} jobs (default: 3)")
    parser.add_argument(
        "--add",
        action="store_true",
        help=f"keep what {RESULT} has of other subjects, sizes and cases; needed to measure in several runs",
    )
    return parser.parse_args()


def _only(names: Sequence[str]) -> str:
    return f"only these, with commas between: {', '.join(names)}"


def _some_of(names: Sequence[str]) -> Callable[[str], list[str]]:
    def _parse(text: str) -> list[str]:
        if unknown := set(text.split(",")) - set(names):
            raise argparse.ArgumentTypeError(f"{sorted(unknown)} are none of {', '.join(names)}.")
        return text.split(",")

    return _parse


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _chosen(arguments: argparse.Namespace) -> list[Plan]:
    every = quick() if arguments.quick else plans(arguments.rounds, full=arguments.full)
    return [
        plan
        for plan in every
        if plan.subject in (arguments.subjects or SUBJECTS)
        and plan.jobs in (arguments.sizes or [plan.jobs])
        and part_of(plan) in (arguments.parts or PARTS)
    ]


def measure(arguments: argparse.Namespace) -> None:
    """Run the rounds, and write their figures down after each."""
    chosen = _chosen(arguments)
    again = {(plan.subject, plan.jobs, plan.case) for plan in chosen}
    rounds: list[dict[str, Any]] = []
    if arguments.add and RESULT.exists():
        before = json.loads(RESULT.read_text())["rounds"]
        rounds += [one for one in before if (one["subject"], one["jobs"], one["case"]) not in again]
    result = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": report.machine(),
        "interval_seconds": INTERVAL_SECONDS,
        "latency_seconds": Plan.latency_seconds,
        "steady_seconds": STEADY_SECONDS,
        "short_seconds": SHORT_SECONDS,
        "rounds": rounds,
    }
    BUILD.mkdir(exist_ok=True)
    home = BUILD / "bench-airflow"
    os.environ["AIRFLOW_HOME"] = str(home.resolve())
    with FakeSageMaker() as fake:
        for number, plan in enumerate(chosen):
            what = f"{plan.jobs:,} jobs, {plan.subject}" + (f" ({plan.case})" if plan.case else "")
            print(f"{number + 1}/{len(chosen)}: {what}", file=sys.stderr, flush=True)
            log = BUILD / f"bench-{plan.subject}.log"
            rounds.append(run(plan, fake, seed=number, log=log))
            RESULT.write_text(json.dumps(result, indent=1))


def _chose_all(arguments: argparse.Namespace) -> bool:
    return not (arguments.quick or arguments.subjects or arguments.parts or arguments.sizes)


def main() -> None:
    """Measure, and report."""
    arguments = _arguments()
    # Ended from outside, it ends the processes that it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if not arguments.report:
        measure(arguments)
    result = json.loads(RESULT.read_text())
    results = Results(result["rounds"])
    print(report.table(results.rows()), "Large accounts:", accounts_table.table(results), sep="\n\n")
    if arguments.report or _chose_all(arguments):
        triggerer = json.loads(TRIGGERER_RESULT.read_text()) if TRIGGERER_RESULT.exists() else None
        report.write(result, triggerer)
        print(f"\nWritten: {report.PAGE}, {report.PLOT}, {RESULT}")


if __name__ == "__main__":
    main()
