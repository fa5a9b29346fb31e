"""``--since``: a time span, or a date."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime, timedelta

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN = re.compile(r"([0-9]{1,9})([mhdw])")
_FIRST_YEAR = 2000
"""SageMaker is younger, and no database or API refuses it."""


def since(text: str) -> datetime:
    """The time that an argument ``--since`` means, for argparse.

    :param text: a span before now (``30m``, ``12h``, ``30d``, ``4w``), or an ISO date or time; without an offset it is in UTC.
    :raises argparse.ArgumentTypeError: it is neither, or lies in the future, or far in the past.
    """
    now = datetime.now(UTC)
    try:
        span = _SPAN.fullmatch(text)
        time = now - timedelta(**{_UNITS[span[2]]: int(span[1])}) if span else datetime.fromisoformat(text)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; it takes a span such as 30m, 12h, 30d or 4w, or an ISO date such as 2026-11-01."
        ) from None
    if time >= now or time.year < _FIRST_YEAR:
        raise argparse.ArgumentTypeError(
            f"{text!r} is {time:%Y-%m-%d %H:%M} UTC; it takes a time between the year {_FIRST_YEAR} and now."
        )
    return time
