"""Answers of DescribeTrainingJob, told as what happened: ``a_training_job().interrupted(2).max_wait_exceeded()``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Self

CREATED = datetime(2026, 3, 1, 12, tzinfo=UTC)
MAX_WAIT_SECONDS = 7_200
SECONDS_IN = {
    "Pending": 5,
    "Starting": 60,
    "Downloading": 30,
    "Training": 845,
    "Interrupted": 120,
    "Uploading": 15,
    "Stopping": 20,
}
"""How long a built job stays in each status, unless told otherwise."""


class DescribedJob:
    """A managed spot training job whose story is told step by step; :meth:`described` is SageMaker's answer."""

    def __init__(self, name: str) -> None:
        self._now = CREATED
        self._transitions: list[dict[str, Any]] = []
        self._members: dict[str, Any] = {
            "TrainingJobName": name,
            "TrainingJobArn": f"arn:aws:sagemaker:eu-west-1:123456789012:training-job/{name}",
            "TrainingJobStatus": "InProgress",
            "SecondaryStatus": "Starting",
            "CreationTime": CREATED,
            "EnableManagedSpotTraining": True,
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3_600, "MaxWaitTimeInSeconds": MAX_WAIT_SECONDS},
        }

    def having(self, **members: Any) -> Self:
        """Put members of DescribeTrainingJob in; None takes one away."""
        self._members.update(members)
        return self

    def on_demand(self) -> Self:
        """Describe the job as not on spot."""
        return self.having(EnableManagedSpotTraining=False, StoppingCondition={"MaxRuntimeInSeconds": 3_600})

    def with_checkpoints(self) -> Self:
        """Give it a checkpoint prefix."""
        return self.having(CheckpointConfig={"S3Uri": "s3://bucket/checkpoints"})

    def billed(self, training: int, billable: int) -> Self:
        """Give it TrainingTimeInSeconds and BillableTimeInSeconds."""
        return self.having(TrainingTimeInSeconds=training, BillableTimeInSeconds=billable)

    def goes_through(self, *statuses: str, seconds: float | None = None) -> Self:
        """Let it go into these statuses one after the other, the same time in each."""
        for status in statuses:
            stay = SECONDS_IN.get(status, 10) if seconds is None else seconds
            if self._transitions:
                self._transitions[-1]["EndTime"] = self._now
            self._transitions.append({"Status": status, "StartTime": self._now, "StatusMessage": "words"})
            self._now += timedelta(seconds=stay)
        return self.having(SecondaryStatus=statuses[-1])

    def interrupted(self, times: int = 1) -> Self:
        """Let it train and be interrupted, so many times."""
        for _ in range(times):
            self.goes_through("Starting", "Downloading", "Training", "Interrupted")
        return self

    def completed(self) -> Self:
        """Let it train to its end."""
        self.goes_through("Starting", "Downloading", "Training", "Uploading", "Completed")
        return self.having(TrainingJobStatus="Completed")

    def max_wait_exceeded(self) -> Self:
        """Let MaxWait be over: while it waits for its first instance, or in the run after its interruptions."""
        # The guide lists no Starting after the last interruption.
        self.goes_through(*(("Downloading", "Training") if self._transitions else ("Starting",)))
        return self._ended_as("MaxWaitTimeExceeded")

    def max_runtime_exceeded(self) -> Self:
        """Let it train for all of MaxRuntime."""
        return self.goes_through("Starting", "Downloading", "Training")._ended_as("MaxRuntimeExceeded")

    def stopped(self) -> Self:
        """Let somebody call StopTrainingJob while it trains."""
        return self.goes_through("Starting", "Downloading", "Training")._ended_as("Stopped")

    def failed(self, reason: str = "AlgorithmError: exit code 1") -> Self:
        """Let the script fail."""
        self.goes_through("Starting", "Downloading", "Training", "Failed")
        return self.having(TrainingJobStatus="Failed", FailureReason=reason)

    def _ended_as(self, status: str) -> Self:
        return self.goes_through("Stopping", status).having(TrainingJobStatus="Stopped")

    def described(self) -> dict[str, Any]:
        """The answer. The status that it is in has no EndTime."""
        members = {name: value for name, value in self._members.items() if value is not None}
        return {**members, "SecondaryStatusTransitions": [dict(entry) for entry in self._transitions]}


def a_training_job(name: str = "digits-1") -> DescribedJob:
    """A spot job that has just been created."""
    return DescribedJob(name)
