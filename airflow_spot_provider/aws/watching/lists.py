"""Reads the pages of a List operation that are worth it, and does without where listing is not permitted."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from heapq import merge
from itertools import chain, islice, repeat
from typing import Any

from airflow_spot_provider.aws.errors import is_denied
from airflow_spot_provider.aws.kinds import Description, Kind
from airflow_spot_provider.aws.watching.line import Line
from airflow_spot_provider.aws.watching.order import PAGE, ListOrder
from airflow_spot_provider.training.lifecycle import instant

log = logging.getLogger(__name__)

_DENIED_SECONDS, _UNLISTED_SECONDS = 3_600.0, 60.0
_FEW = 8
"""So many are described, rather than found out where they may be."""

Page = Mapping[str, Description]
"""The summaries of a page by their jobs' names."""


class Lists:
    """The List operation of one kind of job.

    :param kind: training jobs or tuning jobs.
    :param line: makes the calls.
    """

    def __init__(self, kind: Kind, line: Line) -> None:
        self._kind = kind
        self._line = line
        self._order = ListOrder()
        self._not_before = float("-inf")

    async def look_for(self, jobs: Mapping[str, float | None], take: Callable[[Page], None]) -> Iterable[str]:
        """Read the pages that show jobs with fewer calls than describing each of them takes.

        :param jobs: CreationTime (epoch seconds; None if it is not known) of each job that is looked for, by its name.
        :param take: is handed each page.
        :return: the names of the jobs that no page has shown: to be described.
        """
        order, members = self._order, self._members()
        order.begin()
        wanted = _Wanted(jobs, order)
        while asyncio.get_running_loop().time() >= self._not_before:
            if not order.is_worth_reading(wanted.nearest()) and not await self._learn(wanted):
                break
            try:
                answer = await self._line.call(self._kind.list, **members)
                page = self._page(answer)
                expected = wanted.are_expected()
                order.page(_times(page), found=wanted.find(page), expected=expected)
                take(page)
            except Exception as error:  # noqa: BLE001 - what ails describing too, is told to whoever waits for a job
                self._refused(error)
                break
            if not answer.get("NextToken"):
                break
            members["NextToken"] = answer["NextToken"]
        return wanted.missing

    async def _learn(self, wanted: _Wanted) -> bool:
        """Find out how old those are whose times are not known, if they are many: whether it is worth reading on, then.

        After a triggerer's restart the watched jobs may be far down, all together.
        """
        if wanted.guess is not None or len(wanted.unknown) <= _FEW:
            return False
        name = next(iter(wanted.unknown))
        try:
            answer = await self._line.call(self._kind.describe, patient=False, **{self._kind.name: name})
        except Exception:  # noqa: BLE001 - it is described once more, and what ails it is told to whoever waits for it
            return False
        created = instant(answer.get("CreationTime"))
        if created is None or self._order.is_past(created.timestamp()):
            return False
        wanted.guess = created.timestamp()
        self._order.expect_elsewhere()
        return self._order.is_worth_reading(wanted.nearest())

    @staticmethod
    def _members() -> dict[str, Any]:
        return {"MaxResults": PAGE, "SortBy": "CreationTime", "SortOrder": "Descending"}

    def _page(self, answer: Mapping[str, Any]) -> Page:
        summaries = answer.get(self._kind.summaries) or ()
        return {name: each for each in summaries if isinstance(name := each.get(self._kind.name), str)}

    def _refused(self, error: Exception) -> None:
        now = asyncio.get_running_loop().time()
        if not is_denied(error):
            self._not_before = now + _UNLISTED_SECONDS
            log.warning("%ss cannot be listed just now (%r), and are described.", self._kind.noun, error)
            return
        self._not_before = now + _DENIED_SECONDS
        log.warning(
            "sagemaker:List%ss is not permitted (%s): every watched %s is described instead, a call each. Grant it to spare "
            "those calls.",
            self._kind.resource,
            error,
            self._kind.noun,
        )


class _Wanted:
    """The jobs that one listing looks for, and that it has not found.

    :param jobs: CreationTime (epoch seconds; None if it is not known) of each.
    :param order: what the pages show of the list's order.
    """

    def __init__(self, jobs: Mapping[str, float | None], order: ListOrder) -> None:
        self._order = order
        self.missing = dict.fromkeys(jobs)
        self.unknown = {name: None for name, created in jobs.items() if created is None}
        """Those whose times are not known."""
        self.guess: float | None = None
        """The time that these are taken for, until pages are past it."""
        self._known = deque(
            sorted(((time, name) for name, time in jobs.items() if time is not None), reverse=True)
        )

    def nearest(self) -> Iterable[float | None]:
        """Their times, the newest first."""
        while self._known and (
            self._known[0][1] not in self.missing or self._order.is_past(self._known[0][0])
        ):
            self._known.popleft()
        known = (time for time, _ in self._known)
        if (guess := self._guess_ahead) is None:
            return chain(repeat(None, len(self.unknown)), known)
        return merge(repeat(guess, len(self.unknown)), known, reverse=True)

    def are_expected(self) -> bool:
        """Whether the next page should show any."""
        times = [time for time, _ in islice(self._known, 1)]
        if self.unknown:
            if (guess := self._guess_ahead) is None:
                return True
            times.append(guess)
        return any(self._order.expects_on_next_page(time) for time in times)

    def find(self, page: Page) -> bool:
        """Tell whether a page shows any. Those are found then."""
        found = self.missing.keys() & page.keys()
        for name in found:
            del self.missing[name]
            self.unknown.pop(name, None)
        return bool(found)

    @property
    def _guess_ahead(self) -> float | None:
        return None if self.guess is None or self._order.is_past(self.guess) else self.guess


def _times(page: Page) -> list[float]:
    times = (instant(summary.get("CreationTime")) for summary in page.values())
    return [time.timestamp() for time in times if time is not None]
