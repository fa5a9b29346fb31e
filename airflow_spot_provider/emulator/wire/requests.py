"""Which CreateTrainingJob requests SageMaker takes: botocore's service model, and the rules between members."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.validate import ParamValidator

from airflow_spot_provider.emulator.exceptions import ValidationException
from airflow_spot_provider.emulator.spec import TRAINING_SECONDS_TAG, JobSpec


@cache
def _service_model() -> Any:
    return botocore.session.get_session().get_service_model("sagemaker")


def is_operation(name: str) -> bool:
    """Whether SageMaker has an operation of this name."""
    return name in _service_model().operation_names


def check(operation: str, parameters: Mapping[str, Any]) -> None:
    """Refuse what the service model does not allow.

    :param operation: such as ``CreateTrainingJob``.
    :param parameters: the request as it was sent.
    :raises ValidationException: with SageMaker's wording of what is wrong.
    """
    shape = _service_model().operation_model(operation).input_shape
    times = {key: parameters[key] for key in parameters if key.endswith(("After", "Before"))}
    rest = {key: value for key, value in parameters.items() if key not in times}
    report = ParamValidator().validate(rest, shape)
    if report.has_errors():
        raise ValidationException(_told(report.generate_report().splitlines()))
    for key, value in times.items():
        _check_time(key, value)
    if problems := list(_constraint_problems(shape, parameters, "")):
        raise ValidationException(_told(problems))


def check_training_job(spec: JobSpec) -> None:
    """Refuse a CreateTrainingJob request whose members contradict each other, or that no job can come of.

    :raises ValidationException: with SageMaker's wording of the first contradiction.
    """
    _check_spot(spec)
    request = spec.request
    algorithm = request.get("AlgorithmSpecification") or {}
    if bool(algorithm.get("TrainingImage")) == bool(algorithm.get("AlgorithmName")):
        raise ValidationException(
            "AlgorithmSpecification must contain either TrainingImage or AlgorithmName, and not both"
        )
    resources = request.get("ResourceConfig") or {}
    if not any(resources.get(member) for member in ("InstanceType", "InstanceGroups", "InstancePreferences")):
        raise ValidationException(
            "ResourceConfig must contain InstanceType and InstanceCount, InstanceGroups or InstancePreferences"
        )
    names = [channel["ChannelName"] for channel in spec.channels]
    if len(set(names)) != len(names) or {".", ".."} & set(names):
        raise ValidationException(f"InputDataConfig must have channels with names of their own: {names}")
    for definition in spec.metric_definitions:
        try:
            re.compile(definition["Regex"])
        except re.error as error:
            raise ValidationException(
                f"Invalid MetricDefinitions: the Regex of {definition['Name']} cannot be compiled: {error}"
            ) from error
    try:
        float(spec.training_seconds)
    except ValueError as error:
        raise ValidationException(f"The tag {TRAINING_SECONDS_TAG}: {error}") from error


def check_tuning_job(request: Mapping[str, Any]) -> None:
    """Refuse a CreateHyperParameterTuningJob request whose members contradict each other.

    :raises ValidationException: with SageMaker's wording of the first contradiction.
    """
    single, several = request.get("TrainingJobDefinition"), request.get("TrainingJobDefinitions")
    if bool(single) == bool(several):
        raise ValidationException(
            "Exactly one of TrainingJobDefinition and TrainingJobDefinitions has to be given"
        )


def _check_spot(spec: JobSpec) -> None:
    max_wait, max_runtime = spec.max_wait_seconds, spec.max_runtime_seconds
    if not spec.spot:
        if max_wait is not None:
            raise ValidationException(
                "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to true"
            )
        return
    if max_wait is None:
        raise ValidationException(
            "MaxWaitTimeInSeconds is required in StoppingCondition when EnableManagedSpotTraining is set to true"
        )
    if max_wait < max_runtime:
        raise ValidationException(
            f"Invalid MaxWaitTimeInSeconds ({max_wait:g}). It must be equal to or greater than MaxRuntimeInSeconds "
            f"({max_runtime:g})"
        )
    resources = spec.request.get("ResourceConfig") or {}
    for member in ("KeepAlivePeriodInSeconds", "InstancePreferences"):
        if resources.get(member):
            raise ValidationException(
                f"{member} is not supported when EnableManagedSpotTraining is set to true"
            )


def _check_time(key: str, value: Any) -> None:
    """Refuse what is no time as AWS's JSON protocol sends it: epoch seconds. botocore would take words for one."""
    try:
        datetime.fromtimestamp(value, tz=UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        raise ValidationException(_told([f"{key} is {value!r}, and no time in epoch seconds"])) from None


def _told(problems: list[str]) -> str:
    count = len(problems)
    return f"{count} validation error{'s' * (count != 1)} detected: {'; '.join(problems)}"


def _constraint_problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """Length, range, pattern and enum of every member; botocore's own validator leaves these to the server."""
    match shape:
        case StructureShape():
            for name, member in shape.members.items():
                if value.get(name) is not None:
                    where = f"{path}.{name[0].lower()}{name[1:]}" if path else f"{name[0].lower()}{name[1:]}"
                    yield from _constraint_problems(member, value[name], where)
            return
        case ListShape():
            for index, item in enumerate(value):
                yield from _constraint_problems(shape.member, item, f"{path}.{index + 1}.member")
        case MapShape():
            for key, item in value.items():
                yield from _constraint_problems(shape.key, key, f"{path}.key")
                yield from _constraint_problems(shape.value, item, f"{path}.value")
        case _:
            pass
    yield from _own_problems(shape, value, path)


def _own_problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    rules = shape.metadata
    shown = "" if path.startswith(("environment", "hyperParameters")) else f" '{value}'"
    failed = f"Value{shown} at '{path}' failed to satisfy constraint: Member must"
    if shape.type_name in ("integer", "long", "float", "double"):
        if "max" in rules and value > rules["max"]:
            yield f"{failed} have value less than or equal to {rules['max']}"
        if "min" in rules and value < rules["min"]:
            yield f"{failed} have value greater than or equal to {rules['min']}"
        return
    if shape.type_name in ("string", "list", "map"):
        if "max" in rules and len(value) > rules["max"]:
            yield f"{failed} have length less than or equal to {rules['max']}"
        if "min" in rules and len(value) < rules["min"]:
            yield f"{failed} have length greater than or equal to {rules['min']}"
    if shape.type_name == "string":
        if rules.get("enum") and value not in rules["enum"]:
            yield f"{failed} satisfy enum value set: [{', '.join(rules['enum'])}]"
        pattern = rules.get("pattern")
        # Java's \p{...} classes are not Python's; they stand in the patterns of tags only.
        if pattern and "\\p{" not in pattern and not re.fullmatch(pattern, value, re.DOTALL):
            yield f"{failed} satisfy regular expression pattern: {pattern}"
