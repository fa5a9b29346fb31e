"""What a task publishes about its tuning job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from airflow_spot_provider.training.json_text import clipped, json_bytes, sound
from airflow_spot_provider.training.money import Cost
from airflow_spot_provider.training.result import MAX_RESULT_BYTES, cost_of_all
from airflow_spot_provider.training.savings import Savings
from airflow_spot_provider.training.secrets import told_failure_reason
from airflow_spot_provider.training.tuning_member import TuningMember
from airflow_spot_provider.training.tuning_outcome import (
    TuningOutcome,
    limits_reached,
    objective_of,
    runtime_seconds,
    tuning_outcome_of,
)
from airflow_spot_provider.training.warm_start import parents_of

_MAX_FAILURE_REASON = 1_024
_MAX_HYPERPARAMETERS = 2_000
_MAX_NAME = 256
_MAX_ATTEMPTS = 5
_JOB_ROW_ROOM = 16
"""What a list's brackets and commas take beside its rows."""

JobRow = tuple[str, str | None, float | None, int | None, float | None, int | None]


class BestTrainingJob(BaseModel):
    """The training job with the best objective, as SageMaker names it.

    :param job_name: TrainingJobName.
    :param definition: DefinitionName of its TrainingJobDefinition, if it has one.
    :param metric: MetricName of the objective.
    :param value: what it came to; None if that is no finite number.
    :param hyperparameters: TunedHyperParameters, as text, as many as fit in 2,000 bytes of JSON.
    :param hyperparameters_left_out: how many did not fit.
    :param model_artifacts: S3 URI of its model.tar.gz, if there is one.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    job_name: str
    definition: str | None = None
    metric: str | None = None
    value: float | None = None
    hyperparameters: dict[str, str] = Field(default_factory=dict)
    hyperparameters_left_out: int = 0
    model_artifacts: str | None = None


class SpotTuningResult(BaseModel):
    """How a tuning job went: small, plain JSON, with the best training job's tuned hyperparameters, and no others.

    :param job_name: HyperParameterTuningJobName.
    :param job_arn: HyperParameterTuningJobArn.
    :param outcome: how it ended.
    :param status: SageMaker's HyperParameterTuningJobStatus.
    :param limits_reached: which of its limits and completion criteria were reached, by their names in SageMaker's API.
    :param failure_reason: SageMaker's FailureReason, at most 1,024 bytes of JSON; None if it gave none.
    :param objective_type: ``Minimize`` or ``Maximize``; the best training job's, where definitions differ.
    :param best: the training job with the best objective; None if none has one.
    :param overall_best_job: the best training job of this tuning job and its parents, where SageMaker compares them (warm start with
        IdenticalDataAndAlgorithm).
    :param jobs: how many training jobs there are.
    :param statuses: TrainingJobStatusCounters.
    :param objective_statuses: ObjectiveStatusCounters.
    :param outcomes: how many training jobs ended how; ``unknown`` counts those that cannot be described any more.
    :param managed_spot: whether all training jobs describe themselves as managed spot training.
    :param on_demand_jobs: how many of them do not.
    :param savings_percent: over all training jobs, weighed by their instances; None when none has a figure.
    :param savings_unknown: how many training jobs have no figure.
    :param training_instance_seconds: trained seconds x instances, over the jobs with a figure.
    :param billable_instance_seconds: billed seconds x instances, over the jobs with a figure.
    :param interruptions: how often its training jobs went into Interrupted, in all.
    :param waiting_seconds: seconds that its training jobs were without an instance, in all.
    :param runtime_seconds: how long the tuning job ran; None if SageMaker did not tell.
    :param warm_start_parents: the tuning jobs that it went on from.
    :param table: ``[job_name, outcome, objective, billable_seconds, savings_percent, interruptions]`` of its training jobs, the best
        first, as many as there is room for. None stands for what is not known.
    :param jobs_left_out: how many the table leaves out; the tuning job's page in the console lists all.
    :param attempts: ``[job_name, status]`` of the tuning jobs of this task so far, this one last (the newest five).
    :param cost: what its training jobs cost; None unless that is known of all that have a figure.
    :param on_demand_cost: what the same trainings would have cost on demand.
    :param currency: of both.
    :param price_date: ISO date of the oldest price in it.
    """

    # What is read may be any XCom: an error about it must not repeat what it holds.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    job_name: str
    job_arn: str
    outcome: TuningOutcome
    status: str
    limits_reached: tuple[str, ...] = ()
    failure_reason: str | None = None
    objective_type: str | None = None
    best: BestTrainingJob | None = None
    overall_best_job: str | None = None
    jobs: int = 0
    statuses: dict[str, int] = Field(default_factory=dict)
    objective_statuses: dict[str, int] = Field(default_factory=dict)
    outcomes: dict[str, int] = Field(default_factory=dict)
    managed_spot: bool = False
    on_demand_jobs: int = 0
    savings_percent: float | None = None
    savings_unknown: int = 0
    training_instance_seconds: float = 0.0
    billable_instance_seconds: float = 0.0
    interruptions: int = 0
    waiting_seconds: float = 0.0
    runtime_seconds: int | None = None
    warm_start_parents: tuple[str, ...] = ()
    table: tuple[JobRow, ...] = ()
    jobs_left_out: int = 0
    attempts: tuple[tuple[str, str], ...] = ()
    cost: float | None = None
    on_demand_cost: float | None = None
    currency: str | None = None
    price_date: str | None = None

    @classmethod
    def of(
        cls,
        description: Mapping[str, Any],
        members: Sequence[TuningMember],
        *,
        earlier: Sequence[tuple[str, str]] = (),
    ) -> SpotTuningResult:
        """Read the result of an ended tuning job.

        :param description: its DescribeHyperParameterTuningJob answer.
        :param members: its training jobs, all of them.
        :param earlier: name and status of the tuning jobs that this task had before.
        :raises ValueError: the tuning job has not ended.
        """
        name, status = (
            description["HyperParameterTuningJobName"],
            description.get("HyperParameterTuningJobStatus"),
        )
        outcome = tuning_outcome_of(description, [member.outcome for member in members])
        if outcome is None:
            raise ValueError(f"{name} is {status}: a tuning job has a result once it has ended.")
        savings = Savings.total(member.savings for member in members)
        on_spot = sum(member.managed_spot for member in members)
        known = [member.result for member in members if member.result is not None]
        cost = cost_of_all(known)
        best = description.get("BestTrainingJob") or {}
        result = cls(
            job_name=name,
            job_arn=description.get("HyperParameterTuningJobArn", ""),
            outcome=outcome,
            status=str(status),
            limits_reached=limits_reached(description),
            objective_type=objective_of(description, best.get("TrainingJobDefinitionName")).get("Type"),
            overall_best_job=(description.get("OverallBestTrainingJob") or {}).get("TrainingJobName"),
            jobs=len(members),
            statuses=description.get("TrainingJobStatusCounters") or {},
            objective_statuses=description.get("ObjectiveStatusCounters") or {},
            outcomes=dict(Counter(str(member.outcome or "unknown") for member in members)),
            managed_spot=bool(known) and on_spot == len(known),
            on_demand_jobs=len(known) - on_spot,
            savings_percent=savings.percent,
            savings_unknown=savings.unknown,
            training_instance_seconds=savings.training_instance_seconds,
            billable_instance_seconds=savings.billable_instance_seconds,
            interruptions=sum(each.interruptions for each in known),
            waiting_seconds=round(sum(each.waiting_seconds for each in known), 3),
            runtime_seconds=runtime_seconds(description),
            warm_start_parents=tuple(parents_of(description)),
            attempts=(*earlier, (name, str(status)))[-_MAX_ATTEMPTS:],
            **Cost.told(cost),
        )
        # What can be long gets what room there is: the best training job first, then the reason, then the table.
        found = _best(best, members, description)
        room = (
            MAX_RESULT_BYTES
            - json_bytes(result.to_json())
            - json_bytes(found and found.model_dump(mode="json"))
        )
        reason = clipped(told_failure_reason(description), min(_MAX_FAILURE_REASON, room))
        table = _table(members, best.get("TrainingJobName"), description, room - json_bytes(reason))
        return result.model_copy(
            update={
                "best": found,
                "failure_reason": reason or None,
                "table": table,
                "jobs_left_out": len(members) - len(table),
            }
        )

    @property
    def known_cost(self) -> Cost | None:
        """What its training jobs cost, ready to be summed; None if that is not known."""
        return Cost.read(self.cost, self.on_demand_cost, self.currency, self.price_date)

    @property
    def savings(self) -> Savings:
        """What its training jobs saved, ready to be summed over many tuning jobs."""
        return Savings(
            self.training_instance_seconds,
            self.billable_instance_seconds,
            self.jobs - self.savings_unknown,
            self.savings_unknown,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON for an XCom; :meth:`from_json` reads it back to an equal result."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, value: object) -> SpotTuningResult:
        """Read what :meth:`to_json` wrote, by this version or another.

        :raises pydantic.ValidationError: it is not a result; the message says which fields are wrong.
        """
        return cls.model_validate(value)


def best_so_far(description: Mapping[str, Any]) -> dict[str, Any] | None:
    """``job_name``, ``metric`` and ``value`` of a tuning job's best training job so far; None if there is none."""
    best = description.get("BestTrainingJob") or {}
    metric, value = _objective(best)
    return {"job_name": best["TrainingJobName"], "metric": metric, "value": value} if best else None


def _best(
    summary: Mapping[str, Any], members: Sequence[TuningMember], description: Mapping[str, Any]
) -> BestTrainingJob | None:
    if not summary:
        return None
    name = summary["TrainingJobName"]
    metric, value = _objective(summary)
    tuned = summary.get("TunedHyperParameters") or {}
    hyperparameters: dict[str, str] = {}
    for key, setting in tuned.items():
        more = {**hyperparameters, sound(str(key)): sound(str(setting))}
        if json_bytes(more) <= _MAX_HYPERPARAMETERS:
            hyperparameters = more
    results = [member.result for member in members if member.name == name and member.result is not None]
    definition = summary.get("TrainingJobDefinitionName")
    return BestTrainingJob(
        job_name=name,
        definition=definition,
        metric=metric or objective_of(description, definition).get("MetricName"),
        value=value,
        hyperparameters=hyperparameters,
        hyperparameters_left_out=len(tuned) - len(hyperparameters),
        model_artifacts=results[0].model_artifacts if results else None,
    )


def _objective(summary: Mapping[str, Any]) -> tuple[str | None, float | None]:
    member = TuningMember(summary, None)
    metric = (summary.get("FinalHyperParameterTuningJobObjectiveMetric") or {}).get("MetricName")
    return (None if metric is None else clipped(str(metric), _MAX_NAME)), member.objective


def _table(
    members: Sequence[TuningMember], best: str | None, description: Mapping[str, Any], room: int
) -> tuple[JobRow, ...]:
    """The best training job first, then by objective, then those without one; as many as there is room for."""

    def _place(member: TuningMember) -> tuple[bool, bool, float, str]:
        value = member.objective
        kind = objective_of(description, member.definition).get("Type")
        loss = 0.0 if value is None else value if kind == "Minimize" else -value
        return (member.name != best, value is None, loss, member.name)

    room -= _JOB_ROW_ROOM
    kept: list[JobRow] = []
    for member in sorted(members, key=_place):
        row = member.row
        room -= json_bytes(row) + len(", ")
        if room < 0:
            break
        kept.append(row)
    return tuple(kept)
