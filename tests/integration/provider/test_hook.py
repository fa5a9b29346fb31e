"""The hook on the emulator, over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from airflow_spot_provider.aws.errors import Backoff
from airflow_spot_provider.aws.kinds import TRAINING_JOBS
from airflow_spot_provider.aws.training_log import LOG_GROUP
from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.hooks import sagemaker_spot
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.training import (
    ConnectionNotFound,
    InvalidSpotRequest,
    MustWaitItsTurn,
    SpotTrainingError,
    TrainingJobNotFound,
    spot_request,
)

pytestmark = pytest.mark.usefixtures("aws_connection")


@pytest.fixture
def hook() -> SageMakerSpotHook:
    return SageMakerSpotHook(region_name="us-east-1")


@pytest.fixture
def request_of_a_job(job_config: dict[str, Any], unique: str) -> dict[str, Any]:
    return spot_request({**job_config, "TrainingJobName": unique}, max_wait=600)


def test_second_create_of_a_name_meets_the_first(
    hook: SageMakerSpotHook, request_of_a_job: dict[str, Any]
) -> None:
    assert hook.jobs(TRAINING_JOBS).create(request_of_a_job) is True
    assert hook.jobs(TRAINING_JOBS).create(request_of_a_job) is False


def test_create_whose_answer_got_lost_is_repeated_and_makes_one_job(
    hook: SageMakerSpotHook, request_of_a_job: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    create = hook.conn.create_training_job
    answers: list[Exception | None] = [EndpointConnectionError(endpoint_url="http://localhost"), None]

    def _answer_lost(**kwargs: Any) -> Any:
        answer = create(**kwargs)
        if error := answers.pop(0):
            raise error
        return answer

    monkeypatch.setattr(hook.conn, "create_training_job", _answer_lost)
    monkeypatch.setattr(Backoff, "next_delay", lambda _self: 0.01)

    assert hook.jobs(TRAINING_JOBS).create(request_of_a_job) is False
    assert (
        hook.jobs(TRAINING_JOBS).get(request_of_a_job["TrainingJobName"])["EnableManagedSpotTraining"] is True
    )


def test_blocking_call_gives_up_in_the_end(hook: SageMakerSpotHook, monkeypatch: pytest.MonkeyPatch) -> None:
    def _down(**_kwargs: Any) -> Any:
        raise EndpointConnectionError(endpoint_url="http://localhost")

    monkeypatch.setattr(hook.conn, "describe_training_job", _down)
    monkeypatch.setattr(sagemaker_spot, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(Backoff, "next_delay", lambda _self: 0.02)

    with pytest.raises(EndpointConnectionError):
        hook.jobs(TRAINING_JOBS).get("j")


def test_expired_credentials_are_taken_anew_from_the_connection(
    hook: SageMakerSpotHook, request_of_a_job: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    response: Any = {"Error": {"Code": "ExpiredTokenException", "Message": "m"}}

    def _expired(**_kwargs: Any) -> Any:
        raise ClientError(response, "CreateTrainingJob")

    old = hook.conn
    monkeypatch.setattr(old, "create_training_job", _expired)
    monkeypatch.setattr(Backoff, "next_delay", lambda _self: 0.01)

    assert hook.jobs(TRAINING_JOBS).create(request_of_a_job) is True
    assert hook.conn is not old


def test_unknown_job_is_named_with_its_region(hook: SageMakerSpotHook) -> None:
    with pytest.raises(TrainingJobNotFound, match=r"'no-such-job'.*us-east-1"):
        hook.jobs(TRAINING_JOBS).get("no-such-job")


def test_stopping_a_job_that_ended_or_never_was_is_no_error(hook: SageMakerSpotHook) -> None:
    assert hook.jobs(TRAINING_JOBS).stop("no-such-job") is False


def test_refused_request_is_told_without_its_secrets(
    hook: SageMakerSpotHook, request_of_a_job: dict[str, Any]
) -> None:
    secret = "hunter2-is-not-a-password"
    wrong = {
        **request_of_a_job,
        "Environment": {"TOKEN": secret},
        "HyperParameters": {"key": {"nested": secret}},
    }

    with pytest.raises(InvalidSpotRequest) as error:
        hook.jobs(TRAINING_JOBS).create(wrong)

    assert "HyperParameters" in str(error.value)
    assert secret not in str(error.value)


@pytest.fixture
def refuse(hook: SageMakerSpotHook, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Have every CreateTrainingJob refused."""

    def _refuse(code: str, message: str) -> None:
        response: Any = {"Error": {"Code": code, "Message": message}}

        def _create(**_kwargs: Any) -> Any:
            raise ClientError(response, "CreateTrainingJob")

        monkeypatch.setattr(hook.conn, "create_training_job", _create)

    return _refuse


def test_other_refusals_name_the_job(
    hook: SageMakerSpotHook, request_of_a_job: dict[str, Any], refuse: Callable[[str, str], None]
) -> None:
    refuse("AccessDeniedException", "not authorized to perform: sagemaker:CreateTrainingJob")

    with pytest.raises(SpotTrainingError, match="AccessDeniedException") as error:
        hook.jobs(TRAINING_JOBS).create(request_of_a_job)
    assert request_of_a_job["TrainingJobName"] in str(error.value)


@pytest.mark.parametrize("code", ["ResourceLimitExceeded", "ThrottlingException"])
def test_refusal_that_passes_is_told_at_once_for_the_task_to_wait_without_a_worker(
    hook: SageMakerSpotHook, request_of_a_job: dict[str, Any], refuse: Callable[[str, str], None], code: str
) -> None:
    refuse(code, "ml.m5.large for spot training job usage")

    with pytest.raises(MustWaitItsTurn) as error:
        hook.jobs(TRAINING_JOBS).create(request_of_a_job)
    assert error.value.__suppress_context__  # the original may quote the request


def test_tags_are_added_over_those_of_the_same_key(
    hook: SageMakerSpotHook, request_of_a_job: dict[str, Any]
) -> None:
    hook.jobs(TRAINING_JOBS).create(request_of_a_job)
    arn = hook.jobs(TRAINING_JOBS).get(request_of_a_job["TrainingJobName"])["TrainingJobArn"]

    hook.jobs(TRAINING_JOBS).add_tags(arn, {"a": "1", "b": "1"})
    hook.jobs(TRAINING_JOBS).add_tags(arn, {"b": "2"})

    assert hook.jobs(TRAINING_JOBS).get_tags(arn) == {"emulator:training-seconds": "30", "a": "1", "b": "2"}


def test_training_log_is_read_over_all_streams_and_cut_to_the_newest(
    hook: SageMakerSpotHook, emulator: SageMakerEmulator, unique: str
) -> None:
    logs = emulator.client("logs")
    now = time.time_ns() // 1_000_000 - 60_000  # CloudWatch Logs takes nothing older than two weeks
    events = {
        f"{unique}/algo-1-1": [(now, "first"), (now + 2, "third")],
        f"{unique}/algo-1-2": [(now + 1, "second"), (now + 3, "fourth")],
        f"{unique}-other/algo-1-1": [(now + 9, "another job's")],
    }
    if not logs.describe_log_groups(logGroupNamePrefix=LOG_GROUP)["logGroups"]:
        logs.create_log_group(logGroupName=LOG_GROUP)
    for stream, lines in events.items():
        logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=stream)
        log_events = [{"timestamp": stamp, "message": line} for stamp, line in lines]
        logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=stream, logEvents=log_events)

    assert hook.newest_log_lines(unique, 10) == (["first", "second", "third", "fourth"], False)
    assert hook.newest_log_lines(unique, 3) == (["second", "third", "fourth"], True)


def test_job_without_a_log_has_no_lines(hook: SageMakerSpotHook) -> None:
    assert hook.newest_log_lines("no-such-job", 10) == ([], False)


def test_a_connection_that_does_not_exist_is_no_reason_to_use_other_credentials() -> None:
    hook = SageMakerSpotHook(aws_conn_id="prod_amdin", region_name="us-east-1")

    for _ in range(2):  # the second question is not answered from what the first has left behind
        with pytest.raises(ConnectionNotFound, match="AIRFLOW_CONN_PROD_AMDIN"):
            _ = hook.conn


@pytest.mark.parametrize(("conn_id", "said"), [("aws_default", 1), (None, 0)])
def test_the_default_connection_need_not_exist_and_that_is_said_loudly(
    monkeypatch: pytest.MonkeyPatch, conn_id: str | None, said: int
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_AWS_DEFAULT")
    hook = SageMakerSpotHook(aws_conn_id=conn_id, region_name="us-east-1")
    warnings: list[str] = []
    monkeypatch.setattr(hook.log, "warning", lambda text, *args: warnings.append(text % args))

    assert not hook.conn_config

    assert sum("'aws_default'" in text and "boto3 finds on this host" in text for text in warnings) == said
