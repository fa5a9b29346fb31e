"""What a report is held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_spot_provider.training.exceptions import InvalidSpotRequest
from airflow_spot_provider.training.narration import money

_MOST_CURRENCIES = 5


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What a report is held against.

    :param min_savings_percent: the least weighted savings.
    :param max_interruptions: the most interruptions, in all.
    :param max_cost: the most money, in the currency of the price list; where there are several, in each of them.
    :raises InvalidSpotRequest: one of them makes no sense.
    """

    min_savings_percent: float | None = None
    max_interruptions: int | None = None
    max_cost: float | None = None

    def __post_init__(self) -> None:
        numbers = (
            ("min_savings_percent", self.min_savings_percent, "a number from -1000 to 100", -1_000, 100),
            ("max_interruptions", self.max_interruptions, "a whole number, 0 or more", 0, 10**12),
            ("max_cost", self.max_cost, "a number, 0 or more", 0, 10**12),
        )
        problems = [
            f"{name} is {value!r}; it takes {wanted}."
            for name, value, wanted, least, most in numbers
            if value is not None and not _fits(value, least, most, whole=name == "max_interruptions")
        ]
        if not problems and self.min_savings_percent is not None and 0 < self.min_savings_percent < 1:
            problems.append(
                f"min_savings_percent is {self.min_savings_percent!r}, less than one percent; for half of the cost say 50."
            )
        if problems:
            raise InvalidSpotRequest(problems)

    def breaches(self, sums: Mapping[str, Any]) -> list[str]:
        """What is not kept, a sentence or two each. What is not known breaches nothing: see :meth:`not_judged`.

        :param sums: of :func:`~airflow_spot_provider.training.reported.sums_of`.
        """
        found = []
        percent, least = sums["savings_percent"], self.min_savings_percent
        if least is not None and percent is not None and percent < least:
            found.append(
                f"Savings are {percent:.1f}%, less than min_savings_percent={least:g}: see by_task and by_instance_type for trainings on "
                "demand, and for interruptions after which work was billed twice (more frequent checkpoints help)."
            )
        if self.max_interruptions is not None and sums["interruptions"] > self.max_interruptions:
            found.append(
                f"Interruptions: {sums['interruptions']}, more than max_interruptions={self.max_interruptions}. Another instance type or region "
                "may have more spot capacity."
            )
        if self.max_cost is not None:
            found += [
                f"The cost is {money(each['cost'], each['currency'])} (prices of {each['price_date']}), more than "
                f"max_cost={self.max_cost:g}: see by_task for what costs the most; train less, or raise max_cost."
                for each in sums["money"][:_MOST_CURRENCIES]
                if each["cost"] > self.max_cost
            ]
        return found

    def not_judged(self, sums: Mapping[str, Any]) -> list[str]:
        """What no threshold could judge, since it is not known; a sentence each.

        :param sums: of :func:`~airflow_spot_provider.training.reported.sums_of`.
        """
        found = []
        if self.min_savings_percent is not None and (sums["unknown"] or not sums["jobs"]):
            found.append(
                f"min_savings_percent judges {sums['jobs']} training jobs; {sums['unknown']} have no savings figure."
            )
        if self.max_cost is not None and (sums["no_price"] or not sums["money"]):
            found.append(f"max_cost judges what is priced; {sums['no_price']} training jobs have no price.")
        return found


def _fits(value: object, least: float, most: float, *, whole: bool) -> bool:
    kinds = (int,) if whole else (int, float)
    return not isinstance(value, bool) and isinstance(value, kinds) and least <= value <= most
