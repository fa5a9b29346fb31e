"""No page has a serious obstacle for people who use a keyboard, a screen reader or little light."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Frame, Page, expect

from tests.ui.chromium import PATIENCE, Theme, in_airflow
from tests.ui.story import Story

pytestmark = pytest.mark.ui

THEMES: tuple[Theme, ...] = ("light", "dark")


def _obstacles(page: Page | Frame) -> list[str]:
    """What axe-core finds that is serious or critical, and where."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{each['id']} ({each['impact']}): {node['target']} {node['failureSummary']}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def _ours(page: Page) -> Frame:
    """Our page in Airflow's frame."""
    [frame] = [each for each in page.frames if each.parent_frame is not None]
    return frame


@pytest.mark.usefixtures("story")
def test_axe_finds_an_obstacle_where_there_is_one(open_page: Callable[..., Page]) -> None:
    page = open_page("/spot/", user="ana")
    expect(page.get_by_role("table")).to_be_visible(timeout=PATIENCE)

    page.evaluate("document.getElementById('search').removeAttribute('aria-label')")
    page.evaluate("document.getElementById('search').removeAttribute('placeholder')")

    assert any(obstacle.startswith("label") for obstacle in _obstacles(page))


@pytest.mark.usefixtures("story")
@pytest.mark.parametrize("theme", THEMES)
def test_page_of_all_trainings(open_page: Callable[..., Page], theme: Theme) -> None:
    page = open_page("/plugin/spot_training", user="ana", theme=theme)
    expect(in_airflow(page).get_by_role("table")).to_be_visible(timeout=PATIENCE)
    expect(in_airflow(page).locator("html")).to_have_class(re.compile(theme))

    assert _obstacles(_ours(page)) == []


@pytest.mark.usefixtures("story")
@pytest.mark.parametrize("theme", THEMES)
def test_tab_of_a_dag(open_page: Callable[..., Page], theme: Theme) -> None:
    page = open_page("/spot/dag?dag_id=fraud_nightly", user="ana", theme=theme)
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible(timeout=PATIENCE)

    assert _obstacles(page) == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(
    ("dag_id", "task_id", "map_index"),
    [
        ("churn_retraining", "train", -1),
        ("fraud_nightly", "train", -1),
        ("vision_nightly", "vision.train_on_spot", -1),
        ("tabular_sweep", "search.trials", 0),
    ],
)
def test_tab_of_a_task(
    open_page: Callable[..., Page], story: Story, theme: Theme, dag_id: str, task_id: str, map_index: int
) -> None:
    page = open_page(story.page(dag_id, task_id, map_index), user="ana", theme=theme)
    expect(page.get_by_role("region", name="Facts")).to_be_visible(timeout=PATIENCE)

    assert _obstacles(page) == []


@pytest.mark.parametrize("theme", THEMES)
def test_question_before_something_is_stopped(
    open_page: Callable[..., Page], story: Story, theme: Theme
) -> None:
    page = open_page(story.page("churn_retraining"), user="ana", theme=theme)
    page.get_by_role("button", name="Stop and keep the checkpoint").click(timeout=PATIENCE)
    expect(page.get_by_role("dialog")).to_be_visible()

    assert _obstacles(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize("theme", THEMES)
def test_page_with_nothing_on_it(open_page: Callable[..., Page], theme: Theme) -> None:
    page = open_page("/spot/", user="newcomer", theme=theme)
    expect(page.get_by_role("heading", name=re.compile("No spot training"))).to_be_visible(timeout=PATIENCE)

    assert _obstacles(page) == []


@pytest.mark.parametrize("theme", THEMES)
def test_page_that_is_refused(open_page: Callable[..., Page], theme: Theme) -> None:
    page = open_page("/spot/dag?dag_id=secret_dag", user="guest", theme=theme)
    expect(page.get_by_role("alert")).to_be_visible(timeout=PATIENCE)

    assert _obstacles(page) == []


@pytest.mark.usefixtures("story")
@pytest.mark.parametrize("width", [390, 768])
def test_narrow_page_needs_no_sideways_scrolling(open_page: Callable[..., Page], width: int) -> None:
    page = open_page("/spot/", user="ana", width=width)
    expect(page.get_by_role("table")).to_be_visible(timeout=PATIENCE)

    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert _obstacles(page) == []
