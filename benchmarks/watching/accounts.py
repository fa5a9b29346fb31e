"""Large accounts: what it takes to watch jobs among many that are not watched, as SageMaker lists them."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.watching.measure import Plan

LATENCY_SECONDS = 0.2
STEADY_SECONDS = 30.0
CHANGING_SECONDS = 60.0
COMPLETIONS = 200


@dataclass(frozen=True)
class Case:
    """An account, and what is wanted in it, at an interval of 5 s.

    :param name: what the table calls it.
    :param watched: how many jobs are waited for.
    :param calls: in an interval, when the watched jobs are not new any more and nothing changes; at most.
    :param calls_while_young: the same, while they are.
    :param first_seen_seconds: until an answer has named the last of them; at most.
    :param told_within_seconds: from a job's end to the event; at most.
    :param others: how many jobs of other people's run in the account, created between the watched ones.
    :param old: how many have ended long ago.
    :param filters_first: whether lists are filtered before their pages are cut.
    """

    name: str
    watched: int
    calls: int
    calls_while_young: int
    first_seen_seconds: float
    told_within_seconds: float = 10.0
    others: int = 0
    old: int = 0
    filters_first: bool = False

    def plan(self) -> Plan:
        """The round that measures it."""
        return Plan(
            "ours",
            self.watched,
            case=self.name,
            steady_seconds=STEADY_SECONDS,
            changing_seconds=CHANGING_SECONDS,
            completions=min(self.watched, COMPLETIONS),
            latency_seconds=LATENCY_SECONDS,
            others=self.others,
            old=self.old,
            young=True,
            filters_first=self.filters_first,
        )


CASES = (
    Case("5 watched, 20,000 old", 5, 8, 8, 2.0, old=20_000),
    Case("200 watched, 20,000 old", 200, 5, 5, 2.0, old=20_000),
    Case("200 watched, 20,000 old, lists filtered first", 200, 5, 5, 2.0, old=20_000, filters_first=True),
    Case("1,000 watched, 20,000 old", 1_000, 13, 22, 5.0, old=20_000),
    Case("200 watched among 2,000 others", 200, 25, 25, 5.0, others=2_000),
)
