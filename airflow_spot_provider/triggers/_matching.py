"""Users' regular expressions, matched so that none of them keeps a triggerer from its work.

The language is that of Python's :mod:`re`, and what matches is the ``regex`` package, which gives a match up after a while. What of its
own language ``re`` does not know is refused or taken literally. See docs/decisions/009.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import regex

LONGEST_LINE = 2_000
"""Characters of a line that are looked at."""
SECONDS = 1.0
"""Of CPU that an expression may take for ten thousand lines, or for fewer; an ordinary one takes some hundredths."""
_LINES = 10_000
_AT_FIRST = 0.01
"""Seconds for which one match may hold all other threads up. It then begins anew, and holds up nobody."""
# x{e<=1} is an approximate match to regex, and text to re: a brace that is no count is text.
_NO_COUNT = re.compile(r"(\\.)|\{(?!\d+(?:,\d*)?\}|,\d*\})", re.DOTALL)


class CannotMatch(ValueError):
    """An expression is none, or takes too long. The message says which of them, in a few words."""


def compiled(expression: str) -> regex.Pattern[str]:
    """Compile a user's regular expression.

    :raises CannotMatch: it is none.
    """
    import regex  # not with the module: a DAG file that is parsed matches nothing

    try:
        re.compile(expression)
        return regex.compile(_NO_COUNT.sub(_literal, expression), regex.VERSION0, cache_pattern=False)
    except (re.error, regex.error, RecursionError, OverflowError, MemoryError) as error:
        raise CannotMatch(str(error) or type(error).__name__) from error


def found_by(
    expression: str,
    lines: Sequence[tuple[int, str]],
    *,
    first_only: bool = False,
    clock: Callable[[], float] = time.thread_time,
) -> list[tuple[int, str]]:
    """What an expression's first group matches. It blocks, for seconds at the worst: call it in a thread.

    :param expression: as in MetricDefinitions.
    :param lines: times and texts.
    :param first_only: whether each line is looked at for one match only.
    :param clock: seconds of CPU of this thread.
    :return: the times of the lines, and what was matched in them, in their order.
    :raises CannotMatch: it is none, or it takes too long.
    """
    pattern = compiled(expression)
    if not pattern.groups:
        return []
    seconds = SECONDS * max(1.0, len(lines) / _LINES)
    until = clock() + seconds
    matched: list[tuple[int, str]] = []
    for at, text in lines:
        try:
            groups = _groups(pattern, text[:LONGEST_LINE], until - clock(), first_only=first_only)
        except TimeoutError:
            raise CannotMatch(f"it takes more than {seconds:.3g} s") from None
        except MemoryError:
            raise CannotMatch("it takes too much memory") from None
        matched += [(at, group) for group in groups if group is not None]
    return matched


def _groups(pattern: regex.Pattern[str], text: str, seconds: float, *, first_only: bool) -> list[Any]:
    if seconds <= 0:
        raise TimeoutError
    try:
        # A match that lets other threads run has to wait for its turn afterwards, which takes a thousand times as long as it does.
        return list(
            _first_groups(pattern, text, first_only, timeout=min(_AT_FIRST, seconds), concurrent=False)
        )
    except TimeoutError:
        return list(_first_groups(pattern, text, first_only, timeout=seconds, concurrent=True))


def _first_groups(pattern: regex.Pattern[str], text: str, first_only: bool, **how: Any) -> Iterator[Any]:
    matches: Iterable[Any] = pattern.finditer(text, **how)
    for match in matches:
        yield match[1]
        if first_only:
            return


def _literal(match: re.Match[str]) -> str:
    return match[1] or r"\{"
