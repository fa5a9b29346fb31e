"""Reading a job's training log while the job runs: each look goes on where the last one ended, and no line comes twice.

FilterLogEvents merges all streams of a job by time, and is read forwards, a *pass* at a time: from a start time on, page by page. A
page may be short or empty though more come after it; so a pass that a look does not get to the end of goes on, by its token, in the
next one. Lines come late: one may be put in before others that were read already. So a pass knows what the log can have been
missing when it began: lines not older than :data:`LATE`. Those before are **final**, nothing is put in between them any more, and
they are read once. Those after are handed out at once, and read again by the next pass, which drops by their ids those that were
handed out.

Time here is epoch milliseconds by AWS's clock, as the ``Date`` of an answer tells it; without one, by the newest line.

Source: `FilterLogEvents <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html>`_.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from airflow_spot_provider.aws.errors import code_of
from airflow_spot_provider.aws.lag import told_at
from airflow_spot_provider.aws.training_log import LOG_GROUP, streams_of

LATE = 60_000
"""Milliseconds that a line may come later than it was logged."""
MOST_PAGES = 5
"""Of a pass in one look, and again as many of a look ahead. A page holds a megabyte, or 10,000 lines."""
MOST_REMEMBERED = 20_000
"""Ids of lines that are read again. Where more are logged within :data:`LATE`, the older ones of them are taken for final."""
_WIDEST, _NARROWEST = 5 * LATE, 250

Call = Callable[..., Awaitable[Mapping[str, Any]]]
"""``call(operation, **members)``."""


class Line(NamedTuple):
    """A line of a training log.

    :param at: when it was logged, in epoch milliseconds.
    :param id: what tells it from all others.
    :param text: of it.
    """

    at: int
    id: str
    text: str


@dataclass(slots=True)
class Look:
    """What a look found.

    :param new: lines that no look handed out before, in order of time.
    :param final: lines before which nothing will be put in any more, each once, in order of time over all looks.
    :param ahead: the newest lines of a log that the look did not get to the end of; they are among ``new`` later. None if they
        could not be told.
    :param is_at_the_end: whether all has been read that there is.
    :param trouble: what ended the look before its time.
    """

    new: list[Line] = field(default_factory=list)
    final: list[Line] = field(default_factory=list)
    ahead: list[Line] | None = None
    is_at_the_end: bool = False
    trouble: Exception | None = None


@dataclass(slots=True)
class _Pass:
    """One way through the log.

    :param start: of what it asks for.
    :param final: up to when its lines are final; None before its first answer.
    :param token: of its next page.
    :param is_past: whether it has come to lines that are not final.
    """

    start: int
    final: int | None = None
    token: str | None = None
    is_past: bool = False


class LogReader:
    """Reads the training log of one job. One look at a time.

    :param call: asks CloudWatch Logs, once.
    :param job_name: TrainingJobName.
    """

    __slots__ = (
        "_at_the_brink",
        "_call",
        "_handed",
        "_job_name",
        "_least_final",
        "_newest",
        "_now",
        "_pass",
        "_settled",
        "_window",
    )

    def __init__(self, call: Call, job_name: str) -> None:
        self._call = call
        self._job_name = job_name
        self._settled = -1  # up to when all lines are final and handed out
        self._at_the_brink: set[str] = set()  # the last final lines, of one millisecond, which may have more
        self._handed: dict[str, int] = {}  # when the lines were that are handed out and not final
        self._least_final = -1
        self._pass: _Pass | None = None
        self._newest: int | None = None
        self._now: int | None = None
        self._window = LATE

    async def look(self, *, ahead: bool = False) -> Look:
        """Read on.

        :param ahead: whether to tell the newest lines too where there are more than one look reads.
        """
        look = Look()
        await self._read_on(look)
        if ahead and not look.is_at_the_end and look.trouble is None:
            look.ahead = await self._read_ahead(look)
        return look

    async def _read_on(self, look: Look) -> None:
        for _ in range(MOST_PAGES):
            if self._pass is None:
                self._pass = _Pass(self._settled + 1)
            reading = self._pass
            answer = await self._page(look, reading)
            if answer is not None:
                self._take(look, reading, answer)
            if look.is_at_the_end or look.trouble is not None or len(self._handed) >= MOST_REMEMBERED:
                break
        self._keep()

    async def _page(self, look: Look, reading: _Pass) -> Mapping[str, Any] | None:
        """The next page of a pass; None if there is none, for now or at all."""
        more = {} if reading.token is None else {"nextToken": reading.token}
        try:
            return await self._call(
                "filter_log_events",
                logGroupName=LOG_GROUP,
                logStreamNamePrefix=streams_of(self._job_name),
                startTime=reading.start,
                **more,
            )
        except Exception as error:  # noqa: BLE001 - whoever looks tells it, and looks again
            code = code_of(error)
            if code == "ResourceNotFoundException":
                look.is_at_the_end = True  # no job of this account and region has logged
            elif code == "InvalidParameterException" and reading.token is not None:
                if reading is self._pass:
                    self._pass = None  # a token is good for a day
            else:
                look.trouble = error
            return None

    def _take(self, look: Look, reading: _Pass, answer: Mapping[str, Any]) -> None:
        lines = list(map(_line_of, answer.get("events") or ()))
        self._see_the_time(answer, lines)
        if reading.final is None and self._now is not None:
            reading.final = max(self._now - LATE, self._least_final)
        token = answer.get("nextToken")
        stuck = token is not None and token == reading.token
        reading.token = token
        final = -1 if reading.final is None else reading.final
        for line in lines:
            self._hand_out(look, line, is_final=line.at <= final)
            reading.is_past |= line.at > final
        if stuck:
            self._pass = None
        elif token is None:
            look.is_at_the_end = True
            reading.is_past = True

    def _hand_out(self, look: Look, line: Line, *, is_final: bool) -> None:
        if self._is_final(line):
            return  # a page that comes once more
        is_new = line.id not in self._handed
        if is_final:
            look.final.append(line)
            self._handed.pop(line.id, None)
            if line.at > self._settled + 1 or not self._at_the_brink:
                self._settled = line.at - 1
                self._at_the_brink.clear()
            if len(self._at_the_brink) >= MOST_REMEMBERED:
                self._at_the_brink.clear()
            self._at_the_brink.add(line.id)
        else:
            self._handed[line.id] = line.at
        if is_new:
            look.new.append(line)

    def _is_final(self, line: Line) -> bool:
        """Whether it was handed out as final."""
        return line.at <= self._settled or line.id in self._at_the_brink

    def _keep(self) -> None:
        """At the end of a look, keep the pass as long as all of it is final. What follows is read again anyway, with what came late."""
        reading = self._pass
        is_cut = reading is not None and reading.is_past and reading.token is not None
        if len(self._handed) >= MOST_REMEMBERED or (is_cut and self._lines_are_ahead()):
            self._least_final = sorted(self._handed.values())[len(self._handed) // 2]
        if reading is not None and reading.final is not None and reading.is_past:
            self._settle(reading.final)
            self._pass = None

    def _lines_are_ahead(self) -> bool:
        """Whether the lines' clock is ahead of that of the answers: waiting would not make them final."""
        return self._newest is not None and self._now is not None and self._newest > self._now + LATE

    def _settle(self, final: int) -> None:
        """All lines up to then have been handed out. Not beyond the newest one: its clock may be behind that of the answers."""
        final = min(final, -1 if self._newest is None else self._newest)
        if final > self._settled:
            self._settled = final
            self._at_the_brink.clear()
            self._handed = {id_: at for id_, at in self._handed.items() if at > final}

    async def _read_ahead(self, look: Look) -> list[Line] | None:
        """The lines of the last moments; None if even they are more than can be read, or that is not known."""
        if self._now is None:
            return None
        reading = _Pass(max(self._settled + 1, self._now - self._window))
        lines: dict[str, Line] = {}
        for number in range(MOST_PAGES):
            answer = await self._page(look, reading)
            if answer is None:
                return None
            lines |= {line.id: line for line in map(_line_of, answer.get("events") or ())}
            token = answer.get("nextToken")
            if token is None:
                if number == 0:
                    self._window = min(4 * self._window, _WIDEST)
                return [
                    line
                    for line in lines.values()
                    if not self._is_final(line) and line.id not in self._handed
                ]
            if token == reading.token:
                return None
            reading.token = token
        # A quarter of what was read is read to its end next time, if pages are not much shorter then.
        read = max((line.at for line in lines.values()), default=reading.start) - reading.start
        self._window = max(read // 4, self._window // 16, _NARROWEST)
        return None

    def _see_the_time(self, answer: Mapping[str, Any], lines: Sequence[Line]) -> None:
        for line in lines:
            self._newest = line.at if self._newest is None else max(self._newest, line.at)
        date = told_at(answer)
        self._now = self._newest if date is None else int(date.timestamp() * 1000)


def _line_of(event: Mapping[str, Any]) -> Line:
    at, text = event["timestamp"], event["message"]
    return Line(at, event.get("eventId") or f"{at}/{event.get('logStreamName')}/{text}", text)
