"""Processes with all their descendants, and the ports they listen on."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time

import psutil  # type: ignore[import-untyped]  # published without types; Airflow itself depends on it

TERM_SECONDS = 20.0
KILL_SECONDS = 10.0


def end_session(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """End a process that was started in a session of its own, and everything else in that session.

    The group alone would not do: Airflow's tasks and its trigger runner each lead a group of their own. Even if the wait
    is cut short (by a Ctrl-C), everything is killed.

    :param process: the leader of the session.
    :param number: SIGTERM, which is followed by SIGKILL if it is not enough, or SIGKILL.
    """
    session = process.pid
    try:
        if number is not signal.SIGKILL:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(session, number)
            _wait_until_empty(session, process, TERM_SECONDS)
    finally:
        for pid in members(session):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _wait_until_empty(session, process, KILL_SECONDS)


def members(session: int) -> list[int]:
    """The living processes of a session."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            if os.getsid(pid) == session and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
    return found


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens on just now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def is_listened_on(port: int) -> bool:
    """Whether somebody listens on a port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait_until_empty(session: int, leader: subprocess.Popen[bytes], seconds: float) -> None:
    end = time.monotonic() + seconds
    while leader.poll() is None or members(session):
        if time.monotonic() > end:
            return
        time.sleep(0.1)
