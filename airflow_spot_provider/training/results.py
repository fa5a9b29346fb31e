"""The result that a task published, of whichever kind it is."""

from __future__ import annotations

from pydantic import ValidationError

from airflow_spot_provider.training.result import SpotTrainingResult
from airflow_spot_provider.training.tuning_result import SpotTuningResult

Result = SpotTrainingResult | SpotTuningResult


def result_in(value: object) -> Result | None:
    """The result that a JSON value holds, whoever wrote it; None if it holds none.

    :param value: plain JSON, of any shape.
    """
    # A tuning job's comes first: what tells of one may be enough for a training's as well, but for its figures.
    for kind in (SpotTuningResult, SpotTrainingResult):
        try:
            return kind.from_json(value)
        except (ValidationError, RecursionError):
            continue
    return None
