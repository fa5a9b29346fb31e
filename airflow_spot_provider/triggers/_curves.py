"""Metric curves from the lines of a training log, matched in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_spot_provider.training import metric_curves
from airflow_spot_provider.training.metric_curves import Curves
from airflow_spot_provider.triggers import _matching

SECONDS_FOR_ONE = 1.0
"""Real seconds that one regular expression may take for the lines of one look; an ordinary one takes some milliseconds."""
_SECONDS_FOR_ALL = 20.0
_INHERITED = ("LD_LIBRARY_PATH", "PATH")


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
    """Find the metrics in lines of a training log. It blocks, for 20 ms as a rule and for 20 s at the most.

    :param definitions: the regular expression of each metric.
    :param lines: timestamps in epoch milliseconds, and texts.
    :param curves: what was published before.
    :param since: when the job was created, ISO 8601: points before that are another job's.
    :raises OSError: no process can be started.
    :raises subprocess.SubprocessError: it did not come to an end.
    """
    asked = {
        "definitions": dict(definitions),
        "lines": [(at, text[: metric_curves.LONGEST_LINE]) for at, text in lines],
        "curves": curves,
        "since": since,
        "seconds": SECONDS_FOR_ONE,
    }
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(Path(_matching.__file__)), str(Path(metric_curves.__file__))],
        input=json.dumps(asked),
        capture_output=True,
        check=True,
        text=True,
        timeout=_SECONDS_FOR_ALL,
        env={name: os.environ[name] for name in _INHERITED if name in os.environ},
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return Matched(answer["curves"], answer["refused"])


def refusals(refused: Mapping[str, str]) -> str:
    """Which regular expressions came to nothing, in a sentence."""
    each = "; ".join(f"{name} ({why})" for name, why in refused.items())
    return (
        f"MetricDefinitions whose Regex finds nothing here: {each}. Their curves are left out; what SageMaker itself finds with them "
        "does not depend on it. A Regex without nested repetitions is quick."
    )
