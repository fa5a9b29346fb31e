"""The work of a job without a script: it states how long it takes, and how often it writes a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from airflow_spot_provider.emulator.spec import JobSpec

_STATED_AT = (0.25, 0.5, 0.75, 1.0)
"""The shares of the work after which its metrics are stated."""


class SimulatedWork:
    """How much work there is, and how much of it is left.

    :param spec: the job.
    """

    def __init__(self, spec: JobSpec) -> None:
        self._spec = spec
        self.seconds_left = spec.training_seconds

    def lose(self, worked_seconds: float) -> None:
        """The instance went after so many seconds of work; what was done since the last checkpoint is lost."""
        if self._spec.checkpoint_uri is None:
            self.seconds_left = self._spec.training_seconds
            return
        whole = self._spec.training_seconds
        done = min(whole, whole - self.seconds_left + worked_seconds)
        interval = self._spec.checkpoint_seconds
        kept = math.floor(done / interval) * interval if interval else done
        self.seconds_left = max(0.0, whole - kept)

    def metrics(self, final: Mapping[str, float]) -> Iterator[tuple[float, dict[str, float]]]:
        """What is stated from now on: in how many seconds, and what; it comes down to the final figures, as losses do.

        :param final: the figures in the end.
        """
        if not final:
            return
        whole = self._spec.training_seconds
        done = whole - self.seconds_left
        for share in _STATED_AT:
            if share * whole > done or share == 1.0:
                stated = {name: value + (1 - value) * (1 - share) / 2 for name, value in final.items()}
                yield max(0.0, share * whole - done), stated
