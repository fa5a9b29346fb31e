"""What a report is made of: the results of tasks, of this run and of those before it, or those in asset events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from airflow_spot_provider._compat import earlier_runs, task_states
from airflow_spot_provider.aws.kinds import Kind
from airflow_spot_provider.training import SpotTrainingResult, SpotTuningResult
from airflow_spot_provider.training.report import Member, Result, Run
from airflow_spot_provider.training.result import iso

if TYPE_CHECKING:
    from airflow.sdk import Context

EVENT_KEY = "airflow_spot"
"""Where an asset event's extra has what the training came to."""
_MOST_TRIALS = 1_000


def spot_tasks_upstream_of(task: Any) -> set[str]:
    """Ids of all tasks before this one that publish how a job of SageMaker went."""
    return {each.task_id for each in task.get_flat_relatives(upstream=True) if _publishes(each)}


def spot_tasks_of_group(dag: Any, group_id: str) -> set[str]:
    """Ids of all tasks of a task group that publish how a job of SageMaker went."""
    prefix = f"{group_id}."
    return {
        task_id for task_id, task in dag.task_dict.items() if task_id.startswith(prefix) and _publishes(task)
    }


def runs_of(context: Context, task_ids: Sequence[str], *, most: int, since: datetime | None) -> list[Run]:
    """The results of tasks in this DAG run and in those before it, the newest first.

    :param most: how many runs at the most.
    :param since: none that was due before.
    """
    ti: Any = context["ti"]
    this: Any = context["dag_run"]
    found = [(this.run_id, this.run_after)]
    if most > 1:
        for run in earlier_runs(ti, this):
            due = run.run_after
            if len(found) == most or (since is not None and due is not None and due < since):
                break
            found.append((run.run_id, due))
    states = task_states(ti, list(task_ids), [run_id for run_id, _ in found])
    runs = []
    for run_id, due in found:
        members = [
            member
            for task_id in task_ids
            for member in _members_of_task(ti, task_id, run_id, states.get(run_id, {}))
        ]
        runs.append(Run(run_id, iso(due), tuple(members)))
    return runs


def members_of_events(
    inlet_events: Mapping[Any, Any], assets: Sequence[Any], *, since: datetime | None, newest: int
) -> list[Run]:
    """The trainings that asset events tell of, the newest first; each event is a run of its own.

    :param since: none before that; None for the newest ones.
    :param newest: how many of each asset, where there is no ``since``.
    """
    runs: list[tuple[datetime, Run]] = []
    for asset in assets:
        events = list(inlet_events[asset])
        chosen = [event for event in events if event.timestamp >= since] if since else events[-newest:]
        for event in chosen:
            run_id = event.source_run_id or str(iso(event.timestamp))
            extra = (event.extra or {}).get(EVENT_KEY)
            result = _read({"job_arn": "", **extra}) if isinstance(extra, Mapping) else None
            problem = None if result else "the event does not tell of a spot training"
            label = event.source_task_id or str(getattr(asset, "name", asset))
            runs.append(
                (
                    event.timestamp,
                    Run(run_id, iso(event.timestamp), (Member(run_id, label, result, problem=problem),)),
                )
            )
    return [run for _, run in sorted(runs, key=lambda each: each[0], reverse=True)]


def _publishes(task: Any) -> bool:
    kind = getattr(getattr(task, "operator_class", type(task)), "kind", None)
    return isinstance(kind, Kind)


def _members_of_task(ti: Any, task_id: str, run_id: str, states: Mapping[str, Any]) -> Iterable[Member]:
    own = {
        key: state for key, state in states.items() if key == task_id or _index_of(key, task_id) is not None
    }
    pulled = ti.xcom_pull(task_ids=task_id, run_id=run_id, map_indexes=None) if task_id in own else None
    if pulled is not None or task_id in own:
        yield from _members(ti, task_id, run_id, -1, pulled, own.get(task_id))
        return
    indexes = sorted(index for key in own if (index := _index_of(key, task_id)) is not None)
    if not indexes:
        # Before Airflow 3 tells states, and for a task that has none in this run.
        values = ti.xcom_pull(task_ids=task_id, run_id=run_id)
        listed = [values] if values is None or isinstance(values, Mapping) else list(values)
        for number, value in enumerate(listed):
            yield from _members(ti, task_id, run_id, number if len(listed) > 1 else -1, value, None)
        return
    for index in indexes:
        value = ti.xcom_pull(task_ids=task_id, run_id=run_id, map_indexes=index)
        yield from _members(ti, task_id, run_id, index, value, own[f"{task_id}_{index}"])


def _members(ti: Any, task_id: str, run_id: str, index: int, value: Any, state: Any) -> Iterable[Member]:
    name = "" if index < 0 else str(index)
    trials = value.get("trials") if isinstance(value, Mapping) and "slot" in value else None
    if isinstance(trials, list):
        for number in trials[:_MOST_TRIALS]:
            told = ti.xcom_pull(task_ids=task_id, run_id=run_id, map_indexes=index, key=f"trial_{number}")
            yield _member(run_id, task_id, f"trial {number}", told, state)
        return
    yield _member(run_id, task_id, name, value, state)


def _member(run_id: str, task_id: str, name: str, value: Any, state: Any) -> Member:
    if value is None:
        return Member(run_id, task_id, None, name, f"no result; the task is {state or 'not there'}")
    result = _read(value)
    problem = None if result is not None else "what it published is no training result"
    return Member(run_id, task_id, result, name, problem)


def _read(value: object) -> Result | None:
    try:
        return SpotTrainingResult.from_json(value)
    except ValidationError:
        pass
    try:
        return SpotTuningResult.from_json(value)
    except ValidationError:
        return None


def _index_of(key: str, task_id: str) -> int | None:
    """The map index in a key of task states, which is ``<task id>_<map index>`` for mapped tasks."""
    rest = key.removeprefix(f"{task_id}_")
    return int(rest) if rest != key and rest.isdecimal() else None
