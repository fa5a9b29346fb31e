"""Whether a job still writes checkpoints: what is seen at its checkpoint prefix, held against how often it should write one.

A sync that has silently stopped is found out when the next interruption comes, unless somebody looks before. All times are told by
servers (LastModified and the Date of S3's answer, StartTime of SageMaker's transition); no clock of ours is in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from airflow_spot_provider.training.exceptions import InvalidSpotRequest
from airflow_spot_provider.training.lifecycle import instant
from airflow_spot_provider.training.narration import duration
from airflow_spot_provider.training.progress import Checkpoints
from airflow_spot_provider.training.result import iso

STALE_AFTER_INTERVALS = 2.0
"""A checkpoint older than so many intervals is stale: one that is merely late is none."""
SHORTEST_PAUSE, LONGEST_PAUSE = 180.0, 3_600.0
"""Seconds between two looks at one job's checkpoints."""
DEFAULT_LOCAL_PATH = "/opt/ml/checkpoints"
_LONGEST_INTERVAL = 28 * 86_400.0


def checked_checkpoint_interval(given: object) -> float | None:
    """How often the script is expected to write a checkpoint, in seconds; None stays None.

    :param given: seconds or a timedelta.
    :raises InvalidSpotRequest: it is something else, or not within a second and 28 days.
    """
    if given is None:
        return None
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 1 <= seconds <= _LONGEST_INTERVAL
    ):
        raise InvalidSpotRequest(
            [
                (
                    f"checkpoint_interval is {given!r}; it takes seconds or a timedelta, from 1 s to 28 days: how often the "
                    "script is expected to write a checkpoint."
                )
            ]
        )
    return float(seconds)


def seconds_between_looks(interval: float) -> float:
    """How often the checkpoints of a job are looked at: twice an interval, but not more often than every three minutes.

    :param interval: seconds between two checkpoints.
    """
    return min(max(interval / 2, SHORTEST_PAUSE), LONGEST_PAUSE)


def bucket_and_prefix(uri: str) -> tuple[str, str]:
    """Where the checkpoints of a CheckpointConfig.S3Uri lie: ``s3://bucket/a`` does not mean ``a-2/``."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    key = key.strip("/")
    return bucket, f"{key}/" if key else ""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at a prefix so far; a prefix of many objects takes several calls, and as many looks, until all are known.

    :param began: the Date of the first answer: what is written after that may be missed.
    :param after: the last key seen, if there are more.
    :param objects: how many objects were seen, folders' own markers left out.
    :param newest: LastModified of the newest.
    :param newest_bytes: its size.
    """

    began: datetime
    after: str | None = None
    objects: int = 0
    newest: datetime | None = None
    newest_bytes: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all objects have been seen."""
        return self.after is None

    def seeing(self, answer: Mapping[str, Any]) -> Look:
        """The same look with one more page.

        :param answer: of ListObjectsV2.
        """
        listed: list[Mapping[str, Any]] = list(answer.get("Contents") or ())
        entries = [entry for entry in listed if not str(entry.get("Key", "")).endswith("/")]
        newest, newest_bytes = self.newest, self.newest_bytes
        for entry in entries:
            modified = instant(entry.get("LastModified"))
            if modified is not None and (newest is None or modified > newest):
                newest, newest_bytes = modified, entry.get("Size")
        more = bool(answer.get("IsTruncated")) and bool(listed)
        return Look(
            began=self.began,
            after=str(listed[-1]["Key"]) if more else None,
            objects=self.objects + len(entries),
            newest=newest,
            newest_bytes=newest_bytes,
        )

    def age(self, training_since: datetime) -> float:
        """Seconds of training, at the beginning of this look, for which nothing has been written.

        A job that has just gone into Training, or trains again after an interruption, is given its time: nothing that lies
        before counts.

        :param training_since: when the job went into Training last.
        """
        newest = training_since if self.newest is None else max(self.newest, training_since)
        return max(0.0, (self.began - newest).total_seconds())

    def judged(self, interval: float, training_since: datetime) -> Checkpoints:
        """What there is to publish of it.

        :param interval: seconds between two checkpoints.
        :param training_since: when the job went into Training last.
        """
        looked = iso(self.began)
        assert looked is not None
        return Checkpoints(
            looked=looked,
            newest=iso(self.newest),
            newest_bytes=self.newest_bytes,
            objects=self.objects,
            expected_every=interval,
            stale=self.age(training_since) > STALE_AFTER_INTERVALS * interval,
        )


def stale_sentence(
    look: Look, uri: str, *, interval: float, training_since: datetime, local_path: str
) -> str:
    """What a person has to know of checkpoints that are no longer written, and what to do.

    :param look: a whole one.
    :param uri: CheckpointConfig.S3Uri.
    :param interval: seconds between two checkpoints.
    :param training_since: when the job went into Training last.
    :param local_path: CheckpointConfig.LocalPath.
    """
    trained = duration((look.began - training_since).total_seconds())
    expected = f"one is expected every {duration(interval)} (checkpoint_interval)"
    if look.newest is None:
        found = f"There is no checkpoint under {uri} after {trained} of training, and {expected}."
    else:
        old = duration(math.floor((look.began - look.newest).total_seconds()))
        found = (
            f"The newest checkpoint under {uri} is {old} old (written {look.newest:%Y-%m-%d %H:%M:%S} UTC; in Training for "
            f"{trained}), and {expected}."
        )
    return (
        f"{found} An interruption now would lose what was trained since. See that the script still writes to {local_path}, and "
        "that the job's role may s3:PutObject there; SageMaker says nothing when the copying stops."
    )


def fresh_sentence(look: Look, uri: str) -> str:
    """That checkpoints are written again."""
    return f"Checkpoints are written again under {uri}; the newest is of {look.newest:%Y-%m-%d %H:%M:%S} UTC."
