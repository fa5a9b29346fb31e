"""How one emulator is to run: what the command line, the handle and the server agree on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from airflow_spot_provider.emulator.jobs.liberties import CUT_FIRST, FILTER_FIRST
from airflow_spot_provider.emulator.jobs.lifecycles import DEFAULT_LIFECYCLE, LIFECYCLES

RUNNING, STEPPED = "running", "stepped"
STEPPED_START = datetime(2026, 1, 1, tzinfo=UTC)
"""Where a stepped clock stands at first, unless told otherwise: the same on every day."""


@dataclass(frozen=True)
class Settings:
    """The settings of one emulator.

    :param host: address to listen on.
    :param port: port to listen on; 0 takes a free one.
    :param lifecycle: what jobs go through unless a tag or a plan says otherwise; None: the market's if there is a market
        file, else ``uninterrupted``.
    :param clock: ``running``, or ``stepped`` by whoever tests.
    :param speed: emulated seconds in a real one, of a running clock.
    :param start: the emulated time at the start; None: the real one, or a fixed one for a stepped clock.
    :param seed: makes prices, capacity and tuning repeatable.
    :param list: what is done first to a list: its pages are cut (``cut-first``, as SageMaker does it), or it is filtered (``filter-first``).
    :param market: a market file, or a bare availability trace.
    :param state: a folder in which the state is kept.
    :param grace_seconds: real seconds from SIGTERM to SIGKILL; None: 120 emulated ones, and 5 real ones at least.
    :param images: what is run for an image: pairs of a pattern and a command line.
    :raises ValueError: one of them makes no sense; the message tells what is taken.
    """

    host: str = "127.0.0.1"
    port: int = 4566
    lifecycle: str | None = None
    clock: str = RUNNING
    speed: float = 1.0
    start: datetime | None = None
    seed: int = 0
    list: str = CUT_FIRST
    market: Path | None = None
    state: Path | None = None
    grace_seconds: float | None = None
    images: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.speed <= 1e6:
            raise ValueError(
                f"speed is {self.speed}; it takes a number above 0, up to 1000000: emulated seconds in a real one."
            )
        if not 0 <= self.port <= 65535:
            raise ValueError(
                f"port is {self.port}; it takes a number from 0 to 65535, where 0 is any free one."
            )
        if self.clock not in (RUNNING, STEPPED):
            raise ValueError(f"clock is {self.clock!r}; it takes {RUNNING} or {STEPPED}.")
        if self.clock == STEPPED and self.speed != 1.0:
            raise ValueError(f"speed is {self.speed}, and nothing to a stepped clock; leave one of them out.")
        if self.lifecycle is not None and self.lifecycle not in LIFECYCLES:
            raise ValueError(
                f"There is no lifecycle {self.lifecycle!r}; choose one of {', '.join(LIFECYCLES)}."
            )
        if self.lifecycle in ("trace", "market") and self.market is None:
            raise ValueError(f"The lifecycle {self.lifecycle} needs a market file; name one with market.")
        if self.list not in (CUT_FIRST, FILTER_FIRST):
            raise ValueError(f"list is {self.list!r}; it takes {CUT_FIRST} or {FILTER_FIRST}.")
        if self.grace_seconds is not None and not 0 <= self.grace_seconds <= 3600:
            raise ValueError(f"grace_seconds is {self.grace_seconds}; it takes real seconds from 0 to 3600.")
        if self.start is not None and self.start.tzinfo is None:
            raise ValueError(f"start is {self.start.isoformat()}; give it with a time zone, such as +00:00.")

    @property
    def default_lifecycle(self) -> str:
        """What jobs go through unless a tag or a plan says otherwise."""
        if self.lifecycle is not None:
            return self.lifecycle
        return DEFAULT_LIFECYCLE if self.market is None else "market"
