"""Managed spot training and automatic model tuning with boto3 alone."""

from __future__ import annotations

import json
import sys
import tarfile
import time
from pathlib import Path

import boto3

LOG_GROUP = "/aws/sagemaker/TrainingJobs"


def request(name: str, role: str, bucket: str, **members: object) -> dict[str, object]:
    return {
        "TrainingJobName": name,
        "RoleArn": role,
        "AlgorithmSpecification": {
            "TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/line:1",
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "validation:loss", "Regex": "validation:loss=([0-9.e-]+)"}],
        },
        "HyperParameters": {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": f"s3://{bucket}/code/sourcedir.tar.gz",
            "epochs": "12",
        },
        "InputDataConfig": [
            {
                "ChannelName": "training",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/data/"}},
            }
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "EnableManagedSpotTraining": True,
        "CheckpointConfig": {"S3Uri": f"s3://{bucket}/checkpoints/{name}"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 14_400, "MaxWaitTimeInSeconds": 28_800},
        **members,
    }


def train(source: str, role: str, bucket: str, name: str) -> dict[str, object]:
    """One job that trains, waited for; and a few beside it, listed page by page."""
    sagemaker, s3, logs = boto3.client("sagemaker"), boto3.client("s3"), boto3.client("logs")
    archive = Path(f"{name}.tar.gz")
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(Path(source, "train.py"), arcname="train.py")
    s3.upload_file(str(archive), bucket, "code/sourcedir.tar.gz")

    sagemaker.create_training_job(**request(name, role, bucket))
    others = [f"{name}-{number}" for number in range(5)]
    for other in others:
        sagemaker.create_training_job(**request(other, role, bucket, HyperParameters={}))

    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    for job in (name, *others):
        waiter.wait(TrainingJobName=job, WaiterConfig={"Delay": 1, "MaxAttempts": 240})

    pages = list(
        sagemaker.get_paginator("list_training_jobs").paginate(
            NameContains=name, StatusEquals="Completed", SortBy="Name", SortOrder="Descending",
            PaginationConfig={"PageSize": 2},
        )
    )  # fmt: skip
    streams = [
        stream["logStreamName"]
        for page in logs.get_paginator("describe_log_streams").paginate(
            logGroupName=LOG_GROUP, logStreamNamePrefix=f"{name}/"
        )
        for stream in page["logStreams"]
    ]
    return {
        "pages": [[job["TrainingJobName"] for job in page["TrainingJobSummaries"]] for page in pages],
        "streams": streams,
        "lines": [
            [
                event["message"]
                for event in logs.get_log_events(
                    logGroupName=LOG_GROUP, logStreamName=stream, startFromHead=True
                )["events"]
            ]
            for stream in streams
        ],
        "metrics": {
            metric["MetricName"]: metric["Value"]
            for metric in sagemaker.describe_training_job(TrainingJobName=name)["FinalMetricDataList"]
        },
    }


def tune(source: str, role: str, bucket: str, name: str) -> dict[str, object]:
    """A tuning job of four training jobs, and its lists page by page."""
    sagemaker, s3 = boto3.client("sagemaker"), boto3.client("s3")
    archive = Path(f"{name}.tar.gz")
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(Path(source, "train.py"), arcname="train.py")
    s3.upload_file(str(archive), bucket, "code/sourcedir.tar.gz")
    definition = request(name, role, bucket)
    static = definition.pop("HyperParameters")
    for member in ("TrainingJobName", "CheckpointConfig"):
        definition.pop(member)
    sagemaker.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name,
        HyperParameterTuningJobConfig={
            "Strategy": "Random",
            "RandomSeed": 7,
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "validation:loss"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 4},
            "ParameterRanges": {
                "ContinuousParameterRanges": [
                    {"Name": "learning-rate", "MinValue": "0.05", "MaxValue": "0.9"}
                ],
            },
        },
        TrainingJobDefinition={
            **definition,
            "StaticHyperParameters": {**static, "epochs": "4"},
            "CheckpointConfig": {"S3Uri": f"s3://{bucket}/checkpoints/{name}"},
        },
    )
    while (description := sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name))[
        "HyperParameterTuningJobStatus"
    ] == "InProgress":
        time.sleep(1)
        jobs = sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        for job in jobs["TrainingJobSummaries"]:
            sagemaker.get_waiter("training_job_completed_or_stopped").wait(
                TrainingJobName=job["TrainingJobName"], WaiterConfig={"Delay": 1, "MaxAttempts": 240}
            )
    tuning_jobs = sagemaker.get_paginator("list_hyper_parameter_tuning_jobs").paginate(
        NameContains=name, PaginationConfig={"PageSize": 1}
    )
    training_jobs = sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        HyperParameterTuningJobName=name,
        SortBy="FinalObjectiveMetricValue", SortOrder="Ascending",
        PaginationConfig={"PageSize": 3},
    )  # fmt: skip
    return {
        "status": description["HyperParameterTuningJobStatus"],
        "counters": description["TrainingJobStatusCounters"],
        "best": description["BestTrainingJob"]["TrainingJobName"],
        "tuning_jobs": [
            job["HyperParameterTuningJobName"]
            for page in tuning_jobs
            for job in page["HyperParameterTuningJobSummaries"]
        ],
        "training_jobs": [
            [
                [
                    job["TrainingJobName"],
                    job["TrainingJobStatus"],
                    float(job["TunedHyperParameters"]["learning-rate"]),
                    job["FinalHyperParameterTuningJobObjectiveMetric"]["Value"],
                ]
                for job in page["TrainingJobSummaries"]
            ]
            for page in training_jobs
        ],
    }


if __name__ == "__main__":
    what = {"train": train, "tune": tune}[sys.argv[1]]
    print(json.dumps(what(*sys.argv[2:])))
