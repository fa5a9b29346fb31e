"""A PostgreSQL server of our own: on a socket in a folder, ended with its process group."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import psycopg2
import psycopg2.extensions

_STARTS_WITHIN = 60.0
_USER = "airflow"


class PostgresServer:
    """PostgreSQL for a test or a benchmark; a context manager.

    PostgreSQL does not run as root: where root runs the tests, it runs as ``postgres`` or, if there is no such user, ``nobody``.
    """

    def __init__(self) -> None:
        # Not in pytest's folders: nobody but their owner gets into those.
        self._folder = Path(tempfile.mkdtemp(prefix="spot-postgres-"))
        self._process: subprocess.Popen[bytes] | None = None

    def url_of(self, database: str) -> str:
        """Of one of its databases, for SQLAlchemy; it is made if there is none."""
        with self._connected() as connection:
            connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,))
            if connection.fetchone() is None:
                connection.execute(f'CREATE DATABASE "{database}"')
        return f"postgresql+psycopg2://{_USER}@/{database}?host={self._folder}"

    def copy(self, database: str, name: str) -> None:
        """Make a database like another one, which nobody may be connected to."""
        with self._connected() as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{database}"')

    def __enter__(self) -> PostgresServer:
        binaries = _binaries()
        command: list[str] = []
        if os.geteuid() == 0:
            user = _somebody_else()
            shutil.chown(self._folder, user)
            command = ["runuser", "-u", user, "--"]
        data = str(self._folder / "data")
        initdb = [
            *command,
            str(binaries / "initdb"),
            "--pgdata",
            data,
            "--username",
            _USER,
            "--auth",
            "trust",
        ]
        subprocess.run(
            [*initdb, "--no-sync", "--encoding", "UTF8", "--locale", "C.UTF-8"],
            check=True,
            capture_output=True,
            cwd=self._folder,
        )
        settings = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={self._folder}"]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, str(binaries / "postgres"), "-D", data, *settings, "-c", "fsync=off"],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
            )
        self._wait_until_it_answers()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGINT)  # PostgreSQL's fast shutdown
            self._process.wait()
        shutil.rmtree(self._folder)

    @contextmanager
    def _connected(self) -> Iterator[psycopg2.extensions.cursor]:
        connection = psycopg2.connect(host=str(self._folder), user=_USER, dbname="postgres")
        connection.autocommit = True  # no database is made within a transaction
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    def _wait_until_it_answers(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _STARTS_WITHIN
        while True:
            try:
                psycopg2.connect(host=str(self._folder), user=_USER, dbname="postgres").close()
            except psycopg2.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log = (self._folder / "log").read_text(errors="replace")
                    raise RuntimeError(f"PostgreSQL did not start: {error}\n{log}") from error
                time.sleep(0.1)
            else:
                return


def _binaries() -> Path:
    """Where Debian, and others, have them."""
    found = [path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))]
    on_path = shutil.which("initdb")
    if on_path is not None:
        found.append(Path(on_path).parent)
    if not found:
        raise RuntimeError(
            "These tests need a PostgreSQL server, and there is none: apt-get install postgresql"
        )
    return found[-1]


def _somebody_else() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)
