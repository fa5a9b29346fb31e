"""What SageMaker tells about a training job."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any

from airflow_spot_provider.emulator.market.prices import Usage
from airflow_spot_provider.emulator.spec import JobSpec

ENDED = frozenset({"Completed", "Failed", "Stopped"})
_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Interrupted": "Training job interrupted. Waiting for spot capacity.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job wait time exceeded MaxWaitTimeInSeconds provided",
}
_FAILURE_REASON_LENGTH = 1024


class JobRecord:
    """The statuses, times and figures of one training job; it keeps them, and decides nothing.

    :param spec: what was asked for.
    :param usage: what it uses of its instances.
    :param now: CreationTime.
    """

    def __init__(self, spec: JobSpec, usage: Usage, now: datetime) -> None:
        self._spec = spec
        self._usage = usage
        self.creation_time = self.last_modified_time = now
        self.training_start_time: datetime | None = None
        self.training_end_time: datetime | None = None
        self.status = "InProgress"
        self.secondary_status = ""
        self.failure_reason: str | None = None
        self.model_artifacts: str | None = None
        self._transitions: list[dict[str, Any]] = []
        self._metrics: dict[str, tuple[float, datetime]] = {}

    @property
    def has_ended(self) -> bool:
        """Whether it has Completed, Failed or Stopped."""
        return self.status in ENDED

    def seconds_in_status(self, now: datetime) -> float:
        """How long it has been in its SecondaryStatus."""
        since: datetime = self._transitions[-1]["StartTime"]
        return (now - since).total_seconds()

    def enter(self, secondary_status: str, now: datetime) -> None:
        """Add a transition."""
        if self._transitions:
            self._transitions[-1]["EndTime"] = now
        self._transitions.append(
            {"Status": secondary_status, "StartTime": now, "StatusMessage": _MESSAGES[secondary_status]}
        )
        self.secondary_status = secondary_status
        self.last_modified_time = now

    def begin_instance(self, now: datetime) -> None:
        """It is on an instance from now on."""
        self._usage.begin(now)
        self.training_start_time = self.training_start_time or now

    def end(
        self, status: str, secondary_status: str, now: datetime, failure_reason: str | None = None
    ) -> None:
        """Add the last transition."""
        self.status = status
        if failure_reason:
            self.failure_reason = failure_reason[:_FAILURE_REASON_LENGTH]
        self.enter(secondary_status, now)
        self._transitions[-1]["EndTime"] = now
        if self.training_start_time is not None:
            self.training_end_time = now

    def read_metrics(self, line: str, now: datetime) -> None:
        """Take the figures that MetricDefinitions find in a line of the log; the last one of a name counts."""
        for definition in self._spec.metric_definitions:
            for match in re.finditer(definition["Regex"], line):
                try:
                    value = float(match[1])
                except (IndexError, TypeError, ValueError):
                    continue  # the user's expression matched something that is no number
                if math.isfinite(value):
                    self._metrics[definition["Name"]] = (value, now)

    @property
    def description(self) -> dict[str, Any]:
        """DescribeTrainingJob's answer."""
        request = self._spec.request
        answer = {key: value for key, value in request.items() if key != "Tags"}
        answer |= {
            "TrainingJobArn": self._spec.arn,
            "TrainingJobStatus": self.status,
            "SecondaryStatus": self.secondary_status,
            "FailureReason": self.failure_reason,
            "CreationTime": self.creation_time,
            "TrainingStartTime": self.training_start_time,
            "TrainingEndTime": self.training_end_time,
            "LastModifiedTime": self.last_modified_time,
            "SecondaryStatusTransitions": [dict(entry) for entry in self._transitions],
            "EnableManagedSpotTraining": self._spec.spot,
            "EnableNetworkIsolation": bool(request.get("EnableNetworkIsolation")),
            "EnableInterContainerTrafficEncryption": bool(
                request.get("EnableInterContainerTrafficEncryption")
            ),
            "FinalMetricDataList": [
                {"MetricName": name, "Value": value, "Timestamp": at}
                for name, (value, at) in list(self._metrics.items())
            ],
        }
        if self.model_artifacts:
            answer["ModelArtifacts"] = {"S3ModelArtifacts": self.model_artifacts}
        if self.has_ended and self.training_start_time is not None:
            answer["TrainingTimeInSeconds"] = round(self._usage.training_seconds)
            answer["BillableTimeInSeconds"] = round(self._usage.billable_seconds)
        return {key: value for key, value in answer.items() if value not in (None, [])}

    @property
    def summary(self) -> dict[str, Any]:
        """TrainingJobSummary."""
        summary = {
            "TrainingJobName": self._spec.name,
            "TrainingJobArn": self._spec.arn,
            "CreationTime": self.creation_time,
            "TrainingEndTime": self.training_end_time,
            "LastModifiedTime": self.last_modified_time,
            "TrainingJobStatus": self.status,
            "SecondaryStatus": self.secondary_status,
        }
        return {key: value for key, value in summary.items() if value is not None}
