"""The one place for what differs between Airflow versions (3.0 to 3.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin
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
    "USER_ACTION",
    "NoAnswer",
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
    "task_states_in_triggerer",
]


class NotInThisAirflow(RuntimeError):
    """What was asked for takes a newer Airflow."""


USER_ACTION = "__airflow_user_action__"
"""The message with which Airflow 3.3 cancels the trigger of a task that a user has acted on."""


class NoAnswer(ConnectionError):
    """The process that serves triggers did not say what it was asked."""


async def task_states_in_triggerer(dag_id: str, run_id: str, task_id: str) -> dict[int, str | None]:
    """The states of a task in a DAG run, asked from a trigger's process.

    :return: by map index, -1 if it is not mapped; a task instance that is not there any more is left out.
    :raises Exception: the supervisor does not answer, as during a shutdown, or there is none.
    """
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import GetTaskStates, TaskStatesResult

    supervisor = getattr(task_runner, "SUPERVISOR_COMMS", None)
    if supervisor is None:
        raise NoAnswer("no supervisor serves this process")
    states: Any
    if hasattr(supervisor, "asend"):
        answer = await _ask(supervisor, GetTaskStates(dag_id=dag_id, task_ids=[task_id], run_ids=[run_id]))
        if not isinstance(answer, TaskStatesResult):
            raise NoAnswer(f"asked for the states of {task_id}, it answered {type(answer).__name__}")
        states = answer.task_states
    else:
        # Airflow 3.0: triggers talk to their supervisor from threads.
        states = await sync_to_async(task_runner.RuntimeTaskInstance.get_task_states)(
            dag_id=dag_id, task_ids=[task_id], run_ids=[run_id]
        )
    return {
        _map_index(task_id, key): None if state is None else str(state)
        for key, state in (states.get(run_id) or {}).items()
    }


def _map_index(task_id: str, key: str) -> int:
    """Airflow names a task instance by the task's id, with "_" and the map index if it is mapped."""
    return -1 if key == task_id else int(key.removeprefix(f"{task_id}_"))


async def _ask(supervisor: Any, message: Any) -> Any:
    """Ask a trigger's supervisor.

    Its answer is taken in whatever becomes of whoever asked: before Airflow 3.3 one that is left in the pipe is taken for that to
    the next question, and ends the whole process ("Response read out of order!").
    """
    asking = asyncio.ensure_future(supervisor.asend(message))
    asking.add_done_callback(lambda done: done.cancelled() or done.exception())
    return await asyncio.shield(asking)


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
    return {
        run_id: {_map_index(task_id, key): state for key, state in states.items()}
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
    await _ask(
        supervisor,
        SetXCom(
            key=key,
            value=value,
            dag_id=task_instance.dag_id,
            run_id=task_instance.run_id,
            task_id=task_instance.task_id,
            map_index=task_instance.map_index if task_instance.map_index is not None else -1,
        ),
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
    answer = await _ask(
        supervisor,
        GetXCom(
            key=key,
            dag_id=task_instance.dag_id,
            run_id=task_instance.run_id,
            task_id=task_instance.task_id,
            map_index=task_instance.map_index if task_instance.map_index is not None else -1,
        ),
    )
    return getattr(answer, "value", None)
