"""What a watcher's clients read of an answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore import utils
from hypothesis import given
from hypothesis import strategies as st

from airflow_spot_provider.aws.watching.model import parse_timestamp


@given(st.one_of(st.integers(0, 2**33), st.floats(0, 2**33)))
def test_seconds_are_the_moment_that_botocore_reads(seconds: float) -> None:
    read = parse_timestamp(seconds)

    assert read == utils.parse_timestamp(seconds)
    assert read.tzinfo is UTC


@pytest.mark.parametrize("text", ["2026-11-27T10:00:00Z", "Fri, 27 Nov 2026 10:00:00 GMT", "1795773600"])
def test_texts_are_read_too(text: str) -> None:
    assert parse_timestamp(text) == datetime(2026, 11, 27, 10, tzinfo=UTC)


@pytest.mark.parametrize("nothing", [None, "soon", {}])
def test_what_is_no_time_is_refused(nothing: Any) -> None:
    with pytest.raises(ValueError, match="Invalid timestamp"):
        parse_timestamp(nothing)
