"""Which errors are worth a retry, told in one place."""

from __future__ import annotations

import random
from typing import Any

import aiohttp
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError
from hypothesis import given
from hypothesis import strategies as st

from airflow_spot_provider.aws.errors import (
    Backoff,
    code_of,
    is_expired_credentials,
    is_name_in_use,
    is_not_found,
    is_worth_a_retry,
)


def _answer(code: str, status: int = 400, message: str = "m") -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "DescribeTrainingJob")


@pytest.mark.parametrize(
    "error",
    [
        _answer("ThrottlingException"),
        _answer("Throttling"),
        _answer("TooManyRequestsException", 429),
        _answer("SomethingNew", 429),
        _answer("InternalFailure", 500),
        _answer("502", 502),
        _answer("ServiceUnavailable", 503),
        _answer("504", 504),
        _answer("ExpiredTokenException"),
        _answer("ExpiredToken", 403),
        _answer("UnrecognizedClientException"),
        EndpointConnectionError(endpoint_url="http://localhost"),
        ConnectionClosedError(endpoint_url="http://localhost"),
        ReadTimeoutError(endpoint_url="http://localhost"),
        NoCredentialsError(),
        CredentialRetrievalError(provider="p", error_msg="m"),
        ResponseParserError("half an answer"),
        aiohttp.ClientPayloadError("half an answer"),
        aiohttp.ServerDisconnectedError(),
        TimeoutError(),
        ConnectionResetError(),
    ],
    ids=repr,
)
def test_what_may_pass_is_retried(error: Exception) -> None:
    assert is_worth_a_retry(error)


@pytest.mark.parametrize(
    "error",
    [
        _answer("AccessDeniedException"),
        _answer("AccessDenied", 403),
        _answer("ValidationException"),
        _answer("ValidationException", message="Requested resource not found."),
        _answer("ResourceInUse"),
        _answer("ResourceLimitExceeded"),
        _answer("UnknownOperationException", 404),
        ParamValidationError(report="r"),
        NoRegionError(),
        KeyError("a mistake of ours"),
    ],
    ids=repr,
)
def test_what_will_not_pass_is_not_retried(error: Exception) -> None:
    assert not is_worth_a_retry(error)


def test_new_credentials_are_fetched_when_the_old_ones_are_the_trouble() -> None:
    assert is_expired_credentials(_answer("ExpiredTokenException"))
    assert is_expired_credentials(NoCredentialsError())
    assert not is_expired_credentials(_answer("ThrottlingException"))


def test_not_found_and_name_in_use_are_told_from_other_refusals() -> None:
    assert is_not_found(_answer("ValidationException", message="Requested resource not found."))
    assert is_not_found(_answer("ResourceNotFound"))
    assert not is_not_found(_answer("ValidationException", message="1 validation error detected"))
    assert not is_not_found(KeyError("not found"))
    assert is_name_in_use(_answer("ResourceInUse"))
    assert not is_name_in_use(_answer("ResourceLimitExceeded"))


def test_code_of_an_error_that_never_reached_aws_is_its_class() -> None:
    assert code_of(TimeoutError()) == "TimeoutError"
    assert code_of(ClientError({}, "DescribeTrainingJob")) == "Unknown"


@given(seed=st.integers(), failures=st.integers(1, 60))
def test_backoff_grows_stays_under_its_cap_and_starts_again(seed: int, failures: int) -> None:
    backoff = Backoff(random.Random(seed), base=1, cap=60)
    delays = [backoff.next_delay() for _ in range(failures)]

    assert all(0.5 <= delay <= 60 for delay in delays)
    assert all(delay >= min(60, 2.0**count) / 2 for count, delay in enumerate(delays))
    backoff.reset()
    assert backoff.next_delay() <= 1
