"""CloudWatch Logs of training jobs, written as they come."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from moto.logs.models import logs_backends

from airflow_spot_provider.emulator.spec import JobSpec

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
_creating = threading.Lock()


class LogStream:
    """One start of a job on one instance: the stream ``<job>/algo-1-<epoch seconds>``.

    Lines go straight into moto's log group: PutLogEvents turns away what lies two hours ahead of the real time, where a fast
    clock soon is.

    :param spec: the job.
    :param name: name of the stream.
    :param now: the emulated time.
    """

    def __init__(self, spec: JobSpec, name: str, now: Callable[[], datetime]) -> None:
        backend = logs_backends[spec.account_id][spec.region]
        with _creating:
            if LOG_GROUP not in backend.groups:
                backend.create_log_group(LOG_GROUP, {})
            self._group = backend.groups[LOG_GROUP]
            if name not in self._group.streams:
                self._group.create_log_stream(name)
        self._name = name
        self._now = now

    def write(self, line: str) -> None:
        """Add one line, at the emulated time; CloudWatch takes no empty one."""
        event = {"timestamp": int(self._now().timestamp() * 1000), "message": line or " "}
        self._group.put_log_events(self._name, [event])
