"""A SageMaker in memory with one job, whose tags, permissions and credentials come and go by a clock that only sleeping moves."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, TypeVar

from botocore.exceptions import ClientError, EndpointConnectionError

from airflow_spot_provider.aws.errors import Backoff, is_expired_credentials
from airflow_spot_provider.aws.kinds import TRAINING_JOBS
from airflow_spot_provider.aws.patience import repeated
from airflow_spot_provider.hooks._jobs import SageMakerJobs

START = datetime(2026, 1, 1, tzinfo=UTC)
ARN = "arn:aws:sagemaker:us-west-1:123456789012:training-job/j"

_Answer = TypeVar("_Answer")


def client_error(operation: str, code: str, message: str = "m") -> ClientError:
    """What botocore raises for a refusal."""
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


class LaggingSageMaker:
    """One job, there from the start or not before it is created.

    :param exists: whether it is there.
    :param known_after: seconds after its creation until it is found; ``tags_after`` likewise.
    :param denied_until: until when every call but Create is denied.
    :param denied: of these operations alone.
    :param created_before: how long before the start it was created.
    :param tags: of the job that is there.
    :param loses_answers: how many answers to Create get lost.
    """

    def __init__(
        self,
        *,
        exists: bool = True,
        known_after: float = 0,
        denied_until: float = 0,
        denied: tuple[str, ...] = (),
        tags_after: float = 0,
        created_before: float = 0,
        tags: Mapping[str, str] | None = None,
        loses_answers: int = 0,
    ) -> None:
        self.now = 0.0
        self.calls: list[str] = []
        self.denied_until = denied_until
        self.tags = {"a": "b"} if tags is None else dict(tags)
        self._exists, self._denied, self._loses_answers = exists, denied, loses_answers
        self._known_after, self._tags_after = known_after, tags_after
        self._created = START - timedelta(seconds=created_before)

    def answer(self, operation: str, **members: Any) -> dict[str, Any]:
        """What SageMaker answers, or an error."""
        self.calls.append(operation)
        if operation == "CreateTrainingJob":
            self._create(members)
        elif self.now < self.denied_until and (not self._denied or operation in self._denied):
            message = f"not authorized to perform: sagemaker:{operation}"
            raise client_error(operation, "AccessDeniedException", message)
        elif not self._exists or self._age() < self._known_after:
            raise client_error(operation, "ValidationException", "Requested resource not found.")
        elif operation == "AddTags":
            self.tags |= {tag["Key"]: tag["Value"] for tag in members["Tags"]}
        description = {
            "TrainingJobName": "j",
            "TrainingJobArn": ARN,
            "TrainingJobStatus": "InProgress",
            "CreationTime": self._created,
        }
        date = format_datetime(START + timedelta(seconds=int(self.now)), usegmt=True)
        return {
            "DescribeTrainingJob": description,
            "ListTags": {"Tags": self._listed_tags()},
        }.get(operation, {}) | {"ResponseMetadata": {"HTTPHeaders": {"date": date}}}

    def _create(self, members: Mapping[str, Any]) -> None:
        if self._exists:
            raise client_error("CreateTrainingJob", "ResourceInUse")
        self._exists = True
        self._created = START + timedelta(seconds=self.now)
        self.tags = {tag["Key"]: tag["Value"] for tag in members.get("Tags", ())}
        if self._loses_answers:
            self._loses_answers -= 1
            raise EndpointConnectionError(endpoint_url="http://localhost")

    def _age(self) -> float:
        return (START - self._created).total_seconds() + self.now

    def _listed_tags(self) -> list[dict[str, str]]:
        told = self.tags if self._age() >= self._tags_after else {}
        return [{"Key": key, "Value": value} for key, value in told.items()]


class _Client:
    """A client as botocore makes them, whose credentials may have expired."""

    def __init__(self, sagemaker: LaggingSageMaker, *, expired: bool = False) -> None:
        self._sagemaker, self._expired = sagemaker, expired

    def _ask(self, operation: str, **members: Any) -> dict[str, Any]:
        if self._expired:
            raise client_error(operation, "ExpiredTokenException")
        return self._sagemaker.answer(operation, **members)

    def describe_training_job(self, **members: Any) -> dict[str, Any]:
        return self._ask("DescribeTrainingJob", **members)

    def create_training_job(self, **members: Any) -> dict[str, Any]:
        return self._ask("CreateTrainingJob", **members)

    def stop_training_job(self, **members: Any) -> dict[str, Any]:
        return self._ask("StopTrainingJob", **members)

    def add_tags(self, **members: Any) -> dict[str, Any]:
        return self._ask("AddTags", **members)

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


class LaggingConnection:
    """A hook's calls, on the service's clock; a client whose credentials have expired is replaced."""

    conn_region_name = "us-west-1"

    def __init__(self, sagemaker: LaggingSageMaker, *, expired: bool = False) -> None:
        self._sagemaker = sagemaker
        self.conn: Any = _Client(sagemaker, expired=expired)

    def once(self, call: Callable[[], _Answer]) -> _Answer:
        """Make a call."""
        try:
            return call()
        except ClientError as error:
            if is_expired_credentials(error):
                self.conn = _Client(self._sagemaker)
            raise

    def patiently(self, call: Callable[[], _Answer], *, lagging: bool = False) -> _Answer:
        """Make a call, and repeat it as the hook does."""

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


def jobs_of(sagemaker: LaggingSageMaker, *, created: str | None = None) -> SageMakerJobs:
    """Its training jobs, as a hook has them."""
    return SageMakerJobs(LaggingConnection(sagemaker), TRAINING_JOBS, created=created)
