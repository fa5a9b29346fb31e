"""Where jobs stand in a list that is sorted by CreationTime, newest first; and how much of it is worth reading."""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterable

PAGE = 100
"""Summaries on a page: what SageMaker gives at most."""
_FURTHER_EACH_TIME = 4
"""After each page that should have shown a job and did not, those looked for are taken to be so many times further down."""


class ListOrder:
    """What the pages of a list have shown of its order: by that alone is a listing begun, and ended.

    SageMaker cuts a page before it filters it (`ListTrainingJobs, MaxResults
    <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListTrainingJobs.html>`_), so that a filter saves no page, and
    a filtered list walks through all jobs that the account ever had. Where a job stands follows from its CreationTime, which
    never changes, and from the pages that were read last.
    """

    def __init__(self) -> None:
        self._ends: list[float] = []
        """CreationTime of the last job on each page."""
        self._newest = 0.0
        self._read = 0
        self._fruitless = 0

    def begin(self) -> None:
        """Begin another listing. What the one before has shown is the best guess as far as this one has not come."""
        self._read = self._fruitless = 0

    def expect_elsewhere(self) -> None:
        """Those looked for have turned out to be older than they were taken for: pages that did not show them tell nothing."""
        self._fruitless = 0

    def page(self, created: Collection[float], *, found: bool, expected: bool) -> None:
        """Take in the next page.

        :param created: CreationTime of each job on it, epoch seconds.
        :param found: whether it shows a job that is looked for.
        :param expected: whether it should: :meth:`expects_on_next_page`, asked before.
        """
        if created:
            if not self._read:
                self._newest = max(created)
            self._ends[self._read : self._read + 1] = [min(created)]
            self._read += 1
        if found:
            self._fruitless = 0
        elif expected:
            self._fruitless += 1

    def is_past(self, created: float) -> bool:
        """Whether the pages that were read would have shown a job of this CreationTime (epoch seconds)."""
        # Lists and descriptions need not agree on the fractions of a second.
        return self._read > 0 and created > self._ends[self._read - 1] + 1.0

    def expects_on_next_page(self, created: float) -> bool:
        """Whether the next page should show a job of this CreationTime (epoch seconds)."""
        return self._depth(created) == 1

    def is_worth_reading(self, created: Iterable[float | None]) -> bool:
        """Tell whether to read on: some number of further pages shows more of the jobs than there are pages.

        :param created: of each job that is looked for, its CreationTime in epoch seconds, the newest first. One that is not
            known (None) is expected on the next page.
        """
        least = _FURTHER_EACH_TIME**self._fruitless
        return any(max(self._depth(each), least) < number for number, each in enumerate(created, start=1))

    def _depth(self, created: float | None) -> int:
        """How many further pages it takes to find a job: as the last listing has shown, and beyond that at the same density."""
        if created is None:
            return 1
        place = bisect.bisect_left(self._ends, -created, key=lambda end: -end)
        if place == len(self._ends) and self._ends:
            seconds_a_page = max(self._newest - self._ends[-1], 1e-3) / len(self._ends)
            place += int((self._ends[-1] - created) / seconds_a_page)
        return max(place + 1 - self._read, 1)
