"""Watch one training job to its end, with no limit but its own.

The rules are in :class:`Watch`, which does no I/O; :func:`watch_until_ended` asks with an async client, and
:func:`watch_blocking` with a blocking one.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from airflow_spot_provider.aws.errors import (
    NOT_FOUND_GRACE_SECONDS,
    Backoff,
    code_of,
    is_expired_credentials,
    is_not_found,
    is_worth_a_retry,
)
from airflow_spot_provider.training import TrainingJobNotFound, WatchFailed, outcome_of
from airflow_spot_provider.training.narration import sentences_of

Description = Mapping[str, Any]


class Log(Protocol):
    """What a watch says goes here."""

    def info(self, msg: Any, /, *args: Any) -> Any:
        """What happens."""
        ...

    def warning(self, msg: Any, /, *args: Any) -> Any:
        """What someone may have to see to."""
        ...


class _Silence:
    """A log that nobody reads."""

    def info(self, msg: Any, /, *args: Any) -> None:
        """Say nothing."""

    def warning(self, msg: Any, /, *args: Any) -> None:
        """Say nothing."""


class Watch:
    """The rules of watching one job: what to say, how long to wait, when to give up.

    :param job_name: TrainingJobName.
    :param poll_interval: seconds between two looks.
    :param log: where each transition is said, one line each; None to say nothing.
    :param jitter: spreads the polls and the retries of many watches.
    """

    def __init__(
        self,
        job_name: str,
        *,
        poll_interval: float,
        log: Log | None,
        jitter: random.Random,
    ) -> None:
        self._job_name = job_name
        self._poll_interval = poll_interval
        self._log = log or _Silence()
        self._jitter = jitter
        self._backoff = Backoff(jitter, cap=max(60.0, poll_interval))
        self._told = 0
        self._missing_since: float | None = None
        self._in_trouble = False

    def seen(self, description: Description) -> bool:
        """Take an answer in: say what is new, and tell whether the job has ended."""
        if self._in_trouble:
            self._in_trouble = False
            self._log.info("SageMaker answers again; %s is still watched.", self._job_name)
        self._backoff.reset()
        self._missing_since = None
        lines = sentences_of(description, told=self._told)
        self._told += len(lines)
        for line in lines:
            self._log.info("%s", line)
        return outcome_of(description) is not None

    def next_look(self) -> float:
        """Seconds until the next look: the interval, spread by a tenth so that many watches do not ask at once."""
        return self._poll_interval * (0.9 + self._jitter.random() / 10)

    def failed(self, error: Exception, now: float) -> float:
        """Take a failed call in, and tell in how many seconds to try again.

        :param error: what the call raised.
        :param now: seconds on any monotonic clock.
        :raises TrainingJobNotFound: there is no such job, and it is not just that SageMaker's answers lag.
        :raises WatchFailed: waiting does not help, as when a permission is missing.
        """
        if is_not_found(error):
            self._missing_since = now if self._missing_since is None else self._missing_since
            if now - self._missing_since < NOT_FOUND_GRACE_SECONDS:
                return min(self._poll_interval, 5.0)
            raise TrainingJobNotFound(
                f"SageMaker knows no training job {self._job_name!r} in this account and region, and has not for "
                f"{NOT_FOUND_GRACE_SECONDS:.0f} s. It was deleted, or aws_conn_id or region_name is another one than "
                "the job was created with."
            ) from error
        if not is_worth_a_retry(error):
            raise WatchFailed(
                f"Training job {self._job_name} cannot be watched ({code_of(error)}: {error}) and may still be running. "
                "If a permission is missing, grant sagemaker:DescribeTrainingJob; a retry of the task then takes up "
                "the same job."
            ) from error
        if not self._in_trouble:
            self._in_trouble = True
            self._log.warning(
                "SageMaker cannot be asked just now (%s); the job goes on, and so does watching it.",
                code_of(error),
            )
        return self._backoff.next_delay()


async def watch_until_ended(
    watch: Watch,
    connect: Callable[[], Awaitable[AbstractAsyncContextManager[Any]]],
    job_name: str,
) -> Description:
    """Watch a job on the running event loop, and return its last description.

    :param watch: the rules.
    :param connect: gives a new SageMaker client; called once, and again when credentials have expired.
    :param job_name: TrainingJobName.
    :raises SpotTrainingError: see :meth:`Watch.failed`.
    """
    loop = asyncio.get_running_loop()
    while True:
        try:
            async with await connect() as client:
                return await _look_until_ended(watch, client, job_name)
        except Exception as error:
            # A client keeps its credentials: only a new one takes up new ones from the connection.
            if not is_worth_a_retry(error):
                raise
            delay = watch.failed(error, loop.time())
        await asyncio.sleep(delay)


async def _look_until_ended(watch: Watch, client: Any, job_name: str) -> Description:
    loop = asyncio.get_running_loop()
    while True:
        try:
            description: Description = await client.describe_training_job(TrainingJobName=job_name)
        except Exception as error:
            if is_expired_credentials(error):
                raise
            delay = watch.failed(error, loop.time())
        else:
            if watch.seen(description):
                return description
            delay = watch.next_look()
        await asyncio.sleep(delay)


def watch_blocking(
    watch: Watch,
    describe: Callable[[str], Description],
    job_name: str,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Description:
    """Watch a job in this thread, and return its last description; see :func:`watch_until_ended`.

    :param describe: asks SageMaker for the description of a job.
    """
    while True:
        try:
            description = describe(job_name)
        except Exception as error:  # noqa: BLE001 - failed() raises what waiting does not mend
            delay = watch.failed(error, clock())
        else:
            if watch.seen(description):
                return description
            delay = watch.next_look()
        sleep(delay)
