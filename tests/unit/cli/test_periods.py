"""``--since``."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta

import pytest

from airflow_spot_provider.cli.periods import since


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("30m", timedelta(minutes=30)),
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
        ("4w", timedelta(weeks=4)),
    ],
)
def test_a_span_is_counted_back_from_now(text: str, span: timedelta) -> None:
    before, time, after = datetime.now(UTC), since(text), datetime.now(UTC)
    assert before - span <= time <= after - span


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05+02:00", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
    ],
)
def test_a_date_is_in_utc_unless_it_says_otherwise(text: str, time: datetime) -> None:
    assert since(text) == time


@pytest.mark.parametrize(
    "text",
    ["", "30", "d", "-1d", "1y", "1.5h", "yesterday", "30 d", "٣d", "9" * 30 + "d", "2026-13-01", "\x1b[2J"],
)
def test_what_is_no_time_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="it takes a span such as 30m, 12h, 30d or 4w"):
        since(text)


@pytest.mark.parametrize(
    "text", ["0d", "0m", "9999-01-01", "1970-01-01", "99999d", "999999999w", "0001-01-01T00:00+14:00"]
)
def test_what_is_no_past_of_ours_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="it takes"):
        since(text)
