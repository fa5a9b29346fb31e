"""The hook's jobs on a SageMaker in memory whose tags, permissions and credentials come and go by a clock that only sleeping moves."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, TypeVar

import pytest
from botocore.exceptions import ClientError

from airflow_spot_provider.aws.errors import Backoff, is_expired_credentials
from airflow_spot_provider.aws.kinds import TRAINING_JOBS
from airflow_spot_provider.aws.patience import repeated
from airflow_spot_provider.hooks._jobs import SageMakerJobs
from airflow_spot_provider.training import InstanceTypeNotAvailable, TrainingJobNotFound

START = datetime(2026, 1, 1, tzinfo=UTC)
ARN = "arn:aws:sagemaker:us-west-1:123456789012:training-job/j"

_Answer = TypeVar("_Answer")


def _error(operation: str, code: str, message: str = "m") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


class _SageMaker:
    """One job that was created at the start.

    :param known_after: seconds after which it is found; ``denied_until`` and ``tags_after`` likewise.
    :param created_before: how long before the start it was created.
    """

    def __init__(
        self,
        *,
        known_after: float = 0,
        denied_until: float = 0,
        tags_after: float = 0,
        created_before: float = 0,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.now = 0.0
        self.calls: list[str] = []
        self._known_after, self.denied_until, self._tags_after = known_after, denied_until, tags_after
        self._created = START - timedelta(seconds=created_before)
        self._tags = {"a": "b"} if tags is None else tags

    def answer(self, operation: str) -> dict[str, Any]:
        self.calls.append(operation)
        if self.now < self.denied_until:
            raise _error(
                operation, "AccessDeniedException", f"not authorized to perform: sagemaker:{operation}"
            )
        if self.now < self._known_after:
            raise _error(operation, "ValidationException", "Requested resource not found.")
        date = format_datetime(START + timedelta(seconds=int(self.now)), usegmt=True)
        return {
            "DescribeTrainingJob": {"TrainingJobArn": ARN, "CreationTime": self._created},
            "ListTags": {"Tags": self._listed_tags()},
        }.get(operation, {}) | {"ResponseMetadata": {"HTTPHeaders": {"date": date}}}

    def _listed_tags(self) -> list[dict[str, str]]:
        told = self._tags if self.now >= self._tags_after else {}
        return [{"Key": key, "Value": value} for key, value in told.items()]


class _Client:
    """A client as botocore makes them, whose credentials may have expired."""

    def __init__(self, sagemaker: _SageMaker, *, expired: bool = False) -> None:
        self._sagemaker, self._expired = sagemaker, expired

    def _ask(self, operation: str) -> dict[str, Any]:
        if self._expired:
            raise _error(operation, "ExpiredTokenException")
        return self._sagemaker.answer(operation)

    def describe_training_job(self, **_members: Any) -> dict[str, Any]:
        return self._ask("DescribeTrainingJob")

    def create_training_job(self, **_members: Any) -> dict[str, Any]:
        return self._ask("CreateTrainingJob")

    def stop_training_job(self, **_members: Any) -> dict[str, Any]:
        return self._ask("StopTrainingJob")

    def add_tags(self, **_members: Any) -> dict[str, Any]:
        return self._ask("AddTags")

    def get_paginator(self, operation: str) -> _Paginator:
        assert operation == "list_tags"
        return _Paginator(self)

    def list_tags(self) -> dict[str, Any]:
        return self._ask("ListTags")


class _Paginator:
    def __init__(self, client: _Client) -> None:
        self._client = client

    def paginate(self, **_members: Any) -> Iterator[dict[str, Any]]:
        yield self._client.list_tags()


class _Connection:
    """A hook's calls, on the service's clock; a client whose credentials have expired is replaced."""

    conn_region_name = "us-west-1"

    def __init__(self, sagemaker: _SageMaker, *, expired: bool = False) -> None:
        self._sagemaker = sagemaker
        self.conn: Any = _Client(sagemaker, expired=expired)

    def once(self, call: Callable[[], _Answer]) -> _Answer:
        try:
            return call()
        except ClientError as error:
            if is_expired_credentials(error):
                self.conn = _Client(self._sagemaker)
            raise

    def patiently(self, call: Callable[[], _Answer], *, lagging: bool = False) -> _Answer:
        def _sleep(seconds: float) -> None:
            self._sagemaker.now += seconds

        return repeated(
            lambda: self.once(call),
            seconds=600,
            backoff=Backoff(random.Random(1)),
            lagging=lagging,
            say=lambda _error, _delay: None,
            clock=lambda: self._sagemaker.now,
            sleep=_sleep,
        )


def _jobs(sagemaker: _SageMaker, *, created: str | None = None) -> SageMakerJobs:
    return SageMakerJobs(_Connection(sagemaker), TRAINING_JOBS, created=created)


CALLS: dict[str, Callable[[SageMakerJobs], Any]] = {
    "get": lambda jobs: jobs.get("j"),
    "stop": lambda jobs: jobs.stop("j"),
    "get_tags": lambda jobs: jobs.get_tags(ARN),
    "add_tags": lambda jobs: jobs.add_tags(ARN, {"a": "b"}),
    "create": lambda jobs: jobs.create({"TrainingJobName": "j"}),
}


@pytest.mark.parametrize("call", CALLS)
def test_every_call_is_repeated_with_a_new_client_after_credentials_have_expired(call: str) -> None:
    sagemaker = _SageMaker()

    CALLS[call](SageMakerJobs(_Connection(sagemaker, expired=True), TRAINING_JOBS))

    assert len(sagemaker.calls) == 1


def test_tags_of_a_job_created_a_moment_ago_are_asked_for_until_there_are_any() -> None:
    jobs = _jobs(_SageMaker(tags_after=30))
    jobs.get("j")

    assert jobs.get_tags(ARN) == {"a": "b"}


def test_new_job_that_has_no_tags_is_told_to_have_none_after_a_minute() -> None:
    sagemaker = _SageMaker(tags={})
    jobs = _jobs(sagemaker)
    jobs.get("j")

    assert jobs.get_tags(ARN) == {}
    assert 60 <= sagemaker.now <= 65


def test_job_that_is_not_new_has_no_tags_at_once() -> None:
    sagemaker = _SageMaker(tags={}, created_before=600)
    jobs = _jobs(sagemaker)
    jobs.get("j")

    assert jobs.get_tags(ARN) == {}
    assert sagemaker.now == 0


@pytest.mark.parametrize("call", ["stop", "get_tags", "add_tags"])
def test_denials_about_a_new_job_may_be_a_lag_of_its_tags(call: str) -> None:
    sagemaker = _SageMaker()
    jobs = _jobs(sagemaker)
    jobs.get("j")
    sagemaker.denied_until = 40

    CALLS[call](jobs)

    assert 40 <= sagemaker.now <= 45


@pytest.mark.parametrize("call", ["get", "stop", "get_tags", "add_tags"])
def test_denials_about_a_job_that_is_not_new_are_raised_at_once(call: str) -> None:
    sagemaker = _SageMaker(created_before=600)
    jobs = _jobs(sagemaker)
    jobs.get("j")
    sagemaker.denied_until = 40

    with pytest.raises(ClientError, match="not authorized to perform"):
        CALLS[call](jobs)
    assert sagemaker.now == 0


def test_job_that_was_just_created_is_described_as_soon_as_sagemaker_knows_it() -> None:
    assert _jobs(_SageMaker(known_after=20), created="j").get("j")["TrainingJobArn"] == ARN
    assert _jobs(_SageMaker(denied_until=20)).get("j", just_created=True)["TrainingJobArn"] == ARN
    with pytest.raises(TrainingJobNotFound):
        _jobs(_SageMaker(known_after=20)).get("j")


def test_region_without_the_instance_type_is_named_with_what_to_do() -> None:
    class _Refusing(_SageMaker):
        def answer(self, operation: str) -> dict[str, Any]:
            message = "The requested resource training-job/ml.p2.xlarge is not available in this region"
            raise _error(operation, "ResourceLimitExceeded", message)

    with pytest.raises(InstanceTypeNotAvailable, match=r"ml\.p2\.xlarge for training jobs in us-west-1"):
        _jobs(_Refusing()).create({"TrainingJobName": "j"})
