"""Trainings are found among others: by state, by name, in an order, page by page; and an empty page says how to begin."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from airflow_spot_provider.emulator import SageMakerEmulator
from tests.ui.chromium import PATIENCE, row_of
from tests.ui.served import ServedAirflow

pytestmark = pytest.mark.ui

Runs = dict[str, str]


@pytest.fixture(scope="module")
def runs(airflow: ServedAirflow, emulator: SageMakerEmulator) -> Iterator[Runs]:
    """One training that is over, one that trains, and two that wait."""
    names = {"over": "ui_live", "trains": "ui_live", "waits": "ui_fan_out"}
    run_ids = {name: f"find-{name}" for name in names}
    airflow.run("ui_live", run_ids["over"])
    airflow.progress("ui_live", run_ids["over"])
    emulator.clock.advance(timedelta(hours=3))
    airflow.wait_for(
        lambda: airflow.run_state("ui_live", run_ids["over"]) == "success",
        what="the training to end",
        timeout=120,
    )
    airflow.run("ui_live", run_ids["trains"])
    airflow.progress("ui_live", run_ids["trains"])
    emulator.clock.advance(timedelta(minutes=10))
    airflow.wait_for(
        lambda: airflow.progress("ui_live", run_ids["trains"])["phase"] == "training",
        what="the training to be seen",
        timeout=60,
    )
    airflow.run("ui_fan_out", run_ids["waits"])
    for member in range(2):
        airflow.progress("ui_fan_out", run_ids["waits"], map_index=member)
    yield run_ids
    emulator.clock.advance(timedelta(hours=3))


def test_filter_by_state_shows_that_state_alone_and_is_kept_in_the_address(
    open_page: Callable[..., Page], runs: Runs
) -> None:
    page = open_page("/spot/")
    expect(row_of(page, runs["over"])).to_be_visible(timeout=PATIENCE)

    page.get_by_label("State or outcome").select_option(label="Training")

    expect(row_of(page, runs["trains"])).to_be_visible(timeout=PATIENCE)
    expect(row_of(page, runs["over"])).to_have_count(0, timeout=PATIENCE)
    expect(row_of(page, runs["waits"])).to_have_count(0)
    page.reload()
    expect(row_of(page, runs["trains"])).to_be_visible(timeout=PATIENCE)
    expect(row_of(page, runs["over"])).to_have_count(0)


def test_tile_leads_to_the_trainings_that_it_counts(open_page: Callable[..., Page], runs: Runs) -> None:
    page = open_page("/spot/")

    page.get_by_role("link", name=re.compile("waiting for capacity")).click()

    expect(row_of(page, runs["waits"])).to_have_count(2, timeout=PATIENCE)
    expect(row_of(page, runs["trains"])).to_have_count(0)


def test_search_finds_a_part_of_any_name_and_leaves_the_field_alone_while_the_page_follows(
    open_page: Callable[..., Page], runs: Runs
) -> None:
    page = open_page("/spot/")
    field = page.get_by_label("Search DAG, task, run or job")

    field.press_sequentially("FAN_OUT")

    expect(row_of(page, runs["waits"])).to_have_count(2, timeout=PATIENCE)
    expect(row_of(page, runs["over"])).to_have_count(0, timeout=PATIENCE)
    expect(field).to_be_focused()
    field.fill("no training is called that")
    expect(page.get_by_text("No training matches.")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("link", name="Show all trainings").click()
    expect(row_of(page, runs["over"])).to_be_visible(timeout=PATIENCE)
    expect(field).to_have_value("")


def test_heading_sorts_by_its_column_with_running_trainings_first(
    open_page: Callable[..., Page], runs: Runs
) -> None:
    page = open_page("/spot/#search=find-")
    expect(row_of(page, runs["over"])).to_be_visible(timeout=PATIENCE)

    page.get_by_role("button", name="Sort by DAG").click()

    heading = page.get_by_role("columnheader", name=re.compile("DAG"))
    expect(heading).to_have_attribute("aria-sort", "ascending", timeout=PATIENCE)
    names = page.locator("tbody tr th .dag")
    expect(names).to_have_text(["ui_fan_out", "ui_fan_out", "ui_live", "ui_live"], timeout=PATIENCE)
    page.get_by_role("button", name="Sort by DAG").click()
    expect(heading).to_have_attribute("aria-sort", "descending", timeout=PATIENCE)
    expect(names).to_have_text(["ui_live", "ui_fan_out", "ui_fan_out", "ui_live"], timeout=PATIENCE)
    expect(page.locator("tbody tr").last).to_contain_text("Completed")


def test_keyboard_alone_finds_a_training_and_opens_it(open_page: Callable[..., Page], runs: Runs) -> None:
    page = open_page("/spot/")
    expect(row_of(page, runs["trains"])).to_be_visible(timeout=PATIENCE)

    page.get_by_label("Period").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Search DAG, task, run or job")).to_be_focused()
    page.keyboard.type(runs["trains"])
    expect(page.locator("tbody tr")).to_have_count(1, timeout=PATIENCE)
    task = row_of(page, runs["trains"]).get_by_role("link", name="train", exact=True)
    for _ in range(40):
        page.keyboard.press("Tab")
        if task.evaluate("element => element === document.activeElement"):
            break
    expect(task).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="ui_live · train")).to_be_visible(timeout=PATIENCE)


def test_page_without_trainings_says_how_to_begin(open_page: Callable[..., Page]) -> None:
    page = open_page("/spot/", user="newcomer")

    expect(page.get_by_role("heading", name=re.compile("No spot training in the last 7 days"))).to_be_visible(
        timeout=PATIENCE
    )
    expect(page.get_by_text("SageMakerSpotTrainingOperator(")).to_be_visible()


def test_task_that_trains_nothing_says_why_its_tab_is_empty(
    open_page: Callable[..., Page], airflow: ServedAirflow, run_id: str
) -> None:
    airflow.run("ui_strangers", run_id, conf={"xcoms": []})

    page = open_page(f"/spot/task?dag_id=ui_strangers&run_id={run_id}&task_id=others&map_index=-1")

    expect(page.get_by_text("This task has published nothing about a spot training")).to_be_visible(
        timeout=PATIENCE
    )
