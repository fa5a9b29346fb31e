"""The metrics of a script: read from its log, or from what it saved with its model."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from airflow_spot_provider.emulator.rehearsal.facts import Line, Run

_NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf)"
_NAMED = re.compile(rf"([A-Za-z][\w./@-]*)['\"]?\s*[:=]\s*({_NUMBER})(?![\w:/])", re.I)
_NO_METRIC = re.compile(
    # Where a script is, and how long it took, differs between two runs that learned the same.
    r"epochs?|steps?|iter(ation)?s?|round|batch(es)?|generation|episode|update|line|pid|port|rank|seed|date|time(stamp)?"
    r"|seconds?|secs?|ms|minutes?|hours?|elapsed|duration|eta|runtime|speed|throughput|latency|mem(ory)?|gpu|cpu|rss|grad_norm",
    re.I,
)


@dataclass(frozen=True)
class Comparison:
    """The last figure of a metric in both runs.

    :param name: its name; one of the model's files names that too.
    :param reference: uninterrupted.
    :param rehearsed: interrupted.
    :param agree: within the tolerance.
    """

    name: str
    reference: float
    rehearsed: float
    agree: bool


def last_figures(lines: Iterable[Line], metrics: Mapping[str, str]) -> dict[str, float]:
    """The last figure of each metric in a log.

    :param metrics: regular expressions by name, as in MetricDefinitions: the first group is the figure. If there are none,
        what is written as ``name=value`` or ``name: value`` counts, unless it is a time or a counter by its name.
    """
    figures: dict[str, float] = {}
    for line in lines:
        if metrics:
            found = [
                (name, match[1] if match.re.groups else match[0])
                for name, regex in metrics.items()
                for match in re.finditer(regex, line.text)
            ]
        else:
            found = [(match[1], match[2]) for match in _NAMED.finditer(line.text) if _is_metric(match[1])]
        for name, text in found:
            try:
                figures[name] = float(text)
            except (TypeError, ValueError):
                continue  # the user's expression matched something that is no number
    return figures


def compare(
    reference: Run, rehearsed: Run, *, metrics: Mapping[str, str], tolerance: float
) -> tuple[tuple[Comparison, ...], tuple[str, ...]]:
    """The metrics of both runs, and the names of those that only the uninterrupted one has.

    :param metrics: see :func:`last_figures`; where they are given, the model's files do not count.
    :param tolerance: how far two figures may be apart, as a share of the larger one.
    """
    ours, theirs = (
        {**last_figures(run.lines, metrics), **({} if metrics else run.figures)}
        for run in (reference, rehearsed)
    )
    both = tuple(
        Comparison(name, ours[name], theirs[name], agrees(ours[name], theirs[name], tolerance))
        for name in ours
        if name in theirs
    )
    return both, tuple(name for name in ours if name not in theirs)


def agrees(one: float, other: float, tolerance: float) -> bool:
    """Whether two figures are within a share of the larger one; two that are no number agree."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return math.isclose(one, other, rel_tol=tolerance)


def _is_metric(name: str) -> bool:
    # Of train_time_seconds the last word tells what it is, of steps_per_second the last too; epoch_loss is a loss.
    words = [word for word in re.split(r"[^A-Za-z0-9]+", name) if word]
    return bool(words) and _NO_METRIC.fullmatch(words[-1]) is None and _NO_METRIC.fullmatch(name) is None
