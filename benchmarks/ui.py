"""Measure the pages at the server: how long the database and we take for each, and what viewers ask of the database. Asserts nothing.

    python -m benchmarks.ui                 (make bench-ui)

A PostgreSQL of its own with ten thousand results among a hundred thousand other tasks; the application as Airflow mounts it, asked in
process, so that no network and no browser is in the figures. Wanted: the first page within 500 ms.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_WARM_UP = 2
PAGES = {
    "first page (7 days)": "api/jobs",
    "first page, 90 days": "api/jobs?days=90",
    "page 200 of 400": "api/jobs?days=90&offset=5000",
    "sorted by cost, 90 days": "api/jobs?days=90&sort=cost",
    "search, 90 days": "api/jobs?days=90&search=train-99",
    "at risk": "api/jobs?state=at_risk",
    "strip (30 days)": "api/summary",
    "DAG's tab, 30 runs": "api/dags?dag_id=spot_03",
    "task's tab": "api/task?dag_id=spot_03&run_id=scheduled__00007&task_id=train&map_index=3",
    "trace of a run": "api/trace?dag_id=spot_03&run_id=scheduled__00007",
}


def main() -> None:
    """Measure, and tell it as a table or as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=15, help="how often each page is asked for")
    parser.add_argument("--viewers", type=int, default=50, help="how many look on at the same time")
    parser.add_argument("--seconds", type=float, default=20.0, help="for how long they do")
    parser.add_argument("--json", action="store_true", help="tell it as JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, _pages(home) as (asked, statements, results):
        pages = {name: _page(asked, statements, path, arguments.times) for name, path in PAGES.items()}
        crowd = _crowd(asked, statements, arguments.viewers, arguments.seconds)
    told = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "results": results,
        "pages": pages,
        "viewers": crowd,
    }
    print(json.dumps(told, indent=2) if arguments.json else _table(told))


class Pages:
    """The pages, for somebody who is signed in.

    :param client: asks for them.
    :param forget: lets the application forget what it keeps for a moment.
    """

    def __init__(self, client: Any, forget: Callable[[], None]) -> None:
        self._client = client
        self.forget = forget

    def ask(self, path: str) -> bytes:
        """The answer's body."""
        answer = self._client.get(path)
        answer.raise_for_status()
        body: bytes = answer.content
        return body


@contextmanager
def _pages(home: str) -> Iterator[tuple[Pages, list[float], int]]:
    """The pages; seconds of each statement that the database is sent; how many results there are."""
    # Airflow reads its environment when it is first imported.
    os.environ |= {
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__API_AUTH__JWT_SECRET": "of-a-benchmark-" * 6,
    }
    from airflow import settings
    from airflow.api_fastapi.app import init_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from fastapi.testclient import TestClient
    from sqlalchemy import create_engine, event
    from sqlalchemy.orm import scoped_session, sessionmaker

    from airflow_spot_provider.ui.app import make_app
    from tests.ui import many
    from tests.ui.metadata import Metadata
    from tests.ui.postgres import PostgresServer

    with PostgresServer() as server:
        engine = create_engine(server.url_of("months"), pool_size=40)
        print("Filling a database (half a minute) ...", flush=True)
        many.fill(Metadata.created(engine))
        sessions = sessionmaker(engine, autoflush=False, expire_on_commit=False)
        settings.engine, settings.NonScopedSession = engine, sessions
        settings.Session = scoped_session(sessions)
        statements: list[float] = []

        @event.listens_for(engine, "before_cursor_execute")
        def _begins(
            _connection: Any, _cursor: Any, _statement: Any, _values: Any, context: Any, _: Any
        ) -> None:
            context.begun = time.perf_counter()

        @event.listens_for(engine, "after_cursor_execute")
        def _ends(
            _connection: Any, _cursor: Any, _statement: Any, _values: Any, context: Any, _: Any
        ) -> None:
            statements.append(time.perf_counter() - context.begun)

        logging.getLogger("httpx2").setLevel(logging.WARNING)
        logging.getLogger("httpx").setLevel(logging.WARNING)
        token = init_auth_manager().generate_jwt(SimpleAuthManagerUser(username="ann", role="ADMIN"))
        app = make_app()
        with TestClient(app, base_url="http://airflow") as client:
            client.cookies.set("_token", token)

            yield Pages(client, app.state.recent.forget), statements, many.RESULTS
        engine.dispose()


def _page(pages: Pages, statements: list[float], path: str, times: int) -> dict[str, Any]:
    seconds, databases, queries = [], [], 0
    size = 0
    for number in range(_WARM_UP + times):
        pages.forget()
        statements.clear()
        begun = time.perf_counter()
        answer = pages.ask(path)
        taken = time.perf_counter() - begun
        if number >= _WARM_UP:
            seconds.append(taken)
            databases.append(sum(statements))
            queries, size = len(statements), len(answer)
    return {
        "milliseconds": round(statistics.median(seconds) * 1000, 1),
        "slowest": round(max(seconds) * 1000, 1),
        "in_the_database": round(statistics.median(databases) * 1000, 1),
        "queries": queries,
        "kilobytes": round(size / 1000, 1),
    }


def _crowd(pages: Pages, statements: list[float], viewers: int, seconds: float) -> dict[str, Any]:
    """What many who look at the page of all jobs, live, ask of the database."""
    statements.clear()
    over = time.perf_counter() + seconds
    answers: list[float] = []

    def _look(place: int) -> None:
        time.sleep(2.0 * place / viewers)
        while time.perf_counter() < over:
            begun = time.perf_counter()
            for path in ("api/summary", "api/jobs"):
                pages.ask(path)
            answers.append(time.perf_counter() - begun)
            time.sleep(2.0)

    looking = [threading.Thread(target=_look, args=(place,)) for place in range(viewers)]
    for each in looking:
        each.start()
    for each in looking:
        each.join()
    return {
        "viewers": viewers,
        "seconds": seconds,
        "looks": len(answers),
        "milliseconds": round(statistics.median(answers) * 1000, 1),
        "queries_per_second": round(len(statements) / seconds, 1),
        "database_busy_percent": round(sum(statements) / seconds * 100, 1),
    }


def _table(told: dict[str, Any]) -> str:
    lines = [
        f"{told['results']:,} results; {told['machine']}",
        f"{'':28}{'median':>9}{'slowest':>9}{'database':>10}{'queries':>9}{'kB':>8}",
    ]
    for name, page in told["pages"].items():
        lines.append(
            f"{name:28}{page['milliseconds']:>6} ms{page['slowest']:>6} ms{page['in_the_database']:>7} ms"
            f"{page['queries']:>9}{page['kilobytes']:>8}"
        )
    crowd = told["viewers"]
    lines.append(
        f"{crowd['viewers']} viewers, a look every 2 s: {crowd['milliseconds']} ms a look, "
        f"{crowd['queries_per_second']} queries a second, the database busy for {crowd['database_busy_percent']}% of a core"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
