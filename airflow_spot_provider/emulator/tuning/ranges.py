"""The ranges of hyperparameters: a place between 0 and 1 on the range's scale is a value, and a value is a place.

Source: `Define hyperparameter ranges
<https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-define-ranges.html>`_.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_spot_provider.emulator.exceptions import ValidationException

LINEAR, LOGARITHMIC, REVERSE_LOGARITHMIC = "Linear", "Logarithmic", "ReverseLogarithmic"
_WIDE = 100.0
"""A range whose ends are this far apart is searched on a logarithmic scale where the scale is left to SageMaker."""
_AROUND_HINT = 10.0
_ENDS = ("MinValue", "MaxValue")


@dataclass(frozen=True)
class NumericRange:
    """An integer or continuous hyperparameter.

    :param name: of the hyperparameter.
    :param low: its least value.
    :param high: its greatest value.
    :param scaling: ``Linear``, ``Logarithmic`` or ``ReverseLogarithmic``.
    :param integer: whether only whole numbers will do.
    """

    name: str
    low: float
    high: float
    scaling: str
    integer: bool

    def value_at(self, place: float) -> str:
        """The value at a place, as a hyperparameter is written."""
        low, high = self._ends
        value = self._unscaled((1 - place) * self._scaled(low) + place * self._scaled(high))
        if self.integer:
            return str(min(max(round(value), math.ceil(self.low)), math.floor(self.high)))
        return repr(min(max(value, self.low), self.high))

    def place_of(self, text: str) -> float | None:
        """The place of a value; None if the range does not have it."""
        try:
            value = float(text.strip('"'))
        except ValueError:
            return None
        if not self.low <= value <= self.high:
            return None
        low, high = (self._scaled(end) for end in self._ends)
        return (self._scaled(value) - low) / (high - low) if high > low else 0.0

    @property
    def _ends(self) -> tuple[float, float]:
        """The ends of the scale: each whole number has the same room around it, the first and the last too."""
        return (self.low - 0.5, self.high + 0.5) if self.integer else (self.low, self.high)

    def _scaled(self, value: float) -> float:
        match self.scaling:
            case "Logarithmic":
                return math.log(value)
            case "ReverseLogarithmic":
                return -math.log1p(-value)
        return value

    def _unscaled(self, scaled: float) -> float:
        match self.scaling:
            case "Logarithmic":
                return math.exp(scaled)
            case "ReverseLogarithmic":
                return -math.expm1(-scaled)
        return scaled


@dataclass(frozen=True)
class CategoricalRange:
    """A hyperparameter that takes one of some values.

    :param name: of the hyperparameter.
    :param values: all that it takes.
    """

    name: str
    values: tuple[str, ...]

    def value_at(self, place: float) -> str:
        """The value at a place."""
        return self.values[min(int(place * len(self.values)), len(self.values) - 1)]


Range = NumericRange | CategoricalRange


def ranges_of(parameter_ranges: Mapping[str, Any]) -> tuple[Range, ...]:
    """The ranges of a request's ParameterRanges, in the order of their kinds.

    :param parameter_ranges: the structure ParameterRanges.
    :raises ValidationException: a range has no values, or none on its scale.
    """
    ranges: list[Range] = [
        _numeric(entry, integer=integer)
        for kind, integer in (("IntegerParameterRanges", True), ("ContinuousParameterRanges", False))
        for entry in parameter_ranges.get(kind) or ()
    ]
    ranges += [
        CategoricalRange(entry["Name"], tuple(dict.fromkeys(entry["Values"])))
        for entry in parameter_ranges.get("CategoricalParameterRanges") or ()
    ]
    ranges += [_around(entry) for entry in parameter_ranges.get("AutoParameters") or ()]
    return tuple(ranges)


def _numeric(entry: Mapping[str, Any], *, integer: bool) -> NumericRange:
    name, scaling = entry["Name"], entry.get("ScalingType") or "Auto"
    kind = "IntegerParameterRanges" if integer else "ContinuousParameterRanges"
    low, high = (_number(entry[end], f"{kind}: the {end} of {name}", integer=integer) for end in _ENDS)
    if low > high:
        raise ValidationException(
            f"{kind}: the MinValue of {name} ({low:g}) is above its MaxValue ({high:g})"
        )
    if not math.isfinite(high - low):
        raise ValidationException(
            f"{kind}: the range of {name} is too wide to be searched; bring its ends nearer"
        )
    if scaling == LOGARITHMIC and low <= 0:
        raise ValidationException(
            f"{kind}: the ScalingType Logarithmic of {name} needs a MinValue greater than 0; it is {low:g}"
        )
    if scaling == REVERSE_LOGARITHMIC and (integer or low < 0 or high >= 1):
        raise ValidationException(
            f"{kind}: the ScalingType ReverseLogarithmic of {name} needs a continuous range within 0<=x<1.0"
        )
    if scaling == "Auto":
        scaling = LOGARITHMIC if low > 0 and high / low >= _WIDE else LINEAR
    return NumericRange(name, low, high, scaling, integer)


def _number(text: str, what: str, *, integer: bool) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or (integer and number != int(number)):
        raise ValidationException(f"{what} is '{text}', and no {'whole ' if integer else ''}number")
    return number


def _around(entry: Mapping[str, Any]) -> Range:
    """The range of an automatic hyperparameter: an order of magnitude around its example, or the example alone."""
    name, hint = entry["Name"], entry["ValueHint"]
    try:
        number = float(hint)
    except ValueError:
        return CategoricalRange(name, (hint,))
    low, high = sorted((number / _AROUND_HINT, number * _AROUND_HINT))
    if not math.isfinite(high - low) or low == high:
        return CategoricalRange(name, (hint,))
    integer = number == int(number) and "." not in hint
    if integer:
        low, high = float(math.ceil(low)), float(math.floor(high))
    return NumericRange(name, low, high, LOGARITHMIC if low > 0 else LINEAR, integer)
