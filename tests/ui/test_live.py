"""A job is followed on open pages, which nobody reloads, from its wait for capacity to its end."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Locator, Page, expect

from airflow_spot_provider.emulator import SageMakerEmulator
from tests.ui.chromium import PATIENCE, in_airflow, row_of
from tests.ui.served import ServedAirflow

pytestmark = pytest.mark.ui


def _reads(row: Locator, state: str) -> None:
    """The row's state, and not only its sentence, is this."""
    expect(row.get_by_text(state, exact=True)).to_be_visible(timeout=PATIENCE)


def test_open_page_follows_a_job_from_waiting_to_done(
    open_page: Callable[..., Page], airflow: ServedAirflow, emulator: SageMakerEmulator, run_id: str
) -> None:
    page = open_page("/plugin/spot_training")
    frame = in_airflow(page)
    expect(frame.get_by_role("heading", name="Spot training", exact=True)).to_be_visible(timeout=PATIENCE)
    page.evaluate("window.nobodyHasReloadedIt = true")
    row = row_of(frame, run_id)
    assert row.count() == 0

    airflow.run("ui_live", run_id)
    _reads(row, "Waiting")
    expect(row).to_contain_text("No ml.m5.large spot capacity in us-east-1", timeout=PATIENCE)
    expect(row).to_contain_text("MaxWait ends in")
    job = airflow.progress("ui_live", run_id)["job_name"]

    emulator.clock.advance(timedelta(seconds=15))
    _reads(row, "Downloading")
    emulator.clock.advance(timedelta(minutes=10))
    _reads(row, "Training")

    emulator.interrupt(job)
    emulator.clock.advance(timedelta(0))
    _reads(row, "Interrupted")
    expect(row).to_contain_text("1 interruption")
    expect(row.get_by_role("img")).to_have_attribute("aria-label", re.compile("interruption"))

    emulator.clock.advance(timedelta(minutes=5))
    _reads(row, "Training")
    emulator.clock.advance(timedelta(hours=1))
    _reads(row, "Completed")
    expect(row).to_contain_text("%")
    assert page.evaluate("window.nobodyHasReloadedIt") is True


def test_task_tab_follows_its_job(
    open_page: Callable[..., Page], airflow: ServedAirflow, emulator: SageMakerEmulator, run_id: str
) -> None:
    airflow.run("ui_live", run_id)
    job = airflow.progress("ui_live", run_id)["job_name"]
    page = open_page(f"/dags/ui_live/runs/{run_id}/tasks/train/plugin/spot_training_of_task")
    frame = in_airflow(page)

    expect(frame.get_by_text("Waiting", exact=True)).to_be_visible(timeout=PATIENCE)
    emulator.clock.advance(timedelta(minutes=10))
    expect(frame.get_by_text("Training", exact=True).first).to_be_visible(timeout=PATIENCE)
    emulator.interrupt(job)
    emulator.clock.advance(timedelta(0))
    expect(frame.get_by_text("Interrupted", exact=True).first).to_be_visible(timeout=PATIENCE)
    emulator.clock.advance(timedelta(hours=2))
    expect(frame.get_by_text("Completed", exact=True).first).to_be_visible(timeout=PATIENCE)


def test_page_says_when_airflow_is_away_and_goes_on_when_it_is_back(
    open_page: Callable[..., Page],
) -> None:
    page = open_page("/spot/")
    follows = page.get_by_role("button", name="Following live")
    expect(follows).to_have_text(re.compile("live"), timeout=PATIENCE)

    page.route("**/spot/api/**", lambda route: route.abort())
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached", timeout=PATIENCE)
    page.unroute("**/spot/api/**")

    expect(page.get_by_role("alert")).to_have_count(0, timeout=PATIENCE)
    expect(follows).to_have_text(re.compile("live"), timeout=PATIENCE)
