"""Metric curves from the lines of a training log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from airflow_spot_provider.training.metric_curves import Curves, Point, merged, points_of
from airflow_spot_provider.triggers._matching import CannotMatch, found_by


@dataclass(frozen=True, slots=True)
class Matched:
    """What was found.

    :param curves: with those that were there before.
    :param refused: why an expression came to nothing, by metric.
    """

    curves: Curves
    refused: dict[str, str] = field(default_factory=dict)


def match_lines(
    definitions: Mapping[str, str],
    lines: Sequence[tuple[int, str]],
    *,
    curves: object = None,
    since: str | None = None,
) -> Matched:
    """Find the metrics in lines of a training log. It blocks: for some hundredths of a second as a rule, and for a second for each
    expression that takes for ever.

    :param definitions: the regular expression of each metric.
    :param lines: times in epoch milliseconds, and texts.
    :param curves: what was published before.
    :param since: when the job was created, ISO 8601: points before that are another job's.
    """
    points: dict[str, list[Point]] = {}
    refused: dict[str, str] = {}
    for name, expression in definitions.items():
        try:
            points[name] = points_of(found_by(expression, lines))
        except CannotMatch as error:
            refused[name] = str(error)
    return Matched(merged(curves, points, since=since), refused)


def refusals(refused: Mapping[str, str]) -> str:
    """Which regular expressions came to nothing, in a sentence."""
    each = "; ".join(f"{name} ({why})" for name, why in refused.items())
    return (
        f"MetricDefinitions whose Regex finds nothing here: {each}. Their curves are left out; what SageMaker itself finds with them "
        "does not depend on it. A Regex without nested repetitions is quick."
    )
