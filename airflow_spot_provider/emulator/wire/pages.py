"""Lists in pages: a page goes on after the last entry of the one before, whatever came or went meanwhile."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar

from airflow_spot_provider.emulator.exceptions import ValidationException

T = TypeVar("T")
SortKey = str | float


def page_of(
    entries: Iterable[T],
    *,
    sort_key: Callable[[T], SortKey],
    name: Callable[[T], str],
    descending: bool,
    size: int,
    token: str | None,
) -> tuple[list[T], str | None]:
    """One page of a list, and the token of the next one if there is one.

    :param entries: all entries that fit.
    :param sort_key: what they are sorted by; those of the same key by name.
    :param name: their names, each one's own.
    :param descending: the largest first.
    :param size: how many at most.
    :param token: of the page before.
    :raises ValidationException: the token is none of this list.
    """
    keyed = sorted(((sort_key(entry), name(entry)) for entry in entries), reverse=descending)
    by_name = {name(entry): entry for entry in entries}
    place = _place(token)
    if place is not None:
        keyed = [key for key in keyed if _is_after(key, place, descending=descending)]
    page = keyed[:size]
    more = base64.b64encode(json.dumps(page[-1]).encode()).decode() if len(page) < len(keyed) else None
    return [by_name[key[1]] for key in page], more


def epoch(value: float) -> datetime:
    """A time as AWS's JSON protocol sends it."""
    return datetime.fromtimestamp(value, tz=UTC)


def is_within(time: datetime, sent: dict[str, Any], member: str) -> bool:
    """Whether a time is within ``<member>After`` and ``<member>Before`` of a request."""
    after, before = sent.get(f"{member}After"), sent.get(f"{member}Before")
    return (after is None or time > epoch(after)) and (before is None or time < epoch(before))


def _place(token: str | None) -> tuple[SortKey, str] | None:
    """The key of the last entry of the page before."""
    if token is None:
        return None
    try:
        key, name = json.loads(base64.b64decode(token, validate=True))
    except (ValueError, TypeError):
        raise ValidationException(f"Invalid NextToken: '{token}'") from None
    return key, str(name)


def _is_after(key: tuple[SortKey, str], place: tuple[SortKey, str], *, descending: bool) -> bool:
    if type(key[0]) is not type(place[0]):
        raise ValidationException("Invalid NextToken: it is of a list that was sorted in another way")
    return key < place if descending else key > place
