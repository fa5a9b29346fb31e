"""CloudWatch Logs of training jobs, written as they come."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from moto.logs.models import logs_backends

from airflow_spot_provider.emulator.spec import JobSpec

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
_creating = threading.Lock()

KeepLine = Callable[[str, str, str, int, str], None]
"""Is told of a line: account, region, stream, epoch milliseconds, message."""


class LogStream:
    """One start of a job on one instance: the stream ``<job>/algo-1-<epoch seconds>``.

    Lines go straight into moto's log group: PutLogEvents turns away what lies two hours ahead of the real time, where a fast
    clock soon is.

    :param spec: the job.
    :param name: name of the stream.
    :param now: the emulated time.
    :param keep: is told of each line.
    """

    def __init__(self, spec: JobSpec, name: str, now: Callable[[], datetime], keep: KeepLine) -> None:
        self._spec = spec
        self._name = name
        self._now = now
        self._keep = keep
        self._group = log_group_with(spec.account_id, spec.region, name)

    def write(self, line: str) -> None:
        """Add one line, at the emulated time; CloudWatch takes no empty one."""
        at, message = int(self._now().timestamp() * 1000), line or " "
        self._group.put_log_events(self._name, [{"timestamp": at, "message": message}])
        self._keep(self._spec.account_id, self._spec.region, self._name, at, message)


def log_group_with(account_id: str, region: str, stream: str) -> Any:
    """The log group of training jobs, with a stream in it."""
    backend = logs_backends[account_id][region]
    with _creating:
        if LOG_GROUP not in backend.groups:
            backend.create_log_group(LOG_GROUP, {})
        group = backend.groups[LOG_GROUP]
        if stream not in group.streams:
            group.create_log_stream(stream)
    return group
