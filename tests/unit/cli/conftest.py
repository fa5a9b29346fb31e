"""A metadata database with Airflow's tables, of each test's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow import settings
from sqlalchemy import create_engine
from sqlalchemy.orm import scoped_session, sessionmaker

from tests.ui.metadata import Metadata


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("metadata") / "airflow.db"
    engine = create_engine(f"sqlite:///{path}")
    Metadata.created(engine)
    engine.dispose()
    return path


@pytest.fixture
def metadata(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Metadata]:
    """The metadata database that Airflow's own code uses in this test."""
    path = tmp_path / "airflow.db"
    shutil.copy(empty_database, path)
    engine = create_engine(f"sqlite:///{path}")
    sessions = sessionmaker(engine, autoflush=False, expire_on_commit=False)
    monkeypatch.setattr(settings, "engine", engine)
    monkeypatch.setattr(settings, "NonScopedSession", sessions)
    monkeypatch.setattr(settings, "Session", scoped_session(sessions))
    yield Metadata(engine)
    settings.Session.remove()
    engine.dispose()
