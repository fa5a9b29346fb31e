"""CloudWatch Logs in memory, with the liberties that the real one takes: short, empty and repeated pages, late lines, errors."""

from __future__ import annotations

import bisect
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError

START = 1_772_366_400_000
"""2026-03-01T12:00:00Z in epoch milliseconds."""


@dataclass(frozen=True)
class Stored:
    """A line that is there from a moment on."""

    at: int
    came: int
    id: str
    stream: str
    text: str


@dataclass
class Liberties:
    """What the service does besides the obvious; what a seed draws.

    :param page: how many lines a page holds at most.
    :param short: share of the pages that hold fewer, or none.
    :param empty_in_a_row: how many empty pages there may be one after the other.
    :param repeated: share of the pages that come once more under the next token.
    :param errors: share of the calls that fail, before or after their effect.
    :param expires: share of the tokens that are refused.
    :param dated: whether answers have a Date.
    :param clock_is_off: milliseconds by which Date is ahead of the lines.
    """

    page: int = 10_000
    short: float = 0.0
    empty_in_a_row: int = 3
    repeated: float = 0.0
    errors: float = 0.0
    expires: float = 0.0
    dated: bool = True
    clock_is_off: int = 0


def _order(line: Stored) -> tuple[int, int, str]:
    """By time, by when it came, by id: as the API reference says."""
    return line.at, line.came, line.id


def refused(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "FilterLogEvents",
    )


@dataclass
class LogService:
    """The logs of an account; time passes when a test says so.

    :param random: draws what is left open.
    """

    random: random.Random
    liberties: Liberties = field(default_factory=Liberties)
    now: int = START
    calls: list[dict[str, Any]] = field(default_factory=list)
    _stored: list[Stored] = field(default_factory=list)
    _tokens: dict[str, tuple[tuple[int, int, str], int]] = field(default_factory=dict)

    def log(self, text: str, *, at: int | None = None, late: int = 0, stream: str = "job/algo-1-1") -> Stored:
        """Have a line: it was logged then, and it is there so many milliseconds after that."""
        at = self.now if at is None else at
        line = Stored(at, at + late, f"{len(self._stored):056}", stream, text)
        bisect.insort(self._stored, line, key=_order)
        return line

    async def call(self, operation: str, **members: Any) -> dict[str, Any]:
        """Answer, as an aiobotocore client does."""
        assert operation == "filter_log_events"
        self.calls.append(members)
        fails = self.random.random() < self.liberties.errors
        if fails and self.random.random() < 0.5:
            raise refused("ThrottlingException", 400)
        answer = self._answer(members)
        if fails:
            raise EndpointConnectionError(endpoint_url="https://logs")
        return answer

    def _answer(self, members: Mapping[str, Any]) -> dict[str, Any]:
        prefix, token = members["logStreamNamePrefix"], members.get("nextToken")
        place, empty = (members["startTime"], -1, ""), 0
        if token is not None:
            if token not in self._tokens or self.random.random() < self.liberties.expires:
                self._tokens.pop(token, None)
                raise refused("InvalidParameterException")
            place, empty = self._tokens[token]
        place = max(place, (members["startTime"], -1, ""))
        behind = [
            (line.at, line.came, line.id, line)
            for line in self._stored[bisect.bisect_right(self._stored, place, key=_order) :]
            if line.came <= self.now and line.stream.startswith(prefix)
        ]
        size, liberties = self.liberties.page, self.liberties
        if self.random.random() < liberties.short:
            size = self.random.randint(0, size)
            if size == 0 and empty >= liberties.empty_in_a_row:
                size = 1
        page, left = behind[:size], behind[size:]
        headers = {"date": format_datetime(self._date(), usegmt=True)} if liberties.dated else {}
        answer: dict[str, Any] = {
            "events": [
                {
                    "timestamp": at,
                    "ingestionTime": came,
                    "eventId": id_,
                    "message": line.text,
                    "logStreamName": line.stream,
                }
                for at, came, id_, line in page
            ],
            "ResponseMetadata": {"HTTPHeaders": headers},
        }
        ends = not left and (
            page or self.random.random() >= liberties.short or empty >= liberties.empty_in_a_row
        )
        if not ends:
            # It has searched up to somewhere between the last line that it found and the next one that there is.
            after = page[-1][:3] if page else place
            until = left[0][0] if left else self.now
            if until > after[0] + 1 and self.random.random() < 0.5:
                after = (self.random.randint(after[0] + 1, until - 1), -1, "")
            if self.random.random() < liberties.repeated:
                after = place
            answer["nextToken"] = f"token {len(self.calls)}"
            self._tokens[answer["nextToken"]] = after, 0 if page else empty + 1
        return answer

    def _date(self) -> datetime:
        return datetime.fromtimestamp((self.now + self.liberties.clock_is_off) // 1000, UTC)
