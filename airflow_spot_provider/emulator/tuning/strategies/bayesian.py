"""Bayesian search, by Optuna's tree-structured Parzen estimator.

SageMaker fits a Gaussian process; it does not say more of it than that what ran before makes good regions likelier.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from airflow_spot_provider.emulator.tuning.ranges import CategoricalRange, Range
from airflow_spot_provider.emulator.tuning.strategies.strategy import seed_of
from airflow_spot_provider.emulator.tuning.trial import Trial


class BayesianSearch:
    """Draws where earlier trials were good, and away from where trials run.

    :param ranges: what it draws from.
    :param seed: makes the draws repeatable.
    """

    size: int | None = None

    def __init__(self, ranges: Sequence[Range], seed: str) -> None:
        self._ranges = ranges
        self._seed = seed

    def suggest(self, number: int, trials: Sequence[Trial]) -> dict[str, str]:
        """The hyperparameters of the trial with this number."""
        optuna = _optuna()
        sampler = optuna.samplers.TPESampler(seed=seed_of(self._seed, number), constant_liar=True)
        study = optuna.create_study(direction="minimize", sampler=sampler)
        space = {each.name: _distribution(each) for each in self._ranges}
        states = optuna.trial.TrialState
        for trial in trials:
            places = self._places(trial)
            if places is None or (trial.has_ended and not trial.is_evaluated):
                continue
            study.add_trial(
                optuna.trial.create_trial(
                    state=states.COMPLETE if trial.is_evaluated else states.RUNNING,
                    value=trial.loss if trial.is_evaluated else None,
                    params=places,
                    distributions=space,
                )
            )
        drawn = study.ask(space).params
        return {
            each.name: drawn[each.name]
            if isinstance(each, CategoricalRange)
            else each.value_at(drawn[each.name])
            for each in self._ranges
        }

    def is_to_stop(self, trial: Trial, trials: Sequence[Trial]) -> bool:  # noqa: ARG002 - it judges nobody
        """Never."""
        return False

    def _places(self, trial: Trial) -> dict[str, Any] | None:
        """Where a trial is in the space; None if it is outside, as one of a parent with other ranges can be."""
        places: dict[str, Any] = {}
        for each in self._ranges:
            value = trial.values.get(each.name)
            if isinstance(each, CategoricalRange):
                place: Any = value if value in each.values else None
            else:
                place = None if value is None else each.place_of(value)
            if place is None:
                return None
            places[each.name] = place
        return places


@cache
def _optuna() -> Any:
    """Optuna, which is slow to import and has much to say of each study."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _distribution(each: Range) -> Any:
    distributions = _optuna().distributions
    if isinstance(each, CategoricalRange):
        return distributions.CategoricalDistribution(each.values)
    return distributions.FloatDistribution(0.0, 1.0)
