"""Reads the pages of a List operation that are worth it, and does without where listing is not permitted."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import chain, repeat
from typing import Any

from airflow_spot_provider.aws.errors import is_denied
from airflow_spot_provider.aws.kinds import Description, Kind
from airflow_spot_provider.aws.watching.line import Line
from airflow_spot_provider.aws.watching.order import PAGE, ListOrder
from airflow_spot_provider.training.lifecycle import instant

log = logging.getLogger(__name__)

_DENIED_SECONDS, _UNLISTED_SECONDS = 3_600.0, 60.0

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
        missing = dict.fromkeys(jobs)
        unknown = {name for name, created in jobs.items() if created is None}
        known = deque(sorted(((time, name) for name, time in jobs.items() if time is not None), reverse=True))
        order, members = self._order, self._members()
        order.begin()
        while asyncio.get_running_loop().time() >= self._not_before:
            # Those whose time is not known are taken for the newest.
            nearest = chain(repeat(None, len(unknown)), (time for time, _ in known))
            if not order.is_worth_reading(nearest):
                break
            try:
                answer = await self._line.call(self._kind.list, **members)
                page = self._page(answer)
                expected = bool(unknown) or order.expects_on_next_page(known[0][0])
                found = missing.keys() & page.keys()
                order.page(_times(page), found=bool(found), expected=expected)
                take(page)
            except Exception as error:  # noqa: BLE001 - what ails describing too, is told to whoever waits for a job
                self._refused(error)
                break
            for name in found:
                del missing[name]
            unknown -= found
            while known and (known[0][1] not in missing or order.is_past(known[0][0])):
                known.popleft()
            if not answer.get("NextToken"):
                break
            members["NextToken"] = answer["NextToken"]
        return missing

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


def _times(page: Page) -> list[float]:
    times = (instant(summary.get("CreationTime")) for summary in page.values())
    return [time.timestamp() for time in times if time is not None]
