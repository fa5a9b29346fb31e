"""Why a rehearsal could not be held."""

from __future__ import annotations

from collections.abc import Sequence


class RehearsalError(Exception):
    """A rehearsal that could not be held: nothing can be said of the script.

    :param message: what is wrong, and what to do.
    :param log: the last lines of the script's log, if it came to run.
    """

    def __init__(self, message: str, log: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.log = tuple(log)
