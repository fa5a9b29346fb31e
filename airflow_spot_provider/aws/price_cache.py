"""Prices on disk, with the date they are of: what several processes that know nothing of each other share."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import math
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_spot_provider.training.money import Price

log = logging.getLogger(__name__)

FRESH = timedelta(days=7)
"""A price is asked for anew when it is older."""
LOOKED = timedelta(days=1)
"""For how long nobody asks again for what the price list did not have."""
_LONGEST_PAUSE = timedelta(hours=1)
_PRICES, _PAUSES = "prices", "not_before"
_LOOKS_FOR_A_TURN, _SECONDS_BETWEEN = 60, 0.1


@dataclass(frozen=True)
class Kept:
    """What the file had to say of an instance type.

    :param price: the newest that is known; None if none is.
    :param is_settled: whether there is no need, or no use, to ask the price list just now.
    """

    price: Price | None
    is_settled: bool


class PriceCache:
    """The prices of a region in a file. One that holds anything else counts as empty, and is written anew.

    :param file: where they are kept. A folder that cannot be written does no harm: then everybody asks.
    :param now: tells the time.
    :param pause: waits for some seconds.
    """

    def __init__(
        self, file: Path, *, now: Callable[[], datetime], pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._file = file
        self._now = now
        self._pause = pause

    def read(self, instance_type: str, asker: str) -> Kept:
        """What is known of an instance type.

        :param asker: whose permission the price list is asked with.
        """
        content = self._content()
        entry = content[_PRICES].get(instance_type)
        price = _price_in(entry)
        looked = entry.get("looked") if isinstance(entry, Mapping) else None
        not_before = _time_in(content[_PAUSES].get(asker))
        is_paused = not_before is not None and timedelta() < not_before - self._now() <= _LONGEST_PAUSE
        is_fresh = price is not None and self._is_within(price.as_of, FRESH)
        return Kept(price, is_settled=is_fresh or is_paused or self._is_within(looked, LOOKED))

    def keep(self, instance_type: str, price: Price | None) -> None:
        """Remember what the price list has said; None if it has no price of this type, and an older one stays."""

        def _enter(content: dict[str, Any]) -> None:
            entry: dict[str, Any] = {"looked": self._now().isoformat()}
            known = price or _price_in(content[_PRICES].get(instance_type))
            if known is not None:
                entry |= {"per_hour": known.per_hour, "currency": known.currency, "as_of": known.as_of}
            content[_PRICES][instance_type] = entry

        self._write(_enter)

    def keep_pause(self, asker: str, pause: timedelta) -> None:
        """Remember that the price list cannot be asked with somebody's permission for a while."""

        def _enter(content: dict[str, Any]) -> None:
            content[_PAUSES][asker] = (self._now() + min(pause, _LONGEST_PAUSE)).isoformat()

        self._write(_enter)

    @contextlib.contextmanager
    def turn(self) -> Iterator[bool]:
        """One process asks while the others wait for what it hears: a fan-out ends with a thousand tasks at once.

        :return: False if there is still somebody else whose turn it is, after some seconds.
        """
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            folder = os.open(self._file.parent, os.O_RDONLY)
        except OSError:
            yield True
            return
        try:
            yield self._is_our_turn(folder)
        finally:
            os.close(folder)  # gives the turn to the next one, as the end of the process would

    def _is_our_turn(self, folder: int) -> bool:
        for _ in range(_LOOKS_FOR_A_TURN):
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._pause(_SECONDS_BETWEEN)
            except OSError:  # a file system without locks
                return True
            else:
                return True
        return False

    def _is_within(self, told: object, age: timedelta) -> bool:
        time = _time_in(told)
        return time is not None and abs(self._now() - time) < age

    def _content(self) -> dict[str, dict[str, Any]]:
        try:
            read = json.loads(self._file.read_text())
        except (OSError, ValueError, RecursionError):
            read = None
        found = read if isinstance(read, Mapping) else {}
        return {
            part: dict(held) if isinstance(held := found.get(part), Mapping) else {}
            for part in (_PRICES, _PAUSES)
        }

    def _write(self, enter: Callable[[dict[str, Any]], None]) -> None:
        """Write the file whole: another process that reads it meanwhile sees the old one or the new one."""
        content = self._content()
        enter(content)
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._file.parent, prefix=f".{self._file.name}-")
            try:
                with os.fdopen(handle, "w") as written:
                    os.fchmod(handle, 0o644)  # tasks may run as several users
                    json.dump(content, written)
                Path(name).replace(self._file)
            except OSError:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            log.info("Prices cannot be kept in %s, so each task asks for them: %s", self._file, error)


def _time_in(told: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(told) if isinstance(told, str) else None
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time


def _price_in(kept: object) -> Price | None:
    if not isinstance(kept, Mapping):
        return None
    per_hour, currency, as_of = (kept.get(name) for name in ("per_hour", "currency", "as_of"))
    if not isinstance(per_hour, float) or not math.isfinite(per_hour) or per_hour <= 0:
        return None
    if not isinstance(currency, str) or not re.fullmatch(r"[A-Z]{3}", currency):
        return None
    if not isinstance(as_of, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", as_of) or _time_in(as_of) is None:
        return None
    return Price(per_hour, currency, as_of)
