"""The process in which users' regular expressions are matched: Python cannot end a match that takes for ever in a thread of its own.

It is started by its path, with the path of :mod:`airflow_spot_provider.training.metric_curves`, and imports nothing else, so that it is there
in 20 ms. It reads one JSON object from standard input and writes one to standard output.
"""

from __future__ import annotations

import json
import re
import resource
import runpy
import signal
import sys
from types import FrameType
from typing import Any

CPU_SECONDS = 10
"""Whoever started this process may have been killed: it ends by itself."""


class _TooSlow(Exception):
    """The time for one expression is over."""


def _too_slow(_number: int, _frame: FrameType | None) -> None:
    raise _TooSlow


def match(asked: dict[str, Any], curves_module: dict[str, Any]) -> dict[str, Any]:
    """The curves, and the expressions that came to nothing.

    :param asked: ``definitions``, ``lines``, ``curves`` so far, ``since``, and the ``seconds`` that one expression may take.
    :param curves_module: what is in :mod:`airflow_spot_provider.training.metric_curves`.
    """
    found: dict[str, Any] = {}
    refused: dict[str, str] = {}
    signal.signal(signal.SIGALRM, _too_slow)
    for name, regex in asked["definitions"].items():
        signal.setitimer(signal.ITIMER_REAL, asked["seconds"])
        try:
            found[name] = curves_module["points_of"](regex, asked["lines"])
        except _TooSlow:
            refused[name] = f"it takes more than {asked['seconds']:g} s"
        except (re.error, RecursionError, OverflowError, MemoryError) as error:
            refused[name] = str(error) or type(error).__name__
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    curves = curves_module["merged"](asked["curves"], found, since=asked["since"])
    return {"curves": curves, "refused": refused}


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    json.dump(match(json.load(sys.stdin), runpy.run_path(sys.argv[1])), sys.stdout)
