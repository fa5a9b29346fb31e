"""Requests and answers by botocore's service model: valid ones, wrong ones, and what a right answer is."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, Shape, StructureShape

MODEL = botocore.session.get_session().get_service_model("sagemaker")
OPERATIONS = (
    "CreateTrainingJob",
    "DescribeTrainingJob",
    "UpdateTrainingJob",
    "StopTrainingJob",
    "DeleteTrainingJob",
    "ListTrainingJobs",
    "CreateHyperParameterTuningJob",
    "DescribeHyperParameterTuningJob",
    "StopHyperParameterTuningJob",
    "DeleteHyperParameterTuningJob",
    "ListHyperParameterTuningJobs",
    "ListTrainingJobsForHyperParameterTuningJob",
    "AddTags",
    "DeleteTags",
    "ListTags",
    "Search",
)
"""What the emulator answers itself."""

Path = tuple[str | int, ...]
ROLE = "arn:aws:iam::123456789012:role/training"
_DEEPEST = 6


_TYPES = {
    "a structure": ({"Unheard": {"Of": 1}}, {"structure", "map"}),
    "a list": ([[]], {"list"}),
    "a string": ("x", {"string"}),
    "a number": (7, {"integer", "long", "float", "double", "timestamp"}),
    "a boolean": (True, {"boolean"}),
}


def wrong_values(shape: Shape) -> Iterator[tuple[str, Any]]:
    """Values that no member of this shape may have, and what is wrong with each."""
    for name, (value, kinds) in _TYPES.items():
        if shape.type_name not in kinds:
            yield name, value
    rules = shape.metadata
    match shape.type_name:
        case "integer" | "long":
            yield "a fraction", 1.5
            yield "huge", 10**30
            if "min" in rules:
                yield "too small", rules["min"] - 1
            if "max" in rules:
                yield "too large", rules["max"] + 1
        case "string":
            yield from _wrong_strings(rules)
        case "list":
            if rules.get("min", 0) > 0:
                yield "empty", []
            yield "with nothing in it", [None]
        case "map":
            yield "with a number for a value", {"key": 1}
        case "timestamp":
            yield "no time", "yesterday"
            yield "beyond all time", 1e99


def _wrong_strings(rules: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "half a character", "\ud800"
    if rules.get("enum"):
        yield "none of the enumeration", "Nonsense"
    if "max" in rules:
        yield "too long", "a" * (rules["max"] + 1)
    if rules.get("min", 0) > 0:
        yield "empty", ""
    pattern = rules.get("pattern")
    if pattern and "\\p{" not in pattern and not re.fullmatch(pattern, "\x00", re.DOTALL):
        yield "against the pattern", "\x00"


def members(shape: Shape, value: Any, path: Path = ()) -> Iterator[tuple[Path, Shape, bool]]:
    """Every member of a request: its path, its shape, and whether it is required; those that it has not as well."""
    match shape:
        case StructureShape() if isinstance(value, dict) and len(path) < _DEEPEST:
            for name, member in shape.members.items():
                yield (*path, name), member, name in shape.required_members
                if name in value:
                    yield from members(member, value[name], (*path, name))
        case ListShape() if isinstance(value, list):
            for number, item in enumerate(value[:1]):
                yield (*path, number), shape.member, False
                yield from members(shape.member, item, (*path, number))
        case _:
            return


def having(request: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """A request with another value at a path."""
    changed: Any = copy.deepcopy(request)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return dict(changed)


def without(request: dict[str, Any], path: Path) -> dict[str, Any]:
    """A request without the member at a path."""
    changed: Any = copy.deepcopy(request)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place.pop(path[-1], None)
    return dict(changed)


def misfits(shape: Shape | None, value: Any, path: str = "answer") -> Iterator[str]:
    """What is not as a shape says: members that it has not, other types, values that are none of its enumerations."""
    match shape:
        case None:
            if value not in ({}, None):
                yield f"{path} has members, and no shape"
        case StructureShape() if isinstance(value, dict):
            yield from (
                f"{path}.{name} is none of its members" for name in value.keys() - shape.members.keys()
            )
            yield from (f"{path}.{name} is missing" for name in set(shape.required_members) - value.keys())
            for name in value.keys() & shape.members.keys():
                yield from misfits(shape.members[name], value[name], f"{path}.{name}")
        case ListShape() if isinstance(value, list):
            for number, item in enumerate(value):
                yield from misfits(shape.member, item, f"{path}[{number}]")
        case MapShape() if isinstance(value, dict):
            for key, item in value.items():
                yield from misfits(shape.key, key, f"{path} key")
                yield from misfits(shape.value, item, f"{path}.{key}")
        case StructureShape() | ListShape() | MapShape():
            yield f"{path} is {value!r}, and no {shape.type_name}"
        case _:
            yield from _misfit_of_a_scalar(shape, value, path)


def _misfit_of_a_scalar(shape: Shape, value: Any, path: str) -> Iterator[str]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "integer": isinstance(value, int) and is_number,
        "long": isinstance(value, int) and is_number,
    }.get(shape.type_name, is_number)
    if not fits:
        yield f"{path} is {value!r}, and no {shape.type_name}"
    elif shape.type_name == "string" and shape.metadata.get("enum") and value not in shape.metadata["enum"]:
        yield f"{path} is {value!r}, which is none of its enumeration"


def training_job(name: str, **more: Any) -> dict[str, Any]:
    """A CreateTrainingJob request with most of its members."""
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {
            "TrainingImage": "local/image:1",
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
        },
        "HyperParameters": {"epochs": "3"},
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": "s3://integration/data",
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
                "ContentType": "text/csv",
                "CompressionType": "None",
                "ShuffleConfig": {"Seed": 1},
            }
        ],
        "OutputDataConfig": {"S3OutputPath": "s3://integration/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900},
        "EnableManagedSpotTraining": True,
        "CheckpointConfig": {"S3Uri": "s3://integration/checkpoints", "LocalPath": "/opt/ml/checkpoints"},
        "RetryStrategy": {"MaximumRetryAttempts": 1},
        "Environment": {"MODE": "fast"},
        "Tags": [{"Key": "team", "Value": "ml"}],
        **more,
    }


def tuning_job(name: str) -> dict[str, Any]:
    """A CreateHyperParameterTuningJob request with most of its members."""
    job = training_job("unused")
    definition = {
        "StaticHyperParameters": {"epochs": "3"},
        "AlgorithmSpecification": job["AlgorithmSpecification"],
        **{
            member: job[member]
            for member in (
                *("RoleArn", "InputDataConfig", "OutputDataConfig", "ResourceConfig", "StoppingCondition"),
                *("EnableManagedSpotTraining", "CheckpointConfig", "RetryStrategy", "Environment"),
            )
        },
    }
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1},
            "ParameterRanges": {
                "ContinuousParameterRanges": [
                    {"Name": "rate", "MinValue": "0.1", "MaxValue": "0.9", "ScalingType": "Auto"}
                ],
                "IntegerParameterRanges": [{"Name": "depth", "MinValue": "1", "MaxValue": "9"}],
                "CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b"]}],
            },
            "TrainingJobEarlyStoppingType": "Off",
            "RandomSeed": 3,
        },
        "TrainingJobDefinition": definition,
        "Tags": [{"Key": "team", "Value": "ml"}],
    }
