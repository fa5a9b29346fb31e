"""A report of many trainings: sums, the trend against the run before, who failed and who is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from airflow_spot_provider.training.json_text import clipped, json_bytes
from airflow_spot_provider.training.reported import Member, Run, sums_of
from airflow_spot_provider.training.result import MAX_RESULT_BYTES, SpotTrainingResult
from airflow_spot_provider.training.trend import trend_of

_MOST_NAMES = 20
_MOST_CURRENCIES = 5
_MAX_NAME = 120
_GROUPS = ("by_task", "by_instance_type")
_NAMES = ("failed", "missing", "skipped")


def report_of(runs: Sequence[Run], *, before: Run | None = None, notes: Sequence[str] = ()) -> dict[str, Any]:
    """What the trainings of some DAG runs came to; plain JSON of any size, see :func:`bounded`.

    :param runs: the newest first.
    :param before: the run before those, which only the trend is about; None if there is none.
    :param notes: what else is to be known, a sentence each.
    :return: what :func:`~airflow_spot_provider.training.reported.sums_of` tells of all of them, ``by_task``, ``by_instance_type``, ``runs``
        (newest first), ``trend`` (of the newest against the one before it; None if there is none), ``failed``, ``missing`` and ``skipped``
        (names), ``failed_count``, ``missing_count`` and ``skipped_count``, ``notes``, and ``left_out``: 0.
    """
    members = [member for run in runs for member in run.members]
    named = {
        "failed": [_name(member) for member in members if member.has_failed],
        "missing": [_name(member) for member in members if member.is_missing],
        "skipped": [_name(member) for member in members if member.skipped],
    }
    return {
        **sums_of(members),
        "trend": trend_of([*runs, before] if before is not None else runs),
        **{f"{kind}_count": len(names) for kind, names in named.items()},
        **named,
        "by_task": _grouped(members, lambda member: member.task_id),
        "by_instance_type": _grouped(
            [member for member in members if member.result is not None], _instance_type
        ),
        "runs": [{"run_id": run.run_id, "when": run.when, **sums_of(run.members)} for run in runs],
        "notes": list(notes),
        "left_out": 0,
    }


def bounded(report: Mapping[str, Any], room: int = MAX_RESULT_BYTES) -> dict[str, Any]:
    """The report for an XCom: the sums of all, and as much of the rest as fits.

    Older runs are left out first, then the groups that trained least, then names.

    :param report: of :func:`report_of`, with whatever else it is published with.
    :param room: bytes of JSON.
    :return: the same, with ``left_out``: how many entries did not fit. The counts beside the names are of all.
    """
    small = {
        **report,
        "money": report["money"][:_MOST_CURRENCIES],
        **{kind: report[kind][:_MOST_NAMES] for kind in _NAMES},
        **{group: _named_shortly(report[group]) for group in _GROUPS},
        "runs": [{**run, "run_id": clipped(run["run_id"], 300)} for run in report["runs"]],
    }
    for names in (("runs", *_GROUPS), (*_NAMES, "notes")):
        while json_bytes(small) > room and any(small[name] for name in names):
            longest = max(names, key=lambda name: len(small[name]))
            small[longest] = _fewer(small[longest])
    small["left_out"] = sum(
        len(report[name]) - len(small[name]) for name in ("money", "runs", *_GROUPS, *_NAMES, "notes")
    )
    return small


def _name(member: Member) -> str:
    """Who it is and what became of it."""
    why = member.problem or (str(member.result.outcome) if member.result is not None else "no result")
    return clipped(f"{member.label} of {member.run_id}: {why}", _MAX_NAME * 2)


def _grouped(members: Iterable[Member], by: Callable[[Member], str]) -> dict[str, dict[str, Any]]:
    groups: dict[str, list[Member]] = {}
    for member in members:
        groups.setdefault(by(member), []).append(member)
    return {key: sums_of(group) for key, group in groups.items()}


def _instance_type(member: Member) -> str:
    if isinstance(member.result, SpotTrainingResult):
        spot = "spot" if member.result.managed_spot else "on demand"
        return f"{member.result.instance_type or 'several types'}, {spot}"
    return "tuning jobs"


def _named_shortly(groups: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    by_size = sorted(groups.items(), key=lambda group: -group[1]["training_instance_seconds"])
    return {clipped(name, _MAX_NAME): sums for name, sums in by_size}


def _fewer(entries: Any) -> Any:
    kept = len(entries) * 3 // 4
    return dict(list(entries.items())[:kept]) if isinstance(entries, dict) else entries[:kept]
