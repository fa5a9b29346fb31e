"""Market files."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.emulator.market.settings import read_market

TRACE = {"metadata": {"gap_seconds": 300}, "data": [0, 1, 1, 0]}


def _written(folder: Path, content: Any) -> Path:
    path = folder / "market.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_bare_trace_is_the_market_of_every_pool(tmp_path: Path) -> None:
    source = read_market(_written(tmp_path, TRACE)).source("ml.p3.2xlarge", "b")
    changes = source.changes(random.Random(0))
    assert list(itertools.islice(changes, 3)) == [(0, 0), (300, 1), (900, 0)]


def test_first_pool_that_fits_says_where_capacity_comes_from(tmp_path: Path) -> None:
    (tmp_path / "trace.json").write_text(json.dumps(TRACE))
    market = read_market(
        _written(
            tmp_path,
            {
                "zones": ["a", "b"],
                "pools": [
                    {"instance_type": "ml.p3.*", "zone": "a", "trace": "trace.json"},
                    {"instance_type": "ml.p3.*", "script": [[0, 3], [60, 0]]},
                    {"instance_type": "ml.m5.large", "capacity": 2},
                ],
                "default": {"preset": "scarce", "capacity": 8},
                "on_demand": [
                    {"instance_type": "ml.p4d.*", "capacity": 0, "capacity_error_after_seconds": 60}
                ],
                "quotas": {"ml.m5.large for spot training job usage": 4},
            },
        )
    )

    def _capacity(instance_type: str, zone: str) -> list[tuple[float, int]]:
        return list(itertools.islice(market.source(instance_type, zone).changes(random.Random(0)), 2))

    assert _capacity("ml.p3.2xlarge", "a") == [(0, 0), (300, 1)]
    assert _capacity("ml.p3.2xlarge", "b") == [(0, 3), (60, 0)]
    assert _capacity("ml.m5.large", "a") == [(0, 2)]
    assert _capacity("ml.c5.large", "a")[0] == (0, 8)
    assert market.on_demand_of("ml.p4d.24xlarge") is not None
    assert market.on_demand_of("ml.m5.large") is None


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "is no JSON: Expecting property name"),
        ("[]", r"holds \[\]; a market is a JSON object"),
        ({"pool": []}, "pool: Extra inputs are not permitted"),
        (
            {"default": {}},
            "default: Value error, give exactly one of random, preset, trace, script or capacity",
        ),
        ({"default": {"preset": "scarce", "script": [[0, 1]]}}, "found .'preset', 'script'."),
        ({"default": {"capacity": 1, "script": [[0, 1]]}}, "capacity goes with preset or stands alone"),
        ({"default": {"capacity": -1}}, r"default.capacity: .* \(given: -1\)"),
        ({"default": {"script": [[60, 1], [0, 2]]}}, "have to ascend"),
        ({"default": {"random": {"interruptions_per_hour": 0}}}, "default.random.interruptions_per_hour"),
        ({"pools": [{"trace": {"metadata": {}, "data": [1]}}]}, "pools.0.trace.gap_seconds"),
        ({"pools": [{"trace": {"metadata": {"gap_seconds": 1}, "data": []}}]}, "pools.0.trace.data"),
        ({"metadata": {"gap_seconds": -1}, "data": [1]}, "default.trace.gap_seconds"),
        ({"metadata": {"gap_seconds": 1}, "data": [1, "x"]}, r"default.trace.data.1: .* \(given: \"x\"\)"),
        ({"zones": []}, "zones"),
        ({"zones": ["us-east-1a"]}, "zones.0"),
        ({"pools": [{"trace": "nothing.json"}]}, "nothing.json cannot be read"),
        ({"quotas": {"x": -1}}, "quotas.x"),
        ({"unavailable": [{"region": "eu-*"}]}, "unavailable.0.instance_type: Field required"),
        ({"unavailable": {"ml.p5.*": "eu-*"}}, "unavailable"),
        ({"on_demand": [{"instance_type": "ml.m5.large"}]}, "on_demand.0.capacity: Field required"),
    ],
)
def test_market_that_makes_no_sense_is_an_error_with_the_place(
    tmp_path: Path, content: Any, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        read_market(_written(tmp_path, content))
