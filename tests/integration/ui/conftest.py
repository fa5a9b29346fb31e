"""A metadata database of each test's own, and the pages' application as Airflow mounts it, for users who may do more or less."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow import settings
from airflow.api_fastapi.app import _AuthManagerState
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import scoped_session, sessionmaker

from airflow_spot_provider.ui.plugin import URL_PREFIX, SpotTrainingPlugin
from tests.ui.metadata import Metadata

SignIn = Callable[..., TestClient]


class AuthManagerOfTests(SimpleAuthManager):
    """Airflow's simple auth manager, with DAGs that some users know nothing of."""

    def __init__(self) -> None:
        super().__init__()
        self.readable: dict[str, list[str]] = {}

    def is_authorized_dag(self, *, user: Any, details: Any = None, **kwargs: Any) -> bool:
        listed, dag_id = self.readable.get(user.username), getattr(details, "id", None)
        if listed is not None and dag_id is not None and dag_id not in listed:
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


@pytest.fixture
def metadata(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Metadata]:
    """SQLite, as ``airflow standalone`` has it."""
    path = tmp_path / "airflow.db"
    shutil.copy(empty_database, path)
    engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False})
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
    for mounted in SpotTrainingPlugin.fastapi_apps:
        airflow.mount(mounted["url_prefix"], mounted["app"])
    opened: list[TestClient] = []

    def _sign_in(name: str | None, *, role: str = "ADMIN", dags: list[str] | None = None) -> TestClient:
        client = TestClient(airflow, base_url=f"http://airflow{URL_PREFIX}", raise_server_exceptions=False)
        opened.append(client)
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
