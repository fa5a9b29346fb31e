"""Which lifecycle the next job goes through."""

from __future__ import annotations

import threading
from collections import deque

from airflow_spot_provider.emulator.jobs.lifecycles import Lifecycle, lifecycle_named
from airflow_spot_provider.emulator.spec import JobSpec


class Plans:
    """The plans of one server.

    :param default: what jobs go through that nothing else was planned for.
    """

    def __init__(self, default: Lifecycle) -> None:
        self._default = default
        self._next: deque[Lifecycle] = deque()
        self._by_name: dict[str, Lifecycle] = {}
        self._lock = threading.Lock()

    def plan(self, lifecycle: Lifecycle, job_name: str | None = None) -> None:
        """Plan the next job, or the one of this name."""
        with self._lock:
            if job_name is None:
                self._next.append(lifecycle)
            else:
                self._by_name[job_name] = lifecycle

    def take(self, spec: JobSpec) -> Lifecycle:
        """The lifecycle of a new job: planned by name, planned as the next, by its tag, or the server's.

        :raises ValueError: its tag names none.
        """
        by_tag = None if spec.lifecycle is None else lifecycle_named(spec.lifecycle)
        with self._lock:
            if spec.name in self._by_name:
                return self._by_name.pop(spec.name)
            if self._next:
                return self._next.popleft()
        return by_tag or self._default
