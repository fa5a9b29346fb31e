"""What jobs cost: billed time at the on-demand price, since managed spot training bills fewer seconds at that price."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from airflow_spot_provider.training.savings import Savings

_SECONDS_IN_AN_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Price:
    """What an instance costs on demand.

    :param per_hour: of one instance.
    :param currency: such as ``USD``.
    :param as_of: ISO date on which the price list said so.
    """

    per_hour: float
    currency: str
    as_of: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What trainings cost, and what the same time would have cost on demand.

    :param amount: billed seconds x instances x price.
    :param on_demand: trained seconds x instances x price.
    :param currency: of both.
    :param price_date: ISO date of the oldest price in it.
    """

    amount: float
    on_demand: float
    currency: str
    price_date: str

    @classmethod
    def of(cls, savings: Savings, price: Price | None) -> Cost | None:
        """The cost of jobs on one instance type; None where no price, or no figure, is known.

        :param savings: trained and billed seconds x instances.
        :param price: of the instance type.
        """
        if price is None or not savings.jobs:
            return None
        return cls(
            amount=round(savings.billable_instance_seconds / _SECONDS_IN_AN_HOUR * price.per_hour, 6),
            on_demand=round(savings.training_instance_seconds / _SECONDS_IN_AN_HOUR * price.per_hour, 6),
            currency=price.currency,
            price_date=price.as_of,
        )

    @classmethod
    def read(
        cls, amount: float | None, on_demand: float | None, currency: str | None, price_date: str | None
    ) -> Cost | None:
        """The cost that a result or a progress tells; None unless it tells all of it."""
        if amount is None or on_demand is None or currency is None or price_date is None:
            return None
        return cls(amount, on_demand, currency, price_date)

    @staticmethod
    def told(cost: Cost | None) -> dict[str, Any]:
        """A cost as results and progresses tell it: ``cost``, ``on_demand_cost``, ``currency``, ``price_date``."""
        return {
            "cost": cost and cost.amount,
            "on_demand_cost": cost and cost.on_demand,
            "currency": cost and cost.currency,
            "price_date": cost and cost.price_date,
        }

    @classmethod
    def total(cls, costs: Iterable[Cost]) -> dict[str, Cost]:
        """Sums by currency: amounts of two currencies are never added."""
        totals: dict[str, Cost] = {}
        for cost in costs:
            so_far = totals.get(cost.currency)
            totals[cost.currency] = cost if so_far is None else so_far._plus(cost)
        return totals

    def _plus(self, other: Cost) -> Cost:
        return Cost(
            round(self.amount + other.amount, 6),
            round(self.on_demand + other.on_demand, 6),
            self.currency,
            min(self.price_date, other.price_date),
        )
