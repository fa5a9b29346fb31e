"""``python -m benchmarks.watching``: measure, print the table, and write ``docs/benchmarks.md``."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.watching import report
from benchmarks.watching.fake import FakeSageMaker
from benchmarks.watching.figures import Results
from benchmarks.watching.measure import INTERVAL_SECONDS, Plan, run

BUILD = Path("build")
RESULT = BUILD / "bench.json"
TRIGGERER_RESULT = BUILD / "bench-triggerer.json"
LATENCY_SECONDS = 0.02
HEADLINE = 1_000
STEADY_SECONDS = 30.0
SHORT_SECONDS = 15.0
_SUBJECTS = ("stock", "ours", "nothing", "push")


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
    parser.add_argument(
        "--subjects", type=_names, help=f"only these, with commas between: {', '.join(_SUBJECTS)}"
    )
    parser.add_argument("--sizes", type=_numbers, help="only these numbers of jobs, with commas between")
    parser.add_argument("--rounds", type=int, default=3, help=f"of {HEADLINE:,} jobs (default: 3)")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    if unknown := set(text.split(",")) - set(_SUBJECTS):
        raise argparse.ArgumentTypeError(f"{sorted(unknown)} are none of {', '.join(_SUBJECTS)}.")
    return text.split(",")


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _plans(arguments: argparse.Namespace) -> Iterator[Plan]:
    """All rounds in their order: the subjects of one size take turns."""
    if arguments.quick:
        for subject in ("stock", "ours", "nothing"):
            yield _plan(subject, 50, seconds=5.0)
        return
    rounds = arguments.rounds
    for turn in range(rounds):
        for jobs in (HEADLINE, 100, 5_000, 10_000):
            if jobs != HEADLINE and turn and not arguments.full:
                continue
            seconds = STEADY_SECONDS if jobs == HEADLINE or arguments.full else SHORT_SECONDS
            yield from (
                _plan(name, jobs, seconds)
                for name in _SUBJECTS
                if _is_measured(name, jobs, full=arguments.full)
            )
        if not turn or arguments.full:
            for subject in ("stock", "ours"):
                yield Plan(subject, 200, 5.0, 60.0, completions=200, requests_per_second=10)


def _is_measured(subject: str, jobs: int, *, full: bool) -> bool:
    if subject == "stock":
        return jobs <= HEADLINE or (full and jobs == 5_000)
    return subject != "push" or jobs == HEADLINE


def _plan(subject: str, jobs: int, seconds: float) -> Plan:
    patience = 300.0 if subject != "stock" or jobs <= HEADLINE else 1_800.0
    return Plan(
        subject, jobs, seconds, seconds, 0 if subject == "nothing" else 100, patience_seconds=patience
    )


def measure(arguments: argparse.Namespace) -> None:
    """Run all rounds, and write their figures down after each."""
    plans = [
        plan
        for plan in _plans(arguments)
        if plan.subject in (arguments.subjects or _SUBJECTS) and plan.jobs in (arguments.sizes or [plan.jobs])
    ]
    rounds: list[dict[str, Any]] = []
    result = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": report.machine(),
        "interval_seconds": INTERVAL_SECONDS,
        "latency_seconds": LATENCY_SECONDS,
        "steady_seconds": STEADY_SECONDS,
        "short_seconds": SHORT_SECONDS,
        "rounds": rounds,
    }
    BUILD.mkdir(exist_ok=True)
    home = BUILD / "bench-airflow"
    os.environ["AIRFLOW_HOME"] = str(home.resolve())
    with FakeSageMaker(LATENCY_SECONDS) as fake:
        for number, plan in enumerate(plans):
            print(
                f"{number + 1}/{len(plans)}: {plan.jobs:,} jobs, {plan.subject}", file=sys.stderr, flush=True
            )
            log = BUILD / f"bench-{plan.subject}.log"
            rounds.append(run(plan, fake, seed=number, log=log))
            RESULT.write_text(json.dumps(result, indent=1))


def main() -> None:
    """Measure, and report."""
    arguments = _arguments()
    # Ended from outside, it ends the processes that it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if not arguments.report:
        measure(arguments)
    result = json.loads(RESULT.read_text())
    print(report.table(Results(result["rounds"]).rows()))
    if arguments.report or not (arguments.quick or arguments.subjects or arguments.sizes):
        triggerer = json.loads(TRIGGERER_RESULT.read_text()) if TRIGGERER_RESULT.exists() else None
        report.write(result, triggerer)
        print(f"\nWritten: {report.PAGE}, {report.PLOT}, {RESULT}")


if __name__ == "__main__":
    main()
