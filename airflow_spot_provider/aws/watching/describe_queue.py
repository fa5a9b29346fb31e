"""Which jobs are to be described next: those that ended first, each once however often it is asked for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

URGENT, ORDINARY = 0, 1
_AFTER_AN_ERROR = 5.0


class DescribeQueue:
    """The jobs that wait for being described.

    :param describe: describes one, and deals with what the call raises.
    """

    def __init__(self, describe: Callable[[str], Awaitable[None]]) -> None:
        self._describe = describe
        self._queue: asyncio.PriorityQueue[tuple[int, int, str]] = asyncio.PriorityQueue()
        self._wanted: dict[str, int] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._wanted)

    def want(self, name: str, priority: int = ORDINARY) -> None:
        """Have a job described, unless it is about to be."""
        if self._wanted.get(name, ORDINARY + 1) <= priority:
            return
        self._wanted[name] = priority
        self._count += 1
        self._queue.put_nowait((priority, self._count, name))

    def want_later(self, name: str, seconds: float) -> None:
        """Have a job described in so many seconds."""
        asyncio.get_running_loop().call_later(seconds, self.want, name)

    async def run(self) -> None:
        """Describe one after the other until cancelled; several may run at a time."""
        while True:
            priority, _, name = await self._queue.get()
            if self._wanted.get(name) != priority:
                continue  # it was wanted again, more urgently, and has been described since
            del self._wanted[name]
            try:
                await self._describe(name)
            except Exception:
                log.exception("What SageMaker says of %s could not be read; it is asked again.", name)
                self.want_later(name, _AFTER_AN_ERROR)
