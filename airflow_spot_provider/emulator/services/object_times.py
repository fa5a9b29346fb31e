"""S3 by the emulated clock: moto dates objects by the machine's, and answers would tell of objects from another time.

Whoever asks how old a checkpoint is compares LastModified with the Date of the answer.
"""

from __future__ import annotations

from datetime import datetime

from moto.s3 import models

from airflow_spot_provider.emulator.clock import Clock


def install_object_times(clock: Clock) -> None:
    """Let moto's S3 date what it stores by this clock.

    :param clock: the emulated time.
    """

    def _now() -> datetime:
        return clock.now().replace(tzinfo=None)  # as moto has them: in UTC, and not saying so

    models.utcnow = _now  # type: ignore[attr-defined]  # a name that it imports
