"""Metric curves: found, merged, and small enough for an XCom."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_spot_provider.training.metric_curves import (
    MOST_BYTES,
    MOST_METRICS,
    MOST_POINTS,
    definitions_of,
    merged,
    newest_of,
    points_of,
    thinned,
)
from airflow_spot_provider.training.result import iso
from tests.builders import CREATED

EPOCH = 1_772_366_400_000
"""Milliseconds of CREATED."""
LOSS = r"loss=(\S+)"


def _at(seconds: float) -> str:
    return f"2026-03-01T12:{int(seconds) // 60:02}:{int(seconds) % 60:02}.000+00:00"


def _curve(*seconds: float) -> list[list[Any]]:
    return [[_at(each), each] for each in seconds]


def test_what_was_found_is_a_point_at_the_time_of_its_line() -> None:
    assert CREATED.timestamp() * 1000 == EPOCH

    points = points_of([(EPOCH, "0.5"), (EPOCH, "0.25"), (EPOCH + 2000, "1e-3")])

    assert points == [[iso(CREATED), 0.5], [iso(CREATED), 0.25], ["2026-03-01T12:00:02.000+00:00", 0.001]]


@pytest.mark.parametrize("said", ["nan", "inf", "-inf", "high", ""])
def test_what_is_no_finite_number_is_no_point(said: str) -> None:
    assert points_of([(EPOCH, said)]) == []


def test_numbers_keep_seven_digits() -> None:
    assert points_of([(EPOCH, "0.123456789012345")]) == [[iso(CREATED), 0.1234568]]


def test_definitions_are_read_from_a_description_whatever_is_in_it() -> None:
    definitions = [{"Name": "loss", "Regex": LOSS}, {"Name": "bad"}, "odd", {"Regex": "x"}]

    assert definitions_of({"AlgorithmSpecification": {"MetricDefinitions": definitions}}) == {"loss": LOSS}
    assert definitions_of({"AlgorithmSpecification": None}) == definitions_of({}) == {}


def test_restarts_are_one_curve_in_order_of_time_each_point_once() -> None:
    before = {"loss": _curve(10, 20), "acc": _curve(5)}
    curves = merged(before, {"loss": [*_curve(20, 30), *_curve(0)], "new": _curve(7)})

    assert curves == {"loss": _curve(0, 10, 20, 30), "acc": _curve(5), "new": _curve(7)}
    assert newest_of(curves) == {"loss": 30, "acc": 5, "new": 7}


def test_newest_values_are_few_and_small() -> None:
    curves = {"x" * 1_000: _curve(1), **{str(number): _curve(number) for number in range(12)}}

    assert newest_of(curves) == {str(number): number for number in range(9)}


def test_points_from_before_the_job_are_another_jobs() -> None:
    assert merged({"loss": _curve(1, 2), "old": _curve(3)}, {"loss": _curve(60)}, since=_at(50)) == {
        "loss": _curve(60)
    }


@pytest.mark.parametrize(
    "published",
    [
        None,
        "text",
        [1],
        {"loss": None},
        {"loss": "text"},
        {"loss": [1, None, [1], ["2026", 1, 2]]},
        {"loss": [["yesterday", 1.0], ["2026-03-01T12:00:00", 1.0], [5, 1.0]]},
        {"loss": [[_at(1), "x"], [_at(1), True], [_at(1), float("nan")], [_at(1), None]]},
    ],
)
def test_what_somebody_else_published_is_left_out(published: object) -> None:
    assert merged(published, {"loss": _curve(3)}) == {"loss": _curve(3)}


def test_thousands_of_points_become_a_hundred_spread_evenly() -> None:
    lines = [(EPOCH + 1000 * second, str(second)) for second in range(3_000)]

    [kept] = merged(None, {"loss": points_of(lines)}).values()

    values = [value for _, value in kept]
    assert len(kept) == MOST_POINTS
    assert (values[0], values[-1]) == (0, 2_999)
    gaps = [later - earlier for earlier, later in pairwise(values)]
    assert max(gaps) <= 3 * min(gaps)


def test_curve_that_is_read_bit_by_bit_keeps_its_beginning() -> None:
    curves: Any = None
    for part in range(20):
        lines = [(EPOCH + 1000 * second, str(second)) for second in range(150 * part, 150 * part + 150)]
        curves = merged(curves, {"loss": points_of(lines)})

    values = [value for _, value in curves["loss"]]
    assert len(values) == MOST_POINTS
    halves = [sum(value < 1_500 for value in values), sum(value >= 1_500 for value in values)]
    assert min(halves) >= 25


def test_points_of_one_moment_are_thinned_too() -> None:
    lines = [(EPOCH, str(number)) for number in range(1_000)]

    [kept] = merged(None, {"loss": points_of(lines)}).values()

    assert 2 <= len(kept) <= MOST_POINTS


def test_many_long_named_metrics_fit_into_an_xcom() -> None:
    curves = {f"ä{number}-{'x' * 150}": _curve(*range(60)) for number in range(MOST_METRICS + 10)}

    kept = thinned(curves)

    assert len(json.dumps(kept)) <= MOST_BYTES
    assert 0 < len(kept) < MOST_METRICS
    assert all(points[0] == _curve(0)[0] and points[-1] == _curve(59)[0] for points in kept.values())


@given(
    st.dictionaries(
        st.text(max_size=30),
        st.lists(st.tuples(st.integers(0, 3_000), st.floats(allow_nan=False, allow_infinity=False))),
        max_size=5,
    )
)
def test_any_points_become_curves_that_are_small_ordered_and_merge_to_themselves(
    found: dict[str, list[tuple[int, float]]],
) -> None:
    curves = merged(
        None, {name: [[_at(at), value] for at, value in points] for name, points in found.items()}
    )

    assert len(json.dumps(curves)) <= MOST_BYTES
    assert all(points == sorted(points) and 0 < len(points) <= MOST_POINTS for points in curves.values())
    assert merged(json.loads(json.dumps(curves)), {}) == curves
    assert "\\u0000" not in json.dumps(curves)
