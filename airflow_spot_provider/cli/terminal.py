"""Tables and sentences on a terminal, in a pipe, in a log: with rich where somebody looks on, else as plain text.

Names of jobs, DAGs and runs are other people's: nothing in them moves the cursor, colours, or writes a line of its own.
"""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control characters, what turns the direction of writing, halves of characters, line ends."""
_WIDE = frozenset({"W", "F"})

_output: ContextVar[TextIO | None] = ContextVar("output", default=None)


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    :param heading: on top of it.
    :param right: whether it holds numbers.
    :param foldable: whether its texts may take several lines where room is short.
    :param under: whether a terminal, which is narrow, has it below the column before it.
    """

    heading: str
    right: bool = False
    foldable: bool = False
    under: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    :param cells: texts, one a column.
    :param style: of rich: what the row looks like where there are colours.
    """

    cells: Sequence[str]
    style: str = ""


def clean(text: object) -> str:
    """A text on one line, without anything that a terminal would obey."""
    return "".join(
        "?" if unicodedata.category(character) in _UNPRINTABLE else character for character in str(text)
    )


@contextmanager
def own_output() -> Iterator[None]:
    """Keep standard output for what is written with this module: Airflow and its providers log there, and go to standard error."""
    if "airflow" not in sys.modules:
        os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "WARNING")
    try:
        number, of_errors = sys.stdout.fileno(), sys.stderr.fileno()
    except (OSError, ValueError):  # something in memory
        yield
        return
    sys.stdout.flush()
    own = os.fdopen(os.dup(number), "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors)
    os.dup2(of_errors, number)
    token = _output.set(own)
    try:
        yield
    finally:
        _output.reset(token)
        sys.stdout.flush()
        os.dup2(own.fileno(), number)
        own.close()


def output() -> TextIO:
    """Standard output."""
    return _output.get() or sys.stdout


def say(text: str, *, to: TextIO | None = None) -> None:
    """Write one line.

    :param text: whatever is in it, it stays one line.
    :param to: standard output if left out.
    """
    stream = output() if to is None else to
    print(_encodable(clean(text), stream), file=stream, flush=True)


def say_json(value: Any) -> None:
    """Write a value as JSON: one line, in which whatever is no plain character is escaped."""
    print(json.dumps(value), file=output(), flush=True)


def show(columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Write a table to standard output."""
    if not is_looked_at():
        for line in plain_lines(columns, rows):
            print(_encodable(line, output()), file=output())
        return
    terminal().print(rich_table(columns, rows))


def is_looked_at() -> bool:
    """Whether standard output is a terminal, and rich is there to draw on it."""
    return output().isatty() and find_spec("rich") is not None


def terminal() -> Console:
    """Rich's idea of standard output."""
    from rich.console import Console

    return Console(file=output(), highlight=False, markup=False, emoji=False)


def rich_table(columns: Sequence[Column], rows: Sequence[Row]) -> Any:
    """A table for rich to draw. Its cells are texts, in which rich looks for no markup."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), header_style="bold")
    below: list[list[int]] = []
    for place, column in enumerate(columns):
        if column.under:
            below[-1].append(place)
        else:
            below.append([place])

    def _stacked(texts: Sequence[str], places: Sequence[int]) -> Text:
        return Text("\n").join(Text(clean(texts[place])) for place in places)

    for places in below:
        first = columns[places[0]]
        table.add_column(
            _stacked([column.heading for column in columns], places),
            justify="right" if first.right else "left",
            overflow="fold" if first.foldable else "ellipsis",
            no_wrap=not first.foldable,
        )
    for row in rows:
        table.add_row(*(_stacked(row.cells, places) for places in below), style=row.style or None)
    return table


def plain_lines(columns: Sequence[Column], rows: Sequence[Row]) -> list[str]:
    """A table as lines, one a row, with two blanks between its columns."""
    table = [[column.heading for column in columns]]
    table += [[clean(cell) for cell in row.cells] for row in rows]
    widths = [max(_width(line[place]) for line in table) for place in range(len(columns))]
    return [
        "  ".join(
            _padded(cell, width, right=column.right)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ).rstrip()
        for line in table
    ]


def _padded(cell: str, width: int, *, right: bool) -> str:
    blanks = " " * (width - _width(cell))
    return blanks + cell if right else cell + blanks


def _width(text: str) -> int:
    """How many places a text takes."""
    return sum(
        2
        if unicodedata.east_asian_width(character) in _WIDE
        else 0
        if unicodedata.combining(character)
        else 1
        for character in text
    )


def _encodable(text: str, stream: TextIO) -> str:
    """What the stream can take of a text: an old terminal knows few characters."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
