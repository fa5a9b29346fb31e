"""How far a list is read: no further than it takes, by the order of what was read alone."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_spot_provider.aws.watching.order import PAGE, ListOrder


def _calls(
    jobs: list[float], watched: list[float], order: ListOrder, *, known: bool = True
) -> tuple[int, int]:
    """Look for jobs by the rule.

    :param jobs: CreationTime of all jobs of an account.
    :param watched: those looked for.
    :param known: whether their times are known.
    :return: how many pages were read, and how many jobs are left to be described.
    """
    newest_first = sorted(jobs, reverse=True)
    missing = sorted(watched, reverse=True)
    order.begin()
    pages = 0
    while order.is_worth_reading(
        [each if known else None for each in missing if not (known and order.is_past(each))]
    ):
        page = newest_first[pages * PAGE : (pages + 1) * PAGE]
        pages += 1
        ahead = [each for each in missing if not order.is_past(each)]
        expected = bool(ahead) and (not known or order.expects_on_next_page(ahead[0]))
        order.page(page, found=any(each in page for each in missing), expected=expected)
        missing = [each for each in missing if each not in page]
        if pages * PAGE >= len(jobs):
            break
    return pages, len(missing)


def test_one_job_is_described() -> None:
    assert _calls([float(n) for n in range(1_000)], [999.0], ListOrder()) == (0, 1)


def test_crowd_of_new_jobs_is_found_on_the_first_pages() -> None:
    jobs = [float(n) for n in range(20_000)]

    assert _calls(jobs, jobs[-200:], ListOrder(), known=False) == (2, 0)
    assert _calls(jobs, jobs[-1_000:], ListOrder(), known=False) == (10, 0)


def test_jobs_far_down_are_described_after_a_few_pages_and_at_once_the_next_time() -> None:
    jobs = [float(n) for n in range(20_000)]
    order = ListOrder()

    pages, described = _calls(jobs, jobs[:50], order, known=False)
    assert (pages, described) == (3, 50)
    assert _calls(jobs, jobs[:50], order) == (0, 50)


def test_jobs_among_many_others_are_listed() -> None:
    jobs = [float(n) for n in range(2_200)]

    assert _calls(jobs, jobs[::11], ListOrder(), known=False) == (22, 0)


def test_old_job_under_many_newer_ones_makes_nobody_page_down_to_it() -> None:
    jobs = [float(n) for n in range(20_000)]
    watched = [*jobs[-150:], jobs[0]]
    order = ListOrder()
    _calls(jobs, watched, order)

    assert _calls(jobs, watched, order) == (2, 1)


def test_list_that_never_shows_what_it_should_is_given_up() -> None:
    order = ListOrder()
    order.begin()
    pages = 0
    while order.is_worth_reading([None] * 200):
        order.page([5.0] * PAGE, found=False, expected=True)
        pages += 1
        assert pages < 20
    assert pages == 4


def test_empty_pages_are_read_over_for_a_while() -> None:
    order = ListOrder()
    order.begin()
    assert order.is_worth_reading([None] * 10)
    order.page([], found=False, expected=True)
    assert order.is_worth_reading([None] * 10)
    order.page([], found=False, expected=True)
    assert not order.is_worth_reading([None] * 10)


@given(
    total=st.integers(1, 3_000),
    draws=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=150),
)
def test_no_more_calls_than_the_best_once_the_order_is_known(total: int, draws: list[float]) -> None:
    jobs = [float(n) for n in range(total)]
    watched = sorted({jobs[int(draw * total)] for draw in draws})
    order = ListOrder()
    for _ in range(2):  # the second listing knows what the first one, which knew nothing, has shown
        pages, described = _calls(jobs, watched, order)

    depths = sorted((len(jobs) - 1 - int(each)) // PAGE + 1 for each in watched)
    best = min(depth + sum(other > depth for other in depths) for depth in (0, *depths))
    # What no page has shown yet is taken to be as dense as what was seen.
    assert best <= pages + described <= best + 1


@given(
    total=st.integers(1, 1_000),
    draws=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=150),
    arrivals=st.integers(0, 400),
)
def test_jobs_that_come_in_between_cost_the_pages_that_they_fill_at_most(
    total: int, draws: list[float], arrivals: int
) -> None:
    jobs = [float(n) for n in range(total)]
    watched = sorted({jobs[int(draw * total)] for draw in draws})
    order = ListOrder()
    _calls(jobs, watched, order)
    jobs += [float(total + n) for n in range(arrivals)]

    pages, described = _calls(jobs, watched, order)

    assert pages + described <= len(watched) + 2 * (arrivals // PAGE + 2)


@pytest.mark.parametrize("seconds", [0.0, 0.4, 0.999])
def test_fractions_of_a_second_hide_no_job(seconds: float) -> None:
    order = ListOrder()
    order.begin()
    order.page([100.0, 50.0], found=True, expected=True)

    assert not order.is_past(50.0 + seconds)
    assert order.is_past(51.5)


def test_depth_grows_with_age() -> None:
    order = ListOrder()
    order.begin()
    for page in range(3):
        order.page([1_000.0 - page * 10, 991.0 - page * 10], found=True, expected=True)
    order.begin()

    depths = [order._depth(time) for time in (1_000.0, 985.0, 975.0, 900.0, 0.0)]
    assert depths[:3] == [1, 2, 3]
    assert all(before < after for before, after in pairwise(depths))
