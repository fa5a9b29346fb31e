"""What the watcher tells Airflow's metrics (StatsD, OpenTelemetry), and what it tells nobody."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

PREFIX = "airflow_spot.watcher"


def tag(value: str) -> str:
    """A tag's value as StatsD takes it: Airflow drops a metric with anything else in it, and logs a traceback."""
    return re.sub(r"[^A-Za-z0-9_.\-]", "_", value)


class Metrics(Protocol):
    """Where the watcher counts and measures."""

    def incr(self, name: str, count: int = 1, **tags: str) -> None:
        """Count."""
        ...

    def gauge(self, name: str, value: float, **tags: str) -> None:
        """Tell how many there are now."""
        ...

    def timing(self, name: str, seconds: float, **tags: str) -> None:
        """Tell how long something took."""
        ...


class AirflowMetrics:
    """Airflow's own metrics: names under ``airflow_spot.watcher``, durations in milliseconds as Airflow's are.

    ===================  ========  =======================  ================================================
    name                 type      tags                     meaning
    ===================  ========  =======================  ================================================
    watched_jobs         gauge     kind, region             jobs that this process waits for
    calls                counter   operation, region        calls to AWS, failed ones included
    throttles            counter   operation, region        calls that AWS refused for their rate
    errors               counter   operation, region, code  calls that failed otherwise
    detection_delay      timer     kind, region             from the change to its being known, by AWS's clock
    poll_duration        timer     kind, region             one look at what changed
    push_lag             timer     region                   from the sending of an event to its receipt
    push_missed          counter   kind, region             changes that events should have told and did not
    push_unreadable      counter   region                   messages in the queue that are no events
    ===================  ========  =======================  ================================================

    :param region: AWS region, for the tags; the connection's, once a client has told it.
    """

    def __init__(self, region: str) -> None:
        from airflow_spot_provider._compat.sdk import Stats

        self._stats = Stats
        self.region = region

    def incr(self, name: str, count: int = 1, **tags: str) -> None:
        """Count."""
        self._stats.incr(f"{PREFIX}.{name}", count, tags=self._tags(tags))

    def gauge(self, name: str, value: float, **tags: str) -> None:
        """Tell how many there are now."""
        self._stats.gauge(f"{PREFIX}.{name}", value, tags=self._tags(tags))

    def timing(self, name: str, seconds: float, **tags: str) -> None:
        """Tell how long something took."""
        self._stats.timing(f"{PREFIX}.{name}", seconds * 1000, tags=self._tags(tags))

    def _tags(self, tags: Mapping[str, str]) -> dict[str, str]:
        return {name: tag(value) for name, value in {"region": self.region, **tags}.items()}
