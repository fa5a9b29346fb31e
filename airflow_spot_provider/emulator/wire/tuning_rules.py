"""The rules between the members of a CreateHyperParameterTuningJob request.

Source: `CreateHyperParameterTuningJob
<https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateHyperParameterTuningJob.html>`_ and the pages of its types.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_spot_provider.emulator.exceptions import ValidationException
from airflow_spot_provider.emulator.wire.training_rules import check_definition, check_tags

_MOST_RANGES = 30
_KINDS = (
    "IntegerParameterRanges",
    "ContinuousParameterRanges",
    "CategoricalParameterRanges",
    "AutoParameters",
)


def check_tuning_job(request: Mapping[str, Any]) -> None:
    """Refuse a CreateHyperParameterTuningJob request whose members contradict each other.

    :raises ValidationException: with SageMaker's wording of the first contradiction.
    """
    config = request["HyperParameterTuningJobConfig"]
    single, several = request.get("TrainingJobDefinition"), request.get("TrainingJobDefinitions")
    if bool(single) == bool(several):
        raise ValidationException(
            "You must specify either TrainingJobDefinition or TrainingJobDefinitions, and not both"
        )
    _check_strategy(config)
    _check_limits(config)
    if several:
        _check_several(config, several)
    else:
        assert single is not None
        objective = single.get("TuningObjective") or config.get("HyperParameterTuningJobObjective")
        ranges = single.get("HyperParameterRanges") or config.get("ParameterRanges")
        _check_search(config, single, objective, ranges)
        _check_combinations(config, ranges or {})
    check_tags(request.get("Tags") or ())


def _check_strategy(config: Mapping[str, Any]) -> None:
    strategy = config["Strategy"]
    own = (config.get("StrategyConfig") or {}).get("HyperbandStrategyConfig")
    if own and strategy != "Hyperband":
        raise ValidationException(f"HyperbandStrategyConfig is for the strategy Hyperband; it is {strategy}")
    if own and own.get("MinResource", 0) > own.get("MaxResource", float("inf")):
        raise ValidationException(
            f"MinResource ({own['MinResource']}) must not be greater than MaxResource ({own['MaxResource']})"
        )
    if strategy == "Hyperband" and config.get("TrainingJobEarlyStoppingType") == "Auto":
        raise ValidationException(
            "The strategy Hyperband stops training jobs early by itself; TrainingJobEarlyStoppingType must be Off"
        )


def _check_limits(config: Mapping[str, Any]) -> None:
    limits = config["ResourceLimits"]
    most, parallel = limits.get("MaxNumberOfTrainingJobs"), limits["MaxParallelTrainingJobs"]
    if most is None and config["Strategy"] != "Grid" and limits.get("MaxRuntimeInSeconds") is None:
        raise ValidationException(
            f"MaxNumberOfTrainingJobs or MaxRuntimeInSeconds is required in ResourceLimits for the strategy {config['Strategy']}"
        )
    if most is not None and parallel > most:
        raise ValidationException(
            f"MaxParallelTrainingJobs ({parallel}) must not be greater than MaxNumberOfTrainingJobs ({most})"
        )


def _check_several(config: Mapping[str, Any], definitions: list[Mapping[str, Any]]) -> None:
    for member in ("HyperParameterTuningJobObjective", "ParameterRanges"):
        if config.get(member):
            raise ValidationException(
                f"With TrainingJobDefinitions, {member} belongs into each definition, and not into HyperParameterTuningJobConfig"
            )
    names = [definition.get("DefinitionName") for definition in definitions]
    if None in names or len(set(names)) != len(names):
        raise ValidationException(
            f"Each of TrainingJobDefinitions needs a DefinitionName of its own; found {names}"
        )
    for definition in definitions:
        _check_search(
            config, definition, definition.get("TuningObjective"), definition.get("HyperParameterRanges")
        )


def _check_search(
    config: Mapping[str, Any],
    definition: Mapping[str, Any],
    objective: Mapping[str, Any] | None,
    ranges: Mapping[str, Any] | None,
) -> None:
    """One training job definition with its objective and its ranges."""
    algorithm = definition["AlgorithmSpecification"]
    check_definition({**definition, "ResourceConfig": _resources(definition)})
    if objective is None:
        raise ValidationException("A tuning objective is required: give its Type and MetricName")
    names = {entry["Name"] for entry in algorithm.get("MetricDefinitions") or ()}
    if names and objective["MetricName"] not in names:
        raise ValidationException(
            "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric definitions."
        )
    _check_ranges(config["Strategy"], ranges or {}, set(definition.get("StaticHyperParameters") or ()))


def _resources(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is said of the instances: as for a training job, or as a list to choose from."""
    own = definition.get("HyperParameterTuningResourceConfig")
    if bool(own) == bool(definition.get("ResourceConfig")):
        raise ValidationException(
            "You must specify either ResourceConfig or HyperParameterTuningResourceConfig, and not both"
        )
    if not own:
        return dict(definition["ResourceConfig"])
    if bool(own.get("InstanceConfigs")) == bool(own.get("InstanceType")):
        raise ValidationException(
            "HyperParameterTuningResourceConfig must contain either InstanceConfigs or InstanceType and InstanceCount"
        )
    first = (own.get("InstanceConfigs") or [own])[0]
    return {"InstanceType": first["InstanceType"], "InstanceCount": first.get("InstanceCount")}


def _check_ranges(strategy: str, ranges: Mapping[str, Any], static: set[str]) -> None:
    names = [entry["Name"] for kind in _KINDS for entry in ranges.get(kind) or ()]
    if not names:
        raise ValidationException("At least one hyperparameter range is required")
    if len(names) > _MOST_RANGES:
        raise ValidationException(
            f"There are {len(names)} hyperparameter ranges; at most {_MOST_RANGES} are taken"
        )
    if len(set(names)) != len(names):
        raise ValidationException(f"Hyperparameter ranges must have unique names: {sorted(names)}")
    if both := static & set(names):
        raise ValidationException(f"Hyperparameters are both static and in a range: {sorted(both)}")
    if strategy == "Grid" and any(
        ranges.get(kind) for kind in _KINDS if kind != "CategoricalParameterRanges"
    ):
        raise ValidationException("The strategy Grid supports CategoricalParameterRanges only")
    for problem in _range_problems(ranges):
        raise ValidationException(problem)


def _check_combinations(config: Mapping[str, Any], ranges: Mapping[str, Any]) -> None:
    """MaxNumberOfTrainingJobs is no more than there are combinations; in a grid, it is all of them.

    Source: `Grid search <https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-how-it-works.html>`_.
    """
    most = config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    if most is None or ranges.get("ContinuousParameterRanges") or ranges.get("AutoParameters"):
        return
    combinations = math.prod(
        [
            *(len(entry["Values"]) for entry in ranges.get("CategoricalParameterRanges") or ()),
            *(
                int(entry["MaxValue"]) - int(entry["MinValue"]) + 1
                for entry in ranges.get("IntegerParameterRanges") or ()
            ),
        ]
    )
    if combinations < most:
        raise ValidationException(
            "You don't have enough combinations of hyperparameter ranges. The total number of hyperparameter combinations "
            f"for the provided ranges [{combinations:.1f}] must be equal or greater than the value of MaxNumberOfJobs, "
            f"[{most}]. Provide additional ranges."
        )
    if config["Strategy"] == "Grid" and combinations != most:
        raise ValidationException(
            f"MaxNumberOfTrainingJobs ({most}) must equal the number of combinations ({combinations}) for the strategy "
            "Grid; leave it out to have it calculated"
        )


def _range_problems(ranges: Mapping[str, Any]) -> Iterator[str]:
    for kind, number in (("IntegerParameterRanges", int), ("ContinuousParameterRanges", float)):
        for entry in ranges.get(kind) or ():
            name, least, greatest = entry["Name"], entry["MinValue"], entry["MaxValue"]
            try:
                low, high = number(least), number(greatest)
                finite = all(abs(value) < math.inf for value in (low, high))
            except ValueError:
                finite = False
            if not finite:
                yield f"The range of {name} is from '{least}' to '{greatest}', which are no {number.__name__} values"
                continue
            if not low < high:
                yield f"MinValue ('{least}') must be less than MaxValue ('{greatest}') in the range of {name}"
            scale = entry.get("ScalingType")
            if scale == "Logarithmic" and low <= 0:
                yield f"The range of {name} begins at '{least}'; ScalingType Logarithmic takes values greater than 0"
            if scale == "ReverseLogarithmic" and not 0 <= low < high < 1:
                yield f"ScalingType ReverseLogarithmic takes values from 0 to less than 1; the range of {name} is '{least}' to '{greatest}'"
    for entry in ranges.get("CategoricalParameterRanges") or ():
        if len(set(entry["Values"])) != len(entry["Values"]):
            yield f"The values of {entry['Name']} have to be unique: {entry['Values']}"
