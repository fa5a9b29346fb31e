"""Which tasks of a DAG publish how a job of SageMaker went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_spot_provider.aws.kinds import Kind
from airflow_spot_provider.training import InvalidSpotRequest


def spot_tasks_upstream_of(task: Any) -> set[str]:
    """Ids of all of them before a task."""
    return {each.task_id for each in task.get_flat_relatives(upstream=True) if _publishes(each)}


def spot_tasks_of_group(dag: Any, group_id: str) -> set[str]:
    """Ids of all of them in a task group, and in the groups within it.

    :raises InvalidSpotRequest: the DAG has no such group; with those that there are.
    """
    groups: dict[str | None, Any] = dag.task_group.get_task_group_dict()
    if group_id not in groups:
        there = sorted(name for name in groups if name)
        raise InvalidSpotRequest(
            [f"task_group_id is {group_id!r}; the task groups of {dag.dag_id} are {there}."]
        )
    return {task.task_id for task in groups[group_id].iter_tasks() if _publishes(task)}


def checked_tasks(dag: Any, task_ids: Sequence[str]) -> list[str]:
    """Ids of tasks, each once.

    :raises InvalidSpotRequest: the DAG has no such task; with those that there are.
    """
    if unknown := [task_id for task_id in task_ids if task_id not in dag.task_dict]:
        there = sorted(task.task_id for task in dag.tasks if _publishes(task))
        raise InvalidSpotRequest(
            [f"training_task_ids holds {unknown}; the spot tasks of {dag.dag_id} are {there}."]
        )
    return list(dict.fromkeys(task_ids))


def index_to_read(report: Any, task_id: str, map_index: int | None) -> int | None:
    """Which member of a task a report is about: inside a mapped task group, its own; None for all.

    :param report: the reporting task.
    :param map_index: of the reporting task instance.
    """
    group = report.get_closest_mapped_task_group()
    other = report.dag.task_dict.get(task_id)
    if group is None or other is None or map_index is None or map_index < 0:
        return None
    return map_index if other.get_closest_mapped_task_group() is group else None


def _publishes(task: Any) -> bool:
    kind = getattr(getattr(task, "operator_class", type(task)), "kind", None)
    return isinstance(kind, Kind)
