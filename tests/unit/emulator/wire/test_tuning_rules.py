"""Members of a CreateHyperParameterTuningJob request that contradict each other."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from airflow_spot_provider.emulator.exceptions import ValidationException
from airflow_spot_provider.emulator.wire import requests

RATE = {"Name": "rate", "MinValue": "0.1", "MaxValue": "0.9"}
DEPTH = {"Name": "depth", "MinValue": "1", "MaxValue": "4"}
KIND = {"Name": "kind", "Values": ["a", "b", "c"]}
OBJECTIVE = {"Type": "Minimize", "MetricName": "loss"}
LIMITS = {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1}
HYPERBAND = {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 9}}
INSTANCE = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}


def _definition(**members: Any) -> dict[str, Any]:
    return {
        "RoleArn": "arn:aws:iam::123456789012:role/training",
        "AlgorithmSpecification": {
            "TrainingImage": "local/image:1",
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}],
        },
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
        "ResourceConfig": INSTANCE,
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        **members,
    }


def _request(config: dict[str, Any], definition: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A tuning job; members that are None are left out."""
    whole = {
        "HyperParameterTuningJobName": "tune",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": OBJECTIVE,
            "ResourceLimits": LIMITS,
            "ParameterRanges": {"ContinuousParameterRanges": [RATE]},
            **config,
        },
        "TrainingJobDefinition": _definition(**definition),
        **members,
    }

    def _without_none(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: _without_none(part) for name, part in value.items() if part is not None}

    return dict(_without_none(copy.deepcopy(whole)))


def _several(*definitions: dict[str, Any], **config: Any) -> dict[str, Any]:
    config = {"HyperParameterTuningJobObjective": None, "ParameterRanges": None, **config}
    return _request(config, {}, TrainingJobDefinition=None, TrainingJobDefinitions=list(definitions))


def _one(name: str | None, **members: Any) -> dict[str, Any]:
    definition = _definition(
        TuningObjective=OBJECTIVE, HyperParameterRanges={"ContinuousParameterRanges": [RATE]}, **members
    )
    return definition if name is None else {**definition, "DefinitionName": name}


def _ranges(**kinds: Any) -> dict[str, Any]:
    return {"ParameterRanges": {f"{kind}ParameterRanges": entries for kind, entries in kinds.items()}}


def _check(request: dict[str, Any]) -> None:
    requests.check("CreateHyperParameterTuningJob", request)
    requests.check_tuning_job(request)


@pytest.mark.parametrize(
    "request_",
    [
        _request({}, {}),
        _request(_ranges(Integer=[DEPTH], Categorical=[KIND]), {}),
        _request(
            {
                **_ranges(Categorical=[KIND]),
                "Strategy": "Grid",
                "ResourceLimits": {"MaxParallelTrainingJobs": 1},
            },
            {},
        ),
        _request(
            {
                **_ranges(Categorical=[KIND]),
                "Strategy": "Grid",
                "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 1},
            },
            {},
        ),
        _request({"Strategy": "Hyperband", "StrategyConfig": HYPERBAND}, {}),
        _request(_ranges(Continuous=[{**RATE, "ScalingType": "ReverseLogarithmic"}]), {}),
        _request({}, {"ResourceConfig": None, "HyperParameterTuningResourceConfig": INSTANCE}),
        _request(
            {},
            {"ResourceConfig": None, "HyperParameterTuningResourceConfig": {"InstanceConfigs": [INSTANCE]}},
        ),
        _request(
            {},
            {
                "EnableManagedSpotTraining": True,
                "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
            },
        ),
        _several(_one("a"), _one("b")),
    ],
)
def test_members_that_go_together_are_taken(request_: dict[str, Any]) -> None:
    _check(request_)


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (_request({}, {}, TrainingJobDefinition=None), "either TrainingJobDefinition or"),
        (_request({}, {}, TrainingJobDefinitions=[_one("a")]), "either TrainingJobDefinition or"),
        (_several(_one("a"), _one("a")), "DefinitionName of its own"),
        (_several(_one("a"), _one(None)), "DefinitionName of its own"),
        (_several(_one("a"), HyperParameterTuningJobObjective=OBJECTIVE), "belongs into each definition"),
        (_several({**_one("a"), "HyperParameterRanges": {}}), "At least one hyperparameter range"),
        (_request({"HyperParameterTuningJobObjective": None}, {}), "objective is required"),
        (
            _request({"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "x"}}, {}),
            "A metric is required for this hyperparameter tuning job objective",
        ),
        (_request({"StrategyConfig": HYPERBAND}, {}), "is for the strategy Hyperband"),
        (
            _request(
                {
                    "Strategy": "Hyperband",
                    "StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 9, "MaxResource": 1}},
                },
                {},
            ),
            r"MinResource \(9\) must not be greater than MaxResource \(1\)",
        ),
        (
            _request({"Strategy": "Hyperband", "TrainingJobEarlyStoppingType": "Auto"}, {}),
            "TrainingJobEarlyStoppingType must be Off",
        ),
        (
            _request({"ResourceLimits": {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 2}}, {}),
            r"MaxParallelTrainingJobs \(2\)",
        ),
        (_request({"ResourceLimits": {"MaxParallelTrainingJobs": 1}}, {}), "is required in ResourceLimits"),
        (_request({"Strategy": "Grid"}, {}), "CategoricalParameterRanges only"),
        (
            _request({**_ranges(Categorical=[KIND]), "Strategy": "Grid"}, {}),
            r"MaxNumberOfTrainingJobs \(2\) must equal the number of combinations \(3\)",
        ),
        (
            _request(
                {
                    **_ranges(Integer=[DEPTH], Categorical=[KIND]),
                    "ResourceLimits": {"MaxNumberOfTrainingJobs": 13, "MaxParallelTrainingJobs": 1},
                },
                {},
            ),
            r"combinations for the provided ranges \[12.0\] must be .* \[13\]",
        ),
        (_request(_ranges(Continuous=[RATE], Integer=[{**DEPTH, "Name": "rate"}]), {}), "unique names"),
        (_request({}, {"StaticHyperParameters": {"rate": "1"}}), "both static and in a range"),
        (
            _request(
                _ranges(
                    Categorical=[{"Name": f"p{n}", "Values": ["a"]} for n in range(30)], Continuous=[RATE]
                ),
                {},
            ),
            "at most 30",
        ),
        (_request(_ranges(Continuous=[{**RATE, "MaxValue": "0.1"}]), {}), "must be less than MaxValue"),
        (_request(_ranges(Continuous=[{**RATE, "MaxValue": "nan"}]), {}), "no float values"),
        (_request(_ranges(Continuous=[{**RATE, "MaxValue": "inf"}]), {}), "no float values"),
        (_request(_ranges(Integer=[{**DEPTH, "MaxValue": "1.5"}]), {}), "no int values"),
        (
            _request(_ranges(Continuous=[{**RATE, "MinValue": "0", "ScalingType": "Logarithmic"}]), {}),
            "greater than 0",
        ),
        (
            _request(
                _ranges(Continuous=[{**RATE, "MaxValue": "1", "ScalingType": "ReverseLogarithmic"}]), {}
            ),
            "less than 1",
        ),
        (_request(_ranges(Categorical=[{"Name": "kind", "Values": ["a", "a"]}]), {}), "have to be unique"),
        (_request({}, {"ResourceConfig": None}), "either ResourceConfig or HyperParameterTuning"),
        (_request({}, {"HyperParameterTuningResourceConfig": INSTANCE}), "either ResourceConfig or"),
        (
            _request(
                {}, {"ResourceConfig": None, "HyperParameterTuningResourceConfig": {"VolumeSizeInGB": 1}}
            ),
            "either InstanceConfigs or",
        ),
        (_request({}, {"EnableManagedSpotTraining": True}), "MaxWaitTimeInSeconds is required"),
        (
            _several(_one("a"), _one("b", RoleArn="arn:aws:iam::123456789012:user/somebody")),
            "roleArn",
        ),
        (
            _request({}, {}, Tags=[{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]),
            "Duplicate tag keys",
        ),
    ],
)
def test_members_that_contradict_each_other_are_refused(request_: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationException, match=told):
        _check(request_)
