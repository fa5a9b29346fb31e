"""Random search."""

from __future__ import annotations

import random
from collections.abc import Sequence

from airflow_spot_provider.emulator.tuning.ranges import Range
from airflow_spot_provider.emulator.tuning.trial import Trial


class RandomSearch:
    """Draws each hyperparameter anew for each trial, whatever the others did.

    :param ranges: what it draws from.
    :param seed: makes the draws repeatable.
    """

    size: int | None = None

    def __init__(self, ranges: Sequence[Range], seed: str) -> None:
        self._ranges = ranges
        self._seed = seed

    def suggest(self, number: int, trials: Sequence[Trial]) -> dict[str, str]:  # noqa: ARG002 - draws know no others
        """The hyperparameters of the trial with this number."""
        chance = random.Random(f"{self._seed}/{number}")
        return {each.name: each.value_at(chance.random()) for each in self._ranges}

    def is_to_stop(self, trial: Trial, trials: Sequence[Trial]) -> bool:  # noqa: ARG002 - it judges nobody
        """Never."""
        return False
