"""Look at a job's checkpoints now and then while it trains, and say when they are no longer written."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from airflow_spot_provider._compat.sdk import Stats
from airflow_spot_provider.aws.errors import code_of, is_denied, is_worth_a_retry
from airflow_spot_provider.aws.watch import Log
from airflow_spot_provider.aws.watching.watcher import Watcher
from airflow_spot_provider.training.freshness import (
    DEFAULT_LOCAL_PATH,
    Look,
    bucket_and_prefix,
    fresh_sentence,
    seconds_between_looks,
    stale_sentence,
)
from airflow_spot_provider.training.lifecycle import SecondaryStatus, instant
from airflow_spot_provider.training.progress import Checkpoints

METRICS = "airflow_spot.checkpoint"

_jitter = random.Random()


class CheckpointLooks:
    """Looks at one job's checkpoint prefix while the job is in Training; nothing waits for it.

    One ListObjectsV2 call a look. Trouble at S3 ends no task: the next look tries again.

    :param watcher: has the line to S3.
    :param interval: ``checkpoint_interval``, seconds.
    :param uri: CheckpointConfig.S3Uri, as far as it is known before SageMaker has described the job.
    :param log: the task's.
    :param tags: of the metrics.
    :param told: is told of what was seen, when a whole look has been judged.
    """

    __slots__ = (
        "_interval",
        "_local_path",
        "_log",
        "_look",
        "_stale_since",
        "_tags",
        "_task",
        "_told",
        "_training_since",
        "_trouble",
        "_uri",
        "_watcher",
        "latest",
    )

    def __init__(
        self,
        watcher: Watcher,
        interval: float,
        uri: str | None,
        *,
        log: Log,
        tags: Mapping[str, str],
        told: Callable[[Checkpoints], None],
    ) -> None:
        self.latest: Checkpoints | None = None
        """What was seen last."""
        self._watcher = watcher
        self._interval = interval
        self._uri = uri
        self._local_path = DEFAULT_LOCAL_PATH
        self._log = log
        self._tags = tags
        self._told = told
        self._task: asyncio.Task[None] | None = None
        self._training_since: datetime | None = None
        self._look: Look | None = None
        self._stale_since: tuple[datetime | None] | None = None
        self._trouble: str | None = None

    def saw(self, description: Mapping[str, Any]) -> None:
        """Take in how the job is now: it is looked at while it trains, and not while it waits.

        :param description: DescribeTrainingJob's answer, or a summary.
        """
        config = description.get("CheckpointConfig") or {}
        self._uri = config.get("S3Uri") or self._uri
        self._local_path = config.get("LocalPath") or self._local_path
        since = _training_since(description)
        if since == self._training_since:
            return
        self.stop()
        self._training_since, self._look = since, None
        if since is not None and self._uri:
            self._task = asyncio.get_running_loop().create_task(
                self._look_now_and_then(self._uri, since), name="looking at checkpoints"
            )

    def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _look_now_and_then(self, uri: str, training_since: datetime) -> None:
        bucket, prefix = bucket_and_prefix(uri)
        while True:
            # Spread, so that the members of a fan-out do not ask at once.
            await asyncio.sleep(seconds_between_looks(self._interval) * (0.9 + _jitter.random() / 5))
            after = {} if self._look is None or self._look.after is None else {"StartAfter": self._look.after}
            line = self._watcher.line("s3")
            try:
                answer = await line.call(
                    "list_objects_v2", patient=False, Bucket=bucket, Prefix=prefix, **after
                )
            except Exception as error:  # noqa: BLE001 - the job goes on, and so does watching it
                if self._in_trouble(error, uri, bucket):
                    return
                continue
            self._trouble = None
            if not after:
                if line.told_at is None:
                    continue  # no Date, no age
                self._look = Look(line.told_at)
            assert self._look is not None
            self._look = self._look.seeing(answer)
            if self._look.is_whole:
                self._judge(self._look, uri, training_since)

    def _judge(self, look: Look, uri: str, training_since: datetime) -> None:
        checkpoints = look.judged(self._interval, training_since)
        Stats.gauge(f"{METRICS}.age", look.age(training_since), tags=dict(self._tags))
        if checkpoints.stale and self._stale_since is None:
            self._stale_since = (look.newest,)
            Stats.incr(f"{METRICS}.stale", tags=dict(self._tags))
            self._log.warning(
                "%s",
                stale_sentence(
                    look,
                    uri,
                    interval=self._interval,
                    training_since=training_since,
                    local_path=self._local_path,
                ),
            )
        elif not checkpoints.stale and self._is_written_again(look):
            self._stale_since = None
            self._log.info("%s", fresh_sentence(look, uri))
        self.latest = checkpoints
        self._told(checkpoints)

    def _is_written_again(self, look: Look) -> bool:
        """Not only that a job which trains again is given its time."""
        if self._stale_since is None or look.newest is None:
            return False
        [before] = self._stale_since
        return before is None or look.newest > before

    def _in_trouble(self, error: Exception, uri: str, bucket: str) -> bool:
        """Say once what is in the way, and tell whether to look no more."""
        code = code_of(error)
        if is_denied(error):
            self._log.warning(
                "The checkpoints under %s cannot be looked at (%s), so nobody will know if they are no longer written. Grant this "
                "connection s3:ListBucket on arn:aws:s3:::%s. The job goes on; it is not looked at again.",
                uri,
                code,
                bucket,
            )
            return True
        if not is_worth_a_retry(error) and code != self._trouble:
            self._trouble = code
            self._log.warning(
                "The checkpoints under %s cannot be looked at just now (%s: %s).", uri, code, error
            )
        return False


def _training_since(description: Mapping[str, Any]) -> datetime | None:
    """When the job went into Training; None if it is in another status now."""
    if description.get("SecondaryStatus") != SecondaryStatus.TRAINING:
        return None
    entries = description.get("SecondaryStatusTransitions") or ()
    started = [entry.get("StartTime") for entry in entries if entry.get("Status") == SecondaryStatus.TRAINING]
    times = [time for time in map(instant, started) if time is not None]
    return max(times, default=None) or instant(description.get("LastModifiedTime"))
