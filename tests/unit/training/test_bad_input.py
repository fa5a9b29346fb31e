"""Bad input: what was given, what is allowed and what to do, all of it in one go, and no secret repeated."""

from __future__ import annotations

import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from airflow_spot_provider.training import InvalidSpotRequest, on_demand_request, spot_request
from airflow_spot_provider.training.rules import NON_CHECKPOINTING_ALGORITHMS

SECRET = "tr0ub4dor&3"
ECR = "811284229777.dkr.ecr.us-east-1.amazonaws.com"


def _config(**members: Any) -> dict[str, Any]:
    """A config that is fine on spot; members given as None are left out."""
    config = {
        "RoleArn": "arn:aws:iam::123456789012:role/training",
        "AlgorithmSpecification": {"TrainingImage": f"{ECR}/mine:1", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 1_800, "MaxWaitTimeInSeconds": 3_600},
        "Environment": {"API_TOKEN": SECRET},
        "HyperParameters": {"password": SECRET},
        **members,
    }
    return {name: value for name, value in config.items() if value is not None}


def _stopping(max_runtime: object = 1_800, max_wait: object = None) -> dict[str, Any]:
    limits = {"MaxRuntimeInSeconds": max_runtime, "MaxWaitTimeInSeconds": max_wait}
    return {"StoppingCondition": {name: value for name, value in limits.items() if value is not None}}


def _resources(**members: Any) -> dict[str, Any]:
    return {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, **members}}


def _image(name: str) -> dict[str, Any]:
    return {"AlgorithmSpecification": {"TrainingImage": name}}


def _problems(build: Any, config: object, **arguments: Any) -> tuple[str, ...]:
    with pytest.raises(InvalidSpotRequest) as raised:
        build(config, **arguments)
    assert SECRET not in str(raised.value)
    assert SECRET not in repr(raised.value)
    assert raised.value.__cause__ is None
    return raised.value.problems


def test_the_config_that_the_others_are_made_from_is_fine() -> None:
    assert spot_request(_config())["EnableManagedSpotTraining"] is True


# Each: members of config, arguments, and what the one problem has to say: given, allowed, what to do.
ON_SPOT: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "MaxWait below MaxRuntime": (
        _stopping(1_800, 1_799),
        {},
        ["is 1799", "1800", "equal to or greater", "Raise max_wait or lower MaxRuntime"],
    ),
    "max_wait below MaxRuntime": (
        _stopping(1_800),
        {"max_wait": timedelta(minutes=29)},
        ["is 1740", "1800", "equal to or greater", "Raise max_wait"],
    ),
    "MaxWait below the default MaxRuntime": (
        _stopping(None, 3_600),
        {"allow_no_checkpoint": True},
        ["is 3600", "86400", "Raise max_wait"],
    ),
    "no MaxWait": (_stopping(1_800), {}, ["no MaxWait", "requires it", "pass max_wait=", "waiting plus"]),
    "max_wait of a fraction": ({}, {"max_wait": 3600.5}, ["3600.5", "whole seconds", "timedelta"]),
    "max_wait of part of a second": (
        {},
        {"max_wait": timedelta(hours=1, microseconds=1)},
        ["datetime.timedelta", "whole seconds"],
    ),
    "max_wait in words": ({}, {"max_wait": "an hour"}, ["'an hour'", "whole seconds", "timedelta"]),
    "max_wait empty": ({}, {"max_wait": ""}, ["''", "whole seconds"]),
    "max_wait too many digits": ({}, {"max_wait": "9" * 5_000}, ["'999", "whole seconds"]),
    "max_wait True": ({}, {"max_wait": True}, ["True", "whole seconds"]),
    "max_wait NaN": ({}, {"max_wait": float("nan")}, ["nan", "whole seconds"]),
    "max_wait infinite": ({}, {"max_wait": float("inf")}, ["inf", "whole seconds"]),
    "max_wait of NumPy": ({}, {"max_wait": np.int64(3_600)}, ["3600", "whole seconds (int)"]),
    "max_wait a list": ({}, {"max_wait": [3_600]}, ["[3600]", "whole seconds"]),
    "spot refused in config": (
        {"EnableManagedSpotTraining": False},
        {},
        ["is False", "trains on spot", "take it out of config", "managed_spot=False"],
    ),
    "spot refused in config, as text": (
        {"EnableManagedSpotTraining": "False"},
        {},
        ["is 'False'", "take it"],
    ),
    "warm pool": (
        _resources(KeepAlivePeriodInSeconds=600),
        {},
        ["KeepAlivePeriodInSeconds", "warm pool", "take it out", "managed_spot=False"],
    ),
    "InstancePreferences": (
        _resources(InstancePreferences=[{"InstanceType": "ml.m5.large"}]),
        {},
        ["InstancePreferences", "list of instance types", "take it out", "managed_spot=False"],
    ),
    "long without checkpoints": (
        _stopping(3_601, 7_200),
        {},
        ["is 3601", "no checkpoint URI", "up to 1h00m", "checkpoint_s3_uri=", "allow_no_checkpoint=True"],
    ),
    "a day without checkpoints, by default": (
        _stopping(None, 86_400),
        {},
        ["is 86400", "up to 24h00m", "allow_no_checkpoint=True"],
    ),
    "not a checkpointing built-in": (
        {**_image(f"{ECR}/kmeans:1"), **_stopping(1_800, 3_601)},
        {},
        ["is 3601", "kmeans does not", "at most 3600", "Lower max_wait", "algorithm_checkpoints=True"],
    ),
    "said not to checkpoint": (
        _stopping(1_800, 3_601),
        {"algorithm_checkpoints": False},
        ["is 3601", "mine does not checkpoint", "at most 3600"],
    ),
    "said not to checkpoint, image elsewhere": (
        {**_image("local/mine"), **_stopping(1_800, 3_601)},
        {"algorithm_checkpoints": False},
        ["this algorithm does not checkpoint", "at most 3600"],
    ),
}

# What is refused on spot and on demand alike.
ALWAYS: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "checkpoints not on S3": (
        {"CheckpointConfig": {"S3Uri": "https://bucket/prefix"}},
        {},
        ["'https://bucket/prefix'", "s3://bucket/prefix", "CheckpointConfig.S3Uri"],
    ),
    "checkpoint argument not on S3": ({}, {"checkpoint_s3_uri": "/ckpt"}, ["'/ckpt'", "s3://bucket/prefix"]),
    "checkpoint URI empty": ({}, {"checkpoint_s3_uri": ""}, ["''", "s3://bucket/prefix"]),
    "checkpoint URI without bucket": ({}, {"checkpoint_s3_uri": "s3://"}, ["'s3://'", "s3://bucket/prefix"]),
    "checkpoint URI of bytes": ({}, {"checkpoint_s3_uri": b"s3://b/p"}, ["b's3://b/p'", "s3://bucket"]),
    "CheckpointConfig not a dict": (
        {"CheckpointConfig": "s3://bucket/prefix"},
        {},
        ["CheckpointConfig", "type str", "takes a dict"],
    ),
    "ResourceConfig not a dict": (
        {"ResourceConfig": ["ml.m5.large"]},
        {},
        ["ResourceConfig", "list", "dict"],
    ),
    "OutputDataConfig not a dict": ({"OutputDataConfig": "s3://b"}, {}, ["OutputDataConfig", "str", "dict"]),
    "StoppingCondition not a dict": ({"StoppingCondition": 60}, {}, ["StoppingCondition", "int", "dict"]),
    "a role's name that is none": (
        {"RoleArn": "my role"},
        {},
        ["RoleArn is 'my role'", "ARN, arn:aws:iam", "or its name"],
    ),
    "hyperparameter a set": ({}, {"hyperparameters": {"layers": {1}}}, ["'layers'", "set", "takes text, or"]),
    "hyperparameter a dict with bytes": (
        {},
        {"hyperparameters": {"net": {"a": SECRET.encode()}}},
        ["'net'", "dict"],
    ),
    "hyperparameter an integer of 5,000 digits": ({}, {"hyperparameters": {"n": 10**5_000}}, ["'n'", "int"]),
    "hyperparameter bytes": ({}, {"hyperparameters": {"key": SECRET.encode()}}, ["'key'", "bytes"]),
    "hyperparameter True of NumPy": ({}, {"hyperparameters": {"fast": np.True_}}, ["'fast'", "Write it as"]),
    "hyperparameter complex": ({}, {"hyperparameters": {"z": 1j}}, ["'z'", "complex"]),
    "hyperparameter an object": (
        {},
        {"hyperparameters": {"o": SimpleNamespace(password=SECRET)}},
        ["'o'", "SimpleNamespace"],
    ),
    "hyperparameter name not a string": (
        {"HyperParameters": {3: SECRET}},
        {},
        ["name 3", "int", "names are strings"],
    ),
    "101 hyperparameters": (
        {"HyperParameters": {f"p{number}": SECRET for number in range(100)}},
        {"hyperparameters": {"one_more": "1"}},
        ["101 hyperparameters", "at most 100"],
    ),
    "HyperParameters not a dict": (
        {"HyperParameters": [SECRET]},
        {},
        ["HyperParameters is of type list", "a dict of names to values"],
    ),
    "hyperparameters not a dict": (
        {},
        {"hyperparameters": [SECRET]},
        ["hyperparameters is of type list", "a dict of names to values"],
    ),
    "hyperparameters a string": ({}, {"hyperparameters": SECRET}, ["hyperparameters is of type str"]),
    "bad job name": (
        {"TrainingJobName": "digits_1"},
        {},
        ["'digits_1' (8 characters)", "letters, digits and hyphens", "leave it out"],
    ),
    "long job name": ({"TrainingJobName": "d" * 64}, {}, ["(64 characters)", "1 to 63", "Shorten it"]),
    "job name not a string": ({"TrainingJobName": 5}, {}, ["TrainingJobName", "type int", "a string"]),
    "no role": ({"RoleArn": None}, {}, ["RoleArn is missing", "requires it"]),
    "no output": ({"OutputDataConfig": None}, {}, ["OutputDataConfig.S3OutputPath is missing"]),
    "no output path": ({"OutputDataConfig": {}}, {}, ["OutputDataConfig.S3OutputPath is missing"]),
}


@pytest.mark.parametrize(("members", "arguments", "says"), [*ON_SPOT.values()], ids=[*ON_SPOT])
def test_refused_on_spot(members: dict[str, Any], arguments: dict[str, Any], says: list[str]) -> None:
    (problem,) = _problems(spot_request, _config(**members), **arguments)

    assert [word for word in says if word not in problem] == []


@pytest.mark.parametrize("build", [spot_request, on_demand_request], ids=["spot", "on_demand"])
@pytest.mark.parametrize(("members", "arguments", "says"), [*ALWAYS.values()], ids=[*ALWAYS])
def test_refused_on_spot_and_on_demand(
    build: Any, members: dict[str, Any], arguments: dict[str, Any], says: list[str]
) -> None:
    if build is on_demand_request and "StoppingCondition" not in members:
        members = {**members, **_stopping(1_800)}

    (problem,) = _problems(build, _config(**members), **arguments)

    assert [word for word in says if word not in problem] == []


@pytest.mark.parametrize("field", ["MaxRuntimeInSeconds", "MaxWaitTimeInSeconds"])
@pytest.mark.parametrize(
    "seconds", [0, -1, 60.0, True, "", "an hour", "-5", "9" * 5_000, [60], {}, np.int64(60), timedelta(1)]
)
def test_limits_are_whole_positive_seconds(field: str, seconds: Any) -> None:
    limits = {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60, field: seconds}

    problems = _problems(spot_request, _config(StoppingCondition=limits))

    assert (
        f"StoppingCondition.{field} is {seconds!r}; it takes a whole number of seconds (int), 1 or more."
        in problems
    )


@pytest.mark.parametrize(
    ("members", "arguments", "says"),
    [
        ({"EnableManagedSpotTraining": True}, {}, "EnableManagedSpotTraining is True.*take one of the two"),
        ({"EnableManagedSpotTraining": "true"}, {}, "EnableManagedSpotTraining is 'true'"),
        (_stopping(1_800, 3_600), {}, "only with it; leave it out, or train on spot"),
        ({}, {"max_wait": 3_600}, "only with it; leave it out, or train on spot"),
        ({"StoppingCondition": None}, {}, "StoppingCondition is missing from config"),
    ],
)
def test_refused_on_demand(members: dict[str, Any], arguments: dict[str, Any], says: str) -> None:
    (problem,) = _problems(on_demand_request, _config(**{**_stopping(1_800), **members}), **arguments)

    assert re.search(says, problem)


@pytest.mark.parametrize("build", [spot_request, on_demand_request])
@pytest.mark.parametrize("config", [None, 5, SECRET, [("RoleArn", SECRET)]], ids=lambda c: type(c).__name__)
def test_a_config_that_is_no_dict_is_refused(build: Any, config: object) -> None:
    (problem,) = _problems(build, config)

    assert problem == (
        f"config is of type {type(config).__name__}; it takes a dict of CreateTrainingJob's members."
    )


def test_all_that_is_wrong_is_said_in_one_go() -> None:
    config = _config(
        TrainingJobName="not a name",
        RoleArn=None,
        EnableManagedSpotTraining=False,
        HyperParameters={"a": SECRET.encode(), "b": {SECRET}},
        CheckpointConfig={"S3Uri": "bucket"},
        **_resources(KeepAlivePeriodInSeconds=60),
        **_stopping(7_200, 60),
    )

    problems = _problems(spot_request, config)

    assert len(problems) == 8
    with pytest.raises(InvalidSpotRequest) as raised:
        spot_request(config)
    assert str(raised.value).splitlines() == ["", *(f"- {problem}" for problem in problems)]


def test_one_problem_is_one_sentence_not_a_list() -> None:
    with pytest.raises(InvalidSpotRequest) as raised:
        spot_request(_config(RoleArn=None))

    assert str(raised.value) == "RoleArn is missing from config; CreateTrainingJob requires it."


def test_max_wait_equal_to_max_runtime_is_allowed() -> None:
    assert spot_request(_config(**_stopping(1_800, 1_800)))


def test_100_hyperparameters_are_allowed() -> None:
    assert spot_request(_config(HyperParameters={f"p{number}": number for number in range(100)}))


def test_an_hour_without_checkpoints_is_allowed() -> None:
    assert spot_request(_config(**_stopping(3_600, 7_200)))


def test_a_long_job_with_checkpoints_is_allowed() -> None:
    assert spot_request(_config(**_stopping(86_400, 172_800)), checkpoint_s3_uri="s3://bucket/prefix")


def test_a_long_job_without_checkpoints_can_be_insisted_on() -> None:
    assert spot_request(_config(**_stopping(86_400, 172_800)), allow_no_checkpoint=True)


@pytest.mark.parametrize("name", sorted(NON_CHECKPOINTING_ALGORITHMS))
@pytest.mark.parametrize("tag", ["", ":1", ":latest", "@sha256:0123"])
def test_a_built_in_that_does_not_checkpoint_waits_an_hour_at_most(name: str, tag: str) -> None:
    members = _image(f"{ECR}/{name}{tag}")

    assert spot_request(_config(**members, **_stopping(1_800, 3_600)))
    (problem,) = _problems(spot_request, _config(**members, **_stopping(1_800, 3_601)))
    assert f"{name} does not checkpoint" in problem


@pytest.mark.parametrize(
    "image",
    [
        f"{ECR}/sagemaker-xgboost:1.7-1",
        f"{ECR}/image-classification:1",
        f"{ECR}/object-detection:1",
        f"{ECR}/semantic-segmentation:1",
        f"{ECR}/team/mine:1",
        "public.example.com/kmeans:1",  # not in ECR, so not SageMaker's
        "kmeans",
        5,
    ],
)
def test_any_other_image_may_wait_longer(image: Any) -> None:
    assert spot_request(_config(**_image(image), **_stopping(1_800, 86_400)))


def test_an_image_of_a_built_ins_name_that_does_checkpoint_may_wait_longer() -> None:
    config = _config(**_image(f"{ECR}/xgboost:1"), **_stopping(1_800, 86_400))

    assert spot_request(config, algorithm_checkpoints=True)


@pytest.mark.parametrize(
    ("members", "says", "says_not"),
    [
        (
            {"EnableManagedSpotTraining": "True"},
            ["is 'True', of type str", "it takes True or False"],
            ["trains on spot;"],
        ),
        (
            {"EnableManagedSpotTraining": False},
            ["is False in config", "pass managed_spot=False"],
            ["of type"],
        ),
        (_stopping(None, 3_600), ["MaxRuntimeInSeconds 86400 (SageMaker's default, as config has none)"], []),
        (_stopping(3_700, 3_600), ["MaxRuntimeInSeconds 3700; MaxWait"], ["default"]),
        (
            _stopping(None, 86_400),
            ["MaxRuntimeInSeconds is 86400 (SageMaker's default, as config has none)"],
            [],
        ),
        (_stopping(7_200, 7_200), ["MaxRuntimeInSeconds is 7200 and there is no checkpoint"], ["default"]),
        ({"TrainingJobName": "my_job"}, ["(6 characters)", "Write hyphens for"], ["Shorten"]),
        ({"TrainingJobName": "n" * 64}, ["(64 characters)", "Shorten it"], ["Write hyphens"]),
        (_stopping("60", 60), ["is '60'; it takes a whole number of seconds (int)"], []),
    ],
    ids=lambda each: str(each)[:60] if isinstance(each, dict) else "",
)
def test_no_sentence_contradicts_what_was_given(
    members: dict[str, Any], says: list[str], says_not: list[str]
) -> None:
    told = "\n".join(_problems(spot_request, _config(**members)))

    assert [words for words in says if words not in told] == []
    assert [words for words in says_not if words in told] == []
