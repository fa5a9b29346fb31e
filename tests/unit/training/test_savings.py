"""SageMaker's savings formula, and sums over jobs."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_spot_provider.training import Savings, savings_percent

SECONDS = st.integers(0, 28 * 86_400)


@pytest.mark.parametrize(
    ("training", "billable", "percent"),
    [
        (500, 100, 80.0),  # the guide's own example
        (500, 500, 0.0),
        (500, 0, 100.0),
        (3_600, 1_080, 70.0),
        (1, 1, 0.0),
        (100, 150, -50.0),
        (28 * 86_400, 86_400, 100 * 27 / 28),
        (2.5, 0.5, 80.0),
    ],
)
def test_savings_formula(training: float, billable: float, percent: float) -> None:
    assert savings_percent(training, billable) == pytest.approx(percent)


@pytest.mark.parametrize(
    ("training", "billable"), [(None, None), (500, None), (None, 100), (0, 0), (0, 100), (-1, 1), (0.0, None)]
)
def test_savings_that_are_not_known_are_none_and_never_zero(
    training: float | None, billable: float | None
) -> None:
    assert savings_percent(training, billable) is None
    assert Savings.of_job(training, billable) == Savings(unknown=1)
    assert Savings.of_job(training, billable).percent is None


@given(SECONDS, SECONDS)
def test_a_job_billed_no_longer_than_it_trained_saves_0_to_100_percent(one: int, other: int) -> None:
    billable, training = sorted((one, other))

    percent = savings_percent(training, billable)

    assert percent is None if training == 0 else 0 <= percent <= 100


def test_sum_weighs_by_instance_count() -> None:
    eight_instances = Savings.of_job(100, 20, 8)
    one_instance = Savings.of_job(100, 100, 1)

    total = Savings.total([eight_instances, one_instance])

    assert total == Savings(900, 260, jobs=2)
    assert total.percent == pytest.approx((1 - 260 / 900) * 100)


def test_sum_is_not_the_mean_of_percentages() -> None:
    total = Savings.of_job(1_000, 100) + Savings.of_job(10, 10)

    assert total.percent == pytest.approx((1 - 110 / 1_010) * 100)


def test_jobs_without_a_figure_are_counted_and_weigh_nothing() -> None:
    total = Savings.total([Savings.of_job(500, 100), Savings.of_job(None, None), Savings.of_job(0, 0)])

    assert total == Savings(500, 100, jobs=1, unknown=2)
    assert total.percent == pytest.approx(80)


def test_sum_of_no_jobs_has_no_percentage() -> None:
    assert Savings.total([]) == Savings()
    assert Savings.total([]).percent is None


@given(
    st.lists(
        st.builds(Savings.of_job, st.none() | SECONDS, st.none() | SECONDS, st.integers(1, 100)), max_size=8
    ),
    st.randoms(),
)
def test_sum_does_not_depend_on_the_order(savings: list[Savings], random: Random) -> None:
    shuffled = list(savings)
    random.shuffle(shuffled)

    total = Savings.total(shuffled)

    assert total == Savings.total(savings)
    assert total.jobs + total.unknown == len(savings)
    assert total.training_instance_seconds == math.fsum(each.training_instance_seconds for each in savings)
