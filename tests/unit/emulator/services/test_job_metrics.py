"""What CloudWatch knows of jobs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Any

import pytest

from airflow_spot_provider.emulator.clock import SteppedClock
from airflow_spot_provider.emulator.jobs.training_job import TrainingJob
from airflow_spot_provider.emulator.services.job_metrics import HOST_METRICS, JobMetrics

ACCOUNT, REGION = "123456789012", "us-east-1"
DEFINITIONS = {
    "TrainingImage": "local/image:1",
    "TrainingInputMode": "File",
    "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}],
}


@pytest.fixture
def jobs() -> dict[str, TrainingJob]:
    return {}


@pytest.fixture
def metrics(jobs: dict[str, TrainingJob], clock: SteppedClock) -> JobMetrics:
    return JobMetrics(
        lambda account_id, region: jobs if (account_id, region) == (ACCOUNT, REGION) else {}, clock
    )


@pytest.fixture
def train(
    start: Callable[..., TrainingJob], jobs: dict[str, TrainingJob], clock: SteppedClock
) -> Callable[..., TrainingJob]:
    """Runs a job of 300 seconds that states a loss of 2 and one of 1, to its end."""

    def _train(lifecycle: str = "uninterrupted", **members: Any) -> TrainingJob:
        tags = [{"Key": "emulator:training-seconds", "Value": "300"}]
        job = start(lifecycle, AlgorithmSpecification=DEFINITIONS, Tags=tags, **members)
        jobs[job.training_job_name] = job
        clock.advance(timedelta(seconds=60))
        for line in ("loss=2.0", "loss=nothing", "loss=1.0"):
            job.record.read_metrics(line, clock.now())
            clock.advance(timedelta(seconds=10))
        clock.advance(timedelta(hours=1))
        assert job.has_ended
        return job

    return _train


def _values(metrics: JobMetrics, name: str, dimension: str, value: str) -> list[Any]:
    return list(metrics.values(ACCOUNT, REGION, name, [{"Name": dimension, "Value": value}]))


def test_stated_metrics_lie_under_the_job_at_the_time_of_their_line(metrics: JobMetrics, train: Any) -> None:
    job = train()
    data = _values(metrics, "loss", "TrainingJobName", "job")
    assert [datum.value for datum in data][:2] == [2.0, 1.0]
    for datum in data:
        assert job.record.training_start_time <= datum.timestamp.replace(tzinfo=UTC)
        assert datum.timestamp.replace(tzinfo=UTC) <= job.record.training_end_time


def test_every_host_is_told_of_every_minute_of_training(metrics: JobMetrics, train: Any) -> None:
    train(ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1})
    for name, (low, high) in HOST_METRICS.items():
        for host in ("job/algo-1", "job/algo-2"):
            data = _values(metrics, name, "Host", host)
            assert len(data) == 6
            assert all(low <= datum.value <= high for datum in data)
    assert _values(metrics, "CPUUtilization", "Host", "job/algo-3") == []


def test_host_has_no_metrics_while_the_job_waits_for_capacity(metrics: JobMetrics, train: Any) -> None:
    job = train("interrupted-once")
    stays = [entry for entry in job.record.transitions if entry["Status"] == "Training"]
    assert len(stays) == 2
    for datum in _values(metrics, "CPUUtilization", "Host", "job/algo-1"):
        at = datum.timestamp.replace(tzinfo=UTC)
        assert any(stay["StartTime"] <= at <= stay["EndTime"] for stay in stays)


def test_same_host_and_minute_have_the_same_figures(metrics: JobMetrics, train: Any) -> None:
    train()
    first, second = (
        [datum.value for datum in _values(metrics, "CPUUtilization", "Host", "job/algo-1")] for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize(
    ("name", "wanted", "found"),
    [
        (None, [], {"loss", *HOST_METRICS}),
        ("loss", [], {"loss"}),
        (None, [{"Name": "TrainingJobName", "Value": "job"}], {"loss"}),
        (None, [{"Name": "Host"}], set(HOST_METRICS)),
        (None, [{"Name": "Host", "Value": "other/algo-1"}], set()),
        (None, [{"Name": "Colour", "Value": "blue"}], set()),
    ],
)
def test_metrics_are_listed_by_name_and_dimension(
    metrics: JobMetrics, train: Any, name: str | None, wanted: Any, found: set[str]
) -> None:
    train()
    assert {datum.name for datum in metrics.names(ACCOUNT, REGION, name, wanted)} == found


def test_metrics_of_one_account_and_region_are_apart_from_anothers(metrics: JobMetrics, train: Any) -> None:
    train()
    dimensions = [{"Name": "TrainingJobName", "Value": "job"}]
    assert list(metrics.names(ACCOUNT, "eu-west-1", None, [])) == []
    assert list(metrics.values("210987654321", REGION, "loss", dimensions)) == []


def test_metric_without_its_dimension_has_no_values(metrics: JobMetrics, train: Any) -> None:
    train()
    assert list(metrics.values(ACCOUNT, REGION, "loss", [])) == []
