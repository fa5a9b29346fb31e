"""Grid search: every combination of categorical values, each once."""

from __future__ import annotations

import math
from collections.abc import Sequence

from airflow_spot_provider.emulator.exceptions import ValidationException
from airflow_spot_provider.emulator.tuning.ranges import CategoricalRange, Range
from airflow_spot_provider.emulator.tuning.trial import Trial


class GridSearch:
    """Goes through the combinations, the last range's values first.

    :param ranges: categorical ones.
    :raises ValidationException: one is not categorical.
    """

    def __init__(self, ranges: Sequence[Range]) -> None:
        self._ranges: list[CategoricalRange] = []
        for each in ranges:
            if not isinstance(each, CategoricalRange):
                raise ValidationException(
                    f"The Grid strategy takes categorical hyperparameters only; {each.name} is none. Give its values in "
                    "CategoricalParameterRanges"
                )
            self._ranges.append(each)

    @property
    def size(self) -> int | None:
        """How many combinations there are."""
        return math.prod(len(each.values) for each in self._ranges)

    def suggest(self, number: int, trials: Sequence[Trial]) -> dict[str, str]:  # noqa: ARG002 - the grid is given
        """The combination with this number."""
        values, rest = {}, number - 1
        for each in reversed(self._ranges):
            rest, index = divmod(rest, len(each.values))
            values[each.name] = each.values[index]
        return {each.name: values[each.name] for each in self._ranges}

    def is_to_stop(self, trial: Trial, trials: Sequence[Trial]) -> bool:  # noqa: ARG002 - it judges nobody
        """Never."""
        return False
