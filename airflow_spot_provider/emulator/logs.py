"""CloudWatch Logs of training jobs, written as they come."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from moto.logs.models import logs_backends

LOG_GROUP = "/aws/sagemaker/TrainingJobs"


class LogStream:
    """One start of a job on one instance: the stream ``<job>/algo-1-<epoch seconds>``.

    Lines go straight into moto's log group: PutLogEvents turns away what lies two hours ahead of the real time, where a fast
    clock soon is.

    :param account_id: AWS account of the job.
    :param region: AWS region of the job.
    :param name: name of the stream.
    :param now: the emulated time.
    """

    _creating = threading.Lock()

    def __init__(self, account_id: str, region: str, name: str, now: Callable[[], datetime]) -> None:
        backend = logs_backends[account_id][region]
        with self._creating:
            if LOG_GROUP not in backend.groups:
                backend.create_log_group(LOG_GROUP, {})
            self._group = backend.groups[LOG_GROUP]
            if name not in self._group.streams:
                self._group.create_log_stream(name)
        self._name = name
        self._now = now

    def write(self, line: str) -> None:
        """Add one line, at the emulated time."""
        event = {"timestamp": int(self._now().timestamp() * 1000), "message": line or " "}
        self._group.put_log_events(self._name, [event])
