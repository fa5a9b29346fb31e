"""Hyperband: many trials begin, and at each rung of epochs the better third goes on.

Source: `Hyperband <https://arxiv.org/abs/1603.06560>`_, in the asynchronous form that SageMaker has, where no trial waits for
others at a rung (`ASHA <https://arxiv.org/abs/1810.05934>`_).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from airflow_spot_provider.emulator.tuning.ranges import Range
from airflow_spot_provider.emulator.tuning.strategies.random_search import RandomSearch
from airflow_spot_provider.emulator.tuning.trial import Trial

_REDUCTION = 3
"""One in so many goes on."""


class Hyperband(RandomSearch):
    """Draws at random, and stops who falls behind.

    :param ranges: what it draws from.
    :param seed: makes draws and brackets repeatable.
    :param min_resource: epochs before which nothing is stopped.
    :param max_resource: epochs after which everything is.
    """

    def __init__(self, ranges: Sequence[Range], seed: str, *, min_resource: int, max_resource: int) -> None:
        super().__init__(ranges, seed)
        self._max_resource = max_resource
        self._rungs: list[int] = []
        rung = min_resource
        while rung < max_resource:
            self._rungs.append(rung)
            rung *= _REDUCTION

    def is_to_stop(self, trial: Trial, trials: Sequence[Trial]) -> bool:
        """Whether a trial has used up its epochs, or is not in the better third at the rung that it has reached."""
        # One that has stated its last epoch is about to end by itself, with a model: only what goes on is stopped.
        if len(trial.losses) > self._max_resource:
            return True
        bracket = self._bracket(trial.number)
        rung = max((each for each in self._rungs[bracket:] if each <= len(trial.losses)), default=None)
        if rung is None:
            return False
        at_rung = sorted(
            other.losses[rung - 1]
            for other in trials
            if len(other.losses) >= rung and other.number and self._bracket(other.number) == bracket
        )
        return len(at_rung) >= _REDUCTION and trial.losses[rung - 1] > at_rung[len(at_rung) // _REDUCTION - 1]

    def _bracket(self, number: int) -> int:
        """Which bracket a trial is in: how many rungs it passes unjudged."""
        halvings = range(len(self._rungs), -1, -1)
        weights = [(len(self._rungs) + 1) / (each + 1) * _REDUCTION**each for each in halvings]
        return random.Random(f"{self._seed}/bracket/{number}").choices(range(len(weights)), weights)[0]
