"""The clocks of the emulator."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from airflow_spot_provider.emulator.clock import RunningClock, SteppedClock

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_stepped_clock_runs_events_at_their_own_time_and_in_order() -> None:
    clock = SteppedClock(START)
    seen: list[tuple[str, float]] = []

    def _note(name: str) -> None:
        seen.append((name, (clock.now() - START).total_seconds()))

    def _first() -> None:
        _note("first")
        clock.call_later(1, lambda: _note("in between"))

    clock.call_later(5, lambda: _note("last"))
    clock.call_later(2, _first)
    clock.call_later(2, lambda: _note("second"))
    clock.call_later(60, lambda: _note("too late"))
    clock.advance(timedelta(seconds=10))
    assert seen == [("first", 2), ("second", 2), ("in between", 3), ("last", 5)]
    assert clock.now() == START + timedelta(seconds=10)


def test_event_in_the_past_runs_at_once_and_time_never_goes_back() -> None:
    clock = SteppedClock(START)
    clock.advance(timedelta(seconds=10))
    seen: list[datetime] = []
    clock.call_at(START, lambda: seen.append(clock.now()))
    clock.advance(timedelta(0))
    assert seen == [START + timedelta(seconds=10)]


def test_running_clock_runs_fast_and_in_order() -> None:
    clock = RunningClock(speed=36_000, start=START)
    done = threading.Event()
    seen: list[str] = []
    try:
        clock.call_later(3600, lambda: (seen.append("later"), done.set()))
        clock.call_later(1800, lambda: seen.append("sooner"))
        assert done.wait(30)
        assert clock.now() >= START + timedelta(hours=1)
    finally:
        clock.stop()
    assert seen == ["sooner", "later"]


def test_events_that_come_late_are_in_order_and_see_their_own_time() -> None:
    clock = RunningClock(speed=36_000, start=START)
    done, seen = threading.Event(), []

    def _note(name: str) -> None:
        seen.append((name, (clock.now() - START).total_seconds()))

    def _wait_and_go_on() -> None:
        while not hours.wait(0.01):  # what a busy machine does to it
            pass
        _note("late")
        clock.call_later(60, lambda: _note("follows"))

    hours = threading.Event()
    try:
        clock.call_at(START + timedelta(days=1), lambda: (_note("deadline"), done.set()))
        clock.call_at(START + timedelta(hours=20), _wait_and_go_on)
        while clock.now() < START + timedelta(days=2):
            pass
        hours.set()
        assert done.wait(30)
        assert clock.now() >= START + timedelta(days=2)
    finally:
        clock.stop()
    hour = 3600
    assert seen == [("late", 20 * hour), ("follows", 20 * hour + 60), ("deadline", 24 * hour)]


def test_event_of_a_time_that_is_past_sees_no_time_before_it_was_asked_for() -> None:
    clock = RunningClock(speed=36_000, start=START)
    done, seen = threading.Event(), []
    try:
        while (asked := clock.now()) < START + timedelta(hours=1):
            pass
        clock.call_at(START, lambda: (seen.append(clock.now()), done.set()))
        assert done.wait(30)
    finally:
        clock.stop()
    assert seen[0] >= asked


def test_event_that_fails_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    clock = RunningClock(speed=1000)
    done = threading.Event()
    try:
        clock.call_later(0, lambda: 1 / 0)
        clock.call_later(1, done.set)
        assert done.wait(30)
    finally:
        clock.stop()
    assert "An event of the emulator failed" in caplog.text


def test_stopped_clock_runs_nothing_more() -> None:
    clock = RunningClock(speed=1)
    seen: list[str] = []
    clock.call_later(3600, lambda: seen.append("late"))
    clock.stop()
    assert seen == []
