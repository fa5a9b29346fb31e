"""Calls to CloudWatch Logs with a patience of their own: a training log is good to have, and its job has ended by now."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from airflow_spot_provider.aws.errors import Backoff, is_expired_credentials
from airflow_spot_provider.aws.patience import repeated

_Answer = TypeVar("_Answer")


class PatientLogs:
    """Asks CloudWatch Logs; what fails for a reason that passes is repeated for so many seconds, all calls together.

    :param connect: makes a client. It is called again when credentials have expired.
    :param seconds: that are lost at most by repeating.
    :param say: is told of each failure, and in how many seconds it is tried again.
    :param jitter: spreads what is repeated.
    :param clock: seconds on any monotonic clock.
    :param sleep: pauses for so many seconds.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        *,
        seconds: float,
        say: Callable[[Exception, float], None],
        jitter: random.Random,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connect = connect
        self._left = seconds
        self._say = say
        self._jitter = jitter
        self._clock, self._sleep = clock, sleep
        self._client: Any = None

    def ask(self, call: Callable[[Any], _Answer]) -> _Answer:
        """Make a call with the client of the moment, and repeat it while there is patience left.

        :raises Exception: what the call raised last.
        """
        failed_at: float | None = None

        def _once() -> _Answer:
            nonlocal failed_at
            try:
                if self._client is None:
                    self._client = self._connect()
                return call(self._client)
            except Exception as error:
                if failed_at is None:
                    failed_at = self._clock()
                if is_expired_credentials(error):
                    self._client = None
                raise

        try:
            return repeated(
                _once,
                seconds=self._left,
                backoff=Backoff(self._jitter, cap=15.0),
                lagging=False,
                say=self._say,
                clock=self._clock,
                sleep=self._sleep,
            )
        finally:
            if failed_at is not None:
                self._left = max(0.0, self._left - (self._clock() - failed_at))
