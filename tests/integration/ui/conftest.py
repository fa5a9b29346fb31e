"""A metadata database of each test's own, and the pages' application as Airflow mounts it, for users who may do more or less."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from airflow import settings
from airflow.api_fastapi.app import _AuthManagerState
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import scoped_session, sessionmaker

from airflow_spot_provider.ui.plugin import URL_PREFIX, BuiltWhenAsked
from tests.ui.metadata import Metadata
from tests.ui.postgres import PostgresServer

SignIn = Callable[..., TestClient]
_TEMPLATE = "airflow"


class AuthManagerOfTests(SimpleAuthManager):
    """Airflow's simple auth manager, with DAGs that some users know nothing of."""

    def __init__(self) -> None:
        super().__init__()
        self.readable: dict[str, list[str]] = {}
        self.without_xcoms: dict[str, list[str]] = {}
        """DAGs that a user may read, and not what their tasks have published."""

    def is_authorized_dag(self, *, user: Any, details: Any = None, **kwargs: Any) -> bool:
        listed, dag_id = self.readable.get(user.username), getattr(details, "id", None)
        if listed is not None and dag_id is not None and dag_id not in listed:
            return False
        unread = self.without_xcoms.get(user.username, ())
        if kwargs.get("access_entity") is DagAccessEntity.XCOM and dag_id in unread:
            return False
        return bool(super().is_authorized_dag(user=user, details=details, **kwargs))


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("metadata") / "airflow.db"
    engine = create_engine(f"sqlite:///{path}")
    Metadata.created(engine)
    engine.dispose()
    return path


def used_by_airflow(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Airflow's own code use this database."""
    sessions = sessionmaker(engine, autoflush=False, expire_on_commit=False)
    monkeypatch.setattr(settings, "engine", engine)
    monkeypatch.setattr(settings, "NonScopedSession", sessions)
    monkeypatch.setattr(settings, "Session", scoped_session(sessions))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server with a database that has Airflow's tables, to be copied."""
    with PostgresServer() as server:
        engine = create_engine(server.url_of(_TEMPLATE))
        Metadata.created(engine)
        engine.dispose()
        yield server


def _without_waiting_for_the_disk(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous = OFF")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.ui)])
def metadata(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Metadata]:
    """SQLite, as ``airflow standalone`` has it; for ``make test-ui`` PostgreSQL as well."""
    if request.param == "sqlite":
        path = tmp_path / "airflow.db"
        shutil.copy(request.getfixturevalue("empty_database"), path)
        engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False})
        event.listen(engine, "connect", _without_waiting_for_the_disk)
    else:
        server = request.getfixturevalue("postgres")
        name = f"t{uuid.uuid4().hex[:12]}"
        server.copy(_TEMPLATE, name)
        engine = create_engine(server.url_of(name))
    used_by_airflow(engine, monkeypatch)
    yield Metadata(engine)
    settings.Session.remove()
    engine.dispose()


@pytest.fixture
def sign_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[SignIn]:
    """Makes a browser of a user: ``sign_in("rita", role="viewer", dags=["churn"])``; ``sign_in(None)`` is signed out."""
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "of-tests-" * 8)
    manager = AuthManagerOfTests()
    monkeypatch.setattr(_AuthManagerState, "instance", manager)
    airflow = FastAPI()
    airflow.mount(URL_PREFIX, BuiltWhenAsked())
    opened: list[TestClient] = []

    def _sign_in(
        name: str | None,
        *,
        role: str = "ADMIN",
        dags: list[str] | None = None,
        without_xcoms: Sequence[str] = (),
    ) -> TestClient:
        client = TestClient(airflow, base_url=f"http://airflow{URL_PREFIX}", raise_server_exceptions=False)
        opened.append(client)
        if name is not None:
            manager.without_xcoms[name] = [*without_xcoms]
        if dags is not None:
            assert name is not None
            manager.readable[name] = dags
        if name is not None:
            user = SimpleAuthManagerUser(username=name, role=role)
            client.cookies.set("_token", manager.generate_jwt(user))
        return client

    yield _sign_in
    for client in opened:
        client.close()
