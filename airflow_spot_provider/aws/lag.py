"""What may mean only that SageMaker's answers lag behind: a job that was created a moment ago is not known everywhere yet."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from airflow_spot_provider.aws.errors import NOT_FOUND_GRACE_SECONDS, is_denied, is_not_found
from airflow_spot_provider.training.lifecycle import instant

DENIED_GRACE_SECONDS = 120.0
"""How long a call about a new job may be denied: a policy that goes by tags denies it until the job's tags are known
(aws/sagemaker-python-sdk#4600)."""
TAGS_GRACE_SECONDS = 60.0
"""How long ListTags may tell no tags of a new job that was created with some."""
_YOUNG = timedelta(seconds=max(NOT_FOUND_GRACE_SECONDS, DENIED_GRACE_SECONDS))


class TagsNotKnown(Exception):
    """ListTags told no tags of a job that was created a moment ago."""


def lag_seconds(error: BaseException) -> float:
    """Tell for how long an error may be only a lag, where the job was created a moment ago.

    Whoever asks about a job that is known to exist, and that nobody has seen yet, asks again for so long, counted from the first such
    error. Of a job that was seen before, the same errors mean what they say.

    :param error: what a call about the job raised.
    :return: seconds; 0 for an error that is never a lag.
    """
    if is_not_found(error):
        return NOT_FOUND_GRACE_SECONDS
    if is_denied(error):
        return DENIED_GRACE_SECONDS
    return TAGS_GRACE_SECONDS if isinstance(error, TagsNotKnown) else 0.0


def is_young(description: Mapping[str, Any], now: datetime | None) -> bool:
    """Whether a job was created a moment ago, so that what is asked about it may lag.

    :param description: of the job.
    :param now: by AWS's clock, as :func:`told_at` reads it; None if that is not known.
    """
    created = instant(description.get("CreationTime"))
    return created is not None and now is not None and now - created < _YOUNG


def told_at(answer: Mapping[str, Any]) -> datetime | None:
    """When AWS gave an answer, by its own clock: the answer's Date header; None if it has none that can be read.

    :param answer: as a botocore client returns it.
    """
    headers = (answer.get("ResponseMetadata") or {}).get("HTTPHeaders") or {}
    try:
        return parsedate_to_datetime(headers["date"]).astimezone(UTC)
    except (KeyError, OverflowError, TypeError, ValueError):
        return None
