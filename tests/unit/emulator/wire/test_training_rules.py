"""Members of a CreateTrainingJob request that contradict each other."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_spot_provider.emulator.exceptions import ValidationException
from airflow_spot_provider.emulator.spec import JobSpec
from airflow_spot_provider.emulator.wire import requests

RESOURCES = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
GROUPS = {
    "InstanceGroups": [
        {"InstanceGroupName": name, "InstanceType": "ml.m5.large", "InstanceCount": 1}
        for name in ("one", "two")
    ],
    "VolumeSizeInGB": 1,
}
PREFERENCES = {"InstancePreferences": [{"InstanceType": "ml.m5.large"}], "VolumeSizeInGB": 1}
ON_DEMAND = {"EnableManagedSpotTraining": False, "StoppingCondition": {"MaxRuntimeInSeconds": 60}}
FILE_SYSTEM = {
    "ChannelName": "files",
    "DataSource": {
        "FileSystemDataSource": {
            "FileSystemId": "fs-0123456789abcdef0",
            "FileSystemType": "EFS",
            "FileSystemAccessMode": "ro",
            "DirectoryPath": "/data",
        }
    },
}
VPC = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
PLAN = "arn:aws:sagemaker:us-east-1:123456789012:training-plan/plan"


def _channel(name: str = "train", mode: str | None = None, **source: Any) -> dict[str, Any]:
    s3 = {"S3DataType": "S3Prefix", "S3Uri": "s3://b/k", **source}
    return {
        "ChannelName": name,
        "DataSource": {"S3DataSource": s3},
        **({"InputMode": mode} if mode else {}),
    }


AUGMENTED = {"S3DataType": "AugmentedManifestFile", "AttributeNames": ["image"]}


def _check(request: dict[str, Any]) -> None:
    requests.check("CreateTrainingJob", request)
    requests.check_training_job(JobSpec(request, "123456789012", "us-east-1"))


@pytest.mark.parametrize(
    "members",
    [
        {"ResourceConfig": GROUPS},
        {**ON_DEMAND, "ResourceConfig": PREFERENCES},
        {**ON_DEMAND, "ResourceConfig": {**RESOURCES, "KeepAlivePeriodInSeconds": 60}},
        {"InputDataConfig": [FILE_SYSTEM], "VpcConfig": VPC},
        {"InputDataConfig": [_channel(mode="Pipe", **AUGMENTED)]},
        {
            "ResourceConfig": GROUPS,
            "InputDataConfig": [
                _channel("a", InstanceGroupNames=["one"]),
                _channel("b", InstanceGroupNames=["one", "two"]),
            ],
        },
        {"ResourceConfig": GROUPS, "InputDataConfig": [_channel("a"), _channel("b")]},
        {"Tags": [{"Key": "Straße 1/ä@b", "Value": "名前 - x"}]},
    ],
)
def test_members_that_go_together_are_taken(request_of: Any, members: dict[str, Any]) -> None:
    _check(request_of(**members))


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"ResourceConfig": {**GROUPS, **RESOURCES}}, "cannot be specified with InstanceGroups"),
        ({"ResourceConfig": {**GROUPS, "InstanceCount": 1}}, "cannot be specified with InstanceGroups"),
        ({"ResourceConfig": {**RESOURCES, "InstanceCount": None}}, "InstanceCount is required"),
        ({**ON_DEMAND, "ResourceConfig": {**PREFERENCES, **RESOURCES}}, "exactly one of InstanceType"),
        ({**ON_DEMAND, "ResourceConfig": {**GROUPS, **PREFERENCES}}, "exactly one of InstanceType"),
        (
            {
                **ON_DEMAND,
                "ResourceConfig": {
                    **PREFERENCES,
                    "InstancePlacementConfig": {"EnableMultipleJobs": True},
                },
            },
            "InstancePlacementConfig cannot be specified with InstancePreferences",
        ),
        ({"ResourceConfig": PREFERENCES}, "InstancePreferences is not supported when EnableManagedSpot"),
        ({"ResourceConfig": {**RESOURCES, "TrainingPlanArn": PLAN}}, "TrainingPlanArn is not supported"),
        (
            {"ResourceConfig": {**GROUPS, "InstanceGroups": GROUPS["InstanceGroups"][:1] * 2}},
            "InstanceGroups must have unique names",
        ),
        ({"CheckpointConfig": {"S3Uri": "s3://b/c", "LocalPath": "../c"}}, "Invalid LocalPath"),
        ({"CheckpointConfig": {"S3Uri": "s3://b/c", "LocalPath": "/opt/.."}}, "Invalid LocalPath"),
        ({"InputDataConfig": [FILE_SYSTEM]}, "VpcConfig is required"),
        (
            {"InputDataConfig": [{"ChannelName": "a", "DataSource": {}}]},
            "exactly one data source; found none",
        ),
        (
            {
                "InputDataConfig": [
                    {
                        "ChannelName": "a",
                        "DataSource": {**FILE_SYSTEM["DataSource"], **_channel()["DataSource"]},
                    }
                ]
            },
            "exactly one data source; found FileSystemDataSource, S3DataSource",
        ),
        ({"InputDataConfig": [_channel(**AUGMENTED)]}, "only be used in the input mode Pipe"),
        (
            {"InputDataConfig": [_channel(mode="Pipe", S3DataType="AugmentedManifestFile")]},
            "must be given together",
        ),
        ({"InputDataConfig": [{**_channel(), "RecordWrapperType": "RecordIO"}]}, "RecordIO"),
        (
            {
                "ResourceConfig": GROUPS,
                "InputDataConfig": [_channel("a"), _channel("b", InstanceGroupNames=["one"])],
            },
            r"Some channels have assigned instance groups: \[b\] while others not: \[a\]",
        ),
        (
            {"ResourceConfig": GROUPS, "InputDataConfig": [_channel(InstanceGroupNames=["three"])]},
            r"ResourceConfig does not have: \['three'\]",
        ),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 28 * 86_400 + 1}}, "at most 2419200"),
        ({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}, "Duplicate tag keys"),
        ({"Tags": [{"Key": "AWS:team", "Value": "1"}]}, "aws: prefixed tag key names are not allowed"),
        ({"Tags": [{"Key": "a\tb", "Value": "1"}]}, "regular expression pattern"),
        ({"Tags": [{"Key": "emulator:volume-bytes", "Value": "1.5"}]}, "no number of bytes"),
        ({"Tags": [{"Key": "emulator:checkpoint-seconds", "Value": "x"}]}, "no number of seconds"),
        (
            {
                "AlgorithmSpecification": {
                    "TrainingImage": "i",
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "loss", "Regex": "a"}, {"Name": "loss", "Regex": "b"}],
                }
            },
            "names have to be unique",
        ),
        (
            {
                "AlgorithmSpecification": {
                    "TrainingImage": "i",
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "loss", "Regex": "a{99999999999999999999}"}],
                }
            },
            "the Regex of loss cannot be compiled",
        ),
    ],
)
def test_members_that_contradict_each_other_are_refused(
    request_of: Any, members: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValidationException, match=told):
        _check(request_of(**members))
