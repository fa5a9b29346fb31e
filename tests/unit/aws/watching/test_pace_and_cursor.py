"""When to look next, and since when to ask: rules without I/O, on a clock that the test holds."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from airflow_spot_provider.aws.watching.cursor import OVERLAP_SECONDS, Cursor
from airflow_spot_provider.aws.watching.events import checked_region, queue_of_host
from airflow_spot_provider.aws.watching.pace import Durations, Pace

NEWEST = 1_700_000_000


def _pace(*intervals: float) -> Pace:
    pace = Pace(random.Random(1))
    for interval in intervals:
        pace.joined(interval, 0.0)
    return pace


def test_looks_are_quick_after_a_submit_and_slow_when_nothing_happens() -> None:
    pace = _pace(10)

    assert pace.delay(1) <= 5
    assert 9 <= pace.delay(100) <= 10
    assert 15 < pace.delay(1_000) <= 17.5


def test_shortest_promise_sets_the_pace_as_long_as_someone_holds_it() -> None:
    pace = _pace(60, 5)
    assert pace.delay(50) <= 5

    pace.left(5)
    assert pace.delay(400) > 50


def test_looks_are_quick_around_an_expected_end_and_none_sleeps_past_it() -> None:
    pace = _pace(10)
    pace.expect_end(1_000)

    assert pace.delay(970) <= 10
    assert pace.delay(995) <= 5
    assert pace.delay(1_015) <= 5
    assert pace.delay(1_030) > 15


def test_news_end_the_slow_pace() -> None:
    pace = _pace(10)
    pace.news(1_000)

    assert pace.delay(1_001) <= 10


def test_polling_is_a_slow_safety_net_while_events_arrive() -> None:
    pace = _pace(10)
    pace.events_arrive = True

    assert 90 <= pace.delay(1) <= 100


def test_usual_duration_of_a_group_is_learnt_from_its_runs() -> None:
    durations = Durations()
    assert durations.expected("dag/task") is None

    for seconds in (100, 300, 200):
        durations.took("dag/task", seconds)

    assert durations.expected("dag/task") == 200
    assert durations.expected(None) is None


def test_groups_that_are_not_seen_any_more_are_forgotten() -> None:
    durations = Durations()
    for number in range(1_100):
        for _ in range(3):
            durations.took(f"group-{number}", 1)

    assert durations.expected("group-0") is None
    assert durations.expected("group-1099") == 1


def test_nothing_is_known_before_the_server_has_told_a_time() -> None:
    assert Cursor().since(0) is None


def test_what_came_shortly_before_the_newest_change_is_asked_for_again() -> None:
    cursor = Cursor()
    cursor.saw(NEWEST, 100)

    assert cursor.since(101) == _time(NEWEST) - timedelta(seconds=OVERLAP_SECONDS)


def test_overlap_ends_when_no_late_change_can_turn_up_any_more() -> None:
    cursor = Cursor()
    cursor.saw(NEWEST, 100)

    since = cursor.since(100 + OVERLAP_SECONDS)
    assert since is not None
    assert _time(NEWEST) - timedelta(seconds=1) < since < _time(NEWEST)


def test_second_in_which_very_many_changed_is_not_listed_for_ever() -> None:
    cursor = Cursor()
    for _ in range(1_000):
        cursor.saw(NEWEST, 100)

    assert cursor.since(200) == _time(NEWEST + 1)


def test_older_times_do_not_move_it_back_unless_a_change_was_missed() -> None:
    cursor = Cursor()
    cursor.saw(NEWEST, 100)
    cursor.saw(NEWEST - 500, 101)
    cursor.saw(None, 101)
    assert cursor.since(102) == _time(NEWEST) - timedelta(seconds=OVERLAP_SECONDS)

    cursor.missed(NEWEST - 500)
    assert cursor.since(102) == _time(NEWEST - 500) - timedelta(seconds=OVERLAP_SECONDS)


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)


@pytest.mark.parametrize(
    ("setting", "host", "queue"),
    [
        ("events", "anything", "events"),
        ("events-{ordinal}", "airflow-triggerer-12", "events-12"),
        ("events-{ordinal}", "airflow-triggerer-0.airflow.svc.cluster.local", "events-0"),
    ],
)
def test_queue_is_the_triggerers_own(setting: str, host: str, queue: str) -> None:
    assert queue_of_host(setting, host) == queue


def test_host_without_a_number_has_no_numbered_queue() -> None:
    with pytest.raises(ValueError, match="'laptop' has none"):
        queue_of_host("events-{ordinal}", "laptop")


@pytest.mark.parametrize(
    "queue",
    [
        "events",
        "https://sqs.eu-west-1.amazonaws.com/123456789012/events",
        "https://queue.amazonaws.com/123456789012/events",
        "http://127.0.0.1:5000/123456789012/events",
    ],
)
def test_queue_of_the_jobs_region_is_taken(queue: str) -> None:
    assert checked_region(queue, "eu-west-1") == queue


def test_queue_of_another_region_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match="events setup --region eu-west-1"):
        checked_region("https://sqs.us-east-1.amazonaws.com/123456789012/events", "eu-west-1")
