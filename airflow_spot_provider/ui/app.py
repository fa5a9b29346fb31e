"""The FastAPI application behind the pages: it finds out who asks, asks the database, and answers JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.api_fastapi.logging.decorators import action_logging
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as StarletteHTTPException

from airflow_spot_provider import __version__
from airflow_spot_provider.published.rows import PublishedRow, TaskKey, page_of, row_of, rows_of_runs
from airflow_spot_provider.published.selection import Selection
from airflow_spot_provider.published.sums import running_now, sums_by
from airflow_spot_provider.training import InvalidSpotRequest
from airflow_spot_provider.ui import actions
from airflow_spot_provider.ui.access import (
    EDITS_RUN,
    OUR_PAGE,
    READS_LOG,
    READS_RUN,
    READS_TASK,
    READS_XCOM,
    ReadableDags,
    TaskQuery,
    can_edit,
)
from airflow_spot_provider.ui.assets import SCRIPT_POLICY, asset, plotly_script
from airflow_spot_provider.ui.dag_view import dag_view
from airflow_spot_provider.ui.details import task_view
from airflow_spot_provider.ui.recent import Recent
from airflow_spot_provider.ui.refresh import asked_anew
from airflow_spot_provider.ui.trace import trace_of
from airflow_spot_provider.ui.views import page_view, row_view, summary_view

MOST_ROWS_OF_A_PAGE = 100
MOST_TASKS_OF_A_TRACE = 2_000

Days = Annotated[int, Query(ge=1, le=366)]
_RECENT = Recent(seconds=1.0, most=256)
"""What many who look at the same page at the same time are told."""


def task_key(dag_id: TaskQuery, run_id: TaskQuery, task_id: TaskQuery, map_index: int = -1) -> TaskKey:
    """Which task a request is about."""
    return dag_id, run_id, task_id, map_index


Key = Annotated[TaskKey, Depends(task_key)]


def make_app() -> FastAPI:
    """The application. Every route asks who it is that asks; static files too."""
    app = FastAPI(title="Spot training", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.middleware("http")(_with_headers)
    app.add_exception_handler(StarletteHTTPException, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(InvalidSpotRequest, _invalid)
    app.add_exception_handler(actions.NotDone, _not_done)
    for path, page in (("/", "jobs.html"), ("/dag", "dag.html"), ("/task", "task.html")):
        app.get(path)(_page(page))
    app.get("/static/plotly.min.js")(plotly)
    app.get("/static/{name}")(static)
    app.get("/api/jobs")(jobs)
    app.get("/api/summary")(summary)
    app.get("/api/dags", dependencies=[READS_RUN, READS_XCOM])(dags)
    app.get("/api/task", dependencies=[READS_TASK, READS_XCOM])(task)
    app.get("/api/trace", dependencies=[READS_RUN, READS_XCOM])(trace)
    reading = [READS_TASK, READS_XCOM, READS_LOG, OUR_PAGE]
    app.post("/api/task/refresh", dependencies=reading)(refresh)
    for name, act in (("stop", actions.stop), ("next-rung", actions.go_to_next_rung)):
        logged = Depends(action_logging(f"spot_training_{name}"))
        app.post(f"/api/task/{name}", dependencies=[EDITS_RUN, OUR_PAGE, logged])(_action(act))
    app.get("/{path:path}")(_unknown)
    return app


def jobs(
    request: Request,
    session: SessionDep,
    user: GetUserDep,
    readable: ReadableDags,
    days: Days = 7,
    state: str = "all",
    search: Annotated[str, Query(max_length=250)] = "",
    dag_id: str | None = None,
    sort: str = "started",
    order: Annotated[str, Query(pattern="^(asc|desc)$")] = "desc",
    limit: Annotated[int, Query(ge=1, le=MOST_ROWS_OF_A_PAGE)] = 25,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> Response:
    """One page of tasks, running first."""
    now = datetime.now(UTC)
    among = readable if dag_id is None else readable & {dag_id}
    selection = Selection(
        now=now,
        since=now - timedelta(days=days),
        dag_ids=among,
        state=state,
        search=search.strip(),
        sort=sort,
        descending=order == "desc",
    )
    asked = (days, state, search, dag_id, sort, order, limit, offset, among)
    page = _RECENT.get(("jobs", asked), lambda: page_of(session, selection, limit=limit, offset=offset))
    editable = {row.dag_id: can_edit(user, row.dag_id) for row in page.rows}
    view = page_view(page, now, can_edit=lambda each: editable[each])
    return _answer(request, {**view, "limit": limit, "offset": offset})


def summary(request: Request, session: SessionDep, readable: ReadableDags, days: Days = 30) -> Response:
    """The strip on top of the page."""
    now = datetime.now(UTC)

    def _ask() -> dict[str, Any]:
        running = running_now(session, Selection(now=now, dag_ids=readable))
        ended = Selection(now=now, since=now - timedelta(days=days), dag_ids=readable)
        total = next(iter(sums_by(session, ended)), None)
        return summary_view(running, total, now, days=days)

    return _answer(request, _RECENT.get(("summary", days, readable), _ask))


def dags(
    request: Request, session: SessionDep, dag_id: TaskQuery, runs: Annotated[int, Query(ge=1, le=100)] = 30
) -> Response:
    """The newest runs of a DAG."""
    now = datetime.now(UTC)
    view = _RECENT.get(("dag", dag_id, runs), lambda: dag_view(session, dag_id, now, runs=runs))
    return _answer(request, view)


def task(request: Request, session: SessionDep, user: GetUserDep, key: Key) -> Response:
    """One task."""
    now = datetime.now(UTC)
    return _answer(request, task_view(session, key, now, can_edit=can_edit(user, key[0])))


async def refresh(session: SessionDep, user: GetUserDep, key: Key) -> Response:
    """One task, with what AWS tells now."""

    def _ask() -> dict[str, Any]:
        now = datetime.now(UTC)
        row = _existing(session, key)
        progress, lines = asked_anew(row)
        editable = can_edit(user, key[0])
        view = task_view(session, key, now, can_edit=editable)
        view["row"] = row_view(replace(row, progress=progress), now, can_edit=editable)
        return {**view, "log": lines, "refreshed": True}

    return JSONResponse(await run_in_threadpool(_ask))


def trace(session: SessionDep, dag_id: TaskQuery, run_id: TaskQuery) -> Response:
    """A run's timelines for Perfetto, as a file."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    number = session.execute(
        select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id).limit(1)
    ).scalar_one_or_none()
    rows = [] if number is None else rows_of_runs(session, [number], limit=MOST_TASKS_OF_A_TRACE)
    if not rows:
        raise HTTPException(
            status.HTTP_404_NOT_FOUND, "No task of this DAG run has published a spot training."
        )
    safe = "".join(
        each if each.isascii() and (each.isalnum() or each in "._-") else "_" for each in f"{dag_id}_{run_id}"
    )
    headers = {"Content-Disposition": f'attachment; filename="{safe[:150]}.trace.json"'}
    return JSONResponse(trace_of(rows, dag_id, run_id), headers=headers)


def static(user: GetUserDep, name: str) -> Response:  # noqa: ARG001 - asked so that nobody else gets it
    """A file of the pages."""
    return FileResponse(asset(name), headers={"Cache-Control": "private, max-age=3600"})


def plotly(request: Request, user: GetUserDep) -> Response:  # noqa: ARG001 - asked so that nobody else gets it
    """The charts' library, out of the installed package."""
    return plotly_script(request)


def _page(name: str) -> Callable[..., Response]:
    def page(user: GetUserDep) -> Response:  # noqa: ARG001 - asked so that nobody else gets it
        return FileResponse(asset(name), headers={"Cache-Control": "no-cache"})

    return page


def _action(act: Callable[[PublishedRow], actions.Done]) -> Callable[..., Awaitable[Response]]:
    async def action(session: SessionDep, key: Key) -> Response:
        row = _existing(session, key)
        done = await run_in_threadpool(act, row)
        return JSONResponse({"done": done.done, "message": done.message})

    return action


def _existing(session: Any, key: TaskKey) -> PublishedRow:
    row = row_of(session, key)
    if row is None:
        raise HTTPException(
            status.HTTP_404_NOT_FOUND, "This task has published nothing about a spot training."
        )
    return row


def _answer(request: Request, view: dict[str, Any]) -> Response:
    """JSON; only the time if nothing else has changed since the browser asked last."""
    same = json.dumps({**view, "server_time": None}, sort_keys=True).encode()
    tag = f'"{hashlib.sha256(same).hexdigest()[:24]}"'
    headers = {"ETag": tag, "X-Server-Time": str(view["server_time"])}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    return JSONResponse(view, headers=headers)


def _unknown(path: str, user: GetUserDep) -> Response:  # noqa: ARG001 - asked so that nobody else learns what there is
    raise HTTPException(status.HTTP_404_NOT_FOUND, "There is no such page of spot training.")


async def _with_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Content-Security-Policy"] = SCRIPT_POLICY
    return response


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    details = {
        status.HTTP_401_UNAUTHORIZED: "You are signed out of Airflow: sign in again.",
        status.HTTP_403_FORBIDDEN: "You may not do that. Whoever runs this Airflow can grant access to the DAG.",
    }
    plain = error.detail if error.detail not in ("Not authenticated", "Forbidden", "") else None
    return JSONResponse(
        {"detail": plain or details.get(error.status_code, "That did not work.")}, error.status_code
    )


async def _invalid(_request: Request, error: Exception) -> Response:
    if isinstance(error, RequestValidationError):
        parts = [f"{each['loc'][-1]}: {each['msg']}" for each in error.errors()]
        detail = f"The request is not one that this takes: {'; '.join(parts)}."
    else:
        detail = str(error)
    return JSONResponse({"detail": detail}, status.HTTP_422_UNPROCESSABLE_CONTENT)


async def _not_done(_request: Request, error: Exception) -> Response:
    return JSONResponse({"detail": str(error)}, status.HTTP_409_CONFLICT)
