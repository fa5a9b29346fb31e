"""How far a script is, and where it says it goes on: read from its log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from airflow_spot_provider.emulator.rehearsal.facts import Line

_WORDS = r"epoch|global[ _-]?step|step|iteration|iter|round|batch|generation|episode|update"
_NAMED = re.compile(
    rf"(?<![A-Za-z_])({_WORDS})['\"]?[ ]*[:=#(\[]?[ ]*(\d+(?:\.\d+)?)(?![\w.]*[A-Za-z])", re.I
)
_BRACKETED = re.compile(r"^\s*\[(\d+)\]\s")  # XGBoost and LightGBM: [12]  valid-rmse:0.1
_BAR = re.compile(r"\|\s*(\d+)/\d+\s*\[")  # tqdm
_RESUMES = re.compile(
    r"\b(resum\w*|restor\w*|continu\w*|pick\w* up)\b|\b(load|read)\w*\b.*\bcheckpoint|\bcheckpoint\w*\b.*\bloaded\b",
    re.I,
)
_BEGINS = re.compile(r"\b(from scratch|no checkpoint|without (a )?checkpoint|nothing to resume)\b", re.I)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Steps:
    """The counter of a script: what it calls its steps, and those that an uninterrupted run prints.

    :param name: such as ``epoch``; ``[n]`` and ``n/total`` for numbers without a word.
    :param values: each once, rising.
    """

    name: str
    values: tuple[float, ...]

    @property
    def spacing(self) -> float:
        """From one printed step to the next."""
        return median(after - before for before, after in zip(self.values, self.values[1:], strict=False))

    @property
    def counts_in_ones(self) -> bool:
        """Whether they are whole numbers."""
        return all(value.is_integer() for value in self.values)

    def read(self, lines: Iterable[Line]) -> list[tuple[float, float]]:
        """When which step was printed; where a script says what it resumes from, it prints no step."""
        return [
            (line.seconds, value)
            for line in lines
            if not _tells_its_start(line.text)
            for name, value in _counters(line.text)
            if name == self.name
        ]

    def share(self, value: float) -> float:
        """How much of the steps is done when one is printed, from 0 to 1."""
        return sum(step <= value for step in self.values) / len(self.values)

    def between(self, first: float, last: float) -> int:
        """How many steps there are from one to another, both counted."""
        return sum(first <= step <= last for step in self.values)


def steps_of(lines: Sequence[Line]) -> Steps | None:
    """The counter of a log: of those that never fall, the one with the most values. None if there is none.

    :param lines: the log of an uninterrupted run.
    """
    values: dict[str, list[float]] = {}
    for line in lines:
        if not _tells_its_start(line.text):
            for name, value in _counters(line.text):
                values.setdefault(name, []).append(value)
    rising = [
        Steps(name, tuple(sorted(set(seen))))
        for name, seen in values.items()
        if len(set(seen)) > 1 and seen == sorted(seen)
    ]
    # Of two that rise together, such as a step and its share of an epoch, whole numbers read better.
    return max(rising, key=lambda steps: (len(steps.values), steps.counts_in_ones), default=None)


def resumed_at(lines: Iterable[Line]) -> tuple[str, float | None] | None:
    """What a script says of resuming, and the step that it names; None if it says nothing of it."""
    for line in lines:
        if _tells_its_start(line.text) and not _BEGINS.search(line.text):
            counters = _counters(line.text)
            number = _NUMBER.search(line.text)
            return line.text, counters[0][1] if counters else float(number[0]) if number else None
    return None


def begins_from_scratch(lines: Iterable[Line]) -> str | None:
    """What a script says of starting anew; None if it says nothing of it."""
    return next((line.text for line in lines if _BEGINS.search(line.text)), None)


def _tells_its_start(text: str) -> bool:
    return bool(_RESUMES.search(text) or _BEGINS.search(text))


def _counters(text: str) -> list[tuple[str, float]]:
    found = [(re.sub(r"[ -]", "_", match[1].lower()), float(match[2])) for match in _NAMED.finditer(text)]
    found += [("[n]", float(match[1])) for match in _BRACKETED.finditer(text)]
    found += [("n/total", float(match[1])) for match in _BAR.finditer(text)]
    return found
