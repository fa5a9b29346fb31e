"""Names, values and XComs that mean harm, or are none of ours, do none: the pages stay up and show text as text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from airflow_spot_provider.emulator import SageMakerEmulator
from tests.ui.chromium import PATIENCE, row_of
from tests.ui.served import ServedAirflow

pytestmark = pytest.mark.ui

SCRIPT = "<script>window.taken = 1</script>"
IMAGE = "<img src=x onerror='window.taken = 1'>"
BREAKOUT = "\"'></td><svg onload=window.taken=1>{{7*7}}${7*7}javascript:window.taken=1"
HOSTILE = f"{SCRIPT}{IMAGE}{BREAKOUT}"
NOW = datetime.now(UTC)


def _ago(**since: float) -> str:
    return (NOW - timedelta(**since)).strftime("%Y-%m-%dT%H:%M:%SZ")


HOSTILE_TIMELINE = [["Starting", _ago(minutes=50), _ago(minutes=40)], [HOSTILE, _ago(minutes=40), None]]
HOSTILE_PROGRESS = {
    "kind": "training",
    "job_name": HOSTILE,
    "status": HOSTILE,
    "phase": "training",
    "since": _ago(minutes=40),
    "created": _ago(minutes=50),
    "instance_type": HOSTILE,
    "region": "javascript:window.taken=1",
    "note": HOSTILE,
    "failure_reason": HOSTILE,
    "checkpoint_s3_uri": f"s3://{HOSTILE}",
    "metrics": {HOSTILE: 0.5},
    "timeline": HOSTILE_TIMELINE,
    "next_rung": HOSTILE,
    "price_date": HOSTILE,
    "currency": HOSTILE,
}
HOSTILE_RESULT = {
    "job_name": HOSTILE,
    "outcome": "Failed",
    "failure_reason": HOSTILE,
    "managed_spot": True,
    "instance_type": HOSTILE,
    "instance_count": 1,
    "hyperparameters": {HOSTILE: HOSTILE},
    "metrics": {HOSTILE: 1.0},
    "model_artifacts": f"s3://{HOSTILE}",
}
XCOMS: list[dict[str, Any]] = [
    {
        "spot_progress": HOSTILE_PROGRESS,
        "spot_metrics": {HOSTILE: [[_ago(minutes=9), 0.5], [_ago(minutes=8), 0.4]]},
    },
    {"spot_progress": {**HOSTILE_PROGRESS, "outcome": "Failed"}, "return_value": HOSTILE_RESULT},
    {"spot_progress": {**HOSTILE_PROGRESS, "outcome": HOSTILE, "kind": "tuning"}},
    {"spot_progress": HOSTILE},
    {"spot_progress": 7},
    {"spot_progress": [HOSTILE, None, {}]},
    {"spot_progress": {"status": 7, "timeline": HOSTILE, "phase": [], "interruptions": "many"}},
    {
        "spot_progress": {
            "status": "Training",
            "timeline": [[1, 2], "x", [], ["Training", "yesterday", "never"]],
        }
    },
    {
        "spot_progress": {
            "status": "Training",
            "phase": "training",
            "interruptions": -3,
            "savings_percent": 1e308,
        }
    },
    {
        "spot_progress": {
            "status": "Training",
            "phase": "training",
            "job_name": "j" * 60_000,
            "since": "tomorrow",
        }
    },
    {"spot_progress": {**HOSTILE_PROGRESS, "max_wait_ends": "9999-12-31T23:59:59Z", "at_risk_from": ""}},
]
"""What somebody else writes under our keys."""
OLDER = {
    "job_name": "older-job-1",
    "status": "Interrupted",
    "interruptions": 1,
    "timeline": [
        ["Starting", _ago(minutes=30), _ago(minutes=25)],
        ["Training", _ago(minutes=25), _ago(minutes=10)],
        ["Interrupted", _ago(minutes=10), None],
    ],
    "timeline_left_out": 0,
}
"""All that an older version of this provider published."""


def _is_unharmed(page: Page) -> bool:
    return all(frame.evaluate("window.taken === undefined") for frame in page.frames)


def _written(airflow: ServedAirflow, run_id: str, xcoms: list[dict[str, Any]]) -> None:
    airflow.run("ui_strangers", run_id, conf={"xcoms": xcoms})
    airflow.wait_for(
        lambda: airflow.run_state("ui_strangers", run_id) in ("success", "failed"),
        what="the XComs to be written",
        timeout=240,
    )
    assert airflow.run_state("ui_strangers", run_id) == "success"


def test_other_peoples_xcoms_are_shown_as_text_or_left_out_and_said_so(
    open_page: Callable[..., Page], airflow: ServedAirflow, run_id: str
) -> None:
    _written(airflow, run_id, XCOMS)

    page = open_page("/spot/#dag_id=ui_strangers")
    expect(row_of(page, run_id).first).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("left out")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text(SCRIPT).first).to_be_visible()
    assert _is_unharmed(page)

    for member in range(len(XCOMS)):
        key = f"dag_id=ui_strangers&run_id={run_id}&task_id=writes_what_it_likes&map_index={member}"
        page.goto(f"/spot/task?{key}")
        expect(page.locator("dl, .empty, .note").first).to_be_visible(timeout=PATIENCE)
        assert _is_unharmed(page), member
    page.goto("/spot/dag?dag_id=ui_strangers")
    expect(page.locator("table, .empty").first).to_be_visible(timeout=PATIENCE)
    assert _is_unharmed(page)


def test_older_versions_xcoms_are_shown_as_far_as_they_go(
    open_page: Callable[..., Page], airflow: ServedAirflow, run_id: str
) -> None:
    _written(airflow, run_id, [{"spot_progress": OLDER}])

    page = open_page(f"/spot/#search={run_id}")

    row = row_of(page, run_id)
    expect(row.locator(".bar")).to_be_visible(timeout=PATIENCE)
    expect(row).to_contain_text("1 interruption")
    page.goto(f"/spot/task?dag_id=ui_strangers&run_id={run_id}&task_id=writes_what_it_likes&map_index=0")
    expect(page.get_by_text("older-job-1").first).to_be_visible(timeout=PATIENCE)


def test_run_display_names_and_hyperparameters_that_are_markup_stay_text(
    open_page: Callable[..., Page], airflow: ServedAirflow, emulator: SageMakerEmulator, run_id: str
) -> None:
    hostile_run = f"{run_id} <img src=x onerror=window.taken=1>"
    airflow.run("ui_fan_out", hostile_run, note=HOSTILE)
    page = open_page("/spot/")
    expect(row_of(page, run_id)).to_have_count(2, timeout=PATIENCE)
    emulator.clock.advance(timedelta(hours=1))
    expect(row_of(page, run_id).get_by_text("Completed", exact=True)).to_have_count(2, timeout=PATIENCE)
    assert _is_unharmed(page)

    row_of(page, run_id).get_by_role("link", name="train[1]", exact=True).click()
    expect(page.get_by_role("region", name="Facts")).to_contain_text("rate=<img", timeout=PATIENCE)
    assert _is_unharmed(page)
