"""SageMaker in memory: the emulator's training jobs on a stepped clock, behind clients that take the real one's liberties.

There is one SageMaker: jobs, their lifecycles and what Describe says of them are the emulator's own. What stands here is the wire
between: what a list looks like, how late answers are, which calls fail, and when.
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError, EndpointConnectionError
from moto.core.exceptions import ServiceException
from moto.sagemaker.models import sagemaker_backends

from airflow_spot_provider.emulator.clock import SteppedClock
from airflow_spot_provider.emulator.instances.simulated import SimulatedInstance
from airflow_spot_provider.emulator.jobs.lifecycles import lifecycle_named
from airflow_spot_provider.emulator.jobs.plans import Plans
from airflow_spot_provider.emulator.jobs.registry import Registry
from airflow_spot_provider.emulator.jobs.training_job import TrainingJob
from airflow_spot_provider.emulator.jobs.world import World
from airflow_spot_provider.emulator.market.prices import SpotPrices
from airflow_spot_provider.emulator.market.quotas import Quotas
from airflow_spot_provider.emulator.market.settings import MarketSettings
from airflow_spot_provider.emulator.market.spot_market import SpotMarket
from airflow_spot_provider.emulator.spec import JobSpec
from airflow_spot_provider.emulator.wire.protocol import Call
from airflow_spot_provider.emulator.wire.training import TrainingAPI
from tests.simulation.virtual_time import VirtualLoop

REGION = "us-east-1"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
_accounts = itertools.count(700_000_000_000)
_OPERATIONS = {
    xform_name(operation): operation
    for operation in (
        *(
            "CreateTrainingJob",
            "DescribeTrainingJob",
            "ListTrainingJobs",
            "StopTrainingJob",
            "DeleteTrainingJob",
        ),
        *("AddTags", "ListTags"),
    )
}
_PRICES = SpotPrices(7)


@dataclass(frozen=True)
class Liberties:
    """What the real SageMaker may do, and a simple fake does not.

    :param latency: seconds that a call takes at least and at most.
    :param filters_first: a list's filters are applied before its pages are cut. SageMaker documents the opposite.
    :param list_lag: seconds by which lists may be behind.
    :param describe_lag: seconds by which descriptions may be behind, each its own.
    :param names_only: summaries have no SecondaryStatus.
    :param token_is_an_offset: a job that is created while somebody pages makes the next page begin with the last one's end.
    :param other_fractions: lists and descriptions do not agree on the milliseconds of a time.
    :param denied_at_first: seconds after its creation for which a job may not be described: policies by tag lag behind.
    :param clock_is_off: seconds by which SageMaker's clock is ahead of everybody else's.
    """

    latency: tuple[float, float] = (0.02, 0.02)
    filters_first: bool = False
    list_lag: float = 0.0
    describe_lag: float = 0.0
    names_only: bool = False
    token_is_an_offset: bool = False
    other_fractions: bool = False
    denied_at_first: float = 0.0
    clock_is_off: float = 0.0


@dataclass(frozen=True)
class Fault:
    """What goes wrong for a while.

    :param begin: seconds since the world began.
    :param end: the same.
    :param kind: ``throttled``, ``unavailable``, ``dropped`` (the answer is lost, the effect is not) or ``expired`` (until there is a new client).
    :param share: of the calls that it meets.
    """

    begin: float
    end: float
    kind: str
    share: float = 1.0


@dataclass
class Spec:
    """A job to be created: enough of a request for the lifecycle."""

    name: str
    lifecycle: str = "uninterrupted"
    training_seconds: float = 60.0
    max_wait: int = 3_600
    tags: Mapping[str, str] = field(default_factory=dict)


class OldJob:
    """A job that ended before the world began. There may be many."""

    def __init__(self, name: str, created: datetime) -> None:
        self.training_job_name = name
        self.creation_time = created
        self._summary = {
            "TrainingJobName": name,
            "TrainingJobArn": f"arn:aws:sagemaker:{REGION}:1:training-job/{name}",
            "CreationTime": created,
            "LastModifiedTime": created + timedelta(minutes=10),
            "TrainingEndTime": created + timedelta(minutes=10),
            "TrainingJobStatus": "Completed",
            "SecondaryStatus": "Completed",
        }

    def summarize(self, lag: float = 0.0) -> dict[str, Any]:  # noqa: ARG002 - nothing about it changes any more
        return dict(self._summary)

    def describe(self, lag: float = 0.0) -> dict[str, Any]:
        return self.summarize(lag)


class SageMaker:
    """One account and region.

    :param random: draws what is left open.
    :param liberties: what it does besides the obvious.
    """

    def __init__(self, random_: random.Random, liberties: Liberties) -> None:
        self.liberties = liberties
        self.faults: list[Fault] = []
        self.account = str(next(_accounts))
        self.clock = SteppedClock(START)
        self.loop = VirtualLoop(self._pass_time)
        self.calls: Counter[str] = Counter()
        self.calls_at: list[tuple[float, str]] = []
        self.history: dict[str, list[tuple[float, str, str]]] = {}
        """Of each job every change: when, TrainingJobStatus, SecondaryStatus."""
        self.listeners: list[Callable[[TrainingJob], None]] = []
        self._random = random_
        self._listed: list[tuple[datetime, int, Any]] = []
        self._number = itertools.count()
        self._final: dict[str, dict[str, Any]] = {}
        self._world = World(
            clock=self.clock,
            prices=_PRICES,
            market=SpotMarket(MarketSettings(), _PRICES, self.clock, 7, START),
            launch=lambda spec, _number, _listener: SimulatedInstance(spec, _NoStorage()),
            background=lambda work: work(),
            keep=lambda _job: None,
            announce=self._changed,
        )
        self._registry = Registry(self._world, Plans(lifecycle_named("uninterrupted")), Quotas())
        api = TrainingAPI(self._registry)
        self._answers = {
            "CreateTrainingJob": api.create,
            "StopTrainingJob": api.stop,
            "DeleteTrainingJob": api.delete,
            "AddTags": api.add_tags,
            "ListTags": api.list_tags,
            "DescribeTrainingJob": self._describe,
            "ListTrainingJobs": self._list,
        }

    # What a test does to it

    def create(self, spec: Spec) -> TrainingJob:
        """Have a job, without asking over the wire."""
        tags = {
            "emulator:lifecycle": spec.lifecycle,
            "emulator:training-seconds": str(spec.training_seconds),
            **spec.tags,
        }
        request = {
            "TrainingJobName": spec.name,
            "RoleArn": f"arn:aws:iam::{self.account}:role/training",
            "AlgorithmSpecification": {"TrainingImage": "local/image:1", "TrainingInputMode": "File"},
            "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "EnableManagedSpotTraining": True,
            "CheckpointConfig": {"S3Uri": "s3://bucket/checkpoints"},
            "StoppingCondition": {
                "MaxRuntimeInSeconds": spec.max_wait,
                "MaxWaitTimeInSeconds": spec.max_wait,
            },
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        }
        job = self._registry.create(JobSpec(request, self.account, REGION))
        self._enlist(job)
        return job

    def create_old(self, count: int, *, over: timedelta = timedelta(days=10)) -> None:
        """Have jobs that ended before the world began, spread over so much time."""
        for number in range(count):
            self._enlist(OldJob(f"old-{number}", START - timedelta(hours=1) - over * (1 - number / count)))

    def job(self, name: str) -> TrainingJob:
        """A job that is there."""
        return self._registry.of(self.account, REGION)[name]

    def delete(self, name: str) -> None:
        """Delete a job, whatever its status: SageMaker takes only ended ones, and a name may be another job's then."""
        self._registry.of(self.account, REGION).pop(name)
        self._final.pop(name, None)
        self._listed = [entry for entry in self._listed if entry[2].training_job_name != name]

    def forget(self) -> None:
        """Give back what moto keeps for all accounts of the process."""
        sagemaker_backends.pop(self.account, None)

    def running(self) -> list[str]:
        """The jobs that nobody has stopped, and that have not ended."""
        jobs = self._registry.of(self.account, REGION)
        return [name for name, job in jobs.items() if job.training_job_status == "InProgress"]

    def faulty_seconds_until(self, begin: float, end: float) -> float | None:
        """When the last fault ends that lies between two moments; None if there is none."""
        ends = [fault.end for fault in self.faults if fault.begin <= end and fault.end >= begin]
        return max(ends, default=None)

    # What a client asks

    def ask(self, operation: str, members: Mapping[str, Any], client: Client) -> dict[str, Any]:
        """Answer a call, now.

        :raises ClientError: what SageMaker says.
        :raises EndpointConnectionError: nothing is heard.
        """
        self.calls[operation] += 1
        self.calls_at.append((self.loop.now, operation))
        fault = self._fault(client)
        if fault == "throttled":
            raise refused("ThrottlingException", "Rate exceeded", operation)
        if fault == "unavailable":
            raise refused("ServiceUnavailable", "Service Unavailable", operation, status=503)
        if fault == "expired":
            raise refused(
                "ExpiredTokenException", "The security token included in the request is expired", operation
            )
        try:
            answer = self._answers[operation](Call(operation, dict(members), self.account, REGION))
        except ServiceException as error:
            raise refused(error.code, error.message, operation) from None
        if fault == "dropped":
            raise EndpointConnectionError(endpoint_url="https://api.sagemaker.us-east-1.amazonaws.com/")
        date = format_datetime(self._now(), usegmt=True)
        return {**answer, "ResponseMetadata": {"HTTPStatusCode": 200, "HTTPHeaders": {"date": date}}}

    def _fault(self, client: Client) -> str | None:
        for fault in self.faults:
            if fault.begin <= self.loop.now < fault.end and self._random.random() < fault.share:
                if fault.kind == "expired" and client.born >= fault.begin:
                    continue
                return fault.kind
        return None

    def _describe(self, call: Call) -> dict[str, Any]:
        name = call.parameters["TrainingJobName"]
        job = self._registry.of(self.account, REGION).get(name)
        if job is None:
            old = next((entry[2] for entry in self._listed if entry[2].training_job_name == name), None)
            if old is None:
                raise ServiceError("ValidationException", "Requested resource not found.")
            return self._dated(old.describe())
        age = (self.clock.now() - job.creation_time).total_seconds()
        if age < self.liberties.denied_at_first:
            raise ServiceError(
                "AccessDeniedException", "not authorized to perform: sagemaker:DescribeTrainingJob"
            )
        lag = self._random.random() * self.liberties.describe_lag
        description = job.describe(lag)
        if description is None:
            raise ServiceError("ValidationException", "Requested resource not found.")
        return self._dated(self._as_of(description, lag))

    def _list(self, call: Call) -> dict[str, Any]:
        sent = call.parameters
        assert (sent.get("SortBy"), sent.get("SortOrder")) == ("CreationTime", "Descending"), sent
        size = sent.get("MaxResults", 10)
        lag = self.liberties.list_lag
        now = self.clock.now() - timedelta(seconds=lag)
        end = self._place(sent.get("NextToken"))
        newest_first = (self._listed[place] for place in range(end - 1, -1, -1))
        visible = (entry for entry in newest_first if entry[0] <= now)
        if self.liberties.filters_first:
            visible = (entry for entry in visible if _fits(self._summary(entry[2], lag), sent))
        page = list(itertools.islice(visible, size))
        more = next(visible, None)
        summaries = [self._summary(entry[2], lag) for entry in page]
        if not self.liberties.filters_first:
            summaries = [summary for summary in summaries if _fits(summary, sent)]
        token = None
        if more is not None:
            token = self._token(page[-1])
        return {
            "TrainingJobSummaries": [self._abbreviated(summary) for summary in summaries],
            "NextToken": token,
        }

    def _token(self, last: tuple[datetime, int, Any]) -> str:
        place = bisect.bisect_left(self._listed, last[:2], key=lambda entry: entry[:2])
        if self.liberties.token_is_an_offset:
            return f"offset {len(self._listed) - place}"
        return f"after {last[1]} {last[0].isoformat()}"

    def _place(self, token: str | None) -> int:
        if token is None:
            return len(self._listed)
        kind, number, *rest = token.split(" ")
        if kind == "offset":
            return max(0, len(self._listed) - int(number))
        return bisect.bisect_left(
            self._listed, (datetime.fromisoformat(rest[0]), int(number)), key=lambda entry: entry[:2]
        )

    def _summary(self, job: Any, lag: float) -> dict[str, Any]:
        """Of a job that ended long ago nothing changes any more: it is summarized once."""
        name = job.training_job_name
        if (final := self._final.get(name)) is not None:
            return dict(final)
        summary = self._as_of(job.summarize(lag), lag)
        ended = summary.get("TrainingEndTime")
        if ended is not None and (self.clock.now() - ended).total_seconds() > lag + 1.0:
            self._final[name] = dict(summary)
        return summary

    def _as_of(self, answer: dict[str, Any], lag: float) -> dict[str, Any]:
        """An answer that is behind tells the time of the last change that it knows."""
        if lag and (history := self.history.get(answer["TrainingJobName"])):
            until = self.loop.now - lag
            last = max((at for at, *_ in history if at <= until), default=history[0][0])
            answer["LastModifiedTime"] = min(answer["LastModifiedTime"], START + timedelta(seconds=last))
        return answer

    def _abbreviated(self, summary: dict[str, Any]) -> dict[str, Any]:
        if self.liberties.names_only:
            summary.pop("SecondaryStatus")
        if self.liberties.other_fractions:
            for member in ("CreationTime", "LastModifiedTime"):
                summary[member] = summary[member].replace(microsecond=0)
        return self._dated(summary)

    def _dated(self, answer: dict[str, Any]) -> dict[str, Any]:
        """By SageMaker's clock, which need not be right."""
        if not self.liberties.clock_is_off:
            return answer
        off = timedelta(seconds=self.liberties.clock_is_off)
        moved = {key: value + off for key, value in answer.items() if isinstance(value, datetime)}
        transitions = [
            {key: value + off if isinstance(value, datetime) else value for key, value in entry.items()}
            for entry in answer.get("SecondaryStatusTransitions") or ()
        ]
        return {**answer, **moved, **({"SecondaryStatusTransitions": transitions} if transitions else {})}

    def _enlist(self, job: Any) -> None:
        bisect.insort(self._listed, (job.creation_time, next(self._number), job), key=lambda entry: entry[:2])

    def _changed(self, job: TrainingJob) -> None:
        since = (self.clock.now() - START).total_seconds()
        self.history.setdefault(job.training_job_name, []).append(
            (since, job.training_job_status, job.secondary_status)
        )
        for listener in self.listeners:
            listener(job)

    def _now(self) -> datetime:
        return self.clock.now() + timedelta(seconds=self.liberties.clock_is_off)

    def _pass_time(self, now: float) -> None:
        until = START + timedelta(seconds=now)
        if until > self.clock.now():
            self.clock.advance(until - self.clock.now())

    def latency(self) -> float:
        """Seconds that the next call takes."""
        return self._random.uniform(*self.liberties.latency)


class Client:
    """What botocore's and aiobotocore's clients share here.

    :param sagemaker: what answers.
    """

    def __init__(self, sagemaker: SageMaker) -> None:
        self.sagemaker = sagemaker
        self.born = sagemaker.loop.now


class AsyncClient(Client):
    """An aiobotocore client, as far as the watcher knows it."""

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.born = float("-inf")

    def __getattr__(self, method: str) -> Any:
        operation = _OPERATIONS[method]

        async def _call(**members: Any) -> dict[str, Any]:
            seconds = self.sagemaker.latency()
            await asyncio.sleep(seconds / 2)
            try:
                return self.sagemaker.ask(operation, members, self)
            finally:
                await asyncio.sleep(seconds / 2)

        return _call


class BlockingClient(Client):
    """A botocore client, for code that runs in one of the loop's threads: a call takes its time there."""

    def __getattr__(self, method: str) -> Any:
        operation = _OPERATIONS[method]

        def _call(**members: Any) -> dict[str, Any]:
            self.sagemaker.loop.busy += self.sagemaker.latency()
            return self.sagemaker.ask(operation, members, self)

        return _call

    def get_paginator(self, method: str) -> Any:
        call = getattr(self, method)

        class _Pages:
            def paginate(self, **members: Any) -> Iterator[dict[str, Any]]:
                while True:
                    answer = call(**members)
                    yield answer
                    if not answer.get("NextToken"):
                        return
                    members["NextToken"] = answer["NextToken"]

        return _Pages()


class ServiceError(ServiceException):
    """What SageMaker says.

    :param code: of the error.
    :param message: of the error.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _NoStorage:
    def holds(self, uri: str) -> bool:  # noqa: ARG002 - everything is there
        return True

    def write(self, uri: str, content: bytes) -> None:
        """Nobody reads it."""


def refused(code: str, message: str, operation: str, *, status: int = 400) -> ClientError:
    """An error as botocore raises it."""
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}},
        operation,
    )


def _fits(summary: Mapping[str, Any], sent: Mapping[str, Any]) -> bool:
    after = sent.get("LastModifiedTimeAfter")
    return (
        (after is None or summary["LastModifiedTime"] > after)
        and sent.get("StatusEquals", summary["TrainingJobStatus"]) == summary["TrainingJobStatus"]
        and sent.get("NameContains", "") in summary["TrainingJobName"]
    )


def without(liberties: Liberties, *members: str) -> Liberties:
    """The same, but for some liberties that it does not take."""
    return replace(liberties, **{member: getattr(Liberties(), member) for member in members})
