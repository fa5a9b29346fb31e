"""The lines of the training jobs' logs, kept as they come."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from airflow_spot_provider.emulator.instances.logs import log_group_with


class LogKeeper:
    """All log lines of training jobs, in the order in which they came.

    :param path: the file; a line is a line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def keep(self, account_id: str, region: str, stream: str, at: int, message: str) -> None:
        """Keep a line."""
        entry = json.dumps([account_id, region, stream, at, message])
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as file:
                file.write(f"{entry}\n")

    def restore(self) -> None:
        """Give moto all lines back. A last one that a kill has cut off is left out."""
        if not self._path.exists():
            return
        whole, _, _ = self._path.read_text().rpartition("\n")
        for line in whole.splitlines():
            account_id, region, stream, at, message = json.loads(line)
            group = log_group_with(account_id, region, stream)
            group.put_log_events(stream, [{"timestamp": at, "message": message}])
