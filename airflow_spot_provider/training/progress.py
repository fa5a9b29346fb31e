"""How far a task has come with its job: what it publishes as XCom ``spot_progress`` from its submit to its end.

It is the one thing that pages, reports and the command line read of a task that still waits, and one small row of it is
enough for a line of theirs: so it holds what they sort and filter by, besides the timeline.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from airflow_spot_provider.training.json_text import clipped, json_bytes, sound, whole_uri
from airflow_spot_provider.training.lifecycle import Timeline, instant
from airflow_spot_provider.training.money import Cost
from airflow_spot_provider.training.phases import Phase, phase_of_job
from airflow_spot_provider.training.result import (
    MAX_RESULT_BYTES,
    SpotTrainingResult,
    instances_of,
    iso,
    rows_of,
)
from airflow_spot_provider.training.savings import Savings

AT_RISK_SHARE = 0.8
"""A job that has used so much of MaxWait, and has not ended, may not end in time."""
MAX_STATUS = 64
MAX_REASON = 300
_MAX_NOTE = 300
_MAX_METRICS, _METRICS_ROOM = 10, 500
_ROOM_FOR_NUMBERS = 10


class Checkpoints(BaseModel):
    """What was seen at the checkpoint prefix, when somebody looked last.

    :param looked: when, ISO 8601 by S3's clock.
    :param newest: LastModified of the newest object; None if there is none.
    :param newest_bytes: size of that object.
    :param objects: how many objects there are.
    :param expected_every: ``checkpoint_interval`` of the task, seconds.
    :param stale: whether the newest is older than it should be.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    looked: str
    newest: str | None = None
    newest_bytes: int | None = None
    objects: int = 0
    expected_every: float | None = None
    stale: bool = False


class Facts(BaseModel):
    """What a task knows of its job besides what SageMaker tells of it; it goes into every progress.

    :param aws_conn_id: Airflow connection by which the job is reached.
    :param region: AWS region of the job.
    :param next_rung: task that trains next if this job is stopped for that: a user may ask for it.
    :param note: one sentence, such as which trial of a sweep this is.
    :param observed: whether something else has started the job, and the task only waits for it.
    :param earlier: trained and billed seconds x instances of the jobs that this task had before this one, where it has
        several (the trials of a sweep): ``[training, billable, jobs, unknown]``.
    :param earlier_cost: ``[amount, on_demand, currency, price_date]`` of those jobs; None if it is not known of all of them.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    aws_conn_id: str | None = None
    region: str | None = None
    next_rung: str | None = None
    note: str | None = None
    observed: bool = False
    earlier: tuple[float, float, int, int] | None = None
    earlier_cost: tuple[float, float, str, str] | None = None


class SpotProgress(BaseModel):
    """XCom ``spot_progress``: plain JSON, nothing of Environment or hyperparameters. All times are ISO 8601 in UTC, of one
    length, so that a database can compare them as text.

    :param kind: what kind of job it is.
    :param job_name: its name; None while the task waits its turn to submit it, and nothing has been submitted.
    :param status: SecondaryStatus; of a tuning job its status; ``WaitingForTurn`` while there is no job.
    :param phase: what that comes to, with TrainingJobStatus: a job that is being stopped is ``stopping`` whatever its SecondaryStatus.
    :param since: when it went into that status.
    :param outcome: how it ended; None until then.
    :param managed_spot: whether the job is on spot.
    :param instance_type: what it runs on.
    :param instance_count: on how many.
    :param created: CreationTime.
    :param max_wait_ends: when MaxWait is over.
    :param at_risk_from: when four fifths of MaxWait are over.
    :param interruptions: how often it was interrupted.
    :param waiting_seconds: without an instance, in the transitions that are over.
    :param timeline: as in :class:`SpotTrainingResult`.
    :param timeline_left_out: how many transitions the timeline leaves out.
    :param checkpoint_s3_uri: CheckpointConfig.S3Uri.
    :param checkpoints: what was seen there; None if nobody looked.
    :param metrics: the newest value of each.
    :param jobs: of how many jobs the figures are: those that have ended and have a figure.
    :param unknown: how many have ended without one.
    :param training_instance_seconds: trained seconds x instances, over ``jobs``.
    :param billable_instance_seconds: billed seconds x instances, over ``jobs``.
    :param savings_percent: of these two; None when not known.
    :param cost: of ``jobs``; None when a price is not known.
    :param on_demand_cost: what they would have cost on demand.
    :param currency: of both.
    :param price_date: ISO date of the price.
    :param model_artifacts: S3 URI of the model.
    :param failure_reason: the beginning of FailureReason.
    :param statuses: of a tuning job, TrainingJobStatusCounters.
    :param objective_statuses: of a tuning job, ObjectiveStatusCounters.
    :param best: of a tuning job, ``job_name``, ``metric`` and ``value`` of the best training job so far.
    :param waits_for: what there is not enough of, while there is no job.
    :param waits_since: since when there is not.

    The others are the task's :class:`Facts`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    kind: Literal["training", "tuning"] = "training"
    job_name: str | None = None
    status: str = ""
    phase: Phase = Phase.OTHER
    since: str | None = None
    outcome: str | None = None
    managed_spot: bool = True
    instance_type: str | None = None
    instance_count: int = 1
    created: str | None = None
    max_wait_ends: str | None = None
    at_risk_from: str | None = None
    interruptions: int = 0
    waiting_seconds: float = 0.0
    timeline: tuple[tuple[str, str | None, str | None], ...] = ()
    timeline_left_out: int = 0
    checkpoint_s3_uri: str | None = None
    checkpoints: Checkpoints | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    jobs: int = 0
    unknown: int = 0
    training_instance_seconds: float = 0.0
    billable_instance_seconds: float = 0.0
    savings_percent: float | None = None
    cost: float | None = None
    on_demand_cost: float | None = None
    currency: str | None = None
    price_date: str | None = None
    model_artifacts: str | None = None
    failure_reason: str | None = None
    statuses: dict[str, int] = Field(default_factory=dict)
    objective_statuses: dict[str, int] = Field(default_factory=dict)
    best: dict[str, Any] | None = None
    waits_for: str | None = None
    waits_since: str | None = None
    aws_conn_id: str | None = None
    region: str | None = None
    next_rung: str | None = None
    note: str | None = None
    observed: bool = False

    @property
    def known_cost(self) -> Cost | None:
        """What the jobs cost, ready to be summed; None if that is not known."""
        return Cost.read(self.cost, self.on_demand_cost, self.currency, self.price_date)

    @property
    def savings(self) -> Savings:
        """What the jobs saved, ready to be summed."""
        return Savings(
            self.training_instance_seconds, self.billable_instance_seconds, self.jobs, self.unknown
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON for an XCom; :meth:`from_json` reads it back to an equal progress."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, value: object) -> SpotProgress:
        """Read what :meth:`to_json` wrote, by this version or another.

        :raises pydantic.ValidationError: it is something else; the message does not repeat what it holds.
        """
        return cls.model_validate(value)


def progress_of(
    description: Mapping[str, Any],
    *,
    facts: Facts | None = None,
    result: SpotTrainingResult | None = None,
    checkpoints: Checkpoints | None = None,
    metrics: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """How far a training job has come: what a task publishes from its submit on.

    :param description: a DescribeTrainingJob answer; at the submit, the CreateTrainingJob request.
    :param facts: what the task knows besides.
    :param result: how it ended, once it has.
    :param checkpoints: what was seen of them last.
    :param metrics: the newest values that are known while the job trains.
    :return: a :class:`SpotProgress` as JSON.
    """
    timeline = Timeline.of(description)
    facts = facts or Facts()
    created = instant(description.get("CreationTime"))
    max_wait = (description.get("StoppingCondition") or {}).get("MaxWaitTimeInSeconds")
    managed_spot = bool(description.get("EnableManagedSpotTraining"))
    status = clipped(str(description.get("SecondaryStatus") or timeline.current or ""), MAX_STATUS)
    resources = description.get("ResourceConfig") or {}
    newest = timeline.transitions[-1].start if timeline.transitions else created
    progress = SpotProgress(
        **known_to_the_task(facts, description.get("TrainingJobArn")),
        job_name=description.get("TrainingJobName"),
        status=status,
        phase=phase_of_job(status, description.get("TrainingJobStatus"), managed_spot=managed_spot),
        since=iso(newest),
        managed_spot=managed_spot,
        instance_type=resources.get("InstanceType") or resources.get("SelectedInstanceType"),
        instance_count=instances_of(resources),
        created=iso(created),
        max_wait_ends=_after(created, max_wait, 1.0),
        at_risk_from=_after(created, max_wait, AT_RISK_SHARE),
        interruptions=timeline.interruptions,
        waiting_seconds=round(timeline.waiting_seconds, 3),
        checkpoint_s3_uri=whole_uri((description.get("CheckpointConfig") or {}).get("S3Uri")),
        checkpoints=checkpoints,
        metrics=_few(metrics or {}),
    )
    if result is not None:
        progress = progress.model_copy(
            update={
                "outcome": str(result.outcome),
                "phase": Phase.ENDED,
                "metrics": _few(result.metrics),
                "model_artifacts": result.model_artifacts,
                "failure_reason": clipped(result.failure_reason or "", MAX_REASON) or None,
                **figures_of(result.savings, result.known_cost, facts),
            }
        )
    elif facts.earlier is not None:
        progress = progress.model_copy(update=figures_of(Savings(), None, facts))
    told = progress.to_json()
    rows = rows_of(timeline.transitions, MAX_RESULT_BYTES - _ROOM_FOR_NUMBERS - json_bytes(told))
    left_out = len(timeline.transitions) - len(rows)
    return told | {"timeline": [list(row) for row in rows], "timeline_left_out": left_out}


def _few(metrics: Mapping[str, float]) -> dict[str, float]:
    """The first metrics that are numbers: JSON has no others."""
    few: dict[str, float] = {}
    for name, value in metrics.items():
        more = {**few, sound(name): value}
        if math.isfinite(value) and len(more) <= _MAX_METRICS and json_bytes(more) <= _METRICS_ROOM:
            few = more
    return few


def known_to_the_task(facts: Facts, arn: object) -> dict[str, Any]:
    """What a task knows besides what is told of its job; the region is the job's own, where its ARN is known."""
    parts = str(arn or "").split(":")
    region = parts[3] if len(parts) > 4 and parts[3] else facts.region
    return {
        "aws_conn_id": facts.aws_conn_id,
        "region": region,
        "next_rung": facts.next_rung,
        "note": None if facts.note is None else clipped(facts.note, _MAX_NOTE),
        "observed": facts.observed,
    }


def figures_of(savings: Savings, cost: Cost | None, facts: Facts) -> dict[str, Any]:
    """Of this job and those before it."""
    own_is_known = cost is not None or not savings.jobs
    if facts.earlier is not None:
        savings += Savings(*facts.earlier)
        before = None if facts.earlier_cost is None else Cost(*facts.earlier_cost)
        costs = [each for each in (before, cost) if each is not None]
        totals = Cost.total(costs)
        all_known = own_is_known and (before is not None or not facts.earlier[2])
        cost = next(iter(totals.values())) if all_known and len(totals) == 1 else None
    return {
        "jobs": savings.jobs,
        "unknown": savings.unknown,
        "training_instance_seconds": savings.training_instance_seconds,
        "billable_instance_seconds": savings.billable_instance_seconds,
        "savings_percent": savings.percent,
        **Cost.told(cost),
    }


def _after(created: datetime | None, seconds: object, share: float) -> str | None:
    if created is None or isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    try:
        return iso(created + timedelta(seconds=seconds * share))
    except (OverflowError, ValueError):  # in ten thousand years, or no number
        return None
