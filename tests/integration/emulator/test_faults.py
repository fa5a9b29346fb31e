"""Faults on demand, as a client meets them."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

from airflow_spot_provider.emulator import EmulatorError, SageMakerEmulator

DESCRIBE = "DescribeTrainingJob"


@pytest.fixture(scope="module")
def emulator() -> Iterator[SageMakerEmulator]:
    """An emulator of this module's own: others must not meet its faults."""
    with SageMakerEmulator(lifecycle="never-launched") as running:
        running.client("s3").create_bucket(Bucket="integration")
        yield running


@pytest.fixture(autouse=True)
def _no_faults_afterwards(emulator: SageMakerEmulator) -> Iterator[None]:
    yield
    emulator.set_faults()


@pytest.fixture
def job(jobs: Any) -> str:
    return str(jobs.submit())


def _client(emulator: SageMakerEmulator, service: str = "sagemaker", **config: Any) -> Any:
    """A client that tries once."""
    retries = {"total_max_attempts": 1}
    return emulator.client(service, config=Config(retries=retries, **config))


def _code(ask: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as caught:
        ask()
    return str(caught.value.response["Error"]["Code"])


def test_error_comes_to_the_named_operation_alone_and_as_often_as_asked(
    emulator: SageMakerEmulator, job: str
) -> None:
    emulator.set_faults(
        {"operation": DESCRIBE, "times": 2, "error": {"code": "ServiceUnavailable", "status": 503}}
    )
    sagemaker = _client(emulator)
    for _ in range(2):
        assert _code(lambda: sagemaker.describe_training_job(TrainingJobName=job)) == "ServiceUnavailable"
    assert sagemaker.describe_training_job(TrainingJobName=job)["TrainingJobName"] == job
    sagemaker.list_training_jobs()


def test_probability_is_from_the_seed(emulator: SageMakerEmulator, job: str) -> None:
    sagemaker = _client(emulator)

    def _statuses(seed: int) -> list[int]:
        emulator.set_faults({"operation": DESCRIBE, "probability": 0.5, "error": {}}, seed=seed)
        before = len(emulator.call_log(DESCRIBE))
        for _ in range(30):
            with contextlib.suppress(ClientError):
                sagemaker.describe_training_job(TrainingJobName=job)
        return [call["status"] for call in emulator.call_log(DESCRIBE)[before:]]

    first = _statuses(1)
    assert set(first) == {200, 500}
    assert first == _statuses(1) != _statuses(2)


def test_calls_beyond_the_rate_are_throttled(emulator: SageMakerEmulator, job: str) -> None:
    emulator.set_faults({"operation": "sagemaker:*", "requests_per_second": 0.001})
    sagemaker = _client(emulator)
    sagemaker.describe_training_job(TrainingJobName=job)
    with pytest.raises(ClientError, match="Rate exceeded"):
        sagemaker.describe_training_job(TrainingJobName=job)
    emulator.client("sts").get_caller_identity()


@pytest.mark.parametrize("service", ["sagemaker", "s3", "sqs", "sts", "logs", "ec2"])
def test_expired_credentials_are_told_in_the_service_s_own_protocol(
    emulator: SageMakerEmulator, service: str
) -> None:
    emulator.set_faults({"operation": f"{service}:*", "expired_credentials": True})
    client = _client(emulator, service)
    ask = {
        "sagemaker": "list_training_jobs",
        "s3": "list_buckets",
        "sqs": "list_queues",
        "sts": "get_caller_identity",
        "logs": "describe_log_groups",
        "ec2": "describe_vpcs",
    }[service]
    assert _code(getattr(client, ask)) in ("ExpiredToken", "ExpiredTokenException")


def _raw(emulator: SageMakerEmulator, operation: str, body: dict[str, Any]) -> bytes:
    """The body of an answer, without a client's repairs."""
    address = urlsplit(emulator.endpoint_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    try:
        connection.request(
            "POST", "/", json.dumps(body), {"X-Amz-Target": f"SageMaker.{operation}", "Content-Type": "x"}
        )
        return connection.getresponse().read()
    finally:
        connection.close()


def test_connection_dropped_before_the_call_leaves_nothing_done(
    emulator: SageMakerEmulator, jobs: Any
) -> None:
    request = jobs.request()
    emulator.set_faults({"operation": "CreateTrainingJob", "connection": "before", "times": 1})
    with pytest.raises(http.client.RemoteDisconnected):
        _raw(emulator, "CreateTrainingJob", request)
    assert emulator.call_log("CreateTrainingJob")[-1]["status"] is None
    jobs.sagemaker.create_training_job(**request)


def test_connection_dropped_after_the_call_leaves_it_done(emulator: SageMakerEmulator, jobs: Any) -> None:
    request = jobs.request()
    emulator.set_faults({"operation": "CreateTrainingJob", "connection": "after", "times": 1})
    with pytest.raises(http.client.RemoteDisconnected):
        _raw(emulator, "CreateTrainingJob", request)
    assert jobs.describe(request["TrainingJobName"])["SecondaryStatus"] == "Starting"


def test_connection_dropped_during_the_answer_breaks_it_off(emulator: SageMakerEmulator, job: str) -> None:
    emulator.set_faults({"operation": DESCRIBE, "connection": "during"})
    with pytest.raises(http.client.IncompleteRead):
        _raw(emulator, DESCRIBE, {"TrainingJobName": job})


def test_half_an_answer_is_no_json(emulator: SageMakerEmulator, job: str) -> None:
    whole = _raw(emulator, DESCRIBE, {"TrainingJobName": job})
    emulator.set_faults({"operation": DESCRIBE, "connection": "half"})
    half = _raw(emulator, DESCRIBE, {"TrainingJobName": job})
    assert whole.startswith(half)
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(half)


def test_latency_outlasts_an_impatient_client(emulator: SageMakerEmulator, job: str) -> None:
    emulator.set_faults({"operation": DESCRIBE, "latency_seconds": 1.5, "times": 1})
    with pytest.raises(ReadTimeoutError):
        _client(emulator, read_timeout=0.3).describe_training_job(TrainingJobName=job)


def test_description_lags_behind_the_creation(emulator: SageMakerEmulator, jobs: Any) -> None:
    emulator.set_faults(lag_seconds=3600)
    name = jobs.submit()
    assert _code(lambda: jobs.describe(name)) == "ValidationException"
    emulator.set_faults()
    assert jobs.describe(name)["SecondaryStatus"] == "Starting"


def test_lists_are_cut_first_unless_told_otherwise_and_the_server_s_way_comes_back(
    emulator: SageMakerEmulator, jobs: Any
) -> None:
    first, *_ = (jobs.submit() for _ in range(3))

    def _pages(**parameters: Any) -> list[list[str]]:
        pages = jobs.sagemaker.get_paginator("list_training_jobs").paginate(**parameters)
        return [[job["TrainingJobName"] for job in page["TrainingJobSummaries"]] for page in pages]

    only_first = {"NameContains": first, "MaxResults": 1}
    whole = _pages(MaxResults=1)
    assert _pages(**only_first) == [[name] if name == first else [] for [name] in whole]
    emulator.set_faults(list="filter-first")
    assert _pages(**only_first) == [[first]]
    emulator.set_faults()
    assert len(_pages(**only_first)) == len(whole)


def test_liberties_come_and_go_over_the_control_api(emulator: SageMakerEmulator, jobs: Any) -> None:
    emulator.set_faults(
        tags_lag_seconds=3600, bare_summaries=True, pending=True, stopping_in_status_only=True
    )
    name = jobs.submit()
    arn = jobs.describe(name)["TrainingJobArn"]
    assert jobs.describe(name)["SecondaryStatus"] == "Pending"
    assert jobs.sagemaker.list_tags(ResourceArn=arn)["Tags"] == []
    [summary] = jobs.sagemaker.list_training_jobs(MaxResults=1)["TrainingJobSummaries"]
    assert (summary["TrainingJobName"], summary.get("SecondaryStatus")) == (name, None)
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    stopping = jobs.describe(name)
    assert (stopping["TrainingJobStatus"], stopping["SecondaryStatus"]) == ("Stopping", "Pending")
    emulator.set_faults(denied_seconds=3600)
    assert _code(lambda: jobs.describe(name)) == "AccessDeniedException"
    emulator.set_faults()
    assert jobs.describe(jobs.submit())["SecondaryStatus"] == "Starting"
    assert len(jobs.sagemaker.list_tags(ResourceArn=arn)["Tags"]) == 1


def test_liberty_that_there_is_not_is_refused(emulator: SageMakerEmulator) -> None:
    with pytest.raises(EmulatorError, match="list: Input should be 'cut-first' or 'filter-first'"):
        emulator.set_faults(list="sorted")
    with pytest.raises(EmulatorError, match="sleepy: Extra inputs are not permitted"):
        emulator.set_faults(sleepy=True)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({}, "give exactly one of error, requests_per_second, latency_seconds"),
        ({"error": {}, "latency_seconds": 1}, "found error, latency_seconds"),
        ({"latency_seconds": -1}, "rules.0.latency_seconds"),
        ({"probability": 2, "error": {}}, "rules.0.probability"),
        ({"connection": "sideways"}, "rules.0.connection"),
        ({"operations": "*", "error": {}}, "rules.0.operations: Extra inputs"),
        ({"error": {"status": 200}}, "rules.0.error.status"),
        ({"expired_credentials": False}, "rules.0.expired_credentials"),
    ],
)
def test_fault_that_makes_no_sense_is_refused_with_the_place(
    emulator: SageMakerEmulator, rule: dict[str, Any], told: str
) -> None:
    with pytest.raises(EmulatorError, match=told):
        emulator.set_faults(rule)
