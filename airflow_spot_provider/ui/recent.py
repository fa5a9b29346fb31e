"""Answers that are a moment old: however many look at a page, the database is asked once a second for each thing they see."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

_Answer = TypeVar("_Answer")


class _Kept:
    """One answer or refusal; whoever asks while it is being fetched waits for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.since: float | None = None
        self.answer: Any = None
        self.error: Exception | None = None


class Recent:
    """Keeps answers for a moment. What a user may not see is no part of an answer's key, so it has to be in the key.

    :param most: how many are kept.
    :param clock: seconds, monotonic.
    """

    def __init__(self, *, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, _Kept] = OrderedDict()

    def get(self, key: Hashable, ask: Callable[[], _Answer], *, seconds: float) -> _Answer:
        """The answer for a key, asked anew if it is too old; of those who ask at the same time, one does.

        :param key: all that the answer depends on, what the user may see included.
        :param ask: asks the database. What it raises is kept like an answer: a database that refuses after half a minute is not
            asked by each of a crowd in turn.
        :param seconds: how old the answer may be.
        """
        with self._lock:
            kept = self._answers.setdefault(key, _Kept())
            self._answers.move_to_end(key)
            while len(self._answers) > self._most:
                self._answers.popitem(last=False)
        with kept.lock:
            if kept.since is None or self._clock() - kept.since >= seconds:
                kept.answer, kept.error = None, None
                try:
                    kept.answer = ask()
                except Exception as error:  # noqa: BLE001 - it is raised below, to this asker and to the next
                    kept.error = error
                kept.since = self._clock()
            if kept.error is not None:
                raise kept.error
            answer: _Answer = kept.answer
            return answer

    def forget(self) -> None:
        """Keep nothing: what is asked next is asked anew."""
        with self._lock:
            self._answers.clear()
