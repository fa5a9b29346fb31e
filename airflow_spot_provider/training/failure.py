"""Why a job failed, by the first word of its FailureReason."""

from __future__ import annotations

import re
from enum import StrEnum

_FIRST_WORD = re.compile(r"\s*(\w+)\s*:")


class FailureCause(StrEnum):
    """Whose fault it was that a job failed: the words with which SageMaker begins a FailureReason.

    See `Troubleshoot training jobs <https://docs.aws.amazon.com/sagemaker/latest/dg/docker-containers-troubleshooting.html>`_ and
    `RetryStrategy <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_RetryStrategy.html>`_. Nothing else of the text is looked
    at: SageMaker says that its wording may change.
    """

    ALGORITHM_ERROR = "AlgorithmError"
    """The training program failed."""
    CLIENT_ERROR = "ClientError"
    """What the request names is wrong or out of reach: data, image, permissions."""
    CAPACITY_ERROR = "CapacityError"
    """AWS had no instance of the type, on spot or on demand."""
    INTERNAL_SERVER_ERROR = "InternalServerError"
    """SageMaker itself failed."""


def failure_cause(failure_reason: str | None) -> FailureCause | None:
    """Tell why a job failed.

    :param failure_reason: its FailureReason, or the beginning of it.
    :return: None if it does not say so in a word that is known.
    """
    if (word := _FIRST_WORD.match(failure_reason or "")) is None:
        return None
    try:
        return FailureCause(word[1])
    except ValueError:
        return None
