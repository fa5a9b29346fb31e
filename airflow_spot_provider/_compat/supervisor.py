"""What a trigger asks the process that runs it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async

from airflow_spot_provider._compat.runs import map_index

if TYPE_CHECKING:
    from airflow.sdk.types import RuntimeTaskInstanceProtocol

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
        map_index(task_id, key): None if state is None else str(state)
        for key, state in (states.get(run_id) or {}).items()
    }


async def _ask(supervisor: Any, message: Any) -> Any:
    """Ask a trigger's supervisor.

    Its answer is taken in whatever becomes of whoever asked: before Airflow 3.3 one that is left in the pipe is taken for that to
    the next question, and ends the whole process ("Response read out of order!").
    """
    asking = asyncio.ensure_future(supervisor.asend(message))
    asking.add_done_callback(lambda done: done.cancelled() or done.exception())
    return await asyncio.shield(asking)


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
