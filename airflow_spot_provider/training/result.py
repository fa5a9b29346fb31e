"""What a task publishes about its training job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from airflow_spot_provider.training.lifecycle import Outcome, Timeline, Transition, outcome_of
from airflow_spot_provider.training.savings import Savings, savings_percent

MAX_TIMELINE_ENTRIES = 50
"""An XCom stays small: of a longer timeline the first and the newest entries are published."""
_FIRST_TIMELINE_ENTRIES = 10
_MAX_METRICS = 40
_MAX_ATTEMPTS = 5
_MAX_TEXT = 1024


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


class SpotTrainingResult(BaseModel):
    """How a training job went: small, plain JSON, with nothing of its Environment or hyperparameters.

    :param job_name: TrainingJobName.
    :param job_arn: TrainingJobArn.
    :param outcome: how it ended.
    :param failure_reason: SageMaker's FailureReason, at most 1,024 characters; None if it gave none.
    :param managed_spot: whether the job describes itself as managed spot training.
    :param instance_type: ResourceConfig.InstanceType.
    :param instance_count: ResourceConfig.InstanceCount.
    :param training_seconds: TrainingTimeInSeconds; None if SageMaker did not give it.
    :param billable_seconds: BillableTimeInSeconds (wall-clock; on each instance); None if SageMaker did not give it.
    :param savings_percent: ``(1 - billable / training) * 100``; None when it is not known, never 0 for that.
    :param interruptions: how often the job went into Interrupted.
    :param waiting_seconds: seconds without an instance, before the first and after each interruption.
    :param timeline: ``[status, start, end]`` of each transition, times in ISO 8601 (UTC) or None. Of more than 50, the
        first ten and the newest forty.
    :param timeline_left_out: how many transitions the timeline leaves out.
    :param model_artifacts: S3 URI of model.tar.gz, if there is one.
    :param checkpoint_s3_uri: CheckpointConfig.S3Uri, if there is one.
    :param metrics: the last value of each metric in FinalMetricDataList.
    :param attempts: the jobs of this task so far, this one last (the newest five).
    :param cost: what the job cost; None as long as no price is known.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

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
    metrics: dict[str, float] = Field(default_factory=dict)
    attempts: tuple[Attempt, ...] = ()
    cost: float | None = None

    @classmethod
    def of(cls, description: Mapping[str, Any], *, earlier: Sequence[Attempt] = ()) -> SpotTrainingResult:
        """Read the result of an ended job from its DescribeTrainingJob answer.

        :param description: the answer.
        :param earlier: the attempts that this task made before.
        :raises ValueError: the job has not ended.
        """
        outcome = outcome_of(description)
        if outcome is None:
            raise ValueError(
                f"{description.get('TrainingJobName')} is {description.get('TrainingJobStatus')}: "
                "a job has a result once it has ended."
            )
        timeline = Timeline.of(description)
        resources = description.get("ResourceConfig") or {}
        training, billable = (description.get(f"{kind}TimeInSeconds") for kind in ("Training", "Billable"))
        managed_spot = bool(description.get("EnableManagedSpotTraining"))
        name = description["TrainingJobName"]
        entries = timeline.transitions
        published = entries
        if len(entries) > MAX_TIMELINE_ENTRIES:
            newest = MAX_TIMELINE_ENTRIES - _FIRST_TIMELINE_ENTRIES
            published = (*entries[:_FIRST_TIMELINE_ENTRIES], *entries[-newest:])
        attempt = Attempt(job_name=name, outcome=outcome, managed_spot=managed_spot)
        return cls(
            job_name=name,
            job_arn=description.get("TrainingJobArn", ""),
            outcome=outcome,
            failure_reason=_short(description.get("FailureReason")),
            managed_spot=managed_spot,
            instance_type=resources.get("InstanceType"),
            instance_count=resources.get("InstanceCount") or 1,
            training_seconds=training,
            billable_seconds=billable,
            savings_percent=savings_percent(training, billable),
            interruptions=timeline.interruptions,
            waiting_seconds=round(timeline.waiting_seconds, 3),
            timeline=tuple(_row(entry) for entry in published),
            timeline_left_out=len(entries) - len(published),
            model_artifacts=(description.get("ModelArtifacts") or {}).get("S3ModelArtifacts") or None,
            checkpoint_s3_uri=(description.get("CheckpointConfig") or {}).get("S3Uri"),
            metrics={
                metric["MetricName"]: metric["Value"]
                for metric in (description.get("FinalMetricDataList") or ())[:_MAX_METRICS]
            },
            attempts=(*earlier, attempt)[-_MAX_ATTEMPTS:],
        )

    @property
    def savings(self) -> Savings:
        """The savings of this job, ready to be summed over many."""
        return Savings.of_job(self.training_seconds, self.billable_seconds, self.instance_count)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON for an XCom; :meth:`from_json` reads it back to an equal result."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, value: object) -> SpotTrainingResult:
        """Read what :meth:`to_json` wrote, by this version or another.

        :raises pydantic.ValidationError: it is not a result; the message says which fields are wrong.
        """
        return cls.model_validate(value)


def _row(entry: Transition) -> tuple[str, str | None, str | None]:
    return str(entry.status)[:64], _iso(entry.start), _iso(entry.end)


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat(timespec="milliseconds")


def _short(text: str | None) -> str | None:
    """SageMaker's own limit on FailureReason, held here too: results stay small."""
    return text[:_MAX_TEXT] if text else None
