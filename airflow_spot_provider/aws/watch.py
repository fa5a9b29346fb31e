"""Watch one job to its end in a worker, with no limit but its own. A triggerer watches in :mod:`.watching`."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from airflow_spot_provider.aws.errors import Backoff, code_of, is_denied, is_not_found, is_worth_a_retry
from airflow_spot_provider.aws.kinds import Description, Kind
from airflow_spot_provider.aws.lag import lag_seconds


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

    :param kind: what it is.
    :param job_name: its name.
    :param poll_interval: seconds between two looks.
    :param log: where each transition is said, one line each; None to say nothing.
    :param jitter: spreads the polls and the retries of many watches.
    :param just_created: nobody has seen the job yet: a denial of the first look may be only a lag.
    """

    def __init__(
        self,
        kind: Kind,
        job_name: str,
        *,
        poll_interval: float,
        log: Log | None,
        jitter: random.Random,
        just_created: bool = False,
    ) -> None:
        self._kind = kind
        self._job_name = job_name
        self._poll_interval = poll_interval
        self._log = log or _Silence()
        self._jitter = jitter
        self._backoff = Backoff(jitter, cap=max(60.0, poll_interval))
        self._told = 0
        self._said: Sequence[str] = ()
        self._lags_since: float | None = None
        self._denial_may_lag = just_created
        self._in_trouble = False

    def seen(self, description: Description) -> bool:
        """Take an answer in: say what is new, and tell whether the job has ended."""
        if self._in_trouble:
            self._in_trouble = False
            self._log.info("SageMaker answers again; %s is still watched.", self._job_name)
        self._backoff.reset()
        self._lags_since = None
        self._denial_may_lag = False
        lines = self._kind.sentences(description, self._told)
        self._told += len(lines)
        if lines and lines != self._said:
            self._said = lines
            for line in lines:
                self._log.info("%s", line)
        return self._kind.has_ended(description)

    def next_look(self) -> float:
        """Seconds until the next look: the interval, spread by a tenth so that many watches do not ask at once."""
        return self._poll_interval * (0.9 + self._jitter.random() / 10)

    def failed(self, error: Exception, now: float) -> float:
        """Take a failed call in, and tell in how many seconds to try again.

        :param error: what the call raised.
        :param now: seconds on any monotonic clock.
        :raises JobNotFound: there is no such job, and it is not just that SageMaker's answers lag.
        :raises WatchFailed: waiting does not help, as when a permission is missing.
        """
        if is_not_found(error) or (self._denial_may_lag and is_denied(error)):
            if self._lags_since is None:
                self._lags_since = now
                if is_denied(error):
                    self._log.warning(
                        "%s cannot be described (%s). A policy that goes by tags may need a moment to know those of a new job: it is asked "
                        "again for up to %.0f s.",
                        self._job_name,
                        code_of(error),
                        lag_seconds(error),
                    )
            if now - self._lags_since < lag_seconds(error):
                return min(self._poll_interval, 5.0)
            if is_not_found(error):
                raise self._kind.not_found(self._job_name) from error
        if not is_worth_a_retry(error):
            raise self._kind.not_watched(self._job_name, error) from error
        if not self._in_trouble:
            self._in_trouble = True
            self._log.warning(
                "SageMaker cannot be asked just now (%s); the job goes on, and so does watching it.",
                code_of(error),
            )
        return self._backoff.next_delay()


def watch_blocking(
    watch: Watch,
    describe: Callable[[str], Description],
    job_name: str,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Description:
    """Watch a job in this thread, and return its last description.

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
