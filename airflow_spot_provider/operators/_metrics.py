"""What a job that has ended tells Airflow's metrics (StatsD, OpenTelemetry)."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from airflow_spot_provider._compat.sdk import Stats
from airflow_spot_provider.aws.watch import Log
from airflow_spot_provider.aws.watching.metrics import tag
from airflow_spot_provider.training import SpotTrainingResult, SpotTuningResult

if TYPE_CHECKING:
    from airflow.sdk import Context

PREFIX = "airflow_spot.job"
UNKNOWN = "unknown"
_LONGEST_ID = 32
"""A StatsD name with its tags takes 250 characters at most, or Airflow drops it; the other tags need this much of that."""


def measure(
    log: Log, context: Context, result: SpotTrainingResult | SpotTuningResult, *, instance_type: str | None
) -> None:
    """Count a job and what it came to, under ``airflow_spot.job``.

    =========================  =======  =========================================================
    name                       type     meaning
    =========================  =======  =========================================================
    ended                      counter  jobs
    interruptions              counter  how often they were interrupted
    waiting_seconds            counter  without an instance
    training_instance_seconds  counter  trained seconds x instances, of jobs with a figure
    billable_instance_seconds  counter  billed seconds x instances, of jobs with a figure
    savings_percent            gauge    of the newest job with a figure
    cost                       counter  of jobs with a price; tag ``currency`` besides
    on_demand_cost             counter  what those would have cost; tag ``currency`` besides
    =========================  =======  =========================================================

    All have the tags dag_id, task_id, outcome, managed_spot, instance_type, region.

    :param log: is told what goes wrong here, which is no reason for a task to fail.
    :param context: of the task that waited for the job.
    :param result: how the job went; of a tuning job, over all its training jobs.
    :param instance_type: what it ran on; None for several.
    """
    ti = context["ti"]
    arn = result.job_arn.split(":")
    tags = {
        "dag_id": _short(ti.dag_id),
        "task_id": _short(ti.task_id),
        "outcome": str(result.outcome),
        "managed_spot": str(result.managed_spot).lower(),
        "instance_type": tag(instance_type or UNKNOWN),
        "region": tag((arn[3] if len(arn) > 3 else "") or UNKNOWN),
    }
    try:
        _emit(result, tags)
    except Exception as error:  # noqa: BLE001 - the job has ended and is published: no task fails for its metrics
        log.warning("The metrics of %s could not be sent: %s", result.job_name, error)


def _emit(result: SpotTrainingResult | SpotTuningResult, tags: dict[str, str]) -> None:
    stats: Any = Stats
    savings, cost = result.savings, result.known_cost
    stats.incr(f"{PREFIX}.ended", 1, tags=tags)
    stats.incr(f"{PREFIX}.interruptions", result.interruptions, tags=tags)
    stats.incr(f"{PREFIX}.waiting_seconds", result.waiting_seconds, tags=tags)
    if savings.jobs:
        stats.incr(f"{PREFIX}.training_instance_seconds", savings.training_instance_seconds, tags=tags)
        stats.incr(f"{PREFIX}.billable_instance_seconds", savings.billable_instance_seconds, tags=tags)
    if savings.percent is not None:
        stats.gauge(f"{PREFIX}.savings_percent", savings.percent, tags=tags)
    if cost is not None:
        money = {**tags, "currency": tag(cost.currency)}
        stats.incr(f"{PREFIX}.cost", cost.amount, tags=money)
        stats.incr(f"{PREFIX}.on_demand_cost", cost.on_demand, tags=money)


def _short(name: str) -> str:
    """A long id ends in a checksum, so that it is still no other's."""
    whole = tag(name)
    if len(whole) <= _LONGEST_ID and whole == name:
        return whole
    return f"{whole[: _LONGEST_ID - 9]}_{zlib.crc32(name.encode()):08x}"
