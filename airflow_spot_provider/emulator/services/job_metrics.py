"""CloudWatch metrics of training jobs: what their algorithms state, and how busy their hosts are.

Nothing is written while jobs run: what moto's CloudWatch is asked for is taken from the jobs' records then, so that thousands of them cost
nothing.

Source: `Amazon SageMaker AI metrics in Amazon CloudWatch <https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html>`_.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from moto.cloudwatch.models import CloudWatchBackend, MetricDatum

from airflow_spot_provider.emulator.clock import Clock
from airflow_spot_provider.emulator.jobs.training_job import TrainingJob

NAMESPACE = "/aws/sagemaker/TrainingJobs"
HOST_METRICS = {
    "CPUUtilization": (35.0, 95.0),
    "MemoryUtilization": (30.0, 60.0),
    "DiskUtilization": (5.0, 15.0),
}
"""Between which percentages each goes up and down."""
_MINUTE = timedelta(minutes=1)
_JOB, _HOST = "TrainingJobName", "Host"

Jobs = Callable[[str, str], Mapping[str, TrainingJob]]
"""The jobs of an account in a region, by name."""
Dimensions = Sequence[Mapping[str, Any]]
P = ParamSpec("P")
R = TypeVar("R")


class JobMetrics:
    """The metrics of training jobs, by what CloudWatch is asked for.

    What MetricDefinitions found lies under ``TrainingJobName``, as it came. What a host does lies under ``Host``
    (``<job>/algo-1``), every minute of Training; it is made up from the names and the minute, always the same: nothing is measured.

    :param jobs: gives the jobs of an account and region.
    :param clock: the emulated time.
    """

    def __init__(self, jobs: Jobs, clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock

    def names(
        self, account_id: str, region: str, name: str | None, wanted: Dimensions
    ) -> Iterator[MetricDatum]:
        """One entry for each metric that there is, as ListMetrics tells them."""
        now = self._clock.now()
        asked = {entry.get("Name"): entry.get("Value") for entry in wanted}
        for job in list(self._jobs(account_id, region).values()):
            if not asked.keys() - {_JOB} and asked.get(_JOB) in (None, job.spec.name):
                for metric in list(job.record.metric_history):
                    if name in (None, metric):
                        yield _datum(metric, _JOB, job.spec.name, 0.0, now, None)
            if asked.keys() - {_HOST} or not _stays(job, now):
                continue
            for host in _hosts(job):
                for metric in HOST_METRICS:
                    if name in (None, metric) and asked.get(_HOST) in (None, host):
                        yield _datum(metric, _HOST, host, 0.0, now, "Percent")

    def values(
        self, account_id: str, region: str, name: str, dimensions: Dimensions
    ) -> Iterator[MetricDatum]:
        """The values of one metric; none unless exactly its dimensions are named, as CloudWatch has it."""
        if len(dimensions) != 1:
            return
        kind, value = dimensions[0].get("Name"), str(dimensions[0].get("Value"))
        job = self._jobs(account_id, region).get(value.partition("/")[0])
        if job is None:
            return
        if kind == _JOB and value == job.spec.name:
            for at, number in list(job.record.metric_history.get(name, ())):
                yield _datum(name, _JOB, value, number, at, None)
        elif kind == _HOST and name in HOST_METRICS and value in _hosts(job):
            for at in _minutes(job, self._clock.now()):
                yield _datum(name, _HOST, value, _utilization(name, value, at), at, "Percent")


def install_job_metrics(jobs: Jobs, clock: Clock) -> None:
    """Let moto's CloudWatch answer for training jobs; all other metrics stay moto's.

    :param jobs: gives the jobs of an account and region, such as ``Registry.of``.
    :param clock: the emulated time.
    """
    metrics = JobMetrics(jobs, clock)

    def _with(backend: CloudWatchBackend, asked: Sequence[tuple[str, Dimensions]]) -> CloudWatchBackend:
        """A CloudWatch that has the values of these metrics too."""
        view = copy.copy(backend)
        values = [
            datum
            for name, dimensions in asked
            for datum in metrics.values(backend.account_id, backend.region_name, name, dimensions)
        ]
        view.metric_data = [*backend.metric_data, *values]
        return view

    def _filtered(
        of_moto: Callable[..., Any], self: CloudWatchBackend, name: str, namespace: str, dimensions: Any
    ) -> Any:
        theirs = of_moto(self, name, namespace, dimensions)
        if namespace not in (None, "", NAMESPACE):
            return theirs
        return [*theirs, *metrics.names(self.account_id, self.region_name, name, dimensions or ())]

    def _statistics(
        of_moto: Callable[..., Any],
        self: CloudWatchBackend,
        namespace: str,
        metric_name: str,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        if namespace != NAMESPACE:
            return of_moto(self, namespace, metric_name, *args, **kwargs)
        view = _with(self, [(metric_name, kwargs.get("dimensions") or ())])
        return of_moto(view, namespace, metric_name, *args, **kwargs)

    def _data(
        of_moto: Callable[..., Any], self: CloudWatchBackend, queries: Any, *args: Any, **kwargs: Any
    ) -> Any:
        asked = [query["MetricStat"].get("Metric") or {} for query in queries if query.get("MetricStat")]
        ours = [metric for metric in asked if metric.get("Namespace") == NAMESPACE]
        view = _with(
            self, [(str(metric.get("MetricName")), metric.get("Dimensions") or ()) for metric in ours]
        )
        return of_moto(view if ours else self, queries, *args, **kwargs)

    _replace("get_filtered_metrics", _filtered)
    _replace("get_metric_statistics", _statistics)
    _replace("get_metric_data", _data)


def _replace(name: str, method: Callable[Concatenate[Callable[..., Any], CloudWatchBackend, P], R]) -> None:
    """Put a method in the place of moto's, which it gets first."""
    present = getattr(CloudWatchBackend, name)
    of_moto = getattr(present, "__wrapped__", present)

    @wraps(of_moto)
    def _method(self: CloudWatchBackend, *args: P.args, **kwargs: P.kwargs) -> R:
        return method(of_moto, self, *args, **kwargs)

    setattr(CloudWatchBackend, name, _method)


def _datum(
    name: str, dimension: str, value: str, number: float, at: datetime, unit: str | None
) -> MetricDatum:
    time = at.astimezone(UTC).replace(tzinfo=None)  # moto's CloudWatch compares times without a zone
    return MetricDatum(NAMESPACE, name, number, [{"Name": dimension, "Value": value}], time, unit or "None")


def _hosts(job: TrainingJob) -> list[str]:
    return [f"{job.spec.name}/algo-{number}" for number in range(1, sum(job.spec.instances.values()) + 1)]


def _stays(job: TrainingJob, now: datetime) -> list[tuple[datetime, datetime]]:
    """From when to when it was in Training."""
    return [
        (entry["StartTime"], entry.get("EndTime") or now)
        for entry in list(job.record.transitions)
        if entry["Status"] == "Training"
    ]


def _minutes(job: TrainingJob, now: datetime) -> Iterator[datetime]:
    for start, end in _stays(job, now):
        at = start
        while at <= end:
            yield at
            at += _MINUTE


def _utilization(name: str, host: str, at: datetime) -> float:
    """A percentage that goes slowly up and down, at a pace of the host's own."""
    low, high = HOST_METRICS[name]
    drawn = hashlib.sha256(f"{name}/{host}".encode()).digest()
    pace, phase = 0.05 + drawn[0] / 2560, drawn[1] / 256 * math.tau
    share = (1 + math.sin(at.timestamp() / 60 * pace + phase)) / 2
    return round(low + (high - low) * share, 2)
