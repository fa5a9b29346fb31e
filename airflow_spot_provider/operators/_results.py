"""Read the results that training tasks and tuning tasks published."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from airflow_spot_provider.training import SpotTrainingError, SpotTrainingResult, SpotTuningResult

if TYPE_CHECKING:
    from airflow.sdk import Context

_Result = TypeVar("_Result")


def pull_results(context: Context, training_task_id: str) -> list[SpotTrainingResult]:
    """The results of a training task: one, or one for each map index; none if it left none.

    :param training_task_id: the task's id, with its task groups.
    :raises SpotTrainingError: a mapped task left none while others did, or the XCom is something else.
    """
    return _pulled(
        context, training_task_id, SpotTrainingResult.from_json, "training", "SageMakerSpotTrainingOperator"
    )


def results_of_training(context: Context, task_id: str) -> list[SpotTrainingResult]:
    """The same of a task that may be another than a training, or has left something else: then none."""
    try:
        return pull_results(context, task_id)
    except SpotTrainingError:
        return []


def pull_tuning_results(context: Context, tuning_task_id: str) -> list[SpotTuningResult]:
    """The results of a tuning task: one, or one for each map index; none if it left none.

    :param tuning_task_id: the task's id, with its task groups.
    :raises SpotTrainingError: a mapped task left none while others did, or the XCom is something else.
    """
    return _pulled(
        context, tuning_task_id, SpotTuningResult.from_json, "tuning", "SageMakerSpotTuningOperator"
    )


def _pulled(
    context: Context, task_id: str, read: Callable[[object], _Result], noun: str, operator: str
) -> list[_Result]:
    ti = context["ti"]
    # Inside a mapped task group, a task belongs to the one with its own map index.
    mapped = ti.map_index is not None and ti.map_index >= 0
    where: dict[str, Any] = {"map_indexes": ti.map_index} if mapped else {}
    pulled = ti.xcom_pull(task_ids=task_id, **where)
    if pulled is None:
        return []
    try:
        return [read(value) for value in ([pulled] if isinstance(pulled, dict) else pulled)]
    except (ValidationError, TypeError) as error:
        raise SpotTrainingError(
            f"The XCom of {task_id} is not a {noun} result. It takes the id of a {operator} task; a mapped one needs a result "
            "for each map index."
        ) from error
