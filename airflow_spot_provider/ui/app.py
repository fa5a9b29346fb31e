"""The FastAPI application behind the pages: it finds out who asks, asks the database, and answers JSON.

Every route asks who it is that asks; static files too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.api_fastapi.logging.decorators import action_logging
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response, status
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as StarletteHTTPException

from airflow_spot_provider import __version__
from airflow_spot_provider.published.deadlines import near_deadlines
from airflow_spot_provider.published.rows import (
    Page,
    PublishedRow,
    TaskKey,
    number_of_run,
    page_of,
    row_of,
    rows_of_runs,
)
from airflow_spot_provider.published.selection import Selection
from airflow_spot_provider.published.sums import Sum, figures, running_now
from airflow_spot_provider.training import InvalidSpotRequest
from airflow_spot_provider.training.result import iso
from airflow_spot_provider.ui import actions
from airflow_spot_provider.ui.access import (
    EDITS,
    OUR_PAGE,
    READS,
    READS_LOG,
    Identifier,
    ReadableDags,
    Text,
    can_edit,
)
from airflow_spot_provider.ui.answers import HEADERS, Json, answer, invalid, problem, unexpected
from airflow_spot_provider.ui.assets import asset, plotly_script
from airflow_spot_provider.ui.dag_view import dag_view
from airflow_spot_provider.ui.details import task_view
from airflow_spot_provider.ui.recent import Recent
from airflow_spot_provider.ui.refresh import asked_anew
from airflow_spot_provider.ui.task_arguments import as_it_was_given
from airflow_spot_provider.ui.task_log import training_log_of
from airflow_spot_provider.ui.trace import trace_of
from airflow_spot_provider.ui.views import page_view, running_view, sum_view

MOST_ROWS_OF_A_PAGE = 100
MOST_TASKS_OF_A_TRACE = 2_000
_LIVE, _SUMS = 1.0, 15.0
"""Seconds for which what runs, and what has been added up, is told again without asking the database."""

Days = Annotated[int, Query(ge=1, le=366)]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS_OF_A_PAGE)]
_MOST_ANSWERS = 256


def recent(request: Request) -> Recent:
    """What many who look at the same page at the same time are told."""
    kept: Recent = request.app.state.recent
    return kept


Kept = Annotated[Recent, Depends(recent)]


def task_key(
    dag_id: Identifier,
    run_id: Identifier,
    task_id: Identifier,
    map_index: Annotated[int, Query(ge=-1, lt=2**31)] = -1,
) -> TaskKey:
    """Which task a request is about."""
    return dag_id, run_id, task_id, map_index


Key = Annotated[TaskKey, Depends(task_key)]


def make_app() -> FastAPI:
    """The application, as Airflow mounts it."""
    app = FastAPI(title="Spot training", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.recent = Recent(most=_MOST_ANSWERS)
    app.middleware("http")(_with_headers)
    app.add_exception_handler(StarletteHTTPException, problem)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(InvalidSpotRequest, invalid)
    app.add_exception_handler(actions.NotDone, _not_done)
    app.add_exception_handler(Exception, unexpected)
    for path, page in (("/", "jobs.html"), ("/dag", "dag.html"), ("/task", "task.html")):
        app.get(path)(_page(page))
    app.get("/static/plotly.min.js")(plotly)
    app.get("/static/{name}")(static)
    app.get("/api/jobs")(jobs)
    app.get("/api/summary")(summary)
    app.get("/api/dags", dependencies=[READS])(dags)
    app.get("/api/task", dependencies=[READS])(task)
    app.get("/api/log", dependencies=[READS, READS_LOG])(log)
    app.get("/api/trace", dependencies=[READS])(trace)
    app.post("/api/task/refresh", dependencies=[READS, READS_LOG, OUR_PAGE, _audited("refresh")])(refresh)
    for name, act in (("stop", actions.stop), ("next-rung", actions.go_to_next_rung)):
        app.post(f"/api/task/{name}", dependencies=[READS, EDITS, OUR_PAGE, _audited(name)])(_action(act))
    app.api_route("/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])(_unknown)
    return app


def jobs(
    request: Request,
    session: SessionDep,
    user: GetUserDep,
    readable: ReadableDags,
    kept: Kept,
    days: Days = 7,
    state: str = "all",
    search: Annotated[str, Query(max_length=250), Text] = "",
    dag_id: str | None = None,
    sort: str = "started",
    order: Annotated[str, Query(pattern="^(asc|desc)$")] = "desc",
    limit: Limit = 25,
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

    def _ask() -> tuple[Page, dict[int, datetime]]:
        near = near_deadlines(session, now)
        return page_of(session, replace(selection, deadlines=near), limit=limit, offset=offset), near

    asked = (days, state, selection.search, sort, order, limit, offset, among)
    page, near = kept.get(("jobs", asked), _ask, seconds=_LIVE)
    editable = {each: can_edit(user, each) for each in {row.dag_id for row in page.rows}}
    view = page_view(page, now, can_edit=editable.__getitem__, deadlines=near)
    return answer(request, {**view, "limit": limit, "offset": offset})


def summary(
    request: Request, session: SessionDep, readable: ReadableDags, kept: Kept, days: Days = 30
) -> Response:
    """The strip on top of the page."""
    now = datetime.now(UTC)

    def _running() -> dict[str, Any]:
        near = near_deadlines(session, now)
        return running_view(running_now(session, Selection(now=now, dag_ids=readable, deadlines=near)), now)

    def _sums() -> dict[str, Any]:
        since = now - timedelta(days=days)
        return sum_view(next(iter(figures(session, now=now, since=since, dag_ids=readable)), Sum(())))

    running = kept.get(("running", readable), _running, seconds=_LIVE)
    sums = kept.get(("sums", days, readable), _sums, seconds=_SUMS)
    return answer(request, {"server_time": iso(now), **running, "days": days, **sums})


def dags(
    request: Request,
    session: SessionDep,
    kept: Kept,
    dag_id: Identifier,
    runs: Annotated[int, Query(ge=1, le=100)] = 30,
) -> Response:
    """The newest runs of a DAG."""
    now = datetime.now(UTC)

    def _ask() -> dict[str, Any]:
        return dag_view(session, dag_id, now, runs=runs)

    view = kept.get(("dag", dag_id, runs), _ask, seconds=_LIVE)
    return answer(request, {**view, "server_time": iso(now)})


def task(request: Request, session: SessionDep, user: GetUserDep, key: Key) -> Response:
    """One task."""
    now = datetime.now(UTC)
    return answer(request, task_view(session, key, now, can_edit=can_edit(user, key[0])))


def log(request: Request, session: SessionDep, key: Key) -> Response:
    """The newest lines of a task's training log, as far as the task's own log repeats them."""
    row = row_of(session, key)
    name = None if row is None else row.progress.job_name
    # Not while a connection to the database is held for it.
    session.close()
    lines, why = training_log_of(key, name)
    return answer(request, {"server_time": iso(datetime.now(UTC)), "log": lines, "log_left_out_why": why})


def refresh(session: SessionDep, user: GetUserDep, key: Key) -> Response:
    """One task, with what AWS tells now."""
    row = as_it_was_given(session, _existing(session, key))
    # AWS may take its time: no connection to the database is held for it.
    session.close()
    progress, lines = asked_anew(row)
    editable = can_edit(user, key[0])
    anew = replace(row, progress=progress)
    return Json(task_view(session, key, datetime.now(UTC), can_edit=editable, anew=anew, log=lines))


def trace(session: SessionDep, dag_id: Identifier, run_id: Identifier) -> Response:
    """A run's timelines for Perfetto, as a file."""
    number = number_of_run(session, dag_id, run_id)
    read = [] if number is None else rows_of_runs(session, [number], limit=MOST_TASKS_OF_A_TRACE + 1)
    rows = [row for row in read[:MOST_TASKS_OF_A_TRACE] if row.is_ours]
    if not rows:
        raise HTTPException(
            status.HTTP_404_NOT_FOUND, "No task of this DAG run has published a spot training."
        )
    safe = "".join(
        each if each.isascii() and (each.isalnum() or each in "._-") else "_" for each in f"{dag_id}_{run_id}"
    )
    headers = {"Content-Disposition": f'attachment; filename="{safe[:150]}.trace.json"'}
    more = len(read) > MOST_TASKS_OF_A_TRACE
    left_out = f"All tasks of this run beyond the first {MOST_TASKS_OF_A_TRACE:,}." if more else None
    return Json(trace_of(rows, dag_id, run_id, datetime.now(UTC), left_out=left_out), headers=headers)


def static(request: Request, user: GetUserDep, name: str) -> Response:  # noqa: ARG001 - asked so that nobody else gets it
    """A file of the pages."""
    return asset(request, name)


def plotly(request: Request, user: GetUserDep) -> Response:  # noqa: ARG001 - asked so that nobody else gets it
    """The charts' library, out of the installed package."""
    return plotly_script(request)


def _page(name: str) -> Callable[..., Response]:
    def page(request: Request, user: GetUserDep) -> Response:  # noqa: ARG001 - asked so that nobody else gets it
        return asset(request, name)

    return page


def _audited(action: str) -> Any:
    """Airflow's audit log; what asks for no task is no action, and Airflow's own dependency alone would log it."""
    write = action_logging(f"spot_training_{action}")

    async def audited(request: Request, session: SessionDep, user: GetUserDep, key: Key) -> None:  # noqa: ARG001
        await write(request, session, user)

    return Depends(audited)


def _action(act: Callable[[PublishedRow], actions.Done]) -> Callable[..., Awaitable[Response]]:
    async def action(session: SessionDep, key: Key) -> Response:
        row = await run_in_threadpool(lambda: as_it_was_given(session, _existing(session, key)))
        session.close()
        done = await run_in_threadpool(act, row)
        return Json({"done": done.done, "message": done.message})

    return action


def _existing(session: Any, key: TaskKey) -> PublishedRow:
    row = row_of(session, key)
    if row is None:
        raise HTTPException(
            status.HTTP_404_NOT_FOUND, "This task has published nothing about a spot training."
        )
    return row


def _unknown(path: str, user: GetUserDep) -> Response:  # noqa: ARG001 - asked so that nobody else learns what there is
    raise HTTPException(status.HTTP_404_NOT_FOUND, "There is no such page of spot training.")


async def _with_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.update(HEADERS)
    return response


async def _not_done(_request: Request, error: Exception) -> Response:
    return Json({"detail": str(error)}, status.HTTP_409_CONFLICT)
