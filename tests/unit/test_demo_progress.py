"""The demo waits for what goes on, however slowly, and not for what stands still."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.demo.local_airflow import LocalAirflowError
from airflow_spot_provider.demo.run import STILL_SECONDS, _until_over


class World:
    """An Airflow, its jobs and a clock in one. A task changes every so many seconds, so often; then nothing does, or the run ends."""

    home = Path("airflow")

    def __init__(self, *, every: float, changes: int, ends: bool) -> None:
        self.now = 0.0
        self._every, self._changes, self._ends = every, changes, ends

    @property
    def _changed(self) -> int:
        return min(self._changes, int(self.now / self._every))

    def run_state(self, *_: str) -> str:
        return "success" if self._ends and self.now >= self._every * self._changes else "running"

    def task_states(self, *_: str) -> dict[str, str]:
        return {"train": str(self._changed)}

    def timelines(self) -> dict[str, Any]:
        return {}

    def sleep(self, seconds: float) -> None:
        self.now += 30 * seconds


def _wait(world: World) -> None:
    told: Any = _until_over(world, "dag", "run", world, clock=lambda: world.now, sleep=world.sleep)  # type: ignore[arg-type]
    for _ in told:
        pass


def test_run_that_takes_an_hour_and_goes_on_is_waited_for() -> None:
    world = World(every=STILL_SECONDS - 60, changes=8, ends=True)

    _wait(world)

    assert world.now > 3_600


def test_run_that_stands_still_is_given_up_with_how_it_stands() -> None:
    world = World(every=100, changes=3, ends=False)

    with pytest.raises(LocalAirflowError, match=r"stands still: for 600 s .*'train': '3'"):
        _wait(world)

    assert world.now > 300 + STILL_SECONDS
