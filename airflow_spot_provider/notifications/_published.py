"""What the tasks that a callback is about have published, whatever of it can be read."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_spot_provider.aws.kinds import Kind
from airflow_spot_provider.published.reading import UNREADABLE, completed_by, progress_in
from airflow_spot_provider.training import SpotProgress, SpotTrainingError
from airflow_spot_provider.training.outcome_message import (
    ascii_line,
    lines_of,
    lines_of_run,
    noun_of,
    subject_of,
    told_of,
)
from airflow_spot_provider.training.results import result_in
from airflow_spot_provider.triggers._progress import PROGRESS_KEY

RESULT_KEY = "return_value"


@dataclass(frozen=True)
class Told:
    """What there is to tell.

    :param lines: the message.
    :param subject: in one line.
    :param values: what templates may name.
    :param progress: of the one job that it is about; None if it is about a run, or nothing is known.
    """

    lines: list[str]
    subject: str
    values: dict[str, Any] = field(default_factory=dict)
    progress: SpotProgress | None = None


def told_by_task(context: Mapping[str, Any]) -> Told:
    """What a task's callback is to tell.

    :param context: Airflow's.
    """
    ti: Any = context["ti"]
    index = ti.map_index
    progress: SpotProgress | None
    problem: str | None
    where = f"{ti.dag_id}.{ti.task_id}{f'[{index}]' if index is not None and index >= 0 else ''} (run {ti.run_id})"
    try:
        published = {
            key: ti.xcom_pull(task_ids=ti.task_id, key=key, map_indexes=index)
            for key in (PROGRESS_KEY, RESULT_KEY)
        }
    except Exception as error:  # noqa: BLE001 - whoever is to be told should hear at least that
        progress, problem = None, f"What it published cannot be read ({type(error).__name__})."
    else:
        progress, problem = _read(published[PROGRESS_KEY], published[RESULT_KEY])
    values = {**told_of(progress or SpotProgress(), where=where), "problem": problem}
    if progress is not None and progress.outcome is not None:
        return Told(
            lines_of(progress, where) + ([problem] if problem else []), subject_of(progress), values, progress
        )
    lines = [f"{where} {_state(context)}{_job(progress)}."]
    if problem:
        lines.append(problem)
    if (why := _why(context)) is not None:
        lines.append(why)
    return Told(
        lines,
        ascii_line(f"{ti.dag_id}.{ti.task_id}: {lines[0].removeprefix(where).strip()}"),
        values,
        progress,
    )


def told_by_run(context: Mapping[str, Any]) -> Told:
    """What a DAG's callback is to tell: sums over all spot tasks of the run.

    :param context: Airflow's, which in older versions, or without a task, holds little more than the DAG and the run's id.
    """
    dag, run_id = context["dag"], context.get("run_id")
    where = f"DAG {dag.dag_id}, run {run_id}"
    progresses: dict[tuple[Any, ...], SpotProgress] = {}
    left_out: list[str] = []
    for task_id in _spot_tasks(dag):
        try:
            published = list(_pulled(context, task_id, PROGRESS_KEY))
            # Older versions told the figures in the result alone.
            results = [] if published else list(_pulled(context, task_id, RESULT_KEY))
        except Exception as error:  # noqa: BLE001 - the others are told
            left_out.append(f"What {task_id} published cannot be read ({type(error).__name__}).")
            continue
        if not published and not results:
            left_out.append(f"{task_id} has published nothing.")
        pairs = [*((value, None) for value in published), *((None, value) for value in results)]
        for number, (value, result) in enumerate(pairs):
            progress, problem = _read(value, result)
            if problem:
                left_out.append(f"{task_id}: {problem}")
            if progress is not None:
                # A sensor may wait for the job of another task: it is counted once.
                key = (progress.job_name,) if progress.job_name else (task_id, number)
                if key not in progresses or not progress.observed:
                    progresses[key] = progress
    found = list(progresses.values())
    lines = lines_of_run(found, where, left_out)
    values = {"where": where, "reason": context.get("reason"), "tasks": [told_of(each) for each in found]}
    return Told(lines, ascii_line(lines[0]), values)


def _read(progress: object, result: object) -> tuple[SpotProgress | None, str | None]:
    """What a task has published, and what of it cannot be read; None if it published nothing of ours."""
    readable: SpotProgress | None = None
    problem: str | None = None
    if progress is not None:
        readable, problem = progress_in(_as_text(progress))
        if problem == UNREADABLE:
            readable = None
    known_result = result_in(result)
    if known_result is not None and (readable is None or readable.outcome is None):
        readable = completed_by(readable or SpotProgress(job_name=known_result.job_name), known_result)
    return readable, problem


def _as_text(value: object) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return ""  # somebody else's object


def _spot_tasks(dag: Any) -> Iterator[str]:
    """The ids of the tasks that wait for a job of SageMaker's: operators and sensors of ours, mapped ones too."""
    for task in dag.tasks:
        if isinstance(getattr(_class_of(task), "kind", None), Kind):
            yield task.task_id


def _class_of(task: Any) -> object:
    """The operator's class. ``dag.test()`` hands a DAG's callback tasks that only tell its name."""
    mapped = getattr(task, "operator_class", None)
    if isinstance(mapped, type):
        return mapped
    module, name = getattr(task, "_task_module", None), getattr(task, "task_type", None)
    if isinstance(module, str) and isinstance(name, str) and module != type(task).__module__:
        try:
            return pkgutil.resolve_name(f"{module}:{name}")
        except (AttributeError, ImportError, ValueError):
            return None  # a class of the DAG file
    return type(task)


def _pulled(context: Mapping[str, Any], task_id: str, key: str) -> Iterator[Any]:
    """An XCom of each of a task's members."""
    ti: Any = context.get("ti")
    if ti is not None:
        pulled = ti.xcom_pull(task_ids=task_id, key=key)
    else:
        from airflow.sdk.execution_time.xcom import XCom

        pulled = XCom.get_all(
            dag_id=context["dag"].dag_id, run_id=context["run_id"], task_id=task_id, key=key
        )
    yield from (
        value for value in (pulled if isinstance(pulled, list | tuple) else [pulled]) if value is not None
    )


def _state(context: Mapping[str, Any]) -> str:
    state = getattr(context["ti"], "state", None)
    return f"ended as {getattr(state, 'value', state)}" if state else "ended"


def _job(progress: SpotProgress | None) -> str:
    if progress is None or progress.job_name is None:
        return ", and has published no result of a job"
    return f" while {noun_of(progress)} {progress.job_name} was {progress.status or 'submitted'}"


def _why(context: Mapping[str, Any]) -> str | None:
    """Our own errors hold no secrets; of others, only what they are is told."""
    error = context.get("exception")
    if isinstance(error, SpotTrainingError):
        return str(error)
    if isinstance(error, BaseException):
        return f"It raised {type(error).__name__}; the task's log says more."
    return None
