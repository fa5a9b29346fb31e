"""Which CreateTrainingJob requests are refused, and how."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_spot_provider.emulator.exceptions import ValidationException
from airflow_spot_provider.emulator.spec import JobSpec
from airflow_spot_provider.emulator.wire import requests

RESOURCES = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
CHANNEL = {
    "ChannelName": "train",
    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/k"}},
}


def _check(request: dict[str, Any]) -> None:
    requests.check("CreateTrainingJob", request)
    requests.check_training_job(JobSpec(request, "123456789012", "us-east-1"))


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60}},
        {"EnableManagedSpotTraining": False, "StoppingCondition": {"MaxRuntimeInSeconds": 60}},
        {"EnableManagedSpotTraining": None, "StoppingCondition": None},
        {"InputDataConfig": [CHANNEL]},
        {"Tags": [{"Key": "emulator:training-seconds", "Value": "0.5"}]},
    ],
)
def test_good_request_is_taken(request_of: Any, members: dict[str, Any]) -> None:
    _check(request_of(**members))


@pytest.mark.parametrize(
    ("members", "told"),
    [
        (
            {"TrainingJobName": None},
            "Value null at 'trainingJobName' failed to satisfy constraint: Member must not be null",
        ),
        ({"TrainingJobName": "bad_name"}, "'bad_name' at 'trainingJobName' failed to satisfy constraint"),
        ({"TrainingJobName": "a" * 64}, "length less than or equal to 63"),
        ({"TrainingJobName": 5}, "'trainingJobName' failed to satisfy constraint: Member must be a string"),
        ({"RoleArn": "arn:aws:iam::123456789012:user/someone"}, "at 'roleArn' failed to satisfy constraint"),
        ({"OutputDataConfig": {"S3OutputPath": "bucket/output"}}, "'outputDataConfig.s3OutputPath'"),
        ({"CheckpointConfig": {"S3Uri": "http://bucket"}}, "'checkpointConfig.s3Uri'"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 0}}, "have value greater than or equal to 1"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 60}}, "MaxWaitTimeInSeconds is required"),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 59}},
            r"Invalid MaxWaitTimeInSeconds \(59\)",
        ),
        (
            {"StoppingCondition": {"MaxWaitTimeInSeconds": 3600}},
            r"equal to or greater than MaxRuntimeInSeconds \(86400\)",
        ),
        (
            {"EnableManagedSpotTraining": False},
            "only supported when EnableManagedSpotTraining is set to true",
        ),
        (
            {"ResourceConfig": {**RESOURCES, "KeepAlivePeriodInSeconds": 60}},
            "KeepAlivePeriodInSeconds is not supported",
        ),
        (
            {"ResourceConfig": {**RESOURCES, "InstanceType": "m5.large"}},
            "'m5.large' at 'resourceConfig.instanceType'",
        ),
        (
            {"ResourceConfig": {"InstanceCount": 1, "VolumeSizeInGB": 1}},
            "ResourceConfig must contain exactly one of InstanceType",
        ),
        ({"AlgorithmSpecification": {"TrainingInputMode": "File"}}, "either TrainingImage or AlgorithmName"),
        ({"AlgorithmSpecification": {"TrainingImage": "i", "TrainingInputMode": "Disk"}}, "enum value set"),
        (
            {
                "AlgorithmSpecification": {
                    "TrainingImage": "i",
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "loss", "Regex": "loss=("}],
                }
            },
            "the Regex of loss cannot be compiled",
        ),
        ({"HyperParameters": {f"p{n}": "1" for n in range(101)}}, "length less than or equal to 100"),
        ({"InputDataConfig": []}, "inputDataConfig|InputDataConfig"),
        ({"InputDataConfig": [{**CHANNEL, "ChannelName": ".."}]}, "names of their own"),
        ({"InputDataConfig": [CHANNEL, CHANNEL]}, "names of their own"),
        ({"Tags": [{"Key": "emulator:training-seconds", "Value": "long"}]}, "'long' is no number of seconds"),
        ({"Tags": [{"Key": "emulator:training-seconds", "Value": "-1"}]}, "'-1' is no number of seconds"),
        ({"Tags": [{"Key": "emulator:training-seconds", "Value": "nan"}]}, "'nan' is no number of seconds"),
    ],
)
def test_bad_request_is_refused_in_words(request_of: Any, members: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationException, match=told):
        _check(request_of(**members))


def test_refusal_repeats_no_secret(request_of: Any) -> None:
    members = {
        "Environment": {"TOKEN": "hunter2" * 200},
        "HyperParameters": {"password": "hunter2" * 500},
    }
    with pytest.raises(ValidationException) as refusal:
        _check(request_of(**members))
    assert "hyperParameters" in refusal.value.message
    assert "hunter2" not in refusal.value.message
