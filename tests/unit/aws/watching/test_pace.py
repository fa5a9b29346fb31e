"""How long until the next look, and which queue is whose: rules without I/O."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_spot_provider.aws.watching.events import checked_region, queue_of_host
from airflow_spot_provider.aws.watching.pace import seconds_to_next_look


@pytest.mark.parametrize(
    ("age", "quiet_for", "events_arrive", "seconds"),
    [
        (0.0, 0.0, False, 5.0),
        (39.0, 0.0, False, 5.0),
        (41.0, 0.0, False, 10.0),
        (1e6, 199.0, False, 10.0),
        (1e6, 201.0, False, 15.0),
        (0.0, 0.0, True, 100.0),
    ],
    ids=["new", "still young", "no longer young", "news lately", "quiet", "events arrive"],
)
def test_looks_are_quick_after_a_submit_slow_in_quiet_and_rare_with_events(
    age: float, quiet_for: float, events_arrive: bool, seconds: float
) -> None:
    assert seconds_to_next_look(10.0, age=age, quiet_for=quiet_for, events_arrive=events_arrive) == seconds


@given(interval=st.floats(1.0, 86_400.0), age=st.floats(0.0, 1e7), quiet_for=st.floats(0.0, 1e7))
def test_change_is_seen_within_two_intervals_at_any_pace(
    interval: float, age: float, quiet_for: float
) -> None:
    seconds = seconds_to_next_look(interval, age=age, quiet_for=quiet_for, events_arrive=False)

    assert min(interval, 1.0) <= seconds <= 1.5 * interval


@given(interval=st.floats(1.0, 86_400.0))
def test_safety_net_is_spread_within_five_minutes_or_the_interval(interval: float) -> None:
    seconds = seconds_to_next_look(interval, age=0.0, quiet_for=0.0, events_arrive=True)

    assert seconds <= max(300.0, interval)


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
