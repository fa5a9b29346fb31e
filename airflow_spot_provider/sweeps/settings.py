"""What a sweep was asked for: its objectives, space, sampler, pruner and budget. Checked, and plain JSON for a trigger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from airflow_spot_provider.training import InvalidSpotRequest
from airflow_spot_provider.training.comparison import checked_mode
from airflow_spot_provider.training.hyperparameters import space_of

SAMPLERS = ("tpe", "random", "gp", "cmaes", "nsgaii", "qmc")
PRUNERS = ("median", "percentile", "asha", "hyperband")


@dataclass(frozen=True, slots=True)
class SweepSettings:
    """A study, and how it is searched.

    :param study: name of the study.
    :param storage: URL of Optuna's storage, or id of an Airflow connection to a database.
    :param metrics: names of the objectives, as in MetricDefinitions.
    :param modes: ``min`` or ``max`` for each.
    :param space: of hyperparameters, plain JSON as :func:`~airflow_spot_provider.training.hyperparameters.space_of` reads it.
    :param sampler: which of Optuna's samplers chooses.
    :param seed: of the sampler.
    :param pruner: which of Optuna's pruners stops trials that lose, with its arguments; None for none.
    """

    study: str
    storage: str
    metrics: tuple[str, ...]
    modes: tuple[str, ...]
    space: dict[str, Any]
    sampler: str = "tpe"
    seed: int = 1
    pruner: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; :meth:`from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SweepSettings:
        """What :meth:`to_json` wrote, or a trigger's arguments hold."""
        return cls(**{**value, "metrics": tuple(value["metrics"]), "modes": tuple(value["modes"])})


def checked_settings(
    *,
    study: str,
    storage: str,
    space: Mapping[str, Any],
    metric: str | Sequence[str],
    mode: str | Sequence[str],
    sampler: str,
    seed: int,
    prune: str | Mapping[str, Any] | None,
) -> SweepSettings:
    """The settings of a sweep.

    :param prune: name of a pruner, or a dict with ``pruner`` and its arguments.
    :raises InvalidSpotRequest: with all that is wrong.
    """
    problems: list[str] = []
    metrics = (metric,) if isinstance(metric, str) else tuple(metric)
    modes = (mode,) if isinstance(mode, str) else tuple(mode)
    if not metrics or len(metrics) != len(modes) or len(set(metrics)) < len(metrics):
        problems.append(
            f"metric is {metric!r} and mode {mode!r}; they take one metric and its mode, or a list of different metrics and as "
            "many modes."
        )
    for each in modes:
        problems += _problems_of(lambda each=each: checked_mode(each))
    problems += _problems_of(lambda: space_of(space))
    if sampler not in SAMPLERS:
        problems.append(f"sampler is {sampler!r}; it takes one of {list(SAMPLERS)}.")
    if type(seed) is not int or seed < 0:
        problems.append(f"seed is {seed!r}; it takes a whole number, 0 or more.")
    pruner = dict(prune) if isinstance(prune, Mapping) else None if prune is None else {"pruner": prune}
    if pruner is not None and pruner.get("pruner") not in PRUNERS:
        problems.append(
            f"prune is {prune!r}; it takes one of {list(PRUNERS)}, or a dict with 'pruner' and its arguments."
        )
    if pruner is not None and len(metrics) > 1:
        problems.append("prune is given with several objectives, and Optuna prunes with one only.")
    problems += storage_problems(storage)
    if problems:
        raise InvalidSpotRequest(problems)
    plain = {name: _plain(distribution) for name, distribution in space_of(space).items()}
    return SweepSettings(study, storage, metrics, modes, plain, sampler, seed, pruner)


def storage_problems(storage: object) -> list[str]:
    """What is wrong with a storage. A URL is stored with the DAG and with triggers, so it holds no password."""
    if not isinstance(storage, str) or not storage:
        return [f"storage is {storage!r}; it takes an Optuna URL or the id of an Airflow connection."]
    if "://" not in storage and "/" in storage:
        return [
            f"storage is {storage!r}, which looks like a file: write sqlite:///{storage}, or the id of an Airflow connection."
        ]
    if "://" in storage and urlsplit(storage).password:
        return [
            (
                "storage is a URL with a password, which would be stored with the DAG and its triggers. Make an Airflow "
                "connection to that database, and pass its id."
            )
        ]
    return []


@dataclass(frozen=True, slots=True)
class SweepBudget:
    """When a sweep is over: as soon as one of these is spent.

    :param trials: how many trials to train.
    :param billable_seconds: billable seconds x instances, over all of them.
    :param money: in the currency of ``price_per_hour``.
    :param price_per_hour: on-demand price of an instance.
    """

    trials: int | None = None
    billable_seconds: float | None = None
    money: float | None = None
    price_per_hour: float | None = None

    def __post_init__(self) -> None:
        problems = []
        if self.trials is None and self.billable_seconds is None and self.money is None:
            problems.append(
                "The sweep has no budget: pass budget={'trials': 40}, or 'billable_seconds', or 'money' with 'price_per_hour'."
            )
        if self.trials is not None and (type(self.trials) is not int or self.trials < 1):
            problems.append(f"The budget's trials are {self.trials!r}; it takes a whole number, 1 or more.")
        for name in ("billable_seconds", "money", "price_per_hour"):
            value = getattr(self, name)
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf")
            ):
                problems.append(f"The budget's {name} is {value!r}; it takes a number above 0.")
        if (self.money is None) != (self.price_per_hour is None):
            problems.append(
                "The budget's money goes with price_per_hour, the on-demand price of an instance."
            )
        if problems:
            raise InvalidSpotRequest(problems)

    @classmethod
    def of(cls, budget: object) -> SweepBudget:
        """The budget that a user wrote.

        :raises InvalidSpotRequest: it is none.
        """
        if isinstance(budget, SweepBudget):
            return budget
        names = cls.__slots__
        if not isinstance(budget, Mapping) or not set(budget) <= set(names):
            raise InvalidSpotRequest([f"budget is {budget!r}; it takes a dict of {list(names)}."])
        return cls(**budget)

    @property
    def seconds(self) -> float | None:
        """The budget in billable instance-seconds; None if only trials count."""
        limits = [] if self.billable_seconds is None else [self.billable_seconds]
        if self.money is not None and self.price_per_hour is not None:
            limits.append(self.money / self.price_per_hour * 3600)
        return min(limits, default=None)


_NAMES = {
    "Uniform": "uniform",
    "LogUniform": "log-uniform",
    "Integers": "integer",
    "Categorical": "categorical",
}


def _plain(distribution: Any) -> dict[str, Any]:
    members = asdict(distribution)
    if "choices" in members:
        members["choices"] = list(members["choices"])
    return {"distribution": _NAMES[type(distribution).__name__], **members}


def _problems_of(check: Any) -> list[str]:
    try:
        check()
    except InvalidSpotRequest as error:
        return list(error.problems)
    return []
