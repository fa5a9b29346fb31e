"""Which hyperparameters to try: every combination, or samples of a space. For ``.expand(hyperparameters=...)``."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from numbers import Real
from typing import Any, Literal, get_args

from airflow_spot_provider.training.exceptions import InvalidSpotRequest

MAX_MAP_LENGTH = 1024
"""How many mapped tasks Airflow makes of one task, unless ``[core] max_map_length`` says otherwise."""

Hyperparameters = dict[str, Any]
SamplingMethod = Literal["random", "latin_hypercube", "sobol"]


@dataclass(frozen=True, slots=True)
class Uniform:
    """A real number, each as likely as the other.

    :param low: the least, a finite number.
    :param high: the greatest, at least ``low``.
    :raises InvalidSpotRequest: they are no such numbers.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds("uniform", self.low, self.high)

    def at(self, share: float) -> float:
        """The number below which that share of all lies.

        :param share: from 0 (included) to 1 (excluded).
        """
        return min(self.low + share * (self.high - self.low), self.high)


@dataclass(frozen=True, slots=True)
class LogUniform:
    """A real number above 0, each order of magnitude as likely as the other.

    :param low: the least, above 0.
    :param high: the greatest, at least ``low``.
    :raises InvalidSpotRequest: they are no such numbers.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds("log-uniform", self.low, self.high, above=0)

    def at(self, share: float) -> float:
        """The number below which that share of all lies.

        :param share: from 0 (included) to 1 (excluded).
        """
        low, high = math.log(self.low), math.log(self.high)
        return min(max(math.exp(low + share * (high - low)), self.low), self.high)


@dataclass(frozen=True, slots=True)
class Integers:
    """A whole number.

    :param low: the least.
    :param high: the greatest, included; at least ``low``.
    :param log: whether each order of magnitude is as likely as the other; ``low`` is then at least 1.
    :raises InvalidSpotRequest: they are no such numbers.
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        for name, bound in (("low", self.low), ("high", self.high)):
            if type(bound) is not int:
                raise InvalidSpotRequest([f"{name} of the integers is {bound!r}; it takes a whole number."])
        _check_bounds("integer", self.low, self.high, above=0 if self.log else None)

    def at(self, share: float) -> int:
        """The number below which that share of all lies.

        :param share: from 0 (included) to 1 (excluded).
        """
        if self.log:
            number = math.floor(LogUniform(self.low, self.high + 1).at(share))
        else:
            number = self.low + math.floor(share * (self.high - self.low + 1))
        return min(number, self.high)


@dataclass(frozen=True, slots=True)
class Categorical:
    """One of some choices, each as likely as the other.

    :param choices: strings or numbers, no two alike.
    :raises InvalidSpotRequest: there are none, or two are alike.
    """

    choices: tuple[Any, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "choices", _checked_values("The choices", self.choices))

    def at(self, share: float) -> Any:
        """The choice below which that share of all lies.

        :param share: from 0 (included) to 1 (excluded).
        """
        return self.choices[min(math.floor(share * len(self.choices)), len(self.choices) - 1)]


Distribution = Uniform | LogUniform | Integers | Categorical
_DISTRIBUTIONS: dict[str, type[Distribution]] = {
    "uniform": Uniform,
    "log-uniform": LogUniform,
    "integer": Integers,
    "categorical": Categorical,
}


def distribution_of(name: str, value: object) -> Distribution:
    """The distribution of one hyperparameter.

    :param name: of the hyperparameter.
    :param value: a distribution, or plain JSON such as ``{"distribution": "log-uniform", "low": 1e-4, "high": 0.1}``.
    :raises InvalidSpotRequest: it is something else.
    """
    if isinstance(value, Distribution):
        return value
    if not isinstance(value, Mapping) or value.get("distribution") not in _DISTRIBUTIONS:
        raise InvalidSpotRequest(
            [
                (
                    f"The distribution of {name!r} is {value!r}; it takes Uniform(low, high), LogUniform(low, high), "
                    "Integers(low, high), Categorical(choices), or a dict whose 'distribution' is one of "
                    f"{sorted(_DISTRIBUTIONS)}."
                )
            ]
        )
    kind = _DISTRIBUTIONS[value["distribution"]]
    members = {key: item for key, item in value.items() if key != "distribution"}
    try:
        return kind(**members)
    except TypeError:
        allowed = [field.name for field in fields(kind)]
        raise InvalidSpotRequest(
            [
                f"The {value['distribution']} distribution of {name!r} has {sorted(members)}; it takes {allowed}."
            ]
        ) from None
    except InvalidSpotRequest as error:
        raise InvalidSpotRequest([f"{name!r}: {problem}" for problem in error.problems]) from None


def space_of(space: object) -> dict[str, Distribution]:
    """A search space, checked.

    :param space: names of hyperparameters to distributions, as :func:`distribution_of` takes them.
    :raises InvalidSpotRequest: it is empty, or a distribution is something else; with all that is wrong.
    """
    if not isinstance(space, Mapping) or not space:
        raise InvalidSpotRequest(
            [
                f"The search space is {space!r}; it takes a dict of at least one hyperparameter to its distribution."
            ]
        )
    problems: list[str] = []
    checked: dict[str, Distribution] = {}
    for name, value in space.items():
        try:
            checked[name] = distribution_of(name, value)
        except InvalidSpotRequest as error:
            problems += error.problems
    if problems:
        raise InvalidSpotRequest(problems)
    return checked


def hyperparameter_grid(
    axes: Mapping[str, Collection[Any]],
    *,
    fixed: Mapping[str, Any] | None = None,
    limit: int = MAX_MAP_LENGTH,
) -> list[Hyperparameters]:
    """Every combination of some values, the last hyperparameter changing fastest.

    :param axes: names of hyperparameters to the values to try.
    :param fixed: hyperparameters that all combinations have besides.
    :param limit: how many combinations there may be: Airflow's ``[core] max_map_length``.
    :raises InvalidSpotRequest: no hyperparameter, no value, a value twice, or more combinations than the limit.
    """
    if not isinstance(axes, Mapping) or not axes:
        raise InvalidSpotRequest(
            [f"The grid is {axes!r}; it takes a dict of at least one hyperparameter to the values to try."]
        )
    _check_fixed(axes, fixed)
    values = {name: _checked_values(f"The values of {name!r}", choices) for name, choices in axes.items()}
    _check_width("grid", math.prod(map(len, values.values())), limit)
    return [
        {**(fixed or {}), **dict(zip(values, combination, strict=True))}
        for combination in itertools.product(*values.values())
    ]


def hyperparameter_samples(
    space: Mapping[str, Any],
    count: int,
    *,
    seed: int,
    method: SamplingMethod = "random",
    fixed: Mapping[str, Any] | None = None,
    limit: int = MAX_MAP_LENGTH,
) -> list[Hyperparameters]:
    """Samples of a search space: always the same for the same seed, since Airflow parses a DAG again and again.

    :param space: names of hyperparameters to distributions, as :func:`distribution_of` takes them.
    :param count: how many samples, 1 or more.
    :param seed: of the random numbers.
    :param method: ``random``; ``latin_hypercube`` or ``sobol`` spread the samples more evenly, and take SciPy (the extra
        ``sampling``).
    :param fixed: hyperparameters that all samples have besides.
    :param limit: how many samples there may be: Airflow's ``[core] max_map_length``.
    :raises InvalidSpotRequest: a space, count, seed or method that there is not, or more samples than the limit.
    """
    checked = space_of(space)
    _check_fixed(checked, fixed)
    for what, number, least in (("count", count, 1), ("seed", seed, 0)):
        if type(number) is not int or number < least:
            raise InvalidSpotRequest([f"{what} is {number!r}; it takes a whole number, {least} or more."])
    _check_width("samples", count, limit)
    if method not in get_args(SamplingMethod):
        raise InvalidSpotRequest([f"method is {method!r}; it takes one of {list(get_args(SamplingMethod))}."])
    return [
        {
            **(fixed or {}),
            **{
                name: distribution.at(share)
                for (name, distribution), share in zip(checked.items(), shares, strict=True)
            },
        }
        for shares in _points(len(checked), count, seed, method)
    ]


def _points(dimensions: int, count: int, seed: int, method: SamplingMethod) -> Iterator[Sequence[float]]:
    """Points of the unit cube."""
    if method == "random":
        numbers = random.Random(seed)
        for _ in range(count):
            yield [numbers.random() for _ in range(dimensions)]
        return
    try:
        from scipy.stats import qmc
    except ImportError:
        raise InvalidSpotRequest(
            [
                f"method is {method!r}, which takes SciPy: install airflow-spot-provider[sampling], or use 'random'."
            ]
        ) from None
    if method == "sobol":
        # Sobol points are balanced in powers of two: so many are made, and the first ones taken.
        yield from qmc.Sobol(dimensions, rng=seed).random_base2(math.ceil(math.log2(count)))[:count].tolist()
    else:
        yield from qmc.LatinHypercube(dimensions, rng=seed).random(count).tolist()


def _check_fixed(searched: Iterable[str], fixed: Mapping[str, Any] | None) -> None:
    if both := sorted(set(searched) & set(fixed or ())):
        raise InvalidSpotRequest([f"{both} are both searched and fixed. Take them out of one of the two."])


def _checked_values(what: str, values: object) -> tuple[Any, ...]:
    if isinstance(values, str | Mapping) or not isinstance(values, Collection):
        raise InvalidSpotRequest([f"{what} are {values!r}; it takes a list of them."])
    if not values:
        raise InvalidSpotRequest([f"{what} are none; it takes at least one."])
    listed = tuple(values)
    if strange := [
        value for value in listed if isinstance(value, bool) or not isinstance(value, str | Real | Decimal)
    ]:
        raise InvalidSpotRequest(
            [
                (
                    f"{what} have {strange} among them; it takes strings and numbers. Write them as the text that the "
                    "training script reads."
                )
            ]
        )
    if len({str(value) for value in listed}) < len(listed):
        raise InvalidSpotRequest([f"{what} are {list(listed)}; each is to be there once."])
    return listed


def _check_bounds(kind: str, low: float, high: float, *, above: float | None = None) -> None:
    for name, bound in (("low", low), ("high", high)):
        if isinstance(bound, bool) or not isinstance(bound, int | float) or not math.isfinite(bound):
            raise InvalidSpotRequest(
                [f"{name} of the {kind} distribution is {bound!r}; it takes a finite number."]
            )
    if low > high:
        raise InvalidSpotRequest(
            [f"low of the {kind} distribution is {low} and high {high}; low may be at most high."]
        )
    if above is not None and low <= above:
        raise InvalidSpotRequest(
            [f"low of the {kind} distribution is {low}; on a logarithmic scale it has to be above {above}."]
        )


def _check_width(what: str, count: int, limit: int) -> None:
    if count > limit:
        raise InvalidSpotRequest(
            [
                (
                    f"The {what} would make {count:,} mapped tasks; Airflow's [core] max_map_length allows {limit:,}. Try fewer "
                    "values, or raise the setting and pass limit=."
                )
            ]
        )
