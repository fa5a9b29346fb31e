"""Metric curves: what the MetricDefinitions of a job find in its training log, thinned to what an XCom may hold.

A curve is ``[[time, value], ...]`` in order of time, times in ISO 8601 (UTC, milliseconds), as in all of our JSON.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

Point = list[Any]
"""``[time, value]``."""
Curves = dict[str, list[Point]]

MOST_POINTS = 100
"""Of one metric."""
MOST_BYTES = 6_000
"""What the JSON of all curves takes at most, each character beyond ASCII counted as its escape."""
MOST_METRICS = 40
"""SageMaker takes no more MetricDefinitions."""
_DIGITS = 7
_CONTROL = re.compile(r"[\x00\ud800-\udfff]")


def definitions_of(description: Mapping[str, Any]) -> dict[str, str]:
    """The regular expression of each metric, by its name.

    :param description: a DescribeTrainingJob answer, or a CreateTrainingJob request.
    """
    algorithm = description.get("AlgorithmSpecification")
    entries = algorithm.get("MetricDefinitions") if isinstance(algorithm, Mapping) else None
    return {
        str(entry["Name"]): str(entry["Regex"])
        for entry in list(entries or ())[:MOST_METRICS]
        if isinstance(entry, Mapping) and entry.get("Name") and entry.get("Regex")
    }


def points_of(found: Iterable[tuple[int, str]]) -> list[Point]:
    """The points in what a metric's regular expression found.

    :param found: times of lines, in epoch milliseconds as CloudWatch Logs has them, and what the first group matched in them.
    :return: those that are finite numbers, in the order of the lines.
    """
    points: list[Point] = []
    for timestamp, text in found:
        try:
            value = float(text)
        except ValueError:
            continue  # it matched something that is no number
        if math.isfinite(value):
            at = datetime.fromtimestamp(timestamp / 1000, UTC).isoformat(timespec="milliseconds")
            points.append([at, float(f"{value:.{_DIGITS}g}")])
    return points


def merged(curves: object, more: Mapping[str, Iterable[Point]], *, since: str | None = None) -> Curves:
    """Curves with more points, in order of time, each point once; thinned to what an XCom may hold.

    :param curves: what was published before; whatever in it is no curve is left out.
    :param more: the points to put in.
    :param since: points before that are another job's.
    """
    together = _read(curves)
    for name, points in more.items():
        together.setdefault(_CONTROL.sub("", name), []).extend(points)
    whole = {
        name: [
            list(point)
            for point in sorted({(at, value) for at, value in points if since is None or at >= since})
        ]
        for name, points in together.items()
    }
    return thinned({name: points for name, points in whole.items() if points})


def thinned(curves: Curves) -> Curves:
    """As many points of each curve as there is room for, spread evenly over its time, the first and the last always among them.

    Where there is no room for two points of each, the last curves are left out.
    """
    curves = dict(list(curves.items())[:MOST_METRICS])
    most = MOST_POINTS
    while True:
        curves = {name: _evenly(points, most) for name, points in curves.items()}
        size = len(json.dumps(curves))
        if size <= MOST_BYTES:
            return curves
        if most > 2:
            # Towards what may fit in one step, and a little at least.
            most = max(2, min(most - 1, most * MOST_BYTES // size))
        else:
            curves.popitem()


def newest_of(curves: Curves, most: int = 10, room: int = 1_000) -> dict[str, float]:
    """The newest value of each metric.

    :param most: of how many metrics.
    :param room: bytes that their JSON may take.
    """
    newest: dict[str, float] = {}
    for name, points in list(curves.items())[:most]:
        more = {**newest, name: points[-1][1]}
        if len(json.dumps(more)) <= room:
            newest = more
    return newest


def _read(curves: object) -> Curves:
    """What an XCom holds under our key may be somebody else's."""
    if not isinstance(curves, Mapping):
        return {}
    return {
        str(name): [list(point) for point in points if _is_point(point)]
        for name, points in curves.items()
        if isinstance(points, list | tuple)
    }


def _is_point(point: object) -> bool:
    if not isinstance(point, list | tuple) or len(point) != 2:
        return False
    at, value = point
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    try:
        return datetime.fromisoformat(at).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _evenly(points: list[Point], most: int) -> list[Point]:
    """So many points at the most: one after the other goes whose neighbours are nearest to one another in time."""
    points = _coarsely(points, 4 * most)
    times = [datetime.fromisoformat(at).timestamp() for at, _ in points]
    points = list(points)
    while len(points) > most:
        nearest = min(range(1, len(points) - 1), key=lambda index: times[index + 1] - times[index - 1])
        del points[nearest], times[nearest]
    return points


def _coarsely(points: list[Point], most: int) -> list[Point]:
    """So many points at the most, quickly: those with a gap of time between them that leaves as many as that."""
    if len(points) <= most:
        return points
    times = [datetime.fromisoformat(at).timestamp() for at, _ in points]
    kept = [0, len(points) - 1]
    too_near, far_enough = 0.0, times[-1] - times[0]
    for _ in range(20):
        gap = (too_near + far_enough) / 2
        chosen = [0]
        for index in range(1, len(times) - 1):
            if times[index] - times[chosen[-1]] > gap:
                chosen.append(index)
        chosen.append(len(times) - 1)
        if len(chosen) > most:
            too_near = gap
        else:
            far_enough, kept = gap, chosen
    return [points[index] for index in kept]
