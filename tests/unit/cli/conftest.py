"""A metadata database with Airflow's tables, of each test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.metadata_database import copied_database, make_empty_database
from tests.ui.metadata import Metadata


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_empty_database(tmp_path_factory.mktemp("metadata") / "airflow.db")


@pytest.fixture
def metadata(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Metadata]:
    """The metadata database that Airflow's own code uses in this test."""
    with copied_database(empty_database, tmp_path, monkeypatch) as copied:
        yield copied
