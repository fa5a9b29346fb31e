"""Who may not see a DAG sees nothing of it, and who is signed out sees nothing: in the browser, and in the body of each answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from playwright.sync_api import Page, expect

import airflow_spot_provider.ui
from airflow_spot_provider.ui.app import make_app
from tests.ui.chromium import PATIENCE, row_of
from tests.ui.served import ServedAirflow

pytestmark = pytest.mark.ui

STATIC = sorted(path.name for path in (Path(airflow_spot_provider.ui.__file__).parent / "static").iterdir())
TELLTALE = ("secret_", "secret-", "ui_live", "ui-live", "ml.m5", "s3://")
"""What an answer would hold if it told of the jobs: DAG, task, job, instance type, prefix."""
UNKNOWN = [
    "no/such/page",
    "api",
    "api/jobs/",
    "api/secret_dag",
    "static/",
    "static/../app.py",
    "openapi.json",
    "docs",
]


def _requests() -> list[tuple[str, str]]:
    """Every method and path that the application answers, as its routes tell."""
    found = []
    for route in make_app().routes:
        assert isinstance(route, APIRoute)
        paths = [route.path]
        if "{name}" in route.path:
            paths = [route.path.replace("{name}", name) for name in STATIC]
        elif "{path:path}" in route.path:
            paths = [f"/{path}" for path in UNKNOWN]
        found += [(method, path) for path in paths for method in sorted(route.methods or ())]
    return found


Secret = dict[str, Any]


@pytest.fixture(scope="module")
def secret(airflow: ServedAirflow) -> Secret:
    """A training of a DAG that ``guest`` may not read; its key as a page's query, and its job."""
    key = {"dag_id": "secret_dag", "run_id": "secret-run", "task_id": "secret_train", "map_index": -1}
    airflow.run("secret_dag", "secret-run")
    job = airflow.progress("secret_dag", "secret-run", "secret_train")["job_name"]
    airflow.run("ui_live", "open-run")
    airflow.progress("ui_live", "open-run")
    return {"key": key, "job": job}


def _all_answers(client: httpx.Client, key: dict[str, Any]) -> list[tuple[str, httpx.Response]]:
    headers = {"X-Spot-Request": "1"}
    return [
        (f"{method} {path}", client.request(method, f"/spot{path}", params=key, headers=headers))
        for method, path in _requests()
    ]


def test_routes_are_all_asked() -> None:
    asked = _requests()

    assert ("GET", "/api/jobs") in asked
    assert ("POST", "/api/task/stop") in asked
    assert ("GET", "/static/plotly.min.js") in asked
    assert len(asked) > 30


def test_airflow_itself_keeps_the_dag_from_the_guest(airflow: ServedAirflow, secret: Secret) -> None:
    with airflow.as_user("guest") as guest, airflow.as_user("viewer") as viewer:
        refused, given = (client.get(f"/api/v2/dags/{secret['key']['dag_id']}") for client in (guest, viewer))

    assert (refused.status_code, given.status_code) == (403, 200)


def test_signed_out_gets_none_of_it(airflow: ServedAirflow, secret: Secret) -> None:
    with airflow.as_user(None) as nobody:
        answers = _all_answers(nobody, secret["key"])

    for asked, answer in answers:
        assert answer.status_code == 401, asked
        if not asked.startswith("HEAD"):
            assert set(answer.json()) == {"detail"}, asked
        assert not [word for word in TELLTALE if word in answer.text], asked


@pytest.mark.usefixtures("secret")
def test_signed_out_browser_is_led_to_the_login_and_shows_nothing_before(
    open_page: Callable[..., Page],
) -> None:
    page = open_page("/plugin/spot_training", user=None)

    expect(page.get_by_label("Username")).to_be_visible(timeout=PATIENCE)
    assert not [word for word in TELLTALE if word in page.content()]
    page.goto("/spot/")
    assert not [word for word in TELLTALE if word in page.content()]


def test_login_page_leads_to_the_trainings(open_page: Callable[..., Page], secret: Secret) -> None:
    page = open_page("/plugin/spot_training", user=None)
    page.get_by_label("Username").fill("viewer")
    page.get_by_label("Password").fill("viewer")
    page.get_by_role("button", name="Sign in").click()

    expect(row_of(page.frame_locator("iframe"), secret["key"]["run_id"])).to_be_visible(timeout=PATIENCE)


def test_pages_show_no_row_of_a_dag_that_the_user_may_not_read(
    open_page: Callable[..., Page], secret: Secret
) -> None:
    everything = open_page("/spot/", user="viewer")
    expect(row_of(everything, secret["key"]["run_id"])).to_be_visible(timeout=PATIENCE)

    page = open_page("/spot/", user="guest")
    expect(row_of(page, "open-run")).to_be_visible(timeout=PATIENCE)

    assert "secret" not in page.content()
    page.get_by_label("Search DAG, task, run or job").fill("secret")
    expect(page.get_by_text("No training matches.")).to_be_visible(timeout=PATIENCE)
    assert "secret_" not in page.content()


@pytest.mark.parametrize("path", ["/spot/dag", "/spot/task"])
def test_pages_of_a_dag_that_the_user_may_not_read_say_that_and_no_more(
    open_page: Callable[..., Page], secret: Secret, path: str
) -> None:
    page = open_page(f"{path}?{httpx.QueryParams(secret['key'])}", user="guest")

    expect(page.get_by_role("alert")).to_be_visible(timeout=PATIENCE)
    assert secret["job"] not in page.content()
    assert "ml.m5" not in page.content()


def test_no_answer_tells_of_a_dag_that_the_user_may_not_read(airflow: ServedAirflow, secret: Secret) -> None:
    with airflow.as_user("guest") as guest:
        answers = _all_answers(guest, secret["key"])
        listed = guest.get("/spot/api/jobs", params={"search": "secret"})
        summed = guest.get("/spot/api/summary").json()
    with airflow.as_user("viewer") as viewer:
        all_summed = viewer.get("/spot/api/summary").json()

    for asked, answer in answers:
        assert "secret" not in answer.text, asked
        if "/api/" in asked and "/api/jobs" not in asked and "/api/summary" not in asked:
            assert answer.status_code in (401, 403, 404), asked
    assert (listed.json()["total"], listed.json()["rows"]) == (0, [])
    assert summed["running"] < all_summed["running"]


def test_export_of_a_dag_that_the_user_may_not_read_is_refused(
    airflow: ServedAirflow, secret: Secret
) -> None:
    key = {name: secret["key"][name] for name in ("dag_id", "run_id")}
    with airflow.as_user("guest") as guest, airflow.as_user("viewer") as viewer:
        refused, given = (client.get("/spot/api/trace", params=key) for client in (guest, viewer))

    assert (refused.status_code, given.status_code) == (403, 200)
    assert "secret" not in refused.text
    assert secret["job"] in given.text
