"""The calls of a process that may be ended at any moment."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

from botocore.config import Config

from airflow_spot_provider.aws.errors import Backoff, is_expired_credentials
from airflow_spot_provider.aws.patience import repeated
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook

_HASTE: dict[str, Any] = {"connect_timeout": 3, "read_timeout": 5, "retries": {"total_max_attempts": 1}}

_Answer = TypeVar("_Answer")


class InHaste:
    """A hook's calls, which give up when so many seconds are over, however many calls there are.

    It has a client of its own: a signal may have come in the middle of a call of the hook's, whose client may hold locks.

    :param hook: whose connection it is.
    :param seconds: for how long calls are repeated, all of them together; each is made once at least.
    :param say: is told of each failure, and in how many seconds it is tried again.
    :param clock: seconds on any monotonic clock.
    :param sleep: pauses for so many seconds.
    """

    def __init__(
        self,
        hook: SageMakerSpotHook,
        *,
        seconds: float,
        say: Callable[[Exception, float], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._hook = hook
        self._say = say
        self._clock, self._sleep = clock, sleep
        self._ends = clock() + seconds

    @cached_property
    def conn(self) -> Any:
        """The client."""
        hook = self._hook
        session: Any = hook.get_session(region_name=hook.region_name)
        return session.client(
            "sagemaker",
            endpoint_url=hook.conn_config.get_service_endpoint_url(service_name="sagemaker"),
            config=hook.config.merge(Config(**_HASTE)),
            verify=hook.verify,
        )

    @property
    def conn_region_name(self) -> str:
        """The region."""
        return str(self.conn.meta.region_name)

    def once(self, call: Callable[[], _Answer]) -> _Answer:
        """Make a call; if credentials have expired, the next one is made with a new client."""
        try:
            return self._hook.once(call)
        except Exception as error:
            if is_expired_credentials(error):
                self.__dict__.pop("conn", None)
            raise

    def patiently(self, call: Callable[[], _Answer], *, lagging: bool = False) -> _Answer:
        """Make a call, and repeat it while there is time.

        :param lagging: what is asked about may be new, so that what may be only a lag is repeated as well.
        :raises Exception: what the call raised last.
        """
        return repeated(
            lambda: self.once(call),
            seconds=max(0.0, self._ends - self._clock()),
            backoff=Backoff(random.Random(), base=0.5, cap=5.0),
            lagging=lagging,
            say=self._say,
            clock=self._clock,
            sleep=self._sleep,
        )
