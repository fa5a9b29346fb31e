"""When AWS gave an answer, by AWS's own clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any


def date_of(answer: Mapping[str, Any]) -> datetime | None:
    """The ``Date`` of an answer's HTTP headers, to the second; None if it does not tell.

    :param answer: of a boto3 or aiobotocore client.
    """
    headers = (answer.get("ResponseMetadata") or {}).get("HTTPHeaders") or {}
    try:
        return parsedate_to_datetime(headers["date"])
    except (KeyError, TypeError, ValueError):
        return None
