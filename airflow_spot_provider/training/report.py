"""What many trainings came to: sums, how they compare with the run before, and what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from airflow_spot_provider.training.exceptions import InvalidSpotRequest
from airflow_spot_provider.training.json_text import clipped, json_bytes
from airflow_spot_provider.training.money import Cost
from airflow_spot_provider.training.narration import money
from airflow_spot_provider.training.result import MAX_RESULT_BYTES, SpotTrainingResult
from airflow_spot_provider.training.savings import Savings
from airflow_spot_provider.training.tuning_result import SpotTuningResult

Result = SpotTrainingResult | SpotTuningResult

_Key = TypeVar("_Key", bound=Hashable)
_MOST_NAMES = 20
_MAX_NAME = 120
_LONG = ("runs", "by_task", "by_instance_type")


@dataclass(frozen=True, slots=True)
class Member:
    """One training that a report is about.

    :param run_id: of the DAG run; or what else trainings of one time have in common.
    :param task_id: of its task, with its task groups.
    :param result: what it published; None if nothing that can be read.
    :param name: what tells it apart in its task, such as a map index or a trial; empty if it is the only one.
    :param problem: why there is no result, or what else is to be known; None if all is well.
    """

    run_id: str
    task_id: str
    result: Result | None
    name: str = ""
    problem: str | None = None

    @property
    def label(self) -> str:
        """What people call it."""
        return f"{self.task_id}[{self.name}]" if self.name else self.task_id


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


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What a report is held against.

    :param min_savings_percent: the least weighted savings.
    :param max_interruptions: the most interruptions, in all.
    :param max_cost: the most money, in the currency of the price list.
    :raises InvalidSpotRequest: one of them makes no sense.
    """

    min_savings_percent: float | None = None
    max_interruptions: int | None = None
    max_cost: float | None = None

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {value!r}; it takes a number, {wanted}."
            for name, value, wanted, fits in (
                (
                    "min_savings_percent",
                    self.min_savings_percent,
                    "100 at the most",
                    lambda number: number <= 100,
                ),
                ("max_interruptions", self.max_interruptions, "0 or more", lambda number: number >= 0),
                ("max_cost", self.max_cost, "0 or more", lambda number: number >= 0),
            )
            if value is not None
            and (isinstance(value, bool) or not isinstance(value, int | float) or not fits(value))
        ]
        if problems:
            raise InvalidSpotRequest(problems)

    def breaches(self, sums: Mapping[str, Any]) -> list[str]:
        """What is not kept, one sentence each. What is not known breaches nothing: the report tells how many have no figure.

        :param sums: of :func:`sums_of`.
        """
        found = []
        percent = sums["savings_percent"]
        if (
            self.min_savings_percent is not None
            and percent is not None
            and percent < self.min_savings_percent
        ):
            found.append(
                f"Savings are {percent:.1f}%, less than min_savings_percent={self.min_savings_percent:g}: look for interruptions "
                "that were billed twice, and for trainings on demand."
            )
        if self.max_interruptions is not None and sums["interruptions"] > self.max_interruptions:
            found.append(
                f"There were {sums['interruptions']} interruptions, more than max_interruptions={self.max_interruptions}: another "
                "instance type or region may have more spot capacity."
            )
        if self.max_cost is not None:
            found += [
                f"The cost is {money(each['cost'], each['currency'])}, more than max_cost={self.max_cost:g}."
                for each in sums["money"]
                if each["cost"] > self.max_cost
            ]
        return found


def sums_of(members: Iterable[Member]) -> dict[str, Any]:
    """What trainings came to together, weighed by their instances; plain JSON.

    :return: ``savings_percent`` (None when none has a figure), ``jobs`` and ``unknown`` (training jobs with and without a figure),
        ``training_instance_seconds``, ``billable_instance_seconds``, ``interruptions``, ``waiting_seconds``, ``money`` by currency,
        ``no_price`` (how many with a figure have no price) and ``outcomes``.
    """
    results = [member.result for member in members if member.result is not None]
    total = Savings.total(result.savings for result in results)
    priced = [(result.known_cost, result.savings.jobs) for result in results if result.savings.jobs]
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
            for each in Cost.total(cost for cost, _ in priced if cost is not None).values()
        ],
        "no_price": sum(jobs for cost, jobs in priced if cost is None),
        "outcomes": dict(Counter(str(result.outcome) for result in results)),
    }


def report_of(runs: Sequence[Run], *, currency_of_trend: str | None = None) -> dict[str, Any]:
    """What the trainings of some DAG runs came to; plain JSON, under 8 KB.

    :param runs: the newest first.
    :param currency_of_trend: the currency in which costs are compared; None for the one that there is.
    :return: what :func:`sums_of` tells of all of them, ``by_task``, ``by_instance_type``, ``runs`` (newest first), ``trend`` (of the
        newest against the one before it; None if there is none), ``failed`` and ``missing`` (names), and ``left_out``: how many entries
        did not fit into an XCom.
    """
    members = [member for run in runs for member in run.members]
    report: dict[str, Any] = {
        **sums_of(members),
        "trend": trend_of(runs, currency=currency_of_trend),
        "failed": _names(_failed(members)),
        "missing": _names(member for member in members if member.result is None),
        "by_task": _grouped(members, lambda member: member.task_id),
        "by_instance_type": _grouped(
            [member for member in members if member.result is not None], _instance_type
        ),
        "runs": [{"run_id": run.run_id, "when": run.when, **sums_of(run.members)} for run in runs],
        "left_out": 0,
    }
    return _fitting(report)


def trend_of(runs: Sequence[Run], *, currency: str | None = None) -> dict[str, Any] | None:
    """How the newest run differs from the one before it; None if there is none, or one of the two has no training.

    :return: ``against`` (its run id) and, newest minus before, ``savings_percent``, ``interruptions``, ``waiting_seconds``, ``cost`` (with
        ``currency``) and ``metrics``; None for what is not known of both.
    """
    known = [run for run in runs if any(member.result is not None for member in run.members)]
    if len(known) < 2 or known[0] is not runs[0]:
        return None
    newest, before = (sums_of(run.members) for run in known[:2])
    costs = [{each["currency"]: each["cost"] for each in sums["money"]} for sums in (newest, before)]
    shared = [each for each in costs[0] if each in costs[1] and currency in (None, each)]
    compared = shared[0] if len(shared) == 1 and not newest["no_price"] and not before["no_price"] else None
    metrics = [_metrics(run.members) for run in known[:2]]
    return {
        "against": known[1].run_id,
        "savings_percent": _less(newest["savings_percent"], before["savings_percent"]),
        "interruptions": newest["interruptions"] - before["interruptions"],
        "waiting_seconds": round(newest["waiting_seconds"] - before["waiting_seconds"], 3),
        "cost": None if compared is None else _less(costs[0][compared], costs[1][compared]),
        "currency": compared,
        "metrics": {
            name: _less(value, metrics[1][name]) for name, value in metrics[0].items() if name in metrics[1]
        },
    }


def _failed(members: Iterable[Member]) -> Iterable[Member]:
    return (
        member
        for member in members
        if member.result is not None and not str(member.result.outcome).startswith("Completed")
    )


def _names(members: Iterable[Member]) -> list[str]:
    """Names, with the reason; the first twenty, and how many more there are."""
    listed = list(members)
    names = []
    for member in listed[:_MOST_NAMES]:
        why = member.problem or (str(member.result.outcome) if member.result is not None else "no result")
        names.append(clipped(f"{member.label} of {member.run_id}: {why}", _MAX_NAME))
    more = len(listed) - len(names)
    return [*names, f"and {more} more"] if more else names


def _grouped(members: Iterable[Member], by: Callable[[Member], _Key]) -> dict[_Key, dict[str, Any]]:
    groups: dict[_Key, list[Member]] = {}
    for member in members:
        groups.setdefault(by(member), []).append(member)
    return {key: sums_of(group) for key, group in groups.items()}


def _instance_type(member: Member) -> str:
    if isinstance(member.result, SpotTrainingResult):
        spot = "spot" if member.result.managed_spot else "on demand"
        return f"{member.result.instance_type or 'several types'}, {spot}"
    return "tuning jobs"


def _metrics(members: Iterable[Member]) -> dict[str, float]:
    """The metrics of a run with one training; of several, nobody knows which to compare."""
    results = [member.result for member in members if isinstance(member.result, SpotTrainingResult)]
    return dict(list(results[0].metrics.items())[:10]) if len(results) == 1 else {}


def _less(newest: float | None, before: float | None) -> float | None:
    return None if newest is None or before is None else round(newest - before, 6)


def _fitting(report: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is the least missed until the rest fits: older runs first, then the smallest groups."""
    while json_bytes(report) > MAX_RESULT_BYTES and any(report[name] for name in _LONG):
        longest = max(_LONG, key=lambda name: len(report[name]))
        entries = report[longest]
        kept = len(entries) * 3 // 4
        report = {
            **report,
            longest: entries[:kept] if isinstance(entries, list) else dict(list(entries.items())[:kept]),
            "left_out": report["left_out"] + len(entries) - kept,
        }
    return report
