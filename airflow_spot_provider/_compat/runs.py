"""What a running task asks about other runs of its DAG, and publishes for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from airflow.sdk import __version__ as task_sdk


class NotInThisAirflow(RuntimeError):
    """What was asked for takes a newer Airflow."""


def push_xcom(task_instance: Any, key: str, value: Any) -> None:
    """Set an XCom of the running task.

    Airflow 3.0 refuses None (422): there it is left out, and whoever pulls it gets None as well.
    """
    if value is not None or not task_sdk.startswith("1.0."):
        task_instance.xcom_push(key=key, value=value)


def map_index(task_id: str, key: str) -> int:
    """Airflow names a task instance by the task's id, with "_" and the map index if it is mapped."""
    return -1 if key == task_id else int(key.removeprefix(f"{task_id}_"))


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
        run_id: {map_index(task_id, key): state for key, state in states.items()}
        for run_id, states in told.items()
    }
