"""Lists jobs page by page, and does without where that is not permitted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from airflow_spot_provider.aws.errors import is_denied
from airflow_spot_provider.aws.kinds import Description, Kind
from airflow_spot_provider.aws.watching.line import Line

log = logging.getLogger(__name__)

PAGE = 100
"""Summaries a page: what SageMaker gives at most."""
_DENIED_SECONDS, _UNLISTED_SECONDS = 3_600.0, 60.0


class Lists:
    """The List operation of one kind of job.

    :param kind: training jobs or tuning jobs.
    :param line: makes the calls.
    """

    def __init__(self, kind: Kind, line: Line) -> None:
        self._kind = kind
        self._line = line
        self._not_before = 0.0

    def may_be_asked(self) -> bool:
        """Whether listing was not refused lately."""
        return asyncio.get_running_loop().time() >= self._not_before

    async def pages(self, **members: Any) -> AsyncIterator[list[Description]]:
        """The pages of a List answer, newest job first.

        Ends early where it cannot go on, and :meth:`may_be_asked` says so: whoever asked describes its jobs instead.
        """
        members |= {"MaxResults": PAGE, "SortBy": "CreationTime", "SortOrder": "Descending"}
        while True:
            try:
                answer = await self._line.call(self._kind.list, **members)
            except Exception as error:  # noqa: BLE001 - what ails describing too, is told to whoever waits for a job
                self._refused(error)
                return
            yield answer.get(self._kind.summaries) or []
            if not answer.get("NextToken"):
                return
            members["NextToken"] = answer["NextToken"]

    def _refused(self, error: Exception) -> None:
        now = asyncio.get_running_loop().time()
        if not is_denied(error):
            self._not_before = now + _UNLISTED_SECONDS
            log.warning("%ss cannot be listed just now (%s), and are described.", self._kind.noun, error)
            return
        self._not_before = now + _DENIED_SECONDS
        log.warning(
            "sagemaker:List%ss is not permitted (%s): every watched %s is described instead, a call each. Grant it to spare "
            "those calls.",
            self._kind.resource,
            error,
            self._kind.noun,
        )
