"""What a strategy is, and which one a tuning job has.

Source: `Understand the hyperparameter tuning strategies
<https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-how-it-works.html>`_.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

from airflow_spot_provider.emulator.tuning.trial import Trial


class Strategy(Protocol):
    """Chooses hyperparameters. It keeps nothing: what it says follows from its seed and from what it is shown."""

    @property
    def size(self) -> int | None:
        """How many trials there are at all; None if there is no end to them."""

    def suggest(self, number: int, trials: Sequence[Trial]) -> dict[str, str]:
        """The hyperparameters of the next trial.

        :param number: of that trial, from 1, and up to the size.
        :param trials: all others so far, those that run too, and those of parent tuning jobs.
        """

    def is_to_stop(self, trial: Trial, trials: Sequence[Trial]) -> bool:
        """Whether a trial that runs is not worth going on with.

        :param trial: that trial.
        :param trials: all trials.
        """


def seed_of(*parts: object) -> int:
    """A seed for generators that want a small whole number, from any parts."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:4], "big")
