"""A training job as it was asked for: a checked CreateTrainingJob request, and whose it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from moto.utilities.utils import get_partition

DEFAULT_MAX_RUNTIME_SECONDS = 86_400
LIFECYCLE_TAG = "emulator:lifecycle"
TRAINING_SECONDS_TAG = "emulator:training-seconds"
CHECKPOINT_SECONDS_TAG = "emulator:checkpoint-seconds"
VOLUME_BYTES_TAG = "emulator:volume-bytes"
DEFAULT_VOLUME_GB = 30
OBJECTIVE_PARAMETER = "_tuning_objective_metric"
"""The hyperparameter with which a tuning job tells its training jobs what they are measured by."""
DEFAULT_TRAINING_SECONDS = 60.0
"""How long a job without a script trains."""


@dataclass(frozen=True)
class JobSpec:
    """What was asked for, in the shapes that the emulator works with.

    :param request: the CreateTrainingJob request.
    :param account_id: AWS account of the job.
    :param region: AWS region of the job.
    :param tuning_job_arn: the tuning job that it belongs to, if it does.
    """

    request: Mapping[str, Any]
    account_id: str
    region: str
    tuning_job_arn: str | None = None

    @property
    def name(self) -> str:
        """TrainingJobName."""
        return str(self.request["TrainingJobName"])

    @property
    def arn(self) -> str:
        """TrainingJobArn."""
        partition = get_partition(self.region)
        return f"arn:{partition}:sagemaker:{self.region}:{self.account_id}:training-job/{self.name}"

    @property
    def spot(self) -> bool:
        """Whether it is managed spot training."""
        return bool(self.request.get("EnableManagedSpotTraining"))

    @property
    def max_wait_seconds(self) -> float | None:
        """MaxWaitTimeInSeconds."""
        wait: float | None = self._member("StoppingCondition").get("MaxWaitTimeInSeconds")
        return wait

    @property
    def max_runtime_seconds(self) -> float:
        """MaxRuntimeInSeconds."""
        return float(
            self._member("StoppingCondition").get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_SECONDS)
        )

    @property
    def max_pending_seconds(self) -> float | None:
        """MaxPendingTimeInSeconds."""
        pending: float | None = self._member("StoppingCondition").get("MaxPendingTimeInSeconds")
        return pending

    @property
    def retry_attempts(self) -> int:
        """RetryStrategy.MaximumRetryAttempts."""
        return int(self._member("RetryStrategy").get("MaximumRetryAttempts", 0))

    @property
    def instance_type(self) -> str:
        """ResourceConfig.InstanceType; of several instance groups or preferences the first."""
        return next(iter(self.instances), "")

    @property
    def instances(self) -> dict[str, int]:
        """How many instances of each type it takes."""
        resources = self._member("ResourceConfig")
        preferred = (resources.get("InstancePreferences") or ())[:1]
        groups = resources.get("InstanceGroups") or (
            [resources] if resources.get("InstanceType") else preferred
        )
        instances: dict[str, int] = {}
        for group in groups:
            kind = str(group["InstanceType"])
            instances[kind] = instances.get(kind, 0) + int(group.get("InstanceCount") or 1)
        return instances

    @property
    def checkpoint_uri(self) -> str | None:
        """CheckpointConfig.S3Uri."""
        uri: str | None = self._member("CheckpointConfig").get("S3Uri")
        return uri

    @property
    def output_uri(self) -> str:
        """The S3 prefix of what the job leaves: ``<S3OutputPath>/<job>/output``."""
        return f"{self.request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{self.name}/output"

    @property
    def channels(self) -> Sequence[Mapping[str, Any]]:
        """InputDataConfig."""
        return self.request.get("InputDataConfig") or ()

    @property
    def hyperparameters(self) -> Mapping[str, str]:
        """HyperParameters."""
        return self._member("HyperParameters")

    def plain_hyperparameter(self, name: str) -> str:
        """A hyperparameter as it was meant: the SageMaker SDK encodes a string as JSON, quotes and all."""
        return plain(self.hyperparameters.get(name, ""))

    @property
    def input_mode(self) -> str:
        """AlgorithmSpecification.TrainingInputMode."""
        return str(self._member("AlgorithmSpecification").get("TrainingInputMode") or "File")

    @property
    def checkpoint_path(self) -> str:
        """CheckpointConfig.LocalPath: where a script finds its checkpoints."""
        return str(self._member("CheckpointConfig").get("LocalPath") or "/opt/ml/checkpoints")

    @property
    def volume_bytes(self) -> float:
        """What fits on an instance: VolumeSizeInGB, or what its tag ``emulator:volume-bytes`` says.

        :raises ValueError: the tag holds no number of bytes.
        """
        value = self._tag(VOLUME_BYTES_TAG)
        if value is not None:
            if not value.isdecimal():
                raise ValueError(f"'{value}' is no number of bytes; give a whole one.")
            return float(value)
        return float(self._member("ResourceConfig").get("VolumeSizeInGB") or DEFAULT_VOLUME_GB) * 2**30

    @property
    def hosts(self) -> list[tuple[str, str]]:
        """Each of its hosts: the instance type, and the instance group's name if it has groups."""
        resources = self._member("ResourceConfig")
        groups = resources.get("InstanceGroups")
        if groups:
            return [
                (str(group["InstanceType"]), str(group["InstanceGroupName"]))
                for group in groups
                for _ in range(int(group["InstanceCount"]))
            ]
        return [(kind, "") for kind, count in self.instances.items() for _ in range(count)] or [("", "")]

    @property
    def metric_definitions(self) -> Sequence[Mapping[str, str]]:
        """AlgorithmSpecification.MetricDefinitions."""
        return self._member("AlgorithmSpecification").get("MetricDefinitions") or ()

    @property
    def tags(self) -> Sequence[Mapping[str, str]]:
        """Tags."""
        return self.request.get("Tags") or ()

    @property
    def lifecycle(self) -> str | None:
        """What its tag ``emulator:lifecycle`` says."""
        return self._tag(LIFECYCLE_TAG)

    @cached_property
    def training_seconds(self) -> float:
        """How long it trains if it has no script: its tag ``emulator:training-seconds``, or the default.

        :raises ValueError: the tag holds no number of seconds.
        """
        value = self._tag(TRAINING_SECONDS_TAG)
        return DEFAULT_TRAINING_SECONDS if value is None else _seconds(value)

    @cached_property
    def checkpoint_seconds(self) -> float | None:
        """How often it writes a checkpoint if it has no script: its tag ``emulator:checkpoint-seconds``; None: all the time.

        :raises ValueError: the tag holds no number of seconds.
        """
        value = self._tag(CHECKPOINT_SECONDS_TAG)
        return None if value is None else _seconds(value)

    def _member(self, name: str) -> Mapping[str, Any]:
        return self.request.get(name) or {}

    def _tag(self, key: str) -> str | None:
        return next((tag["Value"] for tag in self.tags if tag["Key"] == key), None)


def plain(value: str) -> str:
    """A string as it was meant, of which the SageMaker SDK may have made JSON."""
    try:
        decoded = json.loads(value)
    except ValueError:
        return value
    return decoded if isinstance(decoded, str) else value


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e9:
        raise ValueError(f"'{value}' is no number of seconds; give one that is 0 or more.")
    return seconds
