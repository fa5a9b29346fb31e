"""An event loop whose time jumps: nobody waits for a timer, and ten minutes pass in the time that their events take."""

from __future__ import annotations

import asyncio
import selectors
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

POOL_THREADS = 8
"""Threads of an executor that does not say how many it has."""


class NothingLeftToHappen(RuntimeError):
    """Somebody waits, and no timer and no event will ever end that."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time.

    When nothing is ready, the time jumps to the next timer. Work for threads is done in the loop's own thread, at a virtual
    price: see :meth:`run_in_executor`.

    :param pass_time: is told of each new time, seconds since the loop began, before the timers of that moment run.
    """

    def __init__(self, pass_time: Callable[[float], None] = lambda _: None) -> None:
        self.now = 0.0
        self._pass_time = pass_time
        self._pools: dict[int, _Pool] = {}
        self.busy = 0.0
        """Seconds that the work which is being done in a thread has taken so far: whoever blocks adds to it."""
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """Seconds since the loop began."""
        return self.now

    def jump(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self._pass_time(self.now)

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """Do what a thread would do: as many at once as the executor has threads, each for as long as its calls would block it.

        What waits in the executor's queue can be cancelled, what has begun cannot, as with real threads.
        """
        threads = getattr(executor, "_max_workers", None) or POOL_THREADS
        pool = self._pools.setdefault(id(executor), _Pool(self, threads))
        return pool.submit(lambda: func(*args))


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if ready := super().select(0):
            return ready
        if timeout is None:
            raise NothingLeftToHappen(
                f"at {self._loop.now:.3f} s, with {len(asyncio.all_tasks(self._loop))} tasks waiting"
            )
        if timeout > 0:
            self._loop.jump(timeout)
        return []


class _Pool:
    """The threads of one executor."""

    def __init__(self, loop: VirtualLoop, threads: int) -> None:
        self._loop = loop
        self._free = threads
        self._waiting: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()

    def submit(self, work: Callable[[], Any]) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append((work, future))
        self._loop.call_soon(self._begin)
        return future

    def _begin(self) -> None:
        while self._free and self._waiting:
            work, future = self._waiting.popleft()
            if future.cancelled():
                continue
            self._free -= 1
            self._loop.busy = 0.0
            try:
                outcome: Any = work()
            except Exception as error:  # noqa: BLE001 - raised where the future is awaited
                outcome = error
            self._loop.call_later(self._loop.busy, self._end, future, outcome)

    def _end(self, future: asyncio.Future[Any], outcome: Any) -> None:
        self._free += 1
        if not future.cancelled():
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
        self._begin()


def run(main: Coroutine[Any, Any, T], loop: VirtualLoop) -> T:
    """Run to the end on virtual time, then end what is left as :func:`asyncio.run` does."""
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main)
    finally:
        try:
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            loop.close()
