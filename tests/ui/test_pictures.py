"""The pictures of the documentation, taken from the running pages; ``make screenshots`` puts them into docs/images."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import FrameLocator, Page, expect

from tests.ui.chromium import PATIENCE, Theme, in_airflow, photograph, row_of
from tests.ui.served import ServedAirflow
from tests.ui.story import Story

pytestmark = [pytest.mark.ui, pytest.mark.screenshots]

MOST_BYTES = 400_000
LEAST_COLOURS = 40
"""An empty page has fewer."""
WIDTH = 1360


@pytest.fixture(scope="module")
def newest(airflow: ServedAirflow, story: Story) -> Story:
    """The story, brought to now, once somebody has found that one job writes no checkpoints any more."""

    def _found() -> bool:
        progress = airflow.progress("llm_fine_tune", story.runs["llm_fine_tune"], "fine_tune")
        return bool((progress["checkpoints"] or {}).get("stale"))

    airflow.wait_for(_found, what="the stale checkpoint to be found", timeout=400)
    story.go_on()
    return story


def _is_a_picture(path: Path) -> None:
    assert path.stat().st_size < MOST_BYTES
    with Image.open(path) as picture:
        assert picture.width == WIDTH
        assert len(picture.getcolors(maxcolors=256) or ()) > LEAST_COLOURS


def _settled(frame: FrameLocator) -> None:
    """What is on the page is as of now, and nothing is under way."""
    expect(frame.get_by_role("button", name="Following live")).to_have_text(
        re.compile("live, [0-3] ?s ago"), timeout=PATIENCE
    )


@pytest.mark.timeout(900)  # a look at the checkpoints comes every three minutes
@pytest.mark.parametrize(
    ("theme", "name"), [("light", "spot_training_page"), ("dark", "spot_training_page_dark")]
)
def test_picture_of_all_trainings(
    open_page: Callable[..., Page], newest: Story, pictures: Path, theme: Theme, name: str
) -> None:
    page = open_page("/plugin/spot_training", user="ana", theme=theme, width=WIDTH, height=1180)
    frame = in_airflow(page)

    churn = row_of(frame, newest.runs["churn_retraining"]).filter(has_text="churn_retraining")
    expect(churn).to_contain_text("1 interruption", timeout=PATIENCE)
    expect(row_of(frame, newest.runs["llm_fine_tune"]).locator(".warn").first).to_be_visible()
    expect(row_of(frame, newest.runs["ranker_search"]).get_by_text("Waiting", exact=True)).to_be_visible()
    expect(row_of(frame, newest.runs["fraud_nightly"]).get_by_text("Interrupted", exact=True)).to_be_visible()
    expect(
        row_of(frame, newest.runs["vision_nightly"]).get_by_text("MaxWaitTimeExceeded", exact=True)
    ).to_have_count(1)
    expect(frame.get_by_text("at risk", exact=True).first).to_be_visible()
    _settled(frame)

    photograph(page, pictures / f"{name}.png")

    _is_a_picture(pictures / f"{name}.png")


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("theme", "name"), [("light", "dag_tab"), ("dark", "dag_tab_dark")])
def test_picture_of_a_dags_tab(
    open_page: Callable[..., Page], newest: Story, pictures: Path, theme: Theme, name: str
) -> None:
    page = open_page(
        "/dags/fraud_nightly/plugin/spot_training_of_dag", user="ana", theme=theme, width=WIDTH, height=1060
    )
    frame = in_airflow(page)
    expect(frame.locator(".js-plotly-plot .main-svg").first).to_be_visible(timeout=PATIENCE)
    expect(frame.get_by_text("% saved")).to_be_visible()
    _settled(frame)

    photograph(page, pictures / f"{name}.png")

    _is_a_picture(pictures / f"{name}.png")
    assert newest.runs


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("theme", "name"), [("light", "task_tab"), ("dark", "task_tab_dark")])
def test_picture_of_a_tasks_tab(
    open_page: Callable[..., Page], newest: Story, pictures: Path, theme: Theme, name: str
) -> None:
    page = open_page(newest.tab("churn_retraining"), user="ana", theme=theme, width=WIDTH, height=1180)
    frame = in_airflow(page)
    expect(frame.get_by_role("region", name="Metrics")).to_be_visible(timeout=PATIENCE)
    frame.get_by_role("button", name="Refresh from AWS").click()
    expect(frame.get_by_role("region", name="Training log")).to_contain_text("From AWS at", timeout=PATIENCE)
    _settled(frame)

    photograph(page, pictures / f"{name}.png")

    _is_a_picture(pictures / f"{name}.png")


@pytest.mark.timeout(900)
def test_picture_of_a_report(open_page: Callable[..., Page], newest: Story, pictures: Path) -> None:
    page = open_page(newest.report.as_uri(), width=WIDTH, height=1180)
    expect(page.get_by_role("heading", name="fraud_nightly")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible(timeout=PATIENCE)

    photograph(page, pictures / "report.png")

    _is_a_picture(pictures / "report.png")
