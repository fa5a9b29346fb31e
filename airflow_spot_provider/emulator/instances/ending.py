"""How what ran on an instance came to its end."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ending:
    """What became of what ran on an instance.

    :param exit_status: as a shell tells it; None where nothing ran.
    :param seconds: real seconds from SIGTERM to the end of the last process.
    :param killed: whether it took SIGKILL.
    """

    exit_status: int | None = None
    seconds: float = 0.0
    killed: bool = False
