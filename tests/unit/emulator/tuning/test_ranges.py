"""Ranges of hyperparameters."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_spot_provider.emulator.exceptions import ValidationException
from airflow_spot_provider.emulator.tuning.ranges import CategoricalRange, NumericRange, ranges_of


def _range(kind: str, low: str, high: str, scaling: str | None = None) -> Any:
    entry = {"Name": "x", "MinValue": low, "MaxValue": high, **({"ScalingType": scaling} if scaling else {})}
    return ranges_of({f"{kind}ParameterRanges": [entry]})[0]


@given(
    place=st.floats(0, 1),
    kind=st.sampled_from(
        [
            ("Integer", "1", "1000", "Logarithmic"),
            ("Integer", "-5", "5", "Linear"),
            ("Integer", "3", "3", "Auto"),
            ("Continuous", "0.0001", "0.1", "Logarithmic"),
            ("Continuous", "0", "0.999", "ReverseLogarithmic"),
            ("Continuous", "-1e3", "1e3", "Linear"),
            ("Continuous", "2", "2", "Auto"),
        ]
    ),
)
def test_every_place_is_a_value_in_the_range_whose_place_is_the_same(
    place: float, kind: tuple[str, str, str, str]
) -> None:
    found = _range(*kind)
    value = found.value_at(place)
    assert found.low <= float(value) <= found.high
    again = float(found.value_at(found.place_of(value)))
    assert again == pytest.approx(float(value), rel=1e-6, abs=1e-9)


def test_the_middle_of_a_logarithmic_scale_is_the_geometric_mean() -> None:
    assert float(_range("Continuous", "0.0001", "1", "Logarithmic").value_at(0.5)) == pytest.approx(0.01)
    assert float(_range("Continuous", "0", "0.99", "ReverseLogarithmic").value_at(0.5)) == pytest.approx(0.9)
    assert float(_range("Continuous", "0", "1", "Linear").value_at(0.5)) == 0.5


def test_automatic_scaling_is_logarithmic_where_the_ends_are_far_apart() -> None:
    assert _range("Continuous", "0.0001", "0.1").scaling == "Logarithmic"
    assert _range("Continuous", "1", "10").scaling == "Linear"
    assert _range("Continuous", "0", "1000").scaling == "Linear"


def test_whole_numbers_have_the_same_share_each() -> None:
    found = _range("Integer", "1", "4", "Linear")
    values = [found.value_at((place + 0.5) / 400) for place in range(400)]
    assert {value: values.count(value) for value in "1234"} == dict.fromkeys("1234", 100)


def test_a_value_outside_the_range_has_no_place() -> None:
    found = _range("Continuous", "0", "1")
    assert found.place_of("2") is None
    assert found.place_of("relu") is None


def test_categorical_values_are_taken_once_each() -> None:
    found = ranges_of({"CategoricalParameterRanges": [{"Name": "c", "Values": ["a", "b", "a"]}]})[0]
    assert found == CategoricalRange("c", ("a", "b"))
    assert [found.value_at(place) for place in (0.0, 0.4, 0.6, 1.0)] == ["a", "a", "b", "b"]


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        ("relu", CategoricalRange("h", ("relu",))),
        ("0", CategoricalRange("h", ("0",))),
        ("0.01", NumericRange("h", 0.001, 0.1, "Logarithmic", integer=False)),
        ("1e400", CategoricalRange("h", ("1e400",))),
        ("64", NumericRange("h", 7.0, 640.0, "Logarithmic", integer=True)),
        ("-2.0", NumericRange("h", -20.0, -0.2, "Linear", integer=False)),
    ],
)
def test_an_automatic_hyperparameter_is_searched_around_its_hint(hint: str, expected: Any) -> None:
    assert ranges_of({"AutoParameters": [{"Name": "h", "ValueHint": hint}]}) == (expected,)


@pytest.mark.parametrize(
    ("kind", "low", "high", "scaling", "says"),
    [
        ("Integer", "1.5", "3", None, "no whole number"),
        ("Integer", "5", "3", None, "above its MaxValue"),
        ("Continuous", "nan", "3", None, "no number"),
        ("Continuous", "a", "3", None, "no number"),
        ("Continuous", "-1e308", "1e308", None, "too wide"),
        ("Continuous", "0", "3", "Logarithmic", "greater than 0"),
        ("Continuous", "0", "1", "ReverseLogarithmic", "0<=x<1.0"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(
    kind: str, low: str, high: str, scaling: str | None, says: str
) -> None:
    with pytest.raises(ValidationException, match=says):
        _range(kind, low, high, scaling)
