"""What a report is made of: trainings, by DAG run, and what they came to together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_spot_provider.training.json_text import clipped
from airflow_spot_provider.training.money import Cost
from airflow_spot_provider.training.results import Result
from airflow_spot_provider.training.savings import Savings

_MAX_FIGURE = 1e12
_FIGURES = (
    "training_seconds",
    "billable_seconds",
    "training_instance_seconds",
    "billable_instance_seconds",
    "instance_count",
    "jobs",
    "savings_unknown",
    "interruptions",
    "waiting_seconds",
    "cost",
    "on_demand_cost",
)
_MAX_TEXT = {"currency": 8, "price_date": 32, "instance_type": 64}


@dataclass(frozen=True, slots=True)
class Member:
    """One training that a report is about.

    :param run_id: of the DAG run; or what else trainings of one time have in common.
    :param task_id: of its task, with its task groups.
    :param result: what it published; None if nothing that can be read.
    :param name: what tells it apart in its task, such as a map index or a trial; empty if it is the only one.
    :param problem: why there is no result, or what else is to be known; None if all is well.
    :param skipped: its task was skipped, as a fallback is that nobody needed: nothing is missing.
    """

    run_id: str
    task_id: str
    result: Result | None
    name: str = ""
    problem: str | None = None
    skipped: bool = False

    @property
    def label(self) -> str:
        """What people call it."""
        return f"{self.task_id}[{self.name}]" if self.name else self.task_id

    @property
    def is_missing(self) -> bool:
        """It should have left a result, and there is none."""
        return self.result is None and not self.skipped

    @property
    def has_failed(self) -> bool:
        """It left a result, and did not complete."""
        return self.result is not None and not str(self.result.outcome).startswith("Completed")


@dataclass(frozen=True, slots=True)
class Run:
    """The trainings of one DAG run.

    :param run_id: of the DAG run.
    :param when: when it was due, ISO 8601; None if that is not known.
    :param members: its trainings.
    """

    run_id: str
    when: str | None
    members: tuple[Member, ...]


def problem_of(result: Result) -> str | None:
    """Why no sum may have a result, which anybody may have written; None if there is nothing wrong with it."""
    for name in _FIGURES:
        figure = getattr(result, name, None)
        # Comparing takes NaN, infinity, and whole numbers that no float holds.
        if figure is not None and not 0 <= figure <= _MAX_FIGURE:
            return f"what it published has a {name} that no training has"
    if result.savings.jobs < 0:
        return "what it published has more savings_unknown than jobs"
    if result.savings_percent is not None and not math.isfinite(result.savings_percent):
        return "what it published has a savings_percent that is no number"
    for name, limit in _MAX_TEXT.items():
        text = getattr(result, name, None) or ""
        if len(text) > limit or not text.isprintable():
            return f"what it published has a {name} of more than one line or {limit} characters"
    return None


def without_repeats(runs: Sequence[Run]) -> list[Run]:
    """The same runs, with each job counted once: a sensor tells of a job that another task tells of too, and a training with two assets
    emits two events.

    :param runs: the newest first.
    """
    first: dict[str, str] = {}

    def _once(member: Member) -> Member:
        arn = member.result.job_arn if member.result is not None else ""
        if not arn or arn not in first:
            first[arn] = member.label
            return member
        why = f"the job that {first[arn]} tells of: counted there"
        return replace(member, result=None, problem=clipped(why, 300), skipped=True)

    return [replace(run, members=tuple(map(_once, run.members))) for run in runs]


def sums_of(members: Iterable[Member]) -> dict[str, Any]:
    """What trainings came to together, weighed by their instances; plain JSON.

    :return: ``savings_percent`` (None when none has a figure), ``jobs`` and ``unknown`` (training jobs with and without a figure),
        ``training_instance_seconds``, ``billable_instance_seconds``, ``interruptions``, ``waiting_seconds``, ``money`` by currency (the
        largest first), ``no_price`` (how many with a figure have no price) and ``outcomes``.
    """
    results = [member.result for member in members if member.result is not None]
    total = Savings.total(result.savings for result in results)
    priced = [(result.known_cost, result.savings.jobs) for result in results if result.savings.jobs]
    costs = Cost.total(cost for cost, _ in priced if cost is not None).values()
    return {
        "savings_percent": total.percent,
        "jobs": total.jobs,
        "unknown": total.unknown,
        "training_instance_seconds": total.training_instance_seconds,
        "billable_instance_seconds": total.billable_instance_seconds,
        "interruptions": sum(result.interruptions for result in results),
        "waiting_seconds": round(sum(result.waiting_seconds for result in results), 3),
        "money": [
            {
                "currency": each.currency,
                "cost": each.amount,
                "on_demand_cost": each.on_demand,
                "price_date": each.price_date,
            }
            for each in sorted(costs, key=lambda cost: -cost.on_demand)
        ],
        "no_price": sum(jobs for cost, jobs in priced if cost is None),
        "outcomes": dict(Counter(str(result.outcome) for result in results)),
    }
