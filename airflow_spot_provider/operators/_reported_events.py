"""What a report of assets is made of: the trainings that asset events tell of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_spot_provider.assets import training_of_event
from airflow_spot_provider.operators._reported import MOST_RUNS, Reported, member_of
from airflow_spot_provider.training import SpotTrainingError
from airflow_spot_provider.training.reported import Member, Run
from airflow_spot_provider.training.result import iso

if TYPE_CHECKING:
    from airflow.sdk import Context

_NO_TRAINING = "the event does not tell of a spot training"
_AT_FIRST, _AT_MOST = 20, 2_000
"""Events of an asset that are asked for: a mapped training emits one for each member, and nobody knows how many it has."""


def events_of(context: Context, assets: Sequence[Any], *, newest: int, since: datetime | None) -> Reported:
    """The trainings that asset events tell of, by the DAG runs that emitted them, the newest first. An event that no run emitted counts as
    a run of its own.

    :param newest: how many runs of each asset, where there is no ``since``. Just one means the events that have triggered this DAG run,
        if it was triggered by that asset.
    :param since: no event before that; None for the newest ones.
    """
    chosen: list[tuple[Any, str]] = []
    before: list[tuple[Any, str]] = []
    notes: list[str] = []
    for asset in assets:
        label = str(getattr(asset, "name", asset))
        triggered = _triggering(context, asset) if since is None and newest == 1 else []
        found = _found(context, asset, triggered, newest, since)
        chosen += [(event, label) for event in found.taken]
        before += [(event, label) for event in found.before]
        if found.are_more:
            limit = (
                f"{MOST_RUNS} runs, or {_AT_MOST:,} events," if since is not None else f"{_AT_MOST:,} events"
            )
            notes.append(
                f"What is asked for reaches back further than {limit} of {label}: older ones are left out."
            )
    # With several assets, what was before one's events may be newer than those of another: there is no one run before.
    earlier = _runs(before) if len(assets) == 1 else []
    if not chosen:
        when = "yet" if since is None else f"since {iso(since)}"
        notes.append(f"The assets have no event {when}: nothing is reported.")
    return Reported(_runs(chosen), earlier[0] if earlier else None, notes)


class _Found(NamedTuple):
    """Events of one asset, the newest first: those to report, those of the run before, and whether more should be reported."""

    taken: list[Any]
    before: list[Any]
    are_more: bool


def _found(context: Context, asset: Any, triggered: list[Any], newest: int, since: datetime | None) -> _Found:
    most = _AT_FIRST
    while True:
        events = _newest(context, asset, most)
        wanted = [event for event in events if since is None or event.timestamp >= since]
        sources = list(dict.fromkeys(map(_source, triggered or wanted)))
        kept = set(sources[: MOST_RUNS if since is not None else max(newest, len(triggered))])
        taken = triggered or [event for event in wanted if _source(event) in kept]
        last = max((event.timestamp for event in taken), default=None)
        older = [
            event
            for event in events
            if _source(event) not in kept and (last is None or event.timestamp < last)
        ]
        others = list(dict.fromkeys(map(_source, older)))
        # The run before is known whole once there is an event of one before that.
        is_read = len(events) < most or len(others) > 1
        if is_read or most >= _AT_MOST:
            before = [event for event in older if _source(event) == others[0]] if is_read and others else []
            is_cut = not (is_read or others or triggered)
            return _Found(taken, before, is_cut or (since is not None and len(sources) > len(kept)))
        most = min(most * 10, _AT_MOST)


def _source(event: Any) -> tuple[str, str]:
    """The DAG run that emitted an event; of one that somebody made by hand, when that was."""
    dag_id, run_id = getattr(event, "source_dag_id", None), getattr(event, "source_run_id", None)
    return (str(dag_id), str(run_id)) if run_id else ("", str(iso(event.timestamp)))


def _triggering(context: Context, asset: Any) -> list[Any]:
    triggering = context.get("triggering_asset_events")
    return list(triggering[asset]) if triggering and asset in triggering else []


def _newest(context: Context, asset: Any, most: int) -> list[Any]:
    """The newest events of an asset, the newest first."""
    try:
        events: Any = context["inlet_events"][asset]
    except KeyError:
        # Airflow looks for a mapped task's inlets before it makes the operator.
        raise SpotTrainingError(
            f"Airflow lets this task read no events of {asset!r}. A mapped report takes its assets in inlets= as well: "
            "SpotSavingsReportOperator.partial(assets=[model], inlets=[model], ...)."
        ) from None
    if hasattr(events, "limit"):  # from Airflow 3.1 on
        events = events.ascending(False).limit(most)
    return sorted(events, key=lambda event: event.timestamp, reverse=True)[:most]


def _runs(events: Sequence[tuple[Any, str]]) -> list[Run]:
    """Events by the run that emitted them, the newest run first."""
    by_source: dict[tuple[str, str], list[tuple[Any, str]]] = {}
    for event, label in sorted(events, key=lambda each: each[0].timestamp, reverse=True):
        by_source.setdefault(_source(event), []).append((event, label))
    return [
        Run(
            source[1],
            iso(of_run[0][0].timestamp),
            tuple(_member(source[1], *each) for each in sorted(of_run, key=lambda each: _index(each[0]))),
        )
        for source, of_run in by_source.items()
    ]


def _member(run_id: str, event: Any, label: str) -> Member:
    index = _index(event)
    task_id = getattr(event, "source_task_id", None) or label
    name = str(index) if index >= 0 else ""
    return member_of(run_id, task_id, name, training_of_event(event), why=_NO_TRAINING)


def _index(event: Any) -> int:
    index = getattr(event, "source_map_index", None)
    return -1 if index is None else int(index)
