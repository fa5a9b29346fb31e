"""The line to AWS: one client, one pace of calls, one patience for all who ask over it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from airflow_spot_provider.aws.errors import (
    Backoff,
    code_of,
    is_expired_credentials,
    is_throttled,
    is_worth_a_retry,
)
from airflow_spot_provider.aws.lag import told_at
from airflow_spot_provider.aws.watching.metrics import Metrics

Connect = Callable[[], Awaitable[AbstractAsyncContextManager[Any]]]

AT_ONCE = 8
"""Descriptions under way at the same time; the client keeps ten connections, and listing needs one."""
_LEAST_GAP, _MOST_GAP = 0.05, 5.0


class Line:
    """Makes calls, and repeats what failed for a reason that passes: throttling, 5xx, transport, expired credentials.

    Throttling slows all calls down together: the gap between two of them doubles when AWS refuses one, and shrinks again
    with those that succeed.

    :param connect: gives a new client, from the connection as it is then; called once, and when credentials expired.
    :param jitter: spreads what is repeated.
    :param metrics: where calls are counted.
    :param longest_pause: seconds that a repetition is put off at most.
    """

    def __init__(
        self, connect: Connect, *, jitter: random.Random, metrics: Metrics, longest_pause: float = 30.0
    ) -> None:
        self._connect = connect
        self._jitter = jitter
        self._metrics = metrics
        self._backoff = Backoff(jitter, cap=longest_pause)
        self._client: Any = None
        self._context: AbstractAsyncContextManager[Any] | None = None
        self._connecting = asyncio.Lock()
        self._gap = 0.0
        self._next_start = 0.0
        self._paused_at = 0.0
        self.trouble_since: float | None = None
        self.trouble: BaseException | None = None
        self.told_at: datetime | None = None
        """When the newest answer was given, by the server's clock."""

    @property
    def is_strained(self) -> bool:
        """Whether calls fail just now, or are held back because AWS refused some."""
        return self.trouble_since is not None or self._gap > 0

    async def call(self, operation: str, *, patient: bool = True, **members: Any) -> dict[str, Any]:
        """Call an operation.

        :param operation: the client's method.
        :param patient: whether to repeat the call until AWS can be asked again.
        :raises Exception: what the call raised, if repeating it does not help (or is not wanted).
        """
        while True:
            await self._turn()
            started = asyncio.get_running_loop().time()
            client = self._client
            try:
                client = await self._connected(client)
                self._metrics.incr("calls", operation=operation)
                answer: dict[str, Any] = await getattr(client, operation)(**members)
            except Exception as error:
                # A client that was closed under the call, for new credentials, fails in ways of its own.
                replaced = client is not None and client is not self._client
                if not replaced and not is_worth_a_retry(error):
                    if isinstance(error, ClientError):
                        self._recovered()
                    raise
                self._failed(error, operation, started)
                if is_expired_credentials(error):
                    await self._close(client)
                if not patient:
                    raise
            else:
                self._recovered()
                self.told_at = told_at(answer)
                return answer

    async def warm_up(self) -> None:
        """Have the client built while those who will ask are still coming."""
        with suppress(Exception):  # the first call meets the same, and deals with it
            await self._connected(None)

    async def close(self) -> None:
        """Close the client."""
        await self._close(self._client)

    async def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        start = max(loop.time(), self._next_start)
        self._next_start = start + self._gap
        if start > loop.time():
            await asyncio.sleep(start - loop.time())

    async def _connected(self, client: Any) -> Any:
        """The client, built by whoever comes first: a new one for all, once the old one's credentials have expired."""
        if client is not None and client is self._client:
            return client
        async with self._connecting:
            if self._client is None:
                context = await self._connect()
                self._client = await context.__aenter__()
                self._context = context
            return self._client

    async def _close(self, client: Any) -> None:
        if client is None or client is not self._client:
            return
        context, self._context, self._client = self._context, None, None
        if context is not None:
            await context.__aexit__(None, None, None)

    def _failed(self, error: Exception, operation: str, started: float) -> None:
        loop = asyncio.get_running_loop()
        throttled = is_throttled(error)
        if throttled:
            self._metrics.incr("throttles", operation=operation)
        else:
            self._metrics.incr("errors", operation=operation, code=code_of(error))
        if self.trouble_since is None:
            self.trouble_since = started
        self.trouble = error
        # Calls that were under way together failed together: that is one failure, with one pause.
        if started >= self._paused_at:
            self._paused_at = loop.time()
            if throttled:
                self._gap = min(max(2 * self._gap, _LEAST_GAP), _MOST_GAP)
                pause = self._gap * (0.5 + self._jitter.random())
            else:
                pause = self._backoff.next_delay()
            self._next_start = self._paused_at + pause

    def _recovered(self) -> None:
        self._backoff.reset()
        self.trouble_since = None
        self._gap = 0.0 if self._gap < _LEAST_GAP / 4 else self._gap * 0.9
