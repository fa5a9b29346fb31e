"""The one place for what differs between Airflow versions (3.0 to 3.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    "NotInThisAirflow",
    "TaskDeferralError",
    "TaskDeferralTimeout",
    "deadline_model",
    "earlier_runs",
    "has_external_views",
    "previous_run_id",
    "publish_xcom",
    "read_own_xcom",
    "task_states",
    "was_killed_by_user",
]

TRIGGERS_HAVE_ON_KILL = hasattr(BaseTrigger, "on_kill")
"""Airflow 3.3 awaits ``on_kill()`` of a trigger when a user clears, fails or succeeds its deferred task."""


class NotInThisAirflow(RuntimeError):
    """What was asked for takes a newer Airflow."""


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


def deadline_model() -> Any | None:
    """Airflow's table of deadlines, where those that can still be met are told apart; None before Airflow 3.2."""
    from airflow.models.deadline import Deadline

    return Deadline if hasattr(Deadline, "missed") else None


def has_external_views() -> bool:
    """Whether this Airflow shows pages of plugins: from 3.1 on."""
    return hasattr(AirflowPlugin, "external_views")


def earlier_runs(task_instance: Any, dag_run: Any) -> Iterator[Any]:
    """The DAG runs before this one, by logical date, the newest first. Of a run without a logical date, which assets have
    triggered, those that were due before it.

    :param task_instance: of the running task.
    :param dag_run: its run.
    :raises NotInThisAirflow: before Airflow 3.1, which cannot tell.
    """
    try:
        from airflow.sdk.execution_time.comms import GetPreviousDagRun
    except ImportError:
        raise NotInThisAirflow(
            "What earlier DAG runs published can be read from Airflow 3.1 on; upgrade, or report this run alone."
        ) from None
    from airflow.sdk.execution_time import task_runner

    date = dag_run.logical_date or dag_run.run_after
    while date is not None:
        answer: Any = task_runner.SUPERVISOR_COMMS.send(
            GetPreviousDagRun(dag_id=task_instance.dag_id, logical_date=date)
        )
        run = answer.dag_run
        if run is None:
            return
        yield run
        date = run.logical_date


def task_states(task_instance: Any, task_id: str, run_ids: Sequence[str]) -> dict[str, dict[int, str | None]]:
    """States of a task in some runs of the running task's DAG, by run id and map index (-1 if it is not mapped).

    :return: nothing of runs without such a task; nothing at all where Airflow does not tell states yet.
    """
    if not hasattr(task_instance, "get_task_states"):
        return {}
    told: dict[str, dict[str, Any]] = task_instance.get_task_states(
        dag_id=task_instance.dag_id, task_ids=[task_id], run_ids=list(run_ids)
    )
    # A key is the task's id, with "_" and the map index if it is mapped.
    return {
        run_id: {
            -1 if key == task_id else int(key.removeprefix(f"{task_id}_")): state
            for key, state in states.items()
        }
        for run_id, states in told.items()
    }


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


async def read_own_xcom(task_instance: RuntimeTaskInstanceProtocol, key: str) -> Any:
    """An XCom of a deferred task, read from its trigger; None if there is none, or no supervisor to ask (see above).

    :raises Exception: what the supervisor answers, as during a shutdown.
    """
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import GetXCom

    supervisor = getattr(task_runner, "SUPERVISOR_COMMS", None)
    if supervisor is None or not hasattr(supervisor, "asend"):
        return None
    answer = await supervisor.asend(
        GetXCom(
            key=key,
            dag_id=task_instance.dag_id,
            run_id=task_instance.run_id,
            task_id=task_instance.task_id,
            map_index=task_instance.map_index if task_instance.map_index is not None else -1,
        )
    )
    return getattr(answer, "value", None)
