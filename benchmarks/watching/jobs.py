"""A training job of the fake SageMaker, and what it tells of it: the answers have the size of AWS's."""

from __future__ import annotations

import json
from typing import Any

_ARN = "arn:aws:sagemaker:us-east-1:123456789012:training-job/"
_IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-gpu-py312-cu126-ubuntu22.04-sagemaker"
_MESSAGES = {
    "Starting": "Launching requested ML instances",
    "Training": "Training image download completed. Training in progress.",
    "Interrupted": "Training job interrupted. Waiting for spot capacity.",
    "Completed": "Training job completed",
}
_UNCHANGING: dict[str, Any] = {
    "AlgorithmSpecification": {
        "TrainingImage": _IMAGE,
        "TrainingInputMode": "FastFile",
        "MetricDefinitions": [
            {"Name": "train:loss", "Regex": "train_loss=([0-9\\.]+)"},
            {"Name": "validation:accuracy", "Regex": "validation_accuracy=([0-9\\.]+)"},
        ],
        "EnableSageMakerMetricsTimeSeries": True,
    },
    "CheckpointConfig": {"S3Uri": "s3://bucket/checkpoints", "LocalPath": "/opt/ml/checkpoints"},
    "EnableInterContainerTrafficEncryption": False,
    "EnableManagedSpotTraining": True,
    "EnableNetworkIsolation": False,
    "Environment": {"NCCL_DEBUG": "WARN", "TOKENIZERS_PARALLELISM": "false"},
    "HyperParameters": {
        "batch-size": "64",
        "epochs": "30",
        "learning-rate": "0.0003",
        "optimizer": "adamw",
        "sagemaker_container_log_level": "20",
        "sagemaker_program": "train.py",
        "sagemaker_region": "us-east-1",
        "sagemaker_submit_directory": "s3://bucket/source/sourcedir.tar.gz",
        "warmup-steps": "500",
        "weight-decay": "0.01",
    },
    "InputDataConfig": [
        {
            "ChannelName": channel,
            "CompressionType": "None",
            "DataSource": {
                "S3DataSource": {
                    "S3DataDistributionType": "FullyReplicated",
                    "S3DataType": "S3Prefix",
                    "S3Uri": f"s3://bucket/data/{channel}/",
                }
            },
            "RecordWrapperType": "None",
        }
        for channel in ("training", "validation")
    ],
    "OutputDataConfig": {"CompressionType": "GZIP", "KmsKeyId": "", "S3OutputPath": "s3://bucket/output"},
    "ProfilingStatus": "Disabled",
    "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.g5.xlarge", "VolumeSizeInGB": 100},
    "RoleArn": "arn:aws:iam::123456789012:role/service-role/training",
    "StoppingCondition": {"MaxRuntimeInSeconds": 86_400, "MaxWaitTimeInSeconds": 172_800},
}


class Job:
    """A training job. It is ``Starting`` at first, and ``InProgress`` until it is ``Completed``.

    All times are seconds since the epoch, to the millisecond, as AWS tells times.

    :param name: TrainingJobName.
    :param created: CreationTime.
    :param began: when it began to train; None if it has not.
    :param ended: when it was completed; None while it runs.
    """

    __slots__ = ("_description", "_summary", "_transitions", "created", "name")

    def __init__(
        self, name: str, created: float, *, began: float | None = None, ended: float | None = None
    ) -> None:
        self.name = name
        self.created = created
        self._transitions = [("Starting", created)]
        self._transitions += [("Training", began)] if began is not None else []
        self._transitions += [("Completed", ended)] if ended is not None else []
        self._summary = self._description = b""

    def move_on(self, secondary_status: str, now: float) -> None:
        """Have this SecondaryStatus from now on."""
        self._transitions.append((secondary_status, now))
        self._summary = self._description = b""

    @property
    def secondary_status(self) -> str:
        """The newest."""
        return self._transitions[-1][0]

    @property
    def status(self) -> str:
        """TrainingJobStatus."""
        return "Completed" if self.secondary_status == "Completed" else "InProgress"

    @property
    def modified(self) -> float:
        """LastModifiedTime."""
        return self._transitions[-1][1]

    @property
    def began(self) -> float | None:
        """When it trained first; None if it never did."""
        return next((at for status, at in self._transitions if status == "Training"), None)

    def write(self) -> None:
        """Write the answers down before anybody asks: then the endpoint's CPU time is small beside that of who does."""
        self._summary = json.dumps(self._told()).encode()
        self._description = json.dumps(self.details).encode()

    @property
    def summary(self) -> bytes:
        """What ListTrainingJobs tells of it, as JSON."""
        self._summary = self._summary or json.dumps(self._told()).encode()
        return self._summary

    @property
    def description(self) -> bytes:
        """The answer of DescribeTrainingJob, as JSON."""
        self._description = self._description or json.dumps(self.details).encode()
        return self._description

    @property
    def details(self) -> dict[str, Any]:
        """The members of a DescribeTrainingJob answer."""
        details = self._told() | _UNCHANGING | {"SecondaryStatusTransitions": self._history()}
        if (began := self.began) is None:
            return details
        details["TrainingStartTime"] = began
        if self.status == "Completed":
            seconds = int(self.modified) - int(began)
            details |= {
                "TrainingTimeInSeconds": seconds,
                "BillableTimeInSeconds": seconds // 3,
                "ModelArtifacts": {"S3ModelArtifacts": f"s3://bucket/output/{self.name}/output/model.tar.gz"},
                "FinalMetricDataList": [
                    {"MetricName": "validation:accuracy", "Value": 0.93, "Timestamp": self.modified}
                ],
            }
        return details

    def _told(self) -> dict[str, Any]:
        """The members that summaries and descriptions share."""
        told = {
            "TrainingJobName": self.name,
            "TrainingJobArn": _ARN + self.name,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "TrainingJobStatus": self.status,
            "SecondaryStatus": self.secondary_status,
        }
        return told | ({"TrainingEndTime": self.modified} if self.status == "Completed" else {})

    def _history(self) -> list[dict[str, Any]]:
        ends: list[float | None] = [at for _, at in self._transitions[1:]]
        ends.append(self.modified if self.status == "Completed" else None)
        return [
            {"Status": status, "StartTime": at, "StatusMessage": _MESSAGES[status]}
            | ({"EndTime": end} if end is not None else {})
            for (status, at), end in zip(self._transitions, ends, strict=True)
        ]
