"""What a task publishes about its training job."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from airflow_spot_provider.training.failure import FailureCause, failure_cause
from airflow_spot_provider.training.json_text import clipped, json_bytes, sound, whole_uri
from airflow_spot_provider.training.lifecycle import Outcome, Timeline, Transition, outcome_of
from airflow_spot_provider.training.money import Cost, Price
from airflow_spot_provider.training.savings import Savings, savings_percent
from airflow_spot_provider.training.secrets import told_failure_reason

MAX_RESULT_BYTES = 8_000
"""An XCom stays small: what a result's JSON takes at most, each character beyond ASCII counted as its escape."""
MAX_TIMELINE_ENTRIES = 50
"""Of a longer timeline the first and the newest entries are published."""
_FIRST_TIMELINE_ENTRIES = 10
_MAX_FAILURE_REASON = 1_024
_MAX_METRICS = 2_000
_MAX_HYPERPARAMETERS = 1_000
_MAX_STATUS = 64
_MAX_ATTEMPTS = 5
_ROOM_FOR_COST = 80
"""What is known of a cost takes so much more than None does."""


class Attempt(BaseModel):
    """One training job that a task submitted, in short.

    :param job_name: TrainingJobName.
    :param outcome: how it ended.
    :param managed_spot: whether it trained on spot.
    """

    model_config = ConfigDict(frozen=True)

    job_name: str
    outcome: Outcome
    managed_spot: bool

    @classmethod
    def of(cls, description: Mapping[str, Any]) -> Attempt:
        """The attempt whose job has this DescribeTrainingJob answer.

        :raises ValueError: the job has not ended.
        """
        name, outcome = description["TrainingJobName"], outcome_of(description)
        if outcome is None:
            raise ValueError(
                f"{name} is {description.get('TrainingJobStatus')}, SecondaryStatus {description.get('SecondaryStatus')}: a job "
                "has a result once it has ended and SageMaker tells how."
            )
        spot = bool(description.get("EnableManagedSpotTraining"))
        return cls(job_name=name, outcome=outcome, managed_spot=spot)


class SpotTrainingResult(BaseModel):
    """How a training job went: small, plain JSON, with nothing of its Environment or hyperparameters.

    :param job_name: TrainingJobName.
    :param job_arn: TrainingJobArn.
    :param outcome: how it ended.
    :param failure_reason: SageMaker's FailureReason, at most 1,024 bytes of JSON; None if it gave none.
    :param managed_spot: whether the job describes itself as managed spot training.
    :param instance_type: ResourceConfig.InstanceType, or the one that SageMaker selected; None for instance groups.
    :param instance_count: how many instances trained, over all instance groups.
    :param training_seconds: TrainingTimeInSeconds; None if SageMaker did not give it.
    :param billable_seconds: BillableTimeInSeconds (wall-clock; on each instance); None if SageMaker did not give it.
    :param savings_percent: ``(1 - billable / training) * 100``; None when it is not known, never 0 for that.
    :param interruptions: how often the job went into Interrupted.
    :param waiting_seconds: seconds without an instance, before the first and after each interruption.
    :param timeline: ``[status, start, end]`` of each transition, times in ISO 8601 (UTC) or None. Of more than 50 (or
        fewer, if the rest of the result leaves no room for so many), the first ten and the newest ones.
    :param timeline_left_out: how many transitions the timeline leaves out.
    :param model_artifacts: S3 URI of model.tar.gz, if there is one.
    :param checkpoint_s3_uri: CheckpointConfig.S3Uri, if there is one.
    :param resumed_from: the job whose checkpoint it went on from, or the prefix of the checkpoints where the job is not known; None
        if it began anew.
    :param metrics: the last value of each metric in FinalMetricDataList, as many as fit in 2,000 bytes of JSON. One
        that is no finite number (a loss of NaN) is left out: JSON has no such number.
    :param hyperparameters: those that the user asked to have published, as text, as many as fit in 1,000 bytes of JSON.
    :param attempts: the jobs of this task so far, this one last (the newest five).
    :param cost: what the job cost: billable seconds x instances x on-demand price; None if no price is known.
    :param on_demand_cost: what the same training would have cost on demand: training seconds x instances x price; of one on
        demand, what it cost.
    :param currency: of both.
    :param price_date: ISO date on which the price list gave that price.
    """

    # What is read may be any XCom: an error about it must not repeat what it holds.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    job_name: str
    job_arn: str
    outcome: Outcome
    failure_reason: str | None = None
    managed_spot: bool = False
    instance_type: str | None = None
    instance_count: int = 1
    training_seconds: int | None = None
    billable_seconds: int | None = None
    savings_percent: float | None = None
    interruptions: int = 0
    waiting_seconds: float = 0.0
    timeline: tuple[tuple[str, str | None, str | None], ...] = ()
    timeline_left_out: int = 0
    model_artifacts: str | None = None
    checkpoint_s3_uri: str | None = None
    resumed_from: str | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    hyperparameters: dict[str, str] = Field(default_factory=dict)
    attempts: tuple[Attempt, ...] = ()
    cost: float | None = None
    on_demand_cost: float | None = None
    currency: str | None = None
    price_date: str | None = None

    @classmethod
    def of(
        cls,
        description: Mapping[str, Any],
        *,
        earlier: Sequence[Attempt] = (),
        published_hyperparameters: Iterable[str] = (),
        resumed_from: str | None = None,
    ) -> SpotTrainingResult:
        """Read the result of an ended job from its DescribeTrainingJob answer.

        :param description: the answer.
        :param earlier: the attempts that this task made before.
        :param published_hyperparameters: names of the hyperparameters that the user asked to have in the result: they may be
            secrets, so none is there unasked.
        :param resumed_from: what it went on from.
        :raises ValueError: the job has not ended.
        """
        attempt = Attempt.of(description)
        timeline = Timeline.of(description)
        training, billable = (description.get(f"{kind}TimeInSeconds") for kind in ("Training", "Billable"))
        resources = description.get("ResourceConfig") or {}
        result = cls(
            job_name=attempt.job_name,
            job_arn=description.get("TrainingJobArn", ""),
            outcome=attempt.outcome,
            managed_spot=attempt.managed_spot,
            instance_type=resources.get("InstanceType") or resources.get("SelectedInstanceType"),
            instance_count=instances_of(resources),
            training_seconds=training,
            billable_seconds=billable,
            savings_percent=savings_percent(training, billable),
            interruptions=timeline.interruptions,
            waiting_seconds=round(timeline.waiting_seconds, 3),
            model_artifacts=whole_uri((description.get("ModelArtifacts") or {}).get("S3ModelArtifacts")),
            checkpoint_s3_uri=whole_uri((description.get("CheckpointConfig") or {}).get("S3Uri")),
            resumed_from=whole_uri(resumed_from),
            attempts=(*earlier, attempt)[-_MAX_ATTEMPTS:],
        )
        # What can be long gets what room there is: the reason first, then the metrics, then the timeline.
        room = MAX_RESULT_BYTES - _ROOM_FOR_COST - json_bytes(result.to_json())
        reason = clipped(told_failure_reason(description), min(_MAX_FAILURE_REASON, room))
        room -= json_bytes(reason)
        metrics = _metrics(description.get("FinalMetricDataList") or (), min(_MAX_METRICS, room))
        room -= json_bytes(metrics)
        hyperparameters = _hyperparameters(
            description.get("HyperParameters") or {},
            published_hyperparameters,
            min(_MAX_HYPERPARAMETERS, room),
        )
        room -= json_bytes(hyperparameters)
        rows = rows_of(timeline.transitions, room)
        return result.model_copy(
            update={
                "failure_reason": reason or None,
                "metrics": metrics,
                "hyperparameters": hyperparameters,
                "timeline": rows,
                "timeline_left_out": len(timeline.transitions) - len(rows),
            }
        )

    def priced(self, price: Price | None) -> SpotTrainingResult:
        """The same result with what the job cost.

        :param price: what one of its instances costs on demand; None leaves the cost unknown.
        """
        savings = self.savings
        if not self.managed_spot:
            # On demand, what was billed is what the training costs there.
            savings = replace(savings, training_instance_seconds=savings.billable_instance_seconds)
        return self.model_copy(update=Cost.told(Cost.of(savings, price)))

    @property
    def savings(self) -> Savings:
        """The savings of this job, ready to be summed over many."""
        return Savings.of_job(self.training_seconds, self.billable_seconds, self.instance_count)

    @property
    def known_cost(self) -> Cost | None:
        """What the job cost, ready to be summed; None if that is not known."""
        return Cost.read(self.cost, self.on_demand_cost, self.currency, self.price_date)

    @property
    def failure_cause(self) -> FailureCause | None:
        """Whose fault it was that the job failed; None if it did not, or SageMaker does not say."""
        return failure_cause(self.failure_reason) if self.outcome is Outcome.FAILED else None

    @property
    def lacked_capacity(self) -> bool:
        """Whether the job failed because AWS had no instance for it, and so never trained: as good as MaxWaitTimeExceeded to whoever
        has another way to train.
        """
        return self.failure_cause is FailureCause.CAPACITY_ERROR and not self.training_seconds

    def to_json(self) -> dict[str, Any]:
        """Plain JSON for an XCom; :meth:`from_json` reads it back to an equal result."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, value: object) -> SpotTrainingResult:
        """Read what :meth:`to_json` wrote, by this version or another.

        :raises pydantic.ValidationError: it is not a result; the message says which fields are wrong.
        """
        return cls.model_validate(value)


def cost_of_all(results: Iterable[SpotTrainingResult]) -> Cost | None:
    """What jobs cost together; None unless that is known, in one currency, of all that have a figure."""
    costs = [result.known_cost for result in results if result.savings.jobs]
    totals = Cost.total(cost for cost in costs if cost is not None)
    return next(iter(totals.values())) if None not in costs and len(totals) == 1 else None


_Row = tuple[str, str | None, str | None]


def rows_of(transitions: Sequence[Transition], room: int) -> tuple[_Row, ...]:
    """A timeline as JSON: the first ten and the newest ones, as many as there is room for."""
    rows = [(clipped(entry.status, _MAX_STATUS), iso(entry.start), iso(entry.end)) for entry in transitions]
    for count in range(min(len(rows), MAX_TIMELINE_ENTRIES), 0, -1):
        first = min(count, _FIRST_TIMELINE_ENTRIES)
        kept = (*rows[:first], *rows[len(rows) - (count - first) :])
        if json_bytes(kept) <= room:
            return kept
    return ()


def instances_of(resources: Mapping[str, Any]) -> int:
    """ResourceConfig tells their number in one of three ways."""
    groups = resources.get("InstanceGroups") or ()
    return (
        resources.get("InstanceCount")
        or resources.get("SelectedInstanceCount")
        or sum(group.get("InstanceCount") or 0 for group in groups)
        or 1
    )


def _metrics(entries: Iterable[Mapping[str, Any]], room: int) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for entry in entries:
        name, value = entry.get("MetricName"), entry.get("Value")
        if name is None or value is None or not math.isfinite(value):
            continue
        more = {**metrics, sound(name): float(value)}
        if json_bytes(more) <= room:
            metrics = more
    return metrics


def _hyperparameters(given: Mapping[str, Any], names: Iterable[str], room: int) -> dict[str, str]:
    published: dict[str, str] = {}
    for name in names:
        more = {**published, sound(name): sound(str(given.get(name)))}
        if name in given and json_bytes(more) <= room:
            published = more
    return published


def iso(time: datetime | None) -> str | None:
    """A time as all of our JSON has it: UTC, milliseconds, of one length; None stays None."""
    return None if time is None else time.astimezone(UTC).isoformat(timespec="milliseconds")
