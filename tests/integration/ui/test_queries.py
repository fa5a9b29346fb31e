"""Every query of the pages on a PostgreSQL with ten thousand results among a hundred thousand other tasks: by an index, or cut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine

from tests.integration.ui.conftest import SignIn, used_by_airflow
from tests.ui import many
from tests.ui.metadata import Metadata
from tests.ui.postgres import PostgresServer

pytestmark = pytest.mark.ui

LARGE = {"xcom", "task_instance", "dag_run", "log"}
"""Tables that grow with every run."""


@pytest.fixture(scope="module")
def months() -> Iterator[Engine]:
    with PostgresServer() as server:
        engine = create_engine(server.url_of("months"))
        many.fill(Metadata.created(engine))
        yield engine
        engine.dispose()


class Recorded:
    """The statements that were sent to a database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.statements: list[tuple[str, Any]] = []
        event.listen(engine, "before_cursor_execute", self._record)

    def stop(self) -> None:
        event.remove(self._engine, "before_cursor_execute", self._record)

    def _record(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if not statement.startswith("EXPLAIN"):
            self.statements.append((statement, parameters))

    def ours(self) -> list[tuple[str, Any]]:
        """Those that read what tasks have published; the others are Airflow's own, about users and DAGs."""
        return [each for each in self.statements if " xcom" in each[0] or "deadline" in each[0]]

    def plan_of(self, statement: str, parameters: Any) -> dict[str, Any]:
        with self._engine.connect() as connection:
            explained = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
            plan: dict[str, Any] = explained.scalar_one()[0]["Plan"]
            return plan


@pytest.fixture
def recorded(months: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    used_by_airflow(months, monkeypatch)
    recorded = Recorded(months)
    yield recorded
    recorded.stop()


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _scanned(plan: dict[str, Any]) -> set[str]:
    """Large tables that are read from their beginning to their end."""
    return {
        node["Relation Name"]
        for node in _nodes(plan)
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in LARGE
    }


def _all_by_dag(plan: dict[str, Any]) -> set[str]:
    """Indexes of XComs that are gone through for all DAGs that a user may read."""
    return {
        node["Index Name"]
        for node in _nodes(plan)
        if node.get("Index Name") == "idx_xcom_task_instance" and " ANY (" in str(node.get("Index Cond"))
    }


PAGES = [
    "api/jobs",
    "api/jobs?days=90&offset=5000",
    *(f"api/jobs?days=30&state={state}" for state in ("running", "at_risk", "ended", "Completed", "unknown")),
    *(f"api/jobs?days=30&sort={sort}&order=asc" for sort in ("dag", "status", "max_wait", "savings", "cost")),
    "api/jobs?days=30&search=train-99",
    "api/jobs?days=30&dag_id=spot_03",
    "api/summary",
    "api/dags?dag_id=spot_03",
    "api/dags?dag_id=etl_003",
    "api/task?dag_id=spot_03&run_id=scheduled__00007&task_id=train&map_index=3",
    "api/task?dag_id=etl_003&run_id=scheduled__00007&task_id=task_3",
    "api/trace?dag_id=spot_03&run_id=scheduled__00007",
]


@pytest.mark.parametrize("page", PAGES)
def test_no_query_reads_a_large_table_from_end_to_end(recorded: Recorded, sign_in: SignIn, page: str) -> None:
    answer = sign_in("ann").get(page)

    assert answer.status_code == 200, answer.text
    assert recorded.ours()
    for statement, parameters in recorded.ours():
        plan = recorded.plan_of(statement, parameters)
        assert not _scanned(plan), statement
        assert not _all_by_dag(plan), statement


@pytest.mark.parametrize("page", PAGES)
def test_every_query_is_cut_or_tells_one_number(recorded: Recorded, sign_in: SignIn, page: str) -> None:
    sign_in("ann").get(page)

    for statement, _ in recorded.ours():
        counts = statement.startswith("SELECT count(") and "GROUP BY" not in statement
        assert " LIMIT " in statement or counts, statement


def test_plan_of_a_scan_is_told_from_one_by_an_index(recorded: Recorded) -> None:
    """The two tests above can fail."""
    scan = recorded.plan_of("SELECT * FROM xcom WHERE timestamp > now()", None)
    by_dag = recorded.plan_of("SELECT key FROM xcom WHERE dag_id IN ('spot_01', 'spot_02')", None)

    assert _scanned(scan) == {"xcom"}
    assert _all_by_dag(by_dag) == {"idx_xcom_task_instance"}


def test_many_who_look_ask_the_database_once(recorded: Recorded, sign_in: SignIn) -> None:
    viewers = [sign_in(name) for name in ("ann", "bob", "eve")]
    viewers[0].get("api/jobs")
    first = len(recorded.ours())

    told = [viewer.get("api/jobs").json()["total"] for viewer in viewers]

    assert len(set(told)) == 1
    # One of them may have come when the answer was a second old.
    assert len(recorded.ours()) <= 2 * first


def test_page_holds_what_was_put_in(recorded: Recorded, sign_in: SignIn) -> None:  # noqa: ARG001 - uses that database
    ann = sign_in("ann")

    page = ann.get("api/jobs?days=90").json()

    assert (page["total"], len(page["rows"]), page["left_out"]) == (many.RESULTS, 25, 0)
    assert page["running"] == many.SPOT_DAGS * many.RUNNING_RUNS * many.MEMBERS
    assert ann.get("api/summary?days=90").json()["running"] == page["running"]
