"""Airflow's metadata database, from a command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

_ADVICE = (
    "Run this where Airflow's components run, with their settings: AIRFLOW_HOME, or AIRFLOW__DATABASE__SQL_ALCHEMY_CONN "
    "with the URL of the metadata database."
)
_LONGEST = 300


class NoDatabase(Exception):
    """Airflow's metadata database cannot be read; the message says what to set."""


@contextmanager
def metadata_database() -> Iterator[Session]:
    """A session with the metadata database that this process's settings name. It is only read.

    :raises NoDatabase: it cannot be reached, or it is none of Airflow's.
    """
    try:
        from airflow.utils.session import create_session
    except Exception as error:
        raise NoDatabase(f"Airflow's settings cannot be read ({_said(error)}). {_ADVICE}") from error
    try:
        with create_session() as session:
            url = session.get_bind().engine.url
            _see_that_it_is_there(url)
            try:
                yield session
            except SQLAlchemyError as error:
                raise NoDatabase(
                    f"Airflow's metadata database {_named(url)} cannot be read ({_said(error)}). {_ADVICE} "
                    "If it is the right one, `airflow db check-migrations` tells whether it is up to date."
                ) from error
    except (SQLAlchemyError, ImportError) as error:
        raise NoDatabase(
            f"Airflow's metadata database cannot be reached ({_said(error)}). {_ADVICE}"
        ) from error


def _see_that_it_is_there(url: URL) -> None:
    """SQLite would make a file that is not there."""
    file = url.database
    if url.get_backend_name() == "sqlite" and file and file != ":memory:" and not Path(file).exists():
        raise NoDatabase(f"Airflow's metadata database {_named(url)} is not there. {_ADVICE}")


def _named(url: URL) -> str:
    return url.render_as_string(hide_password=True)


def _said(error: Any) -> str:
    """The first line of what the driver says: the rest is the statement."""
    words = str(getattr(error, "orig", None) or error).strip()
    return f"{type(error).__name__}: {words.splitlines()[0][:_LONGEST]}" if words else type(error).__name__
