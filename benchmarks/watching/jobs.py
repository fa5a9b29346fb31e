"""The training jobs of the fake SageMaker, and what it tells of them: the answers have the size of AWS's."""

from __future__ import annotations

import base64
import json
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

_ARN = "arn:aws:sagemaker:us-east-1:123456789012:training-job/"
_IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-gpu-py312-cu126-ubuntu22.04-sagemaker"
_BEFORE_TRAINING = ("Starting", "Downloading")
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


@dataclass
class Job:
    """A training job that is ``InProgress`` until it is completed.

    :param name: TrainingJobName.
    :param created: seconds since the epoch, to the millisecond, as AWS tells times.
    :param secondary_status: ``Starting``, ``Downloading`` or ``Training``.
    """

    name: str
    created: float
    secondary_status: str
    status: str = "InProgress"
    modified: float = 0.0
    summary: bytes = field(default=b"", repr=False)
    description: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        self.modified = self.created if self._begun is None else self._begun
        self._write()

    def complete(self, now: float) -> None:
        """Be ``Completed`` from now on."""
        self.status = self.secondary_status = "Completed"
        self.modified = now
        self._write()

    @property
    def details(self) -> dict[str, Any]:
        """The members of a DescribeTrainingJob answer."""
        ended = self.status == "Completed"
        begun = self._begun
        transitions: list[dict[str, Any]] = [
            {
                "Status": "Starting",
                "StartTime": self.created,
                "StatusMessage": "Launching requested ML instances",
            }
        ]
        if begun is not None:
            transitions[-1]["EndTime"] = begun
            transitions.append(
                {
                    "Status": "Training",
                    "StartTime": begun,
                    "StatusMessage": "Training image download completed.",
                }
            )
        if ended:
            transitions[-1]["EndTime"] = self.modified
            transitions.append(
                {
                    "Status": "Completed",
                    "StartTime": self.modified,
                    "EndTime": self.modified,
                    "StatusMessage": "Training job completed",
                }
            )
        details = {
            "TrainingJobName": self.name,
            "TrainingJobArn": _ARN + self.name,
            "TrainingJobStatus": self.status,
            "SecondaryStatus": self.secondary_status,
            "SecondaryStatusTransitions": transitions,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            **_UNCHANGING,
        }
        if begun is not None:
            details["TrainingStartTime"] = begun
        if ended:
            details |= {
                "TrainingEndTime": self.modified,
                "TrainingTimeInSeconds": 600,
                "BillableTimeInSeconds": 200,
                "ModelArtifacts": {"S3ModelArtifacts": f"s3://bucket/output/{self.name}/output/model.tar.gz"},
                "FinalMetricDataList": [
                    {"MetricName": "validation:accuracy", "Value": 0.93, "Timestamp": self.modified}
                ],
            }
        return details

    @property
    def _begun(self) -> float | None:
        """When it began to train; None while it does not."""
        return None if self.secondary_status in _BEFORE_TRAINING else self.created + 60

    def _write(self) -> None:
        """Write the answers down once, so that the endpoint's own CPU time is small beside that of who asks."""
        details = self.details
        self.description = json.dumps(details).encode()
        told = ("TrainingJobName", "TrainingJobArn", "CreationTime", "LastModifiedTime", "TrainingJobStatus")
        summary = {member: details[member] for member in (*told, "SecondaryStatus")}
        if "TrainingEndTime" in details:
            summary["TrainingEndTime"] = details["TrainingEndTime"]
        self.summary = json.dumps(summary).encode()


_KEYS: dict[str, Callable[[Job], tuple[Any, str]]] = {
    "CreationTime": lambda job: (job.created, job.name),
    "Name": lambda job: (job.name, job.name),
    "Status": lambda job: (job.status, job.name),
}


class Jobs:
    """All jobs of the account.

    :param names: of the jobs that exist.
    :param secondary_status: what they all are doing.
    """

    def __init__(self, names: list[str], secondary_status: str = "Training") -> None:
        # AWS accepts some requests a second: no two jobs have the same times.
        start = time.time() - 3_600
        self._jobs = {
            name: Job(name, round(start + number / 100, 3), secondary_status)
            for number, name in enumerate(names)
        }

        # Neither a job's creation time nor its name changes: these two orders are made once.
        self._orders = {by: sorted(self._jobs.values(), key=_KEYS[by]) for by in ("CreationTime", "Name")}

    def __getitem__(self, name: str) -> Job:
        """:raises KeyError: there is no such job."""
        return self._jobs[name]

    def page(self, query: Mapping[str, Any]) -> tuple[list[Job], str | None]:
        """The jobs of one ListTrainingJobs answer, and the token of the next.

        A token says after which job a page starts: what changes between two pages neither doubles nor hides another job.
        """
        by = query.get("SortBy", "CreationTime")
        descending = (
            query.get("SortOrder", "Descending" if by == "CreationTime" else "Ascending") == "Descending"
        )
        key = _KEYS[by]
        ordered = self._orders[by] if by in self._orders else sorted(self._jobs.values(), key=key)
        first, end = 0, len(ordered)
        if token := query.get("NextToken"):
            last = tuple(json.loads(base64.urlsafe_b64decode(token)))
            if descending:
                end = bisect_left(ordered, last, key=key)
            else:
                first = bisect_right(ordered, last, key=key)
        numbers = reversed(range(first, end)) if descending else range(first, end)
        size = int(query.get("MaxResults", 10))
        found = list(islice((ordered[n] for n in numbers if _matches(ordered[n], query)), size + 1))
        if len(found) <= size:
            return found, None
        return found[:size], base64.urlsafe_b64encode(json.dumps(key(found[size - 1])).encode()).decode()


def _matches(job: Job, query: Mapping[str, Any]) -> bool:
    return (
        job.modified > query.get("LastModifiedTimeAfter", 0)
        and job.modified < query.get("LastModifiedTimeBefore", float("inf"))
        and job.created > query.get("CreationTimeAfter", 0)
        and job.created < query.get("CreationTimeBefore", float("inf"))
        and job.status == query.get("StatusEquals", job.status)
        and query.get("NameContains", "") in job.name
    )
