"""Who sees and does what: signed out, nothing; signed in, what Airflow's permissions say, on every route."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from airflow_spot_provider.ui import app
from tests.integration.ui.conftest import SignIn
from tests.ui import jobs
from tests.ui.metadata import Metadata, ago

MINE, SECRET = "churn_retraining", "secret_ranker"
HERS = {"run_id": "manual__1", "task_id": "train", "map_index": -1}
READS = ["api/jobs", "api/summary", "api/dags", "api/task", "api/trace"]
ACTS = ["api/task/refresh", "api/task/stop", "api/task/next-rung"]
PAGES = ["", "dag", "task"]
FILES = ["static/plotly.min.js"]
OURS = {"X-Spot-Request": "1"}


@pytest.fixture(autouse=True)
def two_dags(metadata: Metadata) -> None:
    metadata.add_dags(MINE, SECRET)
    for dag_id in (MINE, SECRET):
        metadata.add_run(dag_id, "manual__1", run_after=ago(hours=2))
        metadata.publish(
            dag_id,
            "manual__1",
            "train",
            state="deferred",
            when=ago(minutes=5),
            **jobs.published(jobs.training(f"{dag_id.replace('_', '-')}-job"), created=ago(hours=1)),
        )


def _ask(client: TestClient, path: str, dag_id: str | None = None, **headers: str) -> Any:
    params = {} if dag_id is None else {"dag_id": dag_id, **HERS}
    if path in ACTS:
        return client.post(path, params=params, headers=headers)
    return client.get(path, params=params, headers=headers)


@pytest.mark.parametrize("path", [*PAGES, *FILES, *READS, *ACTS, "static/spot.js", "no/such/page"])
def test_signed_out_gets_nothing(sign_in: SignIn, path: str) -> None:
    answer = _ask(sign_in(None), path, SECRET, **OURS)

    assert answer.status_code == 401
    assert set(answer.json()) == {"detail"}
    assert "secret" not in answer.text
    assert "churn" not in answer.text


def test_token_that_airflow_did_not_sign_gets_nothing(sign_in: SignIn) -> None:
    client = sign_in(None)
    client.cookies.set("_token", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJyb2xlIjoiQURNSU4ifQ.")

    answer = client.get("api/jobs")

    assert answer.status_code in (401, 403)
    assert set(answer.json()) == {"detail"}


def test_token_in_the_header_does_as_well_as_the_cookie(sign_in: SignIn) -> None:
    signed_in = sign_in("ann")
    token = signed_in.cookies["_token"]

    answer = sign_in(None).get("api/jobs", headers={"Authorization": f"Bearer {token}"})

    assert answer.json()["total"] == 2


def test_lists_hold_the_dags_that_the_user_may_read(sign_in: SignIn) -> None:
    rita = sign_in("rita", role="VIEWER", dags=[MINE])

    listed, strip = rita.get("api/jobs").json(), rita.get("api/summary").json()

    assert [row["dag_id"] for row in listed["rows"]] == [MINE]
    assert (listed["total"], listed["running"], listed["left_out"]) == (1, 1, 0)
    assert strip["running"] == 1
    assert sign_in("ann").get("api/summary").json()["running"] == 2


def test_one_user_is_never_given_what_another_was_told_a_moment_ago(sign_in: SignIn) -> None:
    ann, rita = sign_in("ann"), sign_in("rita", role="VIEWER", dags=[MINE])

    told = [client.get("api/jobs").json()["total"] for client in (ann, rita, ann, rita)]

    assert told == [2, 1, 2, 1]


@pytest.mark.parametrize("search", ["secret", "secret-ranker-job", "secret_ranker"])
def test_search_finds_nothing_in_other_dags(sign_in: SignIn, search: str) -> None:
    rita = sign_in("rita", role="VIEWER", dags=[MINE])

    answer = rita.get("api/jobs", params={"search": search})

    assert (answer.json()["total"], answer.json()["rows"]) == (0, [])


@pytest.mark.parametrize("path", ["api/dags", "api/task", "api/trace", *ACTS])
def test_another_dag_is_refused_by_name(sign_in: SignIn, path: str) -> None:
    rita = sign_in("rita", role="ADMIN", dags=[MINE])

    answer = _ask(rita, path, SECRET, **OURS)

    assert answer.status_code == 403
    assert set(answer.json()) == {"detail"}
    assert "job" not in answer.text


def test_filter_by_another_dag_is_refused_or_empty(sign_in: SignIn) -> None:
    rita = sign_in("rita", role="ADMIN", dags=[MINE])

    answer = rita.get("api/jobs", params={"dag_id": SECRET})

    assert answer.status_code == 403 or answer.json()["rows"] == []
    assert "secret-ranker-job" not in answer.text


@pytest.mark.parametrize("path", ["api/dags", "api/task", "api/trace", "api/task/refresh", "api/task/stop"])
@pytest.mark.parametrize("dag_ids", [(MINE, SECRET), (SECRET, MINE)])
def test_dag_that_is_named_twice_is_no_way_around(
    sign_in: SignIn, path: str, dag_ids: tuple[str, str]
) -> None:
    rita = sign_in("rita", role="ADMIN", dags=[MINE])
    params = [("dag_id", dag_id) for dag_id in dag_ids] + list(HERS.items())

    answer = rita.post(path, params=params, headers=OURS) if path in ACTS else rita.get(path, params=params)

    assert "secret-ranker-job" not in answer.text


@pytest.mark.parametrize("path", ["api/dags", "api/task", "api/trace", *ACTS])
def test_airflows_word_for_all_dags_is_none_here(sign_in: SignIn, path: str) -> None:
    rita = sign_in("rita", role="ADMIN", dags=[MINE])

    answer = _ask(rita, path, "~", **OURS)

    assert "secret-ranker-job" not in answer.text
    assert "secret_ranker" not in answer.text


def test_viewer_reads_and_does_not_act(sign_in: SignIn) -> None:
    viewer = sign_in("rita", role="VIEWER")

    [row] = viewer.get("api/jobs", params={"dag_id": MINE}).json()["rows"]
    task = _ask(viewer, "api/task", MINE).json()
    refused = [_ask(viewer, path, MINE, **OURS) for path in ("api/task/stop", "api/task/next-rung")]

    assert (row["can_edit"], row["can_stop"]) == (False, False)
    assert (task["row"]["can_edit"], task["row"]["can_stop"]) == (False, False)
    assert [answer.status_code for answer in refused] == [403, 403]


def test_editor_is_offered_what_can_be_done(sign_in: SignIn) -> None:
    [row] = sign_in("ann", role="USER").get("api/jobs", params={"dag_id": MINE}).json()["rows"]

    assert (row["can_edit"], row["can_stop"]) == (True, True)


@pytest.mark.parametrize("path", ACTS)
def test_another_site_cannot_act_with_the_users_cookie(sign_in: SignIn, path: str) -> None:
    answer = _ask(sign_in("ann"), path, MINE)

    assert answer.status_code == 403
    assert "X-Spot-Request" in answer.json()["detail"]


def test_request_that_names_no_task_leaves_nothing_in_the_audit_log(
    sign_in: SignIn, metadata: Metadata
) -> None:
    viewer = sign_in("rita", role="VIEWER")

    answers = [viewer.post("api/task/stop", params=params, headers=OURS) for params in ({}, HERS)]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert metadata.actions() == []


@pytest.mark.parametrize("path", ["api/task/stop", "api/task/next-rung", "api/task/refresh"])
def test_actions_are_no_links(sign_in: SignIn, path: str) -> None:
    answer = sign_in("ann").get(path, params={"dag_id": MINE, **HERS}, headers=OURS)

    assert answer.status_code in (404, 405)
    assert set(answer.json()) == {"detail"}


@pytest.mark.parametrize(
    "path",
    [
        "no/such/page",
        "static/nothing.js",
        "static/../app.py",
        "static/%2e%2e/app.py",
        "static/..%5capp.py",
        "static/%00",
        f"static/{'x' * 300}.js",
        "api",
    ],
)
def test_unknown_path_is_a_json_404(sign_in: SignIn, path: str) -> None:
    answer = sign_in("ann").get(path)

    assert answer.status_code == 404
    assert set(answer.json()) == {"detail"}


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("api/jobs", {"search": "a\0"}),
        ("api/dags", {"dag_id": "\0"}),
        ("api/trace", {"dag_id": MINE, "run_id": "\0"}),
        *(
            (path, {"dag_id": MINE, "run_id": "\0", "task_id": "train"})
            for path in ("api/task", "api/log", *ACTS)
        ),
        *((path, {"dag_id": MINE, "run_id": "manual__1", "task_id": "\0"}) for path in ("api/task", *ACTS)),
    ],
)
def test_text_that_no_database_keeps_is_refused_and_no_action(
    sign_in: SignIn, metadata: Metadata, path: str, params: dict[str, str]
) -> None:
    answer = sign_in("ann").request("POST" if path in ACTS else "GET", path, params=params, headers=OURS)

    assert answer.status_code == 422
    assert answer.json()["detail"].count("NUL character") == 1
    assert metadata.actions() == []


def test_jobs_of_a_dag_that_airflow_does_not_know_any_more_are_not_listed(
    sign_in: SignIn, metadata: Metadata
) -> None:
    metadata.add_run("gone", "manual__1", run_after=ago(hours=2))
    published = jobs.published(jobs.completed(), created=ago(hours=1))
    metadata.publish("gone", "manual__1", "train", when=ago(minutes=5), **published)

    listed = sign_in("ann").get("api/jobs").json()

    assert sorted(row["dag_id"] for row in listed["rows"]) == [MINE, SECRET]


def test_trouble_is_a_sentence_that_tells_no_more_than_that(
    sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def _fails(*_: Any, **__: Any) -> Any:
        raise ConnectionError("postgresql://airflow:secret@db")

    monkeypatch.setattr(app, "page_of", _fails)

    answer = sign_in("ann").get("api/jobs")

    assert (answer.status_code, set(answer.json())) == (500, {"detail"})
    assert "secret" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", [*PAGES, *FILES, "static/jobs.js", "static/spot.css"])
def test_page_after_an_upgrade_runs_no_module_of_before(sign_in: SignIn, path: str) -> None:
    """Modules import one another by name: a browser may keep them, and has to ask each time whether they are still these."""
    ann = sign_in("ann")
    first = ann.get(path)
    tag = first.headers["etag"]

    same = [ann.get(path, headers={"If-None-Match": known}) for known in (tag, f'"of-before", W/{tag}')]
    new = ann.get(path, headers={"If-None-Match": '"of-before"'})

    assert first.headers["cache-control"] == "private, no-cache"
    assert [(answer.status_code, answer.content) for answer in same] == [(304, b"")] * 2
    assert [answer.headers["cache-control"] for answer in same] == ["private, no-cache"] * 2
    assert (new.status_code, new.content) == (200, first.content)


@pytest.mark.parametrize("path", ["api/jobs", "api/summary", "no/such/page"])
def test_answers_are_kept_by_nobody_and_framed_by_airflow_only(sign_in: SignIn, path: str) -> None:
    headers = sign_in("ann").get(path).headers

    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'self'" in headers["content-security-policy"]
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "script-src" not in headers["content-security-policy"]


def test_lists_hold_no_dag_whose_xcoms_the_user_may_not_read(sign_in: SignIn) -> None:
    client = sign_in("vera", role="VIEWER", without_xcoms=[SECRET])

    for path in ("api/jobs", "api/summary"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "secret" not in answer.text
    assert [row["dag_id"] for row in client.get("api/jobs").json()["rows"]] == [MINE]
    assert client.get("api/jobs", params={"dag_id": SECRET}).json()["rows"] == []


READ, ACT, NOBODY = ("VIEWER", "USER", "OP", "ADMIN"), ("USER", "OP", "ADMIN"), ()
ROUTES = {
    "/": READ,
    "/dag": READ,
    "/task": READ,
    "/static/plotly.min.js": READ,
    "/static/{name}": READ,
    "/api/jobs": READ,
    "/api/summary": READ,
    "/api/dags": READ,
    "/api/task": READ,
    "/api/log": READ,
    "/api/trace": READ,
    "/api/task/refresh": READ,
    "/api/task/stop": ACT,
    "/api/task/next-rung": ACT,
    "/{path:path}": NOBODY,
}
"""Which roles of Airflow's simple auth manager get an answer from which route."""
WITH_XCOMS = [path for path in ROUTES if path.startswith("/api/")]


def test_every_route_is_in_the_matrix() -> None:
    assert {route.path for route in app.make_app().routes} == set(ROUTES)  # type: ignore[attr-defined]


@pytest.mark.parametrize("role", ["VIEWER", "USER", "OP", "ADMIN"])
@pytest.mark.parametrize("path", [path for path in ROUTES if "{" not in path])
def test_each_role_gets_what_the_matrix_says(sign_in: SignIn, path: str, role: str) -> None:
    answer = _ask(sign_in("ann", role=role), path.lstrip("/"), MINE, **OURS)

    # What comes after the check of the role is of no matter here: this task's job is none that AWS knows.
    assert (answer.status_code != 403) == (role in ROUTES[path])
    assert answer.status_code != 401


@pytest.mark.parametrize("path", [path for path in WITH_XCOMS if path not in ("/api/jobs", "/api/summary")])
def test_no_role_reads_a_dag_whose_xcoms_are_withheld(sign_in: SignIn, path: str) -> None:
    client = sign_in("olga", role="OP", without_xcoms=[SECRET])

    answer = _ask(client, path.lstrip("/"), SECRET, **OURS)

    assert answer.status_code == 403
    assert "secret" not in answer.text
