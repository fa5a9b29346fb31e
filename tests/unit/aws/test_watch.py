"""Watching on a clock of the test's own: patience without end, and giving up only when waiting cannot help."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_spot_provider.aws.kinds import TRAINING_JOBS
from airflow_spot_provider.aws.watch import Watch, watch_blocking
from airflow_spot_provider.training import TrainingJobNotFound, WatchFailed

START = datetime(2026, 1, 1, tzinfo=UTC)


class _Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def _error(code: str, message: str = "m", status: int = 400) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "DescribeTrainingJob")


def _running_until(clock: _Clock, end: float) -> dict[str, Any]:
    ended = clock.now >= end
    transitions = [{"Status": "Starting", "StartTime": START}]
    if ended:
        transitions.append({"Status": "Completed", "StartTime": START + timedelta(seconds=end)})
    return {
        "TrainingJobStatus": "Completed" if ended else "InProgress",
        "SecondaryStatus": "Completed" if ended else "Starting",
        "SecondaryStatusTransitions": transitions,
    }


def _watch(
    clock: _Clock, describe: Callable[[str], Any], poll_interval: float = 30.0, *, just_created: bool = False
) -> Any:
    watch = Watch(
        TRAINING_JOBS,
        "j",
        poll_interval=poll_interval,
        log=logging.getLogger("test.watch"),
        jitter=random.Random(1),
        just_created=just_created,
    )
    return watch_blocking(watch, describe, "j", sleep=clock.sleep, clock=lambda: clock.now)


def test_a_job_is_waited_for_for_weeks() -> None:
    clock = _Clock()
    weeks = timedelta(weeks=4).total_seconds()

    description = _watch(clock, lambda _name: _running_until(clock, weeks))

    assert description["TrainingJobStatus"] == "Completed"
    assert weeks <= clock.now <= weeks + 30


def test_end_is_seen_within_one_interval() -> None:
    clock = _Clock()

    _watch(clock, lambda _name: _running_until(clock, 100), poll_interval=7)

    assert 100 <= clock.now <= 107


def test_an_outage_of_a_day_ends_nothing_and_is_said_once_each_way(caplog: pytest.LogCaptureFixture) -> None:
    clock = _Clock()
    day = timedelta(days=1).total_seconds()

    def _describe(_name: str) -> dict[str, Any]:
        if 100 <= clock.now < day:
            raise _error("ServiceUnavailable", status=503)
        return _running_until(clock, day + 100)

    with caplog.at_level(logging.INFO):
        _watch(clock, _describe)

    said = [record.getMessage() for record in caplog.records]
    assert sum("cannot be asked just now (ServiceUnavailable)" in line for line in said) == 1
    assert sum("answers again" in line for line in said) == 1
    assert clock.now < day + 100 + 120


def test_job_may_be_unknown_for_a_moment_after_its_creation() -> None:
    clock = _Clock()

    def _describe(_name: str) -> dict[str, Any]:
        if clock.now < 60:
            raise _error("ValidationException", "Requested resource not found.")
        return _running_until(clock, 90)

    assert _watch(clock, _describe)["TrainingJobStatus"] == "Completed"


def test_job_that_stays_unknown_is_an_error_that_says_so() -> None:
    clock = _Clock()

    def _describe(_name: str) -> dict[str, Any]:
        raise _error("ValidationException", "Requested resource not found.")

    with pytest.raises(TrainingJobNotFound, match="knows no training job 'j'"):
        _watch(clock, _describe)
    assert 120 <= clock.now < 130


def test_missing_permission_is_an_error_at_once() -> None:
    clock = _Clock()

    def _describe(_name: str) -> dict[str, Any]:
        raise _error("AccessDeniedException")

    with pytest.raises(WatchFailed, match="sagemaker:DescribeTrainingJob"):
        _watch(clock, _describe)
    assert clock.now == 0


def test_a_watch_without_a_log_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    clock = _Clock()
    watch = Watch(TRAINING_JOBS, "j", poll_interval=1, log=None, jitter=random.Random(1))

    with caplog.at_level(logging.DEBUG):
        watch_blocking(
            watch, lambda _name: _running_until(clock, 5), "j", sleep=clock.sleep, clock=lambda: clock.now
        )

    assert caplog.records == []


def test_denial_of_the_first_looks_at_a_new_job_may_pass_and_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = _Clock()

    def _describe(_name: str) -> dict[str, Any]:
        if clock.now < 60:
            raise _error("AccessDeniedException")
        return _running_until(clock, 90)

    with caplog.at_level(logging.INFO):
        assert _watch(clock, _describe, just_created=True)["TrainingJobStatus"] == "Completed"

    said = [record.getMessage() for record in caplog.records]
    assert sum("policy that goes by tags" in line for line in said) == 1


def test_denial_that_does_not_pass_is_an_error_with_the_permissions_name() -> None:
    clock = _Clock()

    def _describe(_name: str) -> dict[str, Any]:
        raise _error("AccessDeniedException")

    with pytest.raises(WatchFailed, match="sagemaker:DescribeTrainingJob"):
        _watch(clock, _describe, just_created=True)
    assert 120 <= clock.now < 130


def test_denial_of_a_new_job_that_was_seen_already_is_an_error_at_once() -> None:
    clock = _Clock()

    def _describe(_name: str) -> dict[str, Any]:
        if clock.now > 0:
            raise _error("AccessDeniedException")
        return _running_until(clock, 90)

    with pytest.raises(WatchFailed, match="sagemaker:DescribeTrainingJob"):
        _watch(clock, _describe, just_created=True, poll_interval=5)
    assert clock.now <= 5


def test_a_stopped_job_is_watched_until_sagemaker_tells_why_it_stopped() -> None:
    clock = _Clock()

    def _describe(_name: str) -> dict[str, Any]:
        stopped: dict[str, Any] = {"TrainingJobStatus": "Stopped", "SecondaryStatusTransitions": []}
        return stopped if clock.now < 60 else {**stopped, "SecondaryStatus": "MaxWaitTimeExceeded"}

    assert _watch(clock, _describe)["SecondaryStatus"] == "MaxWaitTimeExceeded"
