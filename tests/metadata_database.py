"""A metadata database with Airflow's tables, of each test's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from airflow import settings
from sqlalchemy import create_engine
from sqlalchemy.orm import scoped_session, sessionmaker

from tests.ui.metadata import Metadata


def make_empty_database(path: Path) -> Path:
    """With Airflow's tables; to be copied."""
    engine = create_engine(f"sqlite:///{path}")
    Metadata.created(engine)
    engine.dispose()
    return path


@contextmanager
def airflow_uses(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Metadata]:
    """Airflow's own code uses this database."""
    engine = create_engine(f"sqlite:///{path}")
    sessions = sessionmaker(engine, autoflush=False, expire_on_commit=False)
    monkeypatch.setattr(settings, "engine", engine)
    monkeypatch.setattr(settings, "NonScopedSession", sessions)
    monkeypatch.setattr(settings, "Session", scoped_session(sessions))
    try:
        yield Metadata(engine)
    finally:
        settings.Session.remove()
        engine.dispose()


@contextmanager
def copied_database(empty: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Metadata]:
    """A copy, which Airflow's own code uses."""
    with airflow_uses(Path(shutil.copy(empty, folder / "airflow.db")), monkeypatch) as metadata:
        yield metadata
