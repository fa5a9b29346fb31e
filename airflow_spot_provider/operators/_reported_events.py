"""What a report of assets is made of: the trainings that asset events tell of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_spot_provider.assets import training_of_event
from airflow_spot_provider.operators._reported import MOST_RUNS, Reported, member_of
from airflow_spot_provider.training.reported import Run
from airflow_spot_provider.training.result import iso

if TYPE_CHECKING:
    from airflow.sdk import Context

_NO_TRAINING = "the event does not tell of a spot training"


def events_of(context: Context, assets: Sequence[Any], *, newest: int, since: datetime | None) -> Reported:
    """The trainings that asset events tell of, the newest first; each event is a run of its own.

    :param newest: how many of each asset, where there is no ``since``. Just one means those that have triggered this DAG run, if it was
        triggered by that asset.
    :param since: none before that; None for the newest ones.
    """
    chosen: list[Any] = []
    before: list[Any] = []
    notes: list[str] = []
    for asset in assets:
        label = str(getattr(asset, "name", asset))
        most = MOST_RUNS if since is not None else newest
        triggered = _triggering(context, asset) if since is None and newest == 1 else []
        most = max(most, len(triggered))
        events = _newest(context, asset, most + 1 + len(triggered))
        if since is not None:
            old = [event for event in events if event.timestamp < since]
            events = [event for event in events if event.timestamp >= since]
            if len(events) > most:
                notes.append(
                    f"since reaches back further than {most} events of {label}: older ones are left out."
                )
            taken, older = events[:most], events[most:] or old
        elif triggered:
            oldest = min(event.timestamp for event in triggered)
            taken, older = triggered, [event for event in events if event.timestamp < oldest]
        else:
            taken, older = events[:most], events[most:]
        chosen += [(event, label) for event in taken]
        before += [(event, label) for event in older[:1]]
    newest_first = sorted(chosen, key=lambda each: each[0].timestamp, reverse=True)
    # With several assets, what was before one's events may be newer than those of another: there is no one event before.
    earlier = _run(*before[0]) if before and len(assets) == 1 else None
    if not newest_first:
        notes.append("The assets have no event yet: nothing is reported.")
    return Reported([_run(*each) for each in newest_first], earlier, notes)


def _triggering(context: Context, asset: Any) -> list[Any]:
    triggering = context.get("triggering_asset_events")
    return list(triggering[asset]) if triggering and asset in triggering else []


def _newest(context: Context, asset: Any, most: int) -> list[Any]:
    """The newest events of an asset, the newest first."""
    events: Any = context["inlet_events"][asset]
    if hasattr(events, "limit"):  # from Airflow 3.1 on
        events = events.ascending(False).limit(most)
    return sorted(events, key=lambda event: event.timestamp, reverse=True)[:most]


def _run(event: Any, label: str) -> Run:
    when = str(iso(event.timestamp))
    run_id = getattr(event, "source_run_id", None) or when
    task_id = getattr(event, "source_task_id", None) or label
    member = member_of(run_id, task_id, "", training_of_event(event), why=_NO_TRAINING)
    return Run(run_id, when, (member,))
