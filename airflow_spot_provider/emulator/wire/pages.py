"""Lists in pages: a page goes on after the last entry of the one before, whatever came or went meanwhile."""

from __future__ import annotations

import base64
import heapq
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

    :param entries: all entries that are to be in the list.
    :param sort_key: what they are sorted by; those of the same key by name.
    :param name: their names, each one's own.
    :param descending: the largest first.
    :param size: how many at most.
    :param token: of the page before.
    :raises ValidationException: the token is none of this list.
    """
    keyed: Iterable[tuple[tuple[SortKey, str], T]] = (
        ((sort_key(entry), name(entry)), entry) for entry in entries
    )
    place = _place(token)
    if place is not None:
        keyed = (each for each in keyed if _is_after(each[0], place, descending=descending))
    first = heapq.nlargest if descending else heapq.nsmallest
    page = first(size + 1, keyed, key=lambda each: each[0])
    more = base64.b64encode(json.dumps(page[size - 1][0]).encode()).decode() if len(page) > size else None
    return [entry for _, entry in page[:size]], more


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
