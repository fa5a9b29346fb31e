"""Which rounds there are, in the order that they are run in."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.watching.accounts import CASES
from benchmarks.watching.measure import Plan

SUBJECTS = ("stock", "ours", "nothing", "push")
PARTS = ("sizes", "throttled", "interval", "accounts")
HEADLINE = 1_000
STEADY_SECONDS = 30.0
SHORT_SECONDS = 15.0
THROTTLED = "throttled"
LONG_INTERVAL_SECONDS = 30
LONG_INTERVAL = f"{LONG_INTERVAL_SECONDS} s interval"


def quick() -> Iterator[Plan]:
    """A minute and a half."""
    return (_usual(subject, 50, seconds=5.0) for subject in ("stock", "ours", "nothing"))


def plans(rounds: int, *, full: bool) -> Iterator[Plan]:
    """All rounds: the subjects of one size take turns.

    :param rounds: of the headline's size, and of the large accounts.
    :param full: of the other sizes as many, and the stock trigger at 5,000 jobs, too.
    """
    for turn in range(rounds):
        for jobs in (HEADLINE, 100, 5_000, 10_000):
            if jobs != HEADLINE and turn and not full:
                continue
            seconds = STEADY_SECONDS if jobs == HEADLINE or full else SHORT_SECONDS
            yield from (
                _usual(name, jobs, seconds) for name in SUBJECTS if _is_measured(name, jobs, full=full)
            )
        if not turn or full:
            yield from _throttled()
            yield from _at_a_long_interval()
            yield from (case.plan() for case in CASES)


def part_of(plan: Plan) -> str:
    """Which of :data:`PARTS` a round is of."""
    if not plan.case:
        return "sizes"
    return {THROTTLED: "throttled", LONG_INTERVAL: "interval"}.get(plan.case, "accounts")


def _is_measured(subject: str, jobs: int, *, full: bool) -> bool:
    if subject == "stock":
        return jobs <= HEADLINE or (full and jobs == 5_000)
    return subject != "push" or jobs == HEADLINE


def _usual(subject: str, jobs: int, seconds: float) -> Plan:
    return Plan(
        subject,
        jobs,
        steady_seconds=seconds,
        changing_seconds=seconds,
        completions=0 if subject == "nothing" else 100,
        patience_seconds=300.0 if subject != "stock" or jobs <= HEADLINE else 1_800.0,
    )


def _throttled() -> Iterator[Plan]:
    for subject in ("stock", "ours"):
        yield Plan(
            subject,
            200,
            case=THROTTLED,
            steady_seconds=5.0,
            changing_seconds=60.0,
            completions=200,
            requests_per_second=10,
        )


def _at_a_long_interval() -> Iterator[Plan]:
    for subject in ("ours", "nothing"):
        yield Plan(
            subject,
            10_000,
            case=LONG_INTERVAL,
            interval_seconds=LONG_INTERVAL_SECONDS,
            steady_seconds=4.0 * LONG_INTERVAL_SECONDS,
            changing_seconds=2.0 * LONG_INTERVAL_SECONDS,
            completions=0 if subject == "nothing" else 100,
        )
