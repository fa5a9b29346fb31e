"""What is plotted: a study with what its trainings cost, and the results of a fan-out read as one."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from pydantic import ValidationError

from airflow_spot_provider.sweeps.study import METRICS
from airflow_spot_provider.sweeps.trials import RESULT
from airflow_spot_provider.training import InvalidSpotRequest, Outcome, SpotTrainingResult
from airflow_spot_provider.training.comparison import Mode, Results, best_of, checked_mode, results_of

_DIRECTIONS = {"min": StudyDirection.MINIMIZE, "max": StudyDirection.MAXIMIZE}
_ORDERS_OF_MAGNITUDE = 100
"""Numbers that lie so far apart are shown on a logarithmic axis."""


@dataclass(frozen=True, slots=True)
class Searched:
    """A search, read once: its storage is asked for nothing more.

    :param name: of the study.
    :param metrics: names of the objectives.
    :param directions: which way each is better.
    :param trials: all of them, by number.
    :param price_per_hour: on-demand price of an instance; None to count cost in billable instance-seconds.
    """

    name: str
    metrics: tuple[str, ...]
    directions: tuple[StudyDirection, ...]
    trials: tuple[FrozenTrial, ...]
    price_per_hour: float | None = None

    @classmethod
    def of(
        cls, study: optuna.Study, *, metrics: Sequence[str] | None = None, price_per_hour: float | None = None
    ) -> Searched:
        """Read a study.

        :param metrics: what its objectives are called; a sweep's study knows.
        :raises InvalidSpotRequest: as many names as there are objectives are not given, or the price is no number above 0.
        """
        known = json.loads(study.user_attrs.get(METRICS, "null")) or study.metric_names
        count = len(study.directions)
        numbered = ["objective"] if count == 1 else [f"objective {number}" for number in range(1, count + 1)]
        names = tuple(metrics or known or numbered)
        problems = []
        if len(set(names)) != count or len(names) != count:
            problems.append(
                f"metrics is {list(names)}; the study {study.study_name!r} has {count} objectives, and each has a name of its own."
            )
        if price_per_hour is not None and not 0 < price_per_hour < math.inf:
            problems.append(f"price_per_hour is {price_per_hour!r}; it takes a number above 0, or None.")
        if problems:
            raise InvalidSpotRequest(problems)
        trials = tuple(study.get_trials(deepcopy=False))  # once: it may be a database far away
        return cls(study.study_name, names, tuple(study.directions), trials, price_per_hour)

    @property
    def cost_unit(self) -> str:
        """What costs are counted in."""
        return "billable instance-seconds" if self.price_per_hour is None else "cost"

    def cost_of(self, trial: FrozenTrial) -> float | None:
        """What a trial's training job billed; None if that is not known."""
        result = result_of(trial)
        if result is None or result.billable_seconds is None:
            return None
        seconds = result.savings.billable_instance_seconds
        return seconds if self.price_per_hour is None else seconds * self.price_per_hour / 3600

    def of_objective(self, index: int) -> optuna.Study:
        """A study of one objective only."""
        return self._in_memory([self.directions[index]], lambda values, _trial: [values[index]])

    def of_all_objectives(self) -> optuna.Study:
        """The study itself, in memory."""
        return self._in_memory(self.directions, lambda values, _trial: values)

    def of_cost_and(self, index: int) -> optuna.Study:
        """A study of two objectives, cost and one of the study's own, of the trials whose cost is known."""

        def both(values: Sequence[float], trial: FrozenTrial) -> Sequence[float] | None:
            cost = self.cost_of(trial)
            return None if cost is None else [cost, values[index]]

        return self._in_memory([StudyDirection.MINIMIZE, self.directions[index]], both)

    def _in_memory(
        self,
        directions: Sequence[StudyDirection],
        values_of: Callable[[Sequence[float], FrozenTrial], Sequence[float] | None],
    ) -> optuna.Study:
        """Trials keep their numbers: one that has no such values is there as a failed one."""
        copied = []
        for trial in self.trials:
            values = None
            if trial.state is TrialState.COMPLETE:
                values = values_of(trial.values, trial)
            plain = copy.copy(trial)
            # Plots show user attributes when the mouse is over a point: the job's name is what helps there.
            result = result_of(trial)
            plain.user_attrs = {} if result is None else {"job_name": result.job_name}
            if trial.state is TrialState.COMPLETE and (values is None or not all(map(math.isfinite, values))):
                plain.state, values = TrialState.FAIL, None
            # Optuna gives a pruned trial its last intermediate value: one, however many objectives there are here.
            plain.values = values
            copied.append(plain)
        return _study(self.name, directions, copied)


def result_of(trial: FrozenTrial) -> SpotTrainingResult | None:
    """The published result of a trial's training job; None if it has none."""
    try:
        return SpotTrainingResult.model_validate_json(trial.user_attrs.get(RESULT) or "null")
    except ValidationError:
        return None  # a study that others write to as well


def study_of_results(published: Results, metric: str, mode: Mode) -> optuna.Study:
    """A study in memory whose trials are the trainings of a fan-out, in their order.

    :param published: results of the trainings; hyperparameters are those that they published.
    :param metric: the objective.
    :param mode: ``min`` or ``max``.
    :raises InvalidSpotRequest: another mode.
    :raises SpotTrainingError: trainings completed and none published this metric; with the metrics that there are.
    """
    direction = _DIRECTIONS[checked_mode(mode)]
    results = results_of(published)
    if any(result.outcome is Outcome.COMPLETED for result in results):
        best_of(results, metric, mode)  # raises if none has it
    distributions = _distributions([result.hyperparameters for result in results])
    trials = []
    for result in results:
        completed = result.outcome is Outcome.COMPLETED and metric in result.metrics
        params = {name: _read(text, distributions[name]) for name, text in result.hyperparameters.items()}
        trials.append(
            create_trial(
                state=TrialState.COMPLETE if completed else TrialState.FAIL,
                value=result.metrics[metric] if completed else None,
                params=params,
                distributions={name: distributions[name] for name in params},
                user_attrs={RESULT: result.model_dump_json()},
            )
        )
    study = _study("fan-out", [direction], trials)
    study.set_user_attr(METRICS, json.dumps([metric]))
    return study


def _study(name: str, directions: Sequence[StudyDirection], trials: Sequence[FrozenTrial]) -> optuna.Study:
    with _quiet():
        study = optuna.create_study(study_name=name, directions=directions)
        study.add_trials(trials)
    return study


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna tells of each study that it makes; those in memory are none that anybody looks for."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def _distributions(published: Sequence[Mapping[str, str]]) -> dict[str, BaseDistribution]:
    """What each hyperparameter ranges over, by the values that were tried: SageMaker keeps them as text."""
    names = dict.fromkeys(name for each in published for name in each)
    return {name: _distribution([each[name] for each in published if name in each]) for name in names}


def _distribution(texts: Sequence[str]) -> BaseDistribution:
    numbers = [number for number in map(_number, texts) if number is not None]
    if len(numbers) < len(texts):
        return CategoricalDistribution(sorted(set(texts)))
    low, high = min(numbers), max(numbers)
    log = low > 0 and high / low >= _ORDERS_OF_MAGNITUDE
    if all(isinstance(number, int) for number in numbers):
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(low, high, log=log)


def _read(text: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return text
    number = _number(text)
    return float(number or 0) if isinstance(distribution, FloatDistribution) else number


def _number(text: str) -> int | float | None:
    for kind in (int, float):
        try:
            number = kind(text)
            return number if math.isfinite(number) else None
        except (ValueError, OverflowError):
            continue
    return None
