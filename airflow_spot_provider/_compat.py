"""The one place for what differs between Airflow versions (3.0 to 3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin
from airflow.triggers.base import BaseTrigger
from asgiref.sync import sync_to_async

try:
    from airflow.sdk.exceptions import TaskDeferralError, TaskDeferralTimeout
except ImportError:  # before Airflow 3.2
    from airflow.exceptions import (  # type: ignore[no-redef]
        TaskDeferralError,
        TaskDeferralTimeout,
    )

if TYPE_CHECKING:
    from airflow.sdk.types import RuntimeTaskInstanceProtocol

__all__ = [
    "TRIGGERS_HAVE_ON_KILL",
    "TaskDeferralError",
    "TaskDeferralTimeout",
    "has_external_views",
    "previous_run_id",
    "publish_xcom",
    "was_killed_by_user",
]

TRIGGERS_HAVE_ON_KILL = hasattr(BaseTrigger, "on_kill")
"""Airflow 3.3 awaits ``on_kill()`` of a trigger when a user clears, fails or succeeds its deferred task."""

_STILL_WAITED_FOR = frozenset({"deferred", "running"})


async def was_killed_by_user(task_instance: RuntimeTaskInstanceProtocol | None) -> bool:
    """Tell a user's kill from a triggerer's shutdown, for Airflow before 3.3, where both only cancel the trigger.

    :param task_instance: the trigger's task instance; None where there is none (``dag.test()``).
    :return: True if the task instance is no longer deferred (nor running again, with the job adopted).
    :raises Exception: what the supervisor raises when it does not answer, as during a shutdown.
    """
    if task_instance is None:
        return False
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    states: dict[str, Any] = await sync_to_async(RuntimeTaskInstance.get_task_states)(
        dag_id=task_instance.dag_id,
        task_ids=[task_instance.task_id],
        run_ids=[task_instance.run_id],
        map_index=task_instance.map_index,
    )
    by_task = states.get(task_instance.run_id, {})
    key = task_instance.task_id
    if task_instance.map_index is not None and task_instance.map_index >= 0:
        key = f"{key}_{task_instance.map_index}"
    return by_task.get(key) not in _STILL_WAITED_FOR


def previous_run_id(task_instance: Any) -> str | None:
    """The id of the DAG run before this one, by logical date; None if there is none, or this one has no logical date.

    :param task_instance: of the running task.
    :raises RuntimeError: before Airflow 3.1, which cannot tell.
    """
    if not hasattr(task_instance, "get_previous_dagrun"):
        raise RuntimeError(
            "What the DAG run before this one published can be read from Airflow 3.1 on; upgrade, or read an earlier round "
            "of the same DAG run."
        )
    previous = task_instance.get_previous_dagrun()
    return None if previous is None else str(previous.run_id)


def has_external_views() -> bool:
    """Whether this Airflow shows pages of plugins: from 3.1 on."""
    return hasattr(AirflowPlugin, "external_views")


async def publish_xcom(task_instance: RuntimeTaskInstanceProtocol, key: str, value: Any) -> bool:
    """Set an XCom of a deferred task from its trigger.

    :return: False if there is no supervisor that would take it: in ``dag.test()``, in a plain event loop, or in a
        triggerer whose Airflow does not take XComs from triggers yet.
    :raises Exception: what the supervisor answers, as during a shutdown.
    """
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import SetXCom

    supervisor = getattr(task_runner, "SUPERVISOR_COMMS", None)
    if supervisor is None or not hasattr(supervisor, "asend"):
        return False
    await supervisor.asend(
        SetXCom(
            key=key,
            value=value,
            dag_id=task_instance.dag_id,
            run_id=task_instance.run_id,
            task_id=task_instance.task_id,
            map_index=task_instance.map_index if task_instance.map_index is not None else -1,
        )
    )
    return True
