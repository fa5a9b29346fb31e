"""Read the results that training tasks published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from airflow_spot_provider.training import SpotTrainingError, SpotTrainingResult

if TYPE_CHECKING:
    from airflow.sdk import Context


def pull_results(context: Context, training_task_id: str) -> list[SpotTrainingResult]:
    """The results of a training task: one, or one for each map index; none if it left none.

    :param training_task_id: the task's id, with its task groups.
    :raises SpotTrainingError: a mapped task left none while others did, or the XCom is something else.
    """
    ti = context["ti"]
    # Inside a mapped task group, a task belongs to the training with its own map index.
    mapped = ti.map_index is not None and ti.map_index >= 0
    where: dict[str, Any] = {"map_indexes": ti.map_index} if mapped else {}
    pulled = ti.xcom_pull(task_ids=training_task_id, **where)
    if pulled is None:
        return []
    try:
        return [
            SpotTrainingResult.from_json(value)
            for value in ([pulled] if isinstance(pulled, dict) else pulled)
        ]
    except (ValidationError, TypeError) as error:
        raise SpotTrainingError(
            f"The XCom of {training_task_id} is not a training result. It takes the id of a "
            "SageMakerSpotTrainingOperator task; a mapped one needs a result for each map index."
        ) from error
