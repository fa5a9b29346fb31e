"""What a report is made of: the results of tasks, in this DAG run and in those before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_spot_provider._compat.runs import NotInThisAirflow, earlier_runs, task_states
from airflow_spot_provider.training import SpotTrainingResult, SpotTuningResult
from airflow_spot_provider.training.json_text import clipped
from airflow_spot_provider.training.reported import Member, Run, problem_of
from airflow_spot_provider.training.result import iso
from airflow_spot_provider.training.results import result_in

if TYPE_CHECKING:
    from airflow.sdk import Context

MOST_RUNS = 200
_MOST_TRIALS = 1_000
_NO_RESULT = "what it published is no training result"


class Reported(NamedTuple):
    """The runs of a report, newest first, the one before them, and what else is to be known."""

    runs: list[Run]
    before: Run | None
    notes: list[str]


class _Unreadable(NamedTuple):
    """An XCom that Airflow would not read."""

    why: str


def runs_of(
    context: Context, tasks: Mapping[str, int | None], *, most: int, since: datetime | None
) -> Reported:
    """The results of tasks in this DAG run and in those before it.

    :param tasks: by their ids, the one map index that is asked for; None for all.
    :param most: how many runs at the most.
    :param since: none that was due before.
    :raises NotInThisAirflow: earlier runs are asked for, before Airflow 3.1.
    """
    ti: Any = context["ti"]
    found, before, notes = _chosen(ti, context["dag_run"], most, since)
    run_ids = [run.run_id for run in (*found, *([before] if before else []))]
    states = {task_id: task_states(ti, task_id, run_ids) for task_id in tasks}

    def _run(run: Any) -> Run:
        members = (
            member
            for task_id, index in tasks.items()
            for member in _members_of_task(
                ti, task_id, run.run_id, states[task_id].get(run.run_id, {}), index
            )
        )
        return Run(run.run_id, iso(run.run_after), tuple(members))

    return Reported([_run(run) for run in found], _run(before) if before else None, notes)


def member_of(
    run_id: str, task_id: str, name: str, value: Any, *, state: str | None = None, why: str = ""
) -> Member:
    """What a task published, if it can be taken for a training's result.

    :param value: the XCom; None if there is none.
    :param state: of the task.
    :param why: there is no result; unless the state tells.
    """
    if value is None:
        told = why or f"no result; the task {_became_of(state)}"
        return Member(run_id, task_id, None, name, told, skipped=state == "skipped")
    if isinstance(value, _Unreadable):
        return Member(run_id, task_id, None, name, value.why)
    result = value if isinstance(value, SpotTrainingResult | SpotTuningResult) else result_in(value)
    problem = _NO_RESULT if result is None else problem_of(result)
    return Member(run_id, task_id, None if problem else result, name, problem)


def _chosen(ti: Any, this: Any, most: int, since: datetime | None) -> tuple[list[Any], Any | None, list[str]]:
    found, notes = [this], []
    try:
        for run in earlier_runs(ti, this):
            is_too_old = since is not None and run.run_after is not None and run.run_after < since
            if is_too_old or len(found) == most:
                if since is not None and not is_too_old:
                    notes.append(
                        f"since reaches back further than {most} runs: {run.run_id} and older ones are left out."
                    )
                return found, run, notes
            found.append(run)
    except NotInThisAirflow as error:
        if most > 1:
            raise
        notes.append(f"There is no trend. {error}")
    if this.logical_date is None and (most > 1 or since is not None):
        which = f"with {len(found) - 1} runs before it that have one" if len(found) > 1 else "alone"
        notes.append(
            f"This run has no logical date, as when assets, the command line or the API start it: it is reported {which}. Airflow tells a task "
            "of no run without one; outlets= of the trainings and assets= here report those as well."
        )
    return found, None, notes


def _members_of_task(
    ti: Any, task_id: str, run_id: str, states: Mapping[int, str | None], only: int | None
) -> Iterator[Member]:
    mapped = {index: state for index, state in states.items() if index >= 0 and only in (None, index)}
    if mapped:
        for index, value in _values_of_mapped(ti, task_id, run_id, mapped).items():
            yield from _members(ti, task_id, run_id, index, value, mapped[index])
    elif states or only is not None:
        index = only if only is not None and not states else -1
        value = _one(ti, task_id, run_id, index)
        yield from _members(ti, task_id, run_id, index, value, states.get(-1))
    else:
        # There is no such task in that run, or Airflow does not tell states yet.
        values = _pull(ti, task_id, run_id)
        for number, value in enumerate(listed := values if isinstance(values, list) else [values]):
            yield from _members(ti, task_id, run_id, number if len(listed) > 1 else -1, value, "not there")


def _values_of_mapped(ti: Any, task_id: str, run_id: str, states: Mapping[int, str | None]) -> dict[int, Any]:
    """What the members of a mapped task published, asked for together: ten thousand requests would take minutes."""
    indexes = sorted(states)
    values = _pull(ti, task_id, run_id) if len(indexes) > 1 else None
    if isinstance(values, list) and len(values) <= len(indexes):
        # They come in the order of their map indexes, without those that published nothing: mostly of tasks that did not succeed.
        unsure = [each for each in indexes if states[each] != "success"] if len(values) < len(indexes) else []
        absent = {each for each in unsure if _one(ti, task_id, run_id, each) is None}
        published = [each for each in indexes if each not in absent]
        if len(published) == len(values):
            return {**dict.fromkeys(indexes), **dict(zip(published, values, strict=True))}
    return {index: _one(ti, task_id, run_id, index) for index in indexes}


def _members(
    ti: Any, task_id: str, run_id: str, index: int, value: Any, state: str | None
) -> Iterable[Member]:
    trials = value.get("trials") if isinstance(value, Mapping) and "slot" in value else None
    if not isinstance(trials, list) or not all(type(number) is int for number in trials):
        yield member_of(run_id, task_id, "" if index < 0 else str(index), value, state=state)
        return
    for number in trials[:_MOST_TRIALS]:
        told = _pull(ti, task_id, run_id, map_indexes=index, key=f"trial_{number}")
        yield member_of(run_id, task_id, f"trial {number}", told, state=state)
    if len(trials) > _MOST_TRIALS:
        why = f"{len(trials) - _MOST_TRIALS} more trials are not read"
        yield member_of(run_id, task_id, f"{index}, more", None, why=why)


def _one(ti: Any, task_id: str, run_id: str, index: int) -> Any:
    return _pull(ti, task_id, run_id, map_indexes=index)


def _pull(ti: Any, task_id: str, run_id: str, **which: Any) -> Any:
    """An XCom, or why it cannot be read: it may hold an object of a class that Airflow does not know, or may not make."""
    try:
        return ti.xcom_pull(task_ids=task_id, run_id=run_id, **which)
    except (ImportError, TypeError, ValueError, LookupError, AttributeError) as error:
        return _Unreadable(clipped(f"what it published cannot be read: {type(error).__name__}", 200))


def _became_of(state: str | None) -> str:
    return "has not begun" if state is None else f"is {str(state).replace('_', ' ')}"
