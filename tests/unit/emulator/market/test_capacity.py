"""Series of spot capacity."""

from __future__ import annotations

import itertools
import random
import statistics

import pytest

from airflow_spot_provider.emulator.market import capacity
from airflow_spot_provider.emulator.market.capacity import PRESETS, Changes

HOURS = 3600.0


def _stays(changes: Changes, count: int) -> tuple[list[float], list[float]]:
    """Hours of availability, and of outages."""
    entries = list(itertools.islice(changes, count))
    lengths = [(later[0] - earlier[0]) / HOURS for earlier, later in itertools.pairwise(entries)]
    there = [bool(entry[1]) for entry in entries]
    return (
        [hours for hours, up in zip(lengths, there, strict=False) if up],
        [hours for hours, up in zip(lengths, there, strict=False) if not up],
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_has_the_life_and_outage_times_that_it_is_named_for(preset: str) -> None:
    wanted = PRESETS[preset]
    life, outage = _stays(wanted.changes(random.Random(1), 4), 40_000)
    assert statistics.median(life) == pytest.approx(wanted.life.median_hours, rel=0.1)
    assert statistics.median(outage) == pytest.approx(wanted.outage.median_hours, rel=0.1)
    assert statistics.mean(life) == pytest.approx(wanted.life.mean_hours, rel=0.25)
    assert max(outage) <= 98
    assert max(life) > 20 * statistics.median(life)
    assert 0.09 < len(life) / sum(life) < 1.7


def test_random_capacity_has_the_rate_and_the_mean_outage_asked_for() -> None:
    changes = capacity.on_and_off(
        random.Random(1), interruptions_per_hour=2.0, mean_outage_seconds=600, capacity=3
    )
    life, outage = _stays(changes, 20_000)
    assert statistics.mean(life) == pytest.approx(0.5, rel=0.05)
    assert statistics.mean(outage) == pytest.approx(1 / 6, rel=0.05)


def test_same_seed_gives_the_same_series() -> None:
    def _first(seed: int) -> list[tuple[float, int]]:
        return list(itertools.islice(PRESETS["scarce"].changes(random.Random(seed), 4), 50))

    assert _first(1) == _first(1) != _first(2)


def test_trace_is_replayed_from_its_place_and_begins_again_at_its_end() -> None:
    changes = capacity.replayed([0, 2, 2, 1], gap_seconds=10, start_seconds=10)
    assert list(itertools.islice(changes, 5)) == [(0, 2), (20, 1), (30, 0), (40, 2), (60, 1)]


def test_trace_without_a_change_ends() -> None:
    assert list(capacity.replayed([3, 3, 3], gap_seconds=10)) == [(0, 3)]


def test_script_has_no_capacity_before_its_first_step() -> None:
    assert list(capacity.scripted([(60, 2), (90, 0)])) == [(0, 0), (60, 2), (90, 0)]
    assert list(capacity.scripted([(0, 2)])) == [(0, 2)]
    assert list(capacity.scripted([])) == [(0, 0)]
