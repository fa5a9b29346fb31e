"""Blocking calls that outlast throttling, 5xx answers, dropped connections, expired credentials and lagging answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from airflow_spot_provider.aws.errors import Backoff, is_worth_a_retry
from airflow_spot_provider.aws.lag import lag_seconds

_LONGEST_PAUSE_OF_A_LAG = 5.0

_Answer = TypeVar("_Answer")


def repeated(
    call: Callable[[], _Answer],
    *,
    seconds: float,
    backoff: Backoff,
    lagging: bool,
    say: Callable[[Exception, float], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> _Answer:
    """Make a call, and repeat it while SageMaker cannot be asked.

    :param call: makes it once.
    :param seconds: for how long it is repeated.
    :param backoff: how long to pause.
    :param lagging: what is asked about was created a moment ago: what may be only a lag is repeated too, for as long as it may
        be one, counted from the first such answer, and no longer than ``seconds``.
    :param say: is told of each failure, and in how many seconds it is tried again.
    :param clock: seconds on any monotonic clock.
    :param sleep: pauses for so many seconds.
    :raises Exception: what the call raised last.
    """
    began = clock()
    lags_since: float | None = None
    while True:
        try:
            return call()
        except Exception as error:
            now, grace = clock(), lag_seconds(error) if lagging else 0.0
            if grace:
                lags_since = now if lags_since is None else lags_since
                left = min(lags_since + grace, began + seconds) - now
            else:
                left = began + seconds - now if is_worth_a_retry(error) else 0.0
            if left <= 0:
                raise
            delay = min(backoff.next_delay(), left)
            if grace:
                delay = min(delay, _LONGEST_PAUSE_OF_A_LAG)
            say(error, delay)
        sleep(delay)
