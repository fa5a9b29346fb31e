"""What became of each stay of a job on instances: what a rehearsal wants to know, and SageMaker does not tell."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow_spot_provider.emulator.instances.ending import Ending


class Stays:
    """The stays of one job, as the control API tells them."""

    def __init__(self) -> None:
        self._stays: list[dict[str, Any]] = []

    def begin(self, number: int, now: datetime) -> None:
        """It is on instances from now on."""
        self._stays.append(
            {
                "number": number,
                "started": now.isoformat(),
                "ended": None,
                "why": None,
                "exit_status": None,
                "seconds_to_exit": None,
                "killed": False,
                "checkpoints": 0,
            }
        )

    def count_checkpoint(self) -> None:
        """A look at the checkpoint folder has uploaded something."""
        if self._stays:
            self._stays[-1]["checkpoints"] += 1

    def end(self, now: datetime, why: str, ending: Ending | None) -> None:
        """The latest stay is over; nothing happens if it was already.

        :param why: done, interrupted, torn, stopped, failed or lost.
        :param ending: what became of what ran there.
        """
        if not self._stays or self._stays[-1]["ended"] is not None:
            return
        self._stays[-1] |= {"ended": now.isoformat(), "why": why}
        if ending is not None:
            self._stays[-1] |= {
                "exit_status": ending.exit_status,
                "seconds_to_exit": ending.seconds,
                "killed": ending.killed,
            }

    def told(self) -> list[dict[str, Any]]:
        """All of them."""
        return [dict(stay) for stay in self._stays]

    def restore(self, stays: list[dict[str, Any]]) -> None:
        """Put them back as they were told."""
        self._stays = [dict(stay) for stay in stays]
