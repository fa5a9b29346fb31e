"""Settings that make no sense are refused before anything starts."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.emulator.settings import Settings


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"speed": 0}, "speed is 0; it takes a number above 0"),
        ({"speed": float("nan")}, "speed is nan"),
        ({"port": 99_999}, "port is 99999; it takes a number from 0 to 65535"),
        ({"lifecycle": "nope"}, "no lifecycle 'nope'; choose one of uninterrupted"),
        ({"lifecycle": "trace"}, "lifecycle trace needs a market file"),
        ({"clock": "sundial"}, "clock is 'sundial'; it takes running or stepped"),
        ({"clock": "stepped", "speed": 60}, "nothing to a stepped clock"),
        ({"list": "filtered"}, "list is 'filtered'; it takes cut-first or filter-first"),
        ({"grace_seconds": -1}, "grace_seconds is -1"),
        ({"start": datetime(2026, 1, 1)}, "give it with a time zone"),  # noqa: DTZ001 - that is what is wrong
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Settings(**settings)


def test_jobs_compete_on_a_market_that_was_given_unless_told_otherwise() -> None:
    assert Settings().default_lifecycle == "uninterrupted"
    assert Settings(market=Path("market.json")).default_lifecycle == "market"
    assert Settings(market=Path("market.json"), lifecycle="failed").default_lifecycle == "failed"
