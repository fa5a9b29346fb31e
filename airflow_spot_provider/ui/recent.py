"""Answers that are a moment old: however many look at a page, the database is asked once a second for each thing they see."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

_Answer = TypeVar("_Answer")


class Recent:
    """Keeps answers for a moment. What a user may not see is no part of an answer's key, so it has to be in the key.

    :param seconds: how old an answer may be.
    :param most: how many are kept.
    :param clock: seconds, monotonic.
    """

    def __init__(self, *, seconds: float, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()

    def get(self, key: Hashable, ask: Callable[[], _Answer]) -> _Answer:
        """The answer for a key, asked anew if it is too old.

        :param key: all that the answer depends on, what the user may see included.
        :param ask: asks the database.
        """
        with self._lock:
            kept = self._answers.get(key)
            if kept is not None and self._clock() - kept[0] < self._seconds:
                answer: _Answer = kept[1]
                return answer
        asked = ask()
        with self._lock:
            self._answers[key] = self._clock(), asked
            self._answers.move_to_end(key)
            while len(self._answers) > self._most:
                self._answers.popitem(last=False)
        return asked
