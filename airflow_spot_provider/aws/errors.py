"""Which errors of an AWS call are worth a retry: the one place that tells."""

from __future__ import annotations

import asyncio
import random
import sys
from http import HTTPStatus

from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError

NOT_FOUND_GRACE_SECONDS = 120.0
"""How long a job may be unknown after it was created: SageMaker's answers lag behind for a moment."""

_THROTTLED = frozenset(
    {
        "LimitExceededException",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)
_UNAVAILABLE = frozenset(
    {
        "InternalFailure",
        "InternalServerError",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
    }
)
_EXPIRED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "UnrecognizedClientException",
    }
)
_CREDENTIAL_ERRORS = (
    CredentialRetrievalError,
    MetadataRetrievalError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
_TRANSPORT_ERRORS = (
    BotoConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ResponseParserError,
    asyncio.IncompleteReadError,
    ConnectionError,
    TimeoutError,
)


def code_of(error: BaseException) -> str:
    """AWS's error code, or the name of the class for an error that never reached AWS."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code") or "Unknown")
    return type(error).__name__


def is_expired_credentials(error: BaseException) -> bool:
    """Whether new credentials may help: they expired, were rotated, or could not be fetched just now."""
    return isinstance(error, _CREDENTIAL_ERRORS) or code_of(error) in _EXPIRED


def is_worth_a_retry(error: BaseException) -> bool:
    """Whether the same call may succeed later: throttling, 5xx, transport, time-outs, expired credentials.

    A job is not told to be lost for one of these: while SageMaker cannot be asked, the job may well be running.
    """
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return (
            is_throttled(error)
            or status >= HTTPStatus.INTERNAL_SERVER_ERROR
            or code_of(error) in _UNAVAILABLE | _EXPIRED
        )
    return isinstance(error, _transport_errors()) or is_expired_credentials(error)


def _transport_errors() -> tuple[type[BaseException], ...]:
    """An error of aiohttp's takes aiohttp to be loaded: a DAG file that is parsed does not load it for this."""
    aiohttp = sys.modules.get("aiohttp")
    return _TRANSPORT_ERRORS if aiohttp is None else (*_TRANSPORT_ERRORS, aiohttp.ClientError)


def is_throttled(error: BaseException) -> bool:
    """Whether AWS refused the call for its rate."""
    if not isinstance(error, ClientError):
        return False
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status == HTTPStatus.TOO_MANY_REQUESTS or code_of(error) in _THROTTLED


def is_denied(error: BaseException) -> bool:
    """Whether AWS says that a permission is missing."""
    return code_of(error) in {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}


def is_not_found(error: BaseException) -> bool:
    """Whether SageMaker says that there is no such job.

    DescribeTrainingJob answers ``ResourceNotFound``, or ``ValidationException`` with "Requested resource not found.".
    """
    return isinstance(error, ClientError) and (
        code_of(error) in {"ResourceNotFound", "ResourceNotFoundException"}
        or (code_of(error) == "ValidationException" and "not found" in str(error).lower())
    )


def is_name_in_use(error: BaseException) -> bool:
    """Whether CreateTrainingJob says that a job of this name exists."""
    return code_of(error) == "ResourceInUse"


class Backoff:
    """Capped exponential backoff with jitter.

    :param jitter: where the jitter comes from; pass a seeded one for a repeatable run.
    :param base: seconds that the first delay is at most.
    :param cap: seconds that any delay is at most.
    """

    def __init__(self, jitter: random.Random, *, base: float = 1.0, cap: float = 60.0) -> None:
        self._jitter = jitter
        self._base = base
        self._cap = cap
        self._failures = 0

    def next_delay(self) -> float:
        """Seconds to wait after one more failure: between half of the current ceiling and the whole of it."""
        ceiling = min(self._cap, self._base * 2.0 ** min(self._failures, 16))
        self._failures += 1
        return ceiling * (0.5 + self._jitter.random() / 2)

    def reset(self) -> None:
        """A call succeeded."""
        self._failures = 0
