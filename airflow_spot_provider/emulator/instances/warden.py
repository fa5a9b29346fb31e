"""Ends what a server leaves behind when it is killed: a process of its own that sees its pipe close.

The server tells it which process groups it runs. This file is also the program of that process, and needs nothing but the
standard library.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TextIO


class Warden:
    """Watches over the process groups of one server.

    :param folder: is removed in the end.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def watch(self, group: int) -> None:
        """Have this process group ended with the server."""
        self._tell(f"+{group}")

    def release(self, group: int) -> None:
        """Forget this process group: it has ended, and its number may soon be another's."""
        self._tell(f"-{group}")

    def close(self) -> None:
        """The server ends: end what it still runs, and remove its folder."""
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with self._lock:
            if self._process.stdin.closed:
                return  # the server is on its way out, and its warden at work
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()


def guard(orders: TextIO, folder: Path) -> None:
    """Follow the orders until they end; then kill the groups that are left, and remove the folder."""
    groups: set[int] = set()
    for order in orders:
        group = int(order[1:])
        if order.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    # Whoever ends the server does so to its group or its terminal; this one goes when the pipe does.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    guard(sys.stdin, Path(sys.argv[1]))
