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
