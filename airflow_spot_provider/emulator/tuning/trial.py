"""What a strategy knows of a training job: which hyperparameters it was given, and how well it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Objective:
    """What a tuning job looks for.

    :param metric: the name of the metric.
    :param minimize: whether less of it is better.
    """

    metric: str
    minimize: bool

    def loss(self, value: float) -> float:
        """A value of the metric such that less is better."""
        return value if self.minimize else -value


@dataclass(frozen=True)
class Trial:
    """One training job, as far as a strategy goes.

    :param number: its place among the trials of its definition, from 1; 0 for one of a parent tuning job.
    :param values: the hyperparameters that it was given.
    :param losses: the objective at each of its epochs so far, less being better.
    :param has_ended: whether it runs no more.
    :param is_evaluated: whether it has ended with an objective.
    """

    number: int
    values: Mapping[str, str]
    losses: Sequence[float] = ()
    has_ended: bool = False
    is_evaluated: bool = False

    @property
    def loss(self) -> float:
        """Its objective, less being better; the last of its epochs."""
        return self.losses[-1]
