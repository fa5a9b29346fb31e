"""What was published of a job while its task was deferred, and what becomes of it when the task goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from airflow_spot_provider.aws.kinds import Description
from airflow_spot_provider.aws.watch import Log
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.operators._account import LOG_LINES, repeat_training_log
from airflow_spot_provider.training import InvalidSpotRequest
from airflow_spot_provider.training.alerts import SpotAlert, checked_alerts
from airflow_spot_provider.training.freshness import checked_checkpoint_interval
from airflow_spot_provider.training.lifecycle import instant
from airflow_spot_provider.training.metric_curves import definitions_of
from airflow_spot_provider.training.progress import Checkpoints
from airflow_spot_provider.training.result import iso
from airflow_spot_provider.triggers._curves import match_lines, refusals
from airflow_spot_provider.triggers._progress import METRICS_KEY, PROGRESS_KEY

if TYPE_CHECKING:
    from airflow.sdk import Context

LOG_LINES_FOR_CURVES = 10_000
"""Read instead of the lines that are repeated, where the job has MetricDefinitions."""


def checked_care(
    checkpoint_interval: float | timedelta | None, alerts: Sequence[SpotAlert], *, deferrable: bool
) -> tuple[float | None, list[dict[str, Any]]]:
    """What the trigger is to look after besides watching: seconds between two checkpoints, and conditions of alerts.

    :raises InvalidSpotRequest: they cannot be kept, or nothing would be there to keep them.
    """
    interval = checked_checkpoint_interval(checkpoint_interval)
    conditions = checked_alerts(alerts, looks_at_checkpoints=interval is not None)
    if not deferrable and (interval is not None or conditions):
        raise InvalidSpotRequest(
            [
                (
                    "checkpoint_interval and alerts are looked after in the triggerer, and deferrable=False waits in the "
                    "worker; leave deferrable=True, or leave them out."
                )
            ]
        )
    return interval, conditions


def checkpoints_seen(context: Context, log: Log, job_name: str) -> Checkpoints | None:
    """What the trigger saw of a job's checkpoints last; None if it did not look."""
    published = _published(context, log, PROGRESS_KEY)
    if published.get("job_name") != job_name or not published.get("checkpoints"):
        return None
    try:
        return Checkpoints.model_validate(published["checkpoints"])
    except ValidationError:
        return None  # somebody else's


def repeat_log_and_publish_curves(
    context: Context, log: Log, hook: SageMakerSpotHook, description: Description, *, publishes: bool
) -> Sequence[tuple[int, str]]:
    """Repeat the newest lines of the training log of a job that has ended, and publish what curves there are in it.

    :param publishes: whether the task publishes XComs at all.
    :return: what was read of the log: times in epoch milliseconds, and texts.
    """
    wants_curves = publishes and bool(definitions_of(description))
    read = LOG_LINES_FOR_CURVES if wants_curves else LOG_LINES
    lines = repeat_training_log(log, hook, description["TrainingJobName"], read=read)
    if wants_curves:
        publish_curves(context, log, description, lines)
    return lines


def publish_curves(
    context: Context, log: Log, description: Description, lines: Sequence[tuple[int, str]]
) -> None:
    """Publish the metric curves of a job that has ended: what the trigger published, and what more its log holds.

    :param description: of the job, with its MetricDefinitions.
    :param lines: of its training log: times in epoch milliseconds, and texts.
    """
    definitions = definitions_of(description)
    if not definitions or not lines:
        return
    before = _published(context, log, METRICS_KEY)
    matched = match_lines(
        definitions, lines, curves=before, since=iso(instant(description.get("CreationTime")))
    )
    if matched.refused:
        log.warning("%s", refusals(matched.refused))
    if matched.curves:
        context["ti"].xcom_push(key=METRICS_KEY, value=matched.curves)


def _published(context: Context, log: Log, key: str) -> Mapping[str, Any]:
    """The task's own XCom; empty if there is none, or it cannot be had: the job has ended, and its result counts more."""
    ti: Any = context["ti"]
    try:
        published = ti.xcom_pull(task_ids=ti.task_id, key=key, map_indexes=ti.map_index)
    except Exception as error:  # noqa: BLE001 - see above
        log.warning("What was published under %s while the job ran cannot be read (%r).", key, error)
        return {}
    return published if isinstance(published, Mapping) else {}
