"""What SageMaker tells about a training job."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow_spot_provider.emulator.market.usage import Usage
from airflow_spot_provider.emulator.spec import DEFAULT_MAX_RUNTIME_SECONDS, JobSpec

ENDED = frozenset({"Completed", "Failed", "Stopped"})
_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Pending": "Waiting for capacity",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Interrupted": "Training job interrupted. Waiting for spot capacity.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Restarting": "Restarting the training job after an internal error",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job wait time exceeded MaxWaitTimeInSeconds provided",
}
_STATUS_OF = {
    "Completed": "Completed",
    "Failed": "Failed",
    "Stopping": "Stopping",
    "Stopped": "Stopped",
    "MaxRuntimeExceeded": "Stopped",
    "MaxWaitTimeExceeded": "Stopped",
}
_FAILURE_REASON_LENGTH = 1024
_MOST_VALUES = 1_000
"""Of a metric, whose course a tuning job follows."""


class JobRecord:
    """The statuses, times and figures of one training job; it keeps them, and decides nothing.

    :param spec: what was asked for.
    :param usage: what it uses of its instances.
    :param now: CreationTime.
    """

    def __init__(self, spec: JobSpec, usage: Usage, now: datetime) -> None:
        self._spec = spec
        self._usage = usage
        self.updates: dict[str, Any] = {}
        self.creation_time = self.last_modified_time = now
        self.training_start_time: datetime | None = None
        self.training_end_time: datetime | None = None
        self.status = "InProgress"
        self.secondary_status = ""
        self.failure_reason: str | None = None
        self.stop_reason: str | None = None
        self.stopping_since: datetime | None = None
        self.model_artifacts: str | None = None
        self.transitions: list[dict[str, Any]] = []
        self.metric_history: dict[str, list[tuple[datetime, float]]] = {}

    @property
    def has_ended(self) -> bool:
        """Whether it has Completed, Failed or Stopped."""
        return self.status in ENDED

    @property
    def metrics(self) -> dict[str, tuple[float, datetime]]:
        """The last value of each metric, and when it came."""
        return {name: (values[-1][1], values[-1][0]) for name, values in list(self.metric_history.items())}

    def seconds_in_status(self, now: datetime) -> float:
        """How long it has been in its SecondaryStatus."""
        since: datetime = self.transitions[-1]["StartTime"]
        return max(0.0, (now - since).total_seconds())

    def enter(self, secondary_status: str, now: datetime) -> None:
        """Add a transition."""
        if self.transitions:
            # An event sees its own time, and the API may have been asked since.
            now = max(now, self.transitions[-1]["StartTime"])
            self.transitions[-1]["EndTime"] = now
        self.transitions.append(
            {"Status": secondary_status, "StartTime": now, "StatusMessage": _MESSAGES[secondary_status]}
        )
        self.secondary_status = secondary_status
        self.last_modified_time = max(now, self.last_modified_time)

    def say(self, message: str) -> None:
        """Tell why the job is in its status, in the transition's StatusMessage."""
        self.transitions[-1]["StatusMessage"] = message

    def begin_instance(self, now: datetime, zone: str) -> None:
        """It is on an instance of this zone from now on."""
        self._usage.begin(now, zone)
        self.training_start_time = self.training_start_time or now

    def begin_to_stop(self, reason: str, now: datetime) -> None:
        """It is to end with this SecondaryStatus."""
        self.status = "Stopping"
        self.stop_reason = reason
        self.stopping_since = now
        self.last_modified_time = max(now, self.last_modified_time)

    def end(
        self, status: str, secondary_status: str, now: datetime, failure_reason: str | None = None
    ) -> None:
        """Add the last transition."""
        self.status = status
        if failure_reason:
            self.failure_reason = failure_reason[:_FAILURE_REASON_LENGTH]
        self.enter(secondary_status, now)
        ended: datetime = self.transitions[-1]["StartTime"]
        self.transitions[-1]["EndTime"] = ended
        if self.training_start_time is not None:
            self.training_end_time = ended

    def update(self, members: Mapping[str, Any], now: datetime) -> None:
        """Change members of the request, as UpdateTrainingJob does."""
        self.updates.update(members)
        self.last_modified_time = now

    def read_metrics(self, line: str, now: datetime) -> None:
        """Take the figures that MetricDefinitions find in a line of the log."""
        for definition in self._spec.metric_definitions:
            for match in re.finditer(definition["Regex"], line):
                try:
                    value = float(match[1])
                except (IndexError, TypeError, ValueError):
                    continue  # the user's expression matched something that is no number
                if math.isfinite(value):
                    self.note({definition["Name"]: value}, now)

    def note(self, metrics: Mapping[str, float], now: datetime) -> None:
        """Keep figures; the last one of a name is its final one."""
        for name, value in metrics.items():
            values = self.metric_history.setdefault(name, [])
            values.append((now, value))
            del values[:-_MOST_VALUES]

    def described(self, at: datetime) -> dict[str, Any] | None:
        """DescribeTrainingJob's answer at a moment that is now or was before; None before there was a job."""
        transitions = self._transitions_at(at)
        if not transitions:
            return None
        status = transitions[-1]["Status"]
        request = self._spec.request
        answer = {key: value for key, value in request.items() if key != "Tags"} | self.updates
        answer |= _defaults(request)
        answer |= {
            "TrainingJobArn": self._spec.arn,
            "TuningJobArn": self._spec.tuning_job_arn,
            "TrainingJobStatus": self._status_at(at, status),
            "SecondaryStatus": status,
            "CreationTime": self.creation_time,
            "TrainingStartTime": _by(at, self.training_start_time),
            "LastModifiedTime": min(at, self.last_modified_time),
            "SecondaryStatusTransitions": transitions,
            "EnableManagedSpotTraining": self._spec.spot,
            "EnableNetworkIsolation": bool(request.get("EnableNetworkIsolation")),
            "EnableInterContainerTrafficEncryption": bool(
                request.get("EnableInterContainerTrafficEncryption")
            ),
            "FinalMetricDataList": [
                {"MetricName": name, "Value": value, "Timestamp": time}
                for name, (value, time) in self.metrics.items()
            ],
        }
        if _STATUS_OF.get(status) in ENDED:
            answer |= self._end_members
        return {key: value for key, value in answer.items() if value not in (None, [])}

    def summarized(self, at: datetime) -> dict[str, Any] | None:
        """TrainingJobSummary at a moment that is now or was before; None before there was a job."""
        transitions = self._transitions_at(at)
        if not transitions:
            return None
        status = transitions[-1]["Status"]
        summary = {
            "TrainingJobName": self._spec.name,
            "TrainingJobArn": self._spec.arn,
            "CreationTime": self.creation_time,
            "TrainingEndTime": _by(at, self.training_end_time),
            "LastModifiedTime": min(at, self.last_modified_time),
            "TrainingJobStatus": self._status_at(at, status),
            "SecondaryStatus": status,
        }
        return {key: value for key, value in summary.items() if value is not None}

    @property
    def _end_members(self) -> dict[str, Any]:
        """What is told of a job that has ended."""
        members: dict[str, Any] = {
            "FailureReason": self.failure_reason,
            "TrainingEndTime": self.training_end_time,
        }
        if self.model_artifacts:
            members["ModelArtifacts"] = {"S3ModelArtifacts": self.model_artifacts}
        if self.training_start_time is not None:
            members["TrainingTimeInSeconds"] = round(self._usage.training_seconds)
            members["BillableTimeInSeconds"] = round(self._usage.billable_seconds)
        return members

    def _status_at(self, at: datetime, secondary_status: str) -> str:
        """TrainingJobStatus: what the SecondaryStatus says, unless it is stopping and says nothing of it."""
        if (status := _STATUS_OF.get(secondary_status)) is not None:
            return status
        return "Stopping" if self.stopping_since is not None and self.stopping_since <= at else "InProgress"

    def _transitions_at(self, at: datetime) -> list[dict[str, Any]]:
        """The transitions that there were; what came later has not come yet."""
        transitions = [dict(entry) for entry in self.transitions if entry["StartTime"] <= at]
        if transitions and (ended := transitions[-1].get("EndTime")) is not None and ended > at:
            del transitions[-1]["EndTime"]
        return transitions


def _defaults(request: Mapping[str, Any]) -> dict[str, Any]:
    """What SageMaker tells of members that were left out: an empty key, and what it takes for granted."""
    stopping = {
        "MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME_SECONDS,
        **(request.get("StoppingCondition") or {}),
    }
    members: dict[str, Any] = {"StoppingCondition": stopping}
    if output := request.get("OutputDataConfig"):
        members["OutputDataConfig"] = {"KmsKeyId": "", **output}
    if channels := request.get("InputDataConfig"):
        none = {"CompressionType": "None", "RecordWrapperType": "None"}
        members["InputDataConfig"] = [{**none, **channel} for channel in channels]
    return members


def _by(at: datetime, time: datetime | None) -> datetime | None:
    """A time, if it had come by then."""
    return time if time is not None and time <= at else None
