"""One training job of a tuning job."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from airflow_spot_provider.emulator.jobs.training_job import TrainingJob
from airflow_spot_provider.emulator.tuning.definition import Definition
from airflow_spot_provider.emulator.tuning.trial import Trial


class Member:
    """A training job, which hyperparameters it was given, and what it has come to.

    :param number: its place among the training jobs of the tuning job, from 1.
    :param trial_number: its place among those of its definition, from 1.
    :param definition: what it was made of.
    :param values: the hyperparameters that it was given.
    :param training_job: itself.
    """

    def __init__(
        self,
        number: int,
        trial_number: int,
        definition: Definition,
        values: Mapping[str, str],
        training_job: TrainingJob,
    ) -> None:
        self.number = number
        self.trial_number = trial_number
        self.definition = definition
        self.values = values
        self.training_job = training_job

    @property
    def has_ended(self) -> bool:
        """Whether it has Completed, Failed or Stopped."""
        return self.training_job.has_ended

    @property
    def failed(self) -> bool:
        """Whether it has Failed."""
        return self.training_job.training_job_status == "Failed"

    @property
    def objective(self) -> float | None:
        """The objective that it ended with; None before that, and where it failed or stated none."""
        metrics, objective = self.training_job.record.metrics, self.definition.objective
        if objective is None or objective.metric not in metrics or not self.has_ended or self.failed:
            return None
        return metrics[objective.metric][0]

    @property
    def loss(self) -> float | None:
        """The objective, less being better."""
        value, objective = self.objective, self.definition.objective
        return None if value is None or objective is None else objective.loss(value)

    @property
    def trial(self) -> Trial:
        """What the strategy is to know of it."""
        return self._last_trial if self.has_ended else self._trial(has_ended=False)

    @cached_property
    def _last_trial(self) -> Trial:
        return self._trial(has_ended=True)

    def _trial(self, *, has_ended: bool) -> Trial:
        objective = self.definition.objective
        history = self.training_job.record.metric_history
        stated = [] if objective is None else list(history.get(objective.metric, ()))
        return Trial(
            number=self.trial_number,
            values=self.values,
            losses=[] if objective is None else [objective.loss(value) for _, value in stated],
            has_ended=has_ended,
            is_evaluated=has_ended and self.objective is not None,
        )

    @property
    def objective_status(self) -> str:
        """ObjectiveStatus."""
        if not self.has_ended:
            return "Pending"
        return "Failed" if self.objective is None else "Succeeded"

    @property
    def status_counter(self) -> str:
        """Which of TrainingJobStatusCounters counts it."""
        status = self.training_job.training_job_status
        if status == "Failed":
            reason = self.training_job.record.failure_reason or ""
            return "RetryableError" if reason.startswith("InternalServerError") else "NonRetryableError"
        return status if status in ("Completed", "Stopped") else "InProgress"

    def summarized(self) -> dict[str, Any]:
        """Its HyperParameterTrainingJobSummary."""
        job, value = self.training_job, self.objective
        record = job.record
        summary: dict[str, Any] = {
            "TrainingJobDefinitionName": self.definition.name,
            "TrainingJobName": job.training_job_name,
            "TrainingJobArn": job.spec.arn,
            "CreationTime": job.creation_time,
            "TrainingStartTime": record.training_start_time,
            "TrainingEndTime": record.training_end_time,
            "TrainingJobStatus": job.training_job_status,
            "TunedHyperParameters": dict(self.values),
            "FailureReason": record.failure_reason,
            "ObjectiveStatus": self.objective_status,
        }
        if value is not None and self.definition.objective is not None:
            summary["FinalHyperParameterTuningJobObjectiveMetric"] = {
                "MetricName": self.definition.objective.metric,
                "Value": value,
            }
        return {name: entry for name, entry in summary.items() if entry is not None}
