"""What SageMaker refuses in a tuning job's request, in sentences for the person who wrote it.

Source: `CreateHyperParameterTuningJob
<https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateHyperParameterTuningJob.html>`_ and the pages of its types. Each
definition of training jobs has the rules of a training job besides (:mod:`.rules`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airflow_spot_provider.training.exceptions import InvalidSpotRequest
from airflow_spot_provider.training.naming import checked_tuning_job_name
from airflow_spot_provider.training.rules import Known, is_given, member_of, tag_problems

MAX_DEFINITIONS = 10
LEAST_TUNING_RUNTIME_SECONDS = 120
"""SageMaker's lower bound on ResourceLimits.MaxRuntimeInSeconds."""
NUMERIC_RANGES = ("IntegerParameterRanges", "ContinuousParameterRanges")
_CONFIG = "HyperParameterTuningJobConfig"
_OF_EACH_DEFINITION = (
    ("HyperParameterTuningJobObjective", "TuningObjective"),
    ("ParameterRanges", "HyperParameterRanges"),
)


def general_tuning_problems(request: Mapping[str, Any], known: Known) -> Iterator[str]:
    """What SageMaker would refuse of the tuning job as a whole."""
    name = member_of(request, "HyperParameterTuningJobName", known=known)
    if is_given(name):
        try:
            checked_tuning_job_name(name)
        except InvalidSpotRequest as error:
            yield from error.problems
    yield from tag_problems(request, known)
    config = member_of(request, _CONFIG, known=known)
    if config is None:
        yield f"{_CONFIG} is missing from config; CreateHyperParameterTuningJob requires it."
    elif is_given(config) and not isinstance(config, Mapping):
        yield f"{_CONFIG} is of type {type(config).__name__}; it takes a dict, as CreateHyperParameterTuningJob does."
    elif is_given(config):
        if member_of(config, "Strategy", known=known) is None:
            yield f"{_CONFIG}.Strategy is missing from config; it takes Bayesian, Random, Grid or Hyperband."
        yield from _limit_problems(config, known)
        yield from _range_problems("ParameterRanges", config, known)


def definition_problems(request: Mapping[str, Any], known: Known) -> Iterator[str]:
    """What SageMaker would refuse of how the definitions of training jobs are given."""
    single = member_of(request, "TrainingJobDefinition", known=known)
    several = member_of(request, "TrainingJobDefinitions", known=known)
    if (single is None) == (several is None):
        given = "neither of them" if single is None else "both of them"
        yield f"config has {given}; it takes either TrainingJobDefinition or TrainingJobDefinitions."
    elif is_given(several):
        yield from _several_problems(request, several, known)


def own_problems(
    definition: Mapping[str, Any], config: object, known: Known, *, is_one_of_several: bool
) -> Iterator[str]:
    """What SageMaker would refuse of one definition besides what it refuses of a training job.

    :param definition: the HyperParameterTrainingJobDefinition.
    :param config: HyperParameterTuningJobConfig, for what a single definition does not say itself.
    """
    if member_of(definition, "HyperParameters", known=known) is not None:
        yield "HyperParameters is no member of a definition; those that are not tuned are StaticHyperParameters."
    shared = config if isinstance(config, Mapping) and not is_one_of_several else {}
    objective = member_of(definition, "TuningObjective", known=known)
    if objective is None:
        objective = member_of(shared, "HyperParameterTuningJobObjective", known=known)
    if objective is None and (is_one_of_several or isinstance(config, Mapping)):
        where = "TuningObjective" if is_one_of_several else f"{_CONFIG}.HyperParameterTuningJobObjective"
        yield f"{where} is missing; give its Type (Minimize or Maximize) and MetricName."
    if isinstance(objective, Mapping):
        yield from _objective_problems(objective, definition, known)
    yield from _range_problems("HyperParameterRanges", definition, known)


def _several_problems(request: Mapping[str, Any], several: object, known: Known) -> Iterator[str]:
    if isinstance(several, str) or not isinstance(several, Sequence):
        yield f"TrainingJobDefinitions is of type {type(several).__name__}; it takes a list of dicts."
        return
    if not 1 <= len(several) <= MAX_DEFINITIONS:
        yield f"There are {len(several)} TrainingJobDefinitions; SageMaker takes 1 to {MAX_DEFINITIONS}."
    maps = [each for each in several if isinstance(each, Mapping)]
    names = [member_of(each, "DefinitionName", known=known) for each in maps]
    counted = Counter(name for name in names if isinstance(name, str))
    if None in names or any(count > 1 for count in counted.values()):
        told = [name if isinstance(name, str) else None if name is None else "..." for name in names]
        yield f"Each of TrainingJobDefinitions needs a DefinitionName of its own; they are {told}."
    for shared, own in _OF_EACH_DEFINITION:
        if is_given(member_of(request, _CONFIG, shared, known=known)):
            yield f"{_CONFIG}.{shared} is for one TrainingJobDefinition; with several, each has a {own} of its own."


def _limit_problems(config: Mapping[str, Any], known: Known) -> Iterator[str]:
    limits = member_of(config, "ResourceLimits", known=known)
    if limits is None:
        yield f"{_CONFIG}.ResourceLimits is missing from config; give MaxParallelTrainingJobs and MaxNumberOfTrainingJobs."
        return
    if is_given(limits) and not isinstance(limits, Mapping):
        yield f"{_CONFIG}.ResourceLimits is of type {type(limits).__name__}; it takes a dict."
        return
    values = {}
    for field, least in (
        ("MaxParallelTrainingJobs", 1),
        ("MaxNumberOfTrainingJobs", 1),
        ("MaxRuntimeInSeconds", LEAST_TUNING_RUNTIME_SECONDS),
    ):
        value = member_of(config, "ResourceLimits", field, known=known)
        if is_given(value) and (type(value) is not int or value < least):
            yield f"ResourceLimits.{field} is {value!r}; it takes a whole number, {least} or more."
        elif is_given(value):
            values[field] = value
    parallel, most = values.get("MaxParallelTrainingJobs"), values.get("MaxNumberOfTrainingJobs")
    if member_of(config, "ResourceLimits", "MaxParallelTrainingJobs", known=known) is None:
        yield "ResourceLimits.MaxParallelTrainingJobs is missing from config; CreateHyperParameterTuningJob requires it."
    if parallel is not None and most is not None and parallel > most:
        yield (
            f"ResourceLimits.MaxParallelTrainingJobs is {parallel} and MaxNumberOfTrainingJobs {most}; no more can run side by "
            "side than there are. Lower the one or raise the other."
        )


def _objective_problems(
    objective: Mapping[str, Any], definition: Mapping[str, Any], known: Known
) -> Iterator[str]:
    kind = member_of(objective, "Type", known=known)
    if kind is None or (is_given(kind) and kind not in ("Minimize", "Maximize")):
        yield f"The objective's Type is {'missing' if kind is None else repr(kind)}; it takes Minimize or Maximize."
    metric = member_of(objective, "MetricName", known=known)
    if metric is None:
        yield "The objective's MetricName is missing; it takes the name of one of MetricDefinitions."
    listed = member_of(definition, "AlgorithmSpecification", "MetricDefinitions", known=known)
    if not isinstance(metric, str) or not isinstance(listed, Sequence) or not listed:
        return
    # A built-in algorithm has metrics of its own, and no MetricDefinitions.
    names = [member_of(each, "Name", known=known) for each in listed if isinstance(each, Mapping)]
    if len(names) == len(listed) and all(isinstance(name, str) for name in names) and metric not in names:
        yield f"The objective's metric is {metric!r}, which no training job publishes; it takes one of those that MetricDefinitions name, {names}."


def _range_problems(member: str, holder: Mapping[str, Any], known: Known) -> Iterator[str]:
    """Ranges that end before they begin."""
    for kind in NUMERIC_RANGES:
        entries = member_of(holder, member, kind, known=known)
        for entry in entries if isinstance(entries, Sequence) and not isinstance(entries, str) else ():
            if not isinstance(entry, Mapping):
                continue
            low, high = (member_of(entry, end, known=known) for end in ("MinValue", "MaxValue"))
            if (least := _number(low)) is None or (most := _number(high)) is None:
                continue
            if not least < most:
                advice = "Swap them" if least > most else "Widen it"
                yield (
                    f"{member}: {entry.get('Name')!r} goes from MinValue {low} to MaxValue {high}; MinValue has to be less. {advice}, "
                    "or make the hyperparameter a static one."
                )


def _number(value: object) -> float | None:
    try:
        return float(value) if isinstance(value, str | int | float) else None
    except (ValueError, OverflowError):
        return None
