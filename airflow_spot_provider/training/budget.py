"""How many trainings a budget allows, from what an earlier round came to."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from airflow_spot_provider.training.comparison import Results, results_of
from airflow_spot_provider.training.exceptions import InvalidSpotRequest
from airflow_spot_provider.training.lifecycle import Outcome
from airflow_spot_provider.training.savings import Savings


@dataclass(frozen=True, slots=True)
class Budget:
    """The width of the next round, and how it was chosen.

    :param jobs: how many trainings to start.
    :param why: in a sentence or two.
    :param billable_seconds_per_job: billable instance-seconds that a completed training is expected to take; None if
        nothing was observed.
    :param interruptions_per_hour: observed, of training on an instance; None if nothing was observed.
    :param savings_percent: observed; None if nothing was observed.
    """

    jobs: int
    why: str
    billable_seconds_per_job: float | None = None
    interruptions_per_hour: float | None = None
    savings_percent: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON for an XCom."""
        return asdict(self)


def hyperparameter_budget(
    results: Results,
    *,
    billable_seconds: float | None = None,
    money: float | None = None,
    price_per_hour: float | None = None,
    first_jobs: int | None = None,
    min_jobs: int = 1,
    max_jobs: int | None = None,
) -> Budget:
    """How many trainings a budget allows.

    What a training will bill is what one billed in the earlier round, on average: all that was billed, that of interrupted
    and failed ones included, over the trainings that completed. More interruptions bill more, and so allow fewer trainings.

    :param results: of the earlier round.
    :param billable_seconds: the budget in billable seconds x instances.
    :param money: the budget in the currency of ``price_per_hour``.
    :param price_per_hour: on-demand price of an instance: what SageMaker multiplies billable time with. Goes with ``money``.
    :param first_jobs: the width when there is nothing to learn from (a first run); without it that is an error.
    :param min_jobs: start at least so many, 0 or more, whatever they cost.
    :param max_jobs: start at most so many.
    :raises InvalidSpotRequest: no budget or two, one that is not above 0, or bounds that contradict one another; or there
        is nothing to learn from.
    """
    seconds, said = _budget_seconds(billable_seconds, money, price_per_hour)
    _check_bounds(first_jobs, min_jobs, max_jobs)
    read = results_of(results)
    total = Savings.total(result.savings for result in read)
    completed = sum(result.outcome is Outcome.COMPLETED for result in read)
    if not total.jobs or not completed or not total.billable_instance_seconds:
        if first_jobs is None:
            raise InvalidSpotRequest(
                [
                    (
                        f"The budget is to be shared by what an earlier round billed, and of its {len(read)} trainings "
                        f"{completed} completed and {total.jobs} have a figure. Pass first_jobs= for a first round."
                    )
                ]
            )
        jobs = _within(first_jobs, min_jobs, max_jobs)
        return Budget(
            jobs,
            f"{_trainings(jobs)}: there is no earlier round to learn from, so the budget of {said} was not shared out.",
        )
    each = total.billable_instance_seconds / completed
    allowed = math.floor(seconds / each)
    jobs = _within(allowed, min_jobs, max_jobs)
    interruptions = sum(result.interruptions for result in read)
    rate = interruptions / (total.training_instance_seconds / 3600)
    why = (
        f"{_trainings(jobs)}: {len(read)} of an earlier round billed {total.billable_instance_seconds:,.0f} instance-seconds "
        f"with {interruptions} interruptions, and {completed} completed: {each:,.0f} for each. A budget of {said} allows "
        f"{allowed}"
    )
    if jobs > allowed:
        why += f", which is passed: min_jobs is {min_jobs}"
    elif jobs < allowed:
        why += f", and max_jobs is {max_jobs}"
    return Budget(jobs, f"{why}.", round(each, 3), round(rate, 3), total.percent)


def _trainings(count: int) -> str:
    return f"{count} training{'s' * (count != 1)}"


def _budget_seconds(
    billable_seconds: float | None, money: float | None, price_per_hour: float | None
) -> tuple[float, str]:
    """The budget in billable instance-seconds, and how to say it."""
    if (billable_seconds is None) == (money is None):
        raise InvalidSpotRequest(
            ["The budget is given in billable_seconds or in money: pass one of the two, and not both."]
        )
    if (money is None) != (price_per_hour is None):
        raise InvalidSpotRequest(
            ["money goes with price_per_hour, the on-demand price of an instance: pass both."]
        )
    given = {"billable_seconds": billable_seconds, "money": money, "price_per_hour": price_per_hour}
    for name, value in given.items():
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf
        ):
            raise InvalidSpotRequest([f"{name} is {value!r}; it takes a number above 0."])
    if money is not None and price_per_hour is not None:
        return money / price_per_hour * 3600, f"{money:g} at {price_per_hour:g} an hour"
    assert billable_seconds is not None
    return billable_seconds, f"{billable_seconds:,.0f} billable seconds"


def _check_bounds(first_jobs: int | None, min_jobs: int, max_jobs: int | None) -> None:
    for name, value in (("first_jobs", first_jobs), ("min_jobs", min_jobs), ("max_jobs", max_jobs)):
        if value is not None and (type(value) is not int or value < 0):
            raise InvalidSpotRequest([f"{name} is {value!r}; it takes a whole number, 0 or more."])
    if max_jobs is not None and max_jobs < min_jobs:
        raise InvalidSpotRequest(
            [f"min_jobs is {min_jobs} and max_jobs {max_jobs}; min_jobs may be at most max_jobs."]
        )


def _within(jobs: int, least: int, most: int | None) -> int:
    jobs = max(jobs, least)
    return jobs if most is None else min(jobs, most)
