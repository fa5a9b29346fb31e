"""What the pages' scripts make of an answer: in Chromium, on the application itself, without an Airflow around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from airflow_spot_provider.training import SpotProgress
from airflow_spot_provider.ui import app
from tests.integration.ui.conftest import SignIn
from tests.ui import jobs
from tests.ui.chromium import launched
from tests.ui.metadata import Metadata, ago

pytestmark = [pytest.mark.ui, pytest.mark.parametrize("metadata", ["sqlite"], indirect=True)]

DAG, RUN, TASK = "churn", "manual__1", "train"
TAB = f"task?{urlencode({'dag_id': DAG, 'run_id': RUN, 'task_id': TASK})}"
HEADERS_OF_HTTP = ("content-encoding", "content-length")
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = launched(playwright)
        yield running
        running.close()


@pytest.fixture
def ann(metadata: Metadata, sign_in: SignIn) -> TestClient:
    metadata.add_dags(DAG)
    metadata.add_run(DAG, RUN, run_after=ago(hours=2))
    return sign_in("ann")


@pytest.fixture
def open_page(browser: Browser, ann: TestClient) -> Iterator[Open]:
    """Open a page as Ann; whatever goes wrong in its scripts fails the test."""
    contexts, wrong = [], []

    def _answer(route: Route) -> None:
        request, address = route.request, urlsplit(route.request.url)
        kept = {name: told for name, told in request.headers.items() if name.startswith("x-")}
        path = f"{address.path.removeprefix('/spot/')}?{address.query}"
        answer = ann.request(request.method, path, headers=kept)
        headers = {name: told for name, told in answer.headers.items() if name not in HEADERS_OF_HTTP}
        route.fulfill(status=answer.status_code, headers=headers, body=answer.content)

    def _open(path: str, **looks: Any) -> Page:
        context = browser.new_context(**{"timezone_id": "UTC", **looks})
        contexts.append(context)
        context.route("**/*", _answer)
        context.on("weberror", lambda error: wrong.append(str(error.error)))
        page = context.new_page()
        page.goto(f"http://airflow.example/spot/{path}")
        return page

    yield _open
    for context in contexts:
        context.close()
    assert not wrong


def _duration(page: Page, seconds: float) -> Any:
    return page.evaluate("async (seconds) => (await import('./static/format.js')).duration(seconds)", seconds)


def test_durations_are_told_as_a_person_says_them(open_page: Open) -> None:
    page = open_page("")

    told = {
        seconds: _duration(page, seconds) for seconds in (0, 59.6, 360, 365, 1560, 3600, 6840, 86400, 90000)
    }

    assert told == {
        0: "0s",
        59.6: "1m",
        360: "6m",
        365: "6m 5s",
        1560: "26m",
        3600: "1h",
        6840: "1h 54m",
        86400: "1d",
        90000: "1d 1h",
    }


@pytest.mark.parametrize("value", [67.25, 66.75, 67.35, -67.25, 0.25, 12.5, 99.95, 0.0])
def test_percentage_is_the_same_on_the_page_as_in_the_log(open_page: Open, value: float) -> None:
    told = open_page("").evaluate(
        "async (value) => (await import('./static/format.js')).percent(value)", value
    )

    assert told == f"{value:.1f}%".replace("-", "\u2212")


def test_days_of_utc_are_told_with_their_hour_elsewhere(open_page: Open, metadata: Metadata) -> None:
    published = jobs.published(jobs.training(), created=ago(days=6))
    metadata.publish(DAG, RUN, TASK, state="deferred", when=ago(hours=1), **published)

    def _labels(zone: str) -> list[str]:
        labels = open_page(TAB, timezone_id=zone).locator(".axis span")
        expect(labels.first).to_be_visible()
        return [text.strip() for text in labels.all_text_contents()]

    assert all(" 05:30" in label for label in _labels("Asia/Kolkata"))
    assert not any(":" in label for label in _labels("UTC"))


def test_what_aws_told_gives_way_to_what_the_task_publishes_next(
    open_page: Open, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job trains for hours without a transition: metrics, log and the task's end are followed meanwhile."""
    published = jobs.published(jobs.training(), created=ago(hours=1))
    given = {"aws_conn_id": "aws_default", "region_name": "us-east-1"}
    metadata.publish(DAG, RUN, TASK, state="deferred", when=ago(minutes=9), given=given, **published)
    told = SpotProgress.from_json(published["spot_progress"]), ["a line that AWS told"]
    monkeypatch.setattr(app, "asked_anew", lambda _row: told)
    page = open_page(TAB)

    page.get_by_role("button", name="Refresh from AWS").click()
    expect(page.get_by_text("a line that AWS told")).to_be_visible()
    newer = {**published["spot_progress"], "metrics": {"loss": 0.125}}
    metadata.publish_again(DAG, RUN, TASK, spot_progress=newer)

    expect(page.get_by_role("definition").filter(has_text="loss 0.125")).to_be_visible()
    expect(page.get_by_text("a line that AWS told")).to_have_count(0)


def test_page_beyond_the_last_leads_back(open_page: Open, metadata: Metadata) -> None:
    """Trainings become fewer while the address of a page stays as it was: that is no empty Airflow."""
    published = jobs.published(jobs.completed(), created=ago(hours=1))
    metadata.publish(DAG, RUN, TASK, when=ago(minutes=9), **published)
    page = open_page("#offset=500")

    expect(page.get_by_text("There is 1 training on the pages before it.")).to_be_visible()
    page.get_by_role("link", name="Previous").click()

    expect(page.get_by_role("rowheader").filter(has_text=TASK)).to_be_visible()


def test_page_that_was_refused_does_not_say_that_nobody_answered(open_page: Open) -> None:
    page = open_page("#sort=evil")

    expect(page.get_by_role("alert")).to_contain_text("it takes one of")
    expect(page.locator("#live")).to_have_text("refused")


@pytest.mark.parametrize("path", ["", f"dag?dag_id={DAG}", TAB])
def test_outcome_without_end_takes_a_few_lines(open_page: Open, metadata: Metadata, path: str) -> None:
    published = jobs.published(jobs.completed(), created=ago(hours=1), outcome="z" * 20_000)
    metadata.publish(DAG, RUN, TASK, when=ago(minutes=9), **published)
    page = open_page(path)

    expect(page.get_by_text("zzz").first).to_be_visible()

    size = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    assert size[0] <= 1280
    assert size[1] < 1800
