"""Models as Airflow assets: what a training came to travels with the asset's event, for whoever is scheduled on it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.definitions.asset import AssetRef

from airflow_spot_provider.training import InvalidSpotRequest, SpotTrainingResult, SpotTuningResult
from airflow_spot_provider.training.results import Result, result_in

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["EVENT_KEY", "model_asset", "training_of_event"]

EVENT_KEY = "airflow_spot"
"""Where an asset event's extra has what the training came to."""
MODEL_GROUP = "spot-model"

_TOLD = (
    "job_name",
    "job_arn",
    "outcome",
    "model_artifacts",
    "checkpoint_s3_uri",
    "savings_percent",
    "training_seconds",
    "billable_seconds",
    "managed_spot",
    "instance_type",
    "instance_count",
    "interruptions",
    "waiting_seconds",
    "cost",
    "on_demand_cost",
    "currency",
    "price_date",
    "metrics",
    "hyperparameters",
)
_TOLD_OF_TUNING = (
    "job_name",
    "job_arn",
    "outcome",
    "status",
    "best",
    "jobs",
    "savings_percent",
    "savings_unknown",
    "training_instance_seconds",
    "billable_instance_seconds",
    "interruptions",
    "waiting_seconds",
    "cost",
    "on_demand_cost",
    "currency",
    "price_date",
)


def model_asset(name: str, *, uri: str | None = None, group: str = MODEL_GROUP, **extra: Any) -> Asset:
    """The asset of a model that is trained again and again; for ``outlets=`` of a training and ``schedule=`` of what follows.

    An asset's URI stays the same, while each training writes a model of its own: that one's S3 URI is in the event
    (:func:`training_of_event`).

    :param name: of the model, unique among Airflow's assets.
    :param uri: of the asset; None for its name.
    :param group: under which Airflow's UI lists it.
    :param extra: plain JSON that is kept with the asset.
    :raises InvalidSpotRequest: a name or URI that is no text, changes with each run, or is none that Airflow takes; extra that is no JSON.
    """
    problems = []
    for what, given in (("name", name), *((("uri", uri),) if uri is not None else ())):
        if not isinstance(given, str) or not given.strip():
            problems.append(f"{what} is {given!r}; it takes text, such as 'churn'.")
        elif "{{" in given or "{%" in given:
            problems.append(
                f"{what} is {given!r}, a template; an asset's is fixed. Each training's own model is told by the asset's event."
            )
    if "extra" in extra:
        problems.append(
            "extra is given; what is to be kept with the asset are arguments of their own, such as owner='ml'."
        )
    try:
        json.dumps(extra, allow_nan=False)
    except (TypeError, ValueError) as error:
        problems.append(f"What is to be kept with the asset is no plain JSON ({error}): leave that out.")
    if problems:
        raise InvalidSpotRequest(problems)
    try:
        return Asset(
            name=name, uri=name if uri is None else uri, group=group, extra={"kind": "model", **extra}
        )
    except (TypeError, ValueError) as error:
        raise InvalidSpotRequest(
            [
                (
                    f"Airflow takes no asset of name {name!r}, uri {uri!r} and group {group!r} ({error}); a name and a group are text, a URI is one such "
                    "as s3://bucket/models/churn, of up to 1,500 characters each."
                )
            ]
        ) from error


def training_of_event(event: Any) -> Result | None:
    """What the training came to that an asset event tells of; None if it tells of none.

    :param event: of ``triggering_asset_events`` or ``inlet_events``; anything with an ``extra``.
    """
    extra = getattr(event, "extra", None)
    told = extra.get(EVENT_KEY) if isinstance(extra, Mapping) else None
    if not isinstance(told, Mapping):
        return None
    return result_in({"job_arn": "", **told})


def extra_of(result: SpotTrainingResult | SpotTuningResult) -> dict[str, Any]:
    """What an asset event tells of a training; plain JSON, with no hyperparameter but those that were to be published."""
    told = _TOLD if isinstance(result, SpotTrainingResult) else _TOLD_OF_TUNING
    return {EVENT_KEY: result.model_dump(mode="json", include=set(told))}


def tell_events(
    context: Context, outlets: Iterable[Any], result: SpotTrainingResult | SpotTuningResult
) -> None:
    """Have the events of a task's assets tell what its training came to. Airflow emits them if the task succeeds.

    :param outlets: of the task. An alias gets an event for the model's own S3 URI.
    """
    extra = extra_of(result)
    model = (
        result.model_artifacts
        if isinstance(result, SpotTrainingResult)
        else result.best and result.best.model_artifacts
    )
    for outlet in outlets:
        if isinstance(outlet, Asset | AssetRef):
            context["outlet_events"][outlet].extra.update(extra)
        elif isinstance(outlet, AssetAlias) and model:
            context["outlet_events"][outlet].add(Asset(uri=model, name=model, group=MODEL_GROUP), extra=extra)
