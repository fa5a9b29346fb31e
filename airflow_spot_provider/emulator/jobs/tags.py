"""The tags of a resource, and what they were a while ago."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

Tag = dict[str, str]


class Tags:
    """The tags of one resource.

    :param tags: those that it was created with.
    :param now: when that was.
    """

    def __init__(self, tags: Iterable[Mapping[str, str]], now: datetime) -> None:
        self._sets: list[tuple[datetime, list[Tag]]] = [(now, [dict(tag) for tag in tags])]

    @property
    def present(self) -> list[Tag]:
        """What they are now."""
        return self._sets[-1][1]

    def replace(self, tags: list[Tag], now: datetime) -> None:
        """Have these, and no others, from now on."""
        self._sets.append((now, tags))

    def at(self, time: datetime) -> list[Tag]:
        """What they were at a time; none before there was the resource."""
        return next((tags for since, tags in reversed(self._sets) if since <= time), [])
