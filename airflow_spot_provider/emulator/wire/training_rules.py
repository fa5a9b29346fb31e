"""The rules between the members of a CreateTrainingJob request.

Source: `CreateTrainingJob <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html>`_ and the pages of its types.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_spot_provider.emulator.exceptions import ValidationException
from airflow_spot_provider.emulator.spec import (
    CHECKPOINT_SECONDS_TAG,
    DEFAULT_MAX_RUNTIME_SECONDS,
    TRAINING_SECONDS_TAG,
    VOLUME_BYTES_TAG,
    JobSpec,
)

_LONGEST_RUNTIME_SECONDS = 28 * 86_400
"""The longest training job that SageMaker runs: 28 days."""
_SAFE_NAME = re.compile(r"\.{1,2}")


def check_training_job(spec: JobSpec) -> None:
    """Refuse a CreateTrainingJob request whose members contradict each other, or that no job can come of.

    :raises ValidationException: with SageMaker's wording of the first contradiction.
    """
    check_definition(spec.request)
    for tag, read in (
        (TRAINING_SECONDS_TAG, lambda: spec.training_seconds),
        (CHECKPOINT_SECONDS_TAG, lambda: spec.checkpoint_seconds),
        (VOLUME_BYTES_TAG, lambda: spec.volume_bytes),
    ):
        _check_tag(tag, read)


def check_definition(request: Mapping[str, Any]) -> None:
    """Refuse what contradicts itself in a training job or in a tuning job's definition of one.

    :raises ValidationException: with SageMaker's wording of the first contradiction.
    """
    _check_role(request)
    _check_algorithm(request.get("AlgorithmSpecification") or {})
    _check_resources(request.get("ResourceConfig") or {})
    _check_stopping(request)
    _check_checkpoints(request.get("CheckpointConfig") or {})
    _check_channels(request)
    check_tags(request.get("Tags") or ())


def check_tags(tags: Sequence[Mapping[str, str]]) -> None:
    """Refuse tags of the same key, and those that AWS gives itself.

    Source: `Tag <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Tag.html>`_ and the
    `rules of tagging <https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html>`_.

    :raises ValidationException: with the first key that is wrong.
    """
    keys = [tag["Key"] for tag in tags]
    if len(set(keys)) != len(keys):
        raise ValidationException("Duplicate tag keys found. Please note that tag keys are case insensitive.")
    if reserved := [key for key in keys if key.lower().startswith("aws:")]:
        raise ValidationException(
            f"aws: prefixed tag key names are not allowed for external use: {', '.join(reserved)}"
        )


def _check_tag(tag: str, read: Callable[[], object]) -> None:
    try:
        read()
    except ValueError as error:
        raise ValidationException(f"The tag {tag}: {error}") from error


def _check_role(request: Mapping[str, Any]) -> None:
    role = request.get("RoleArn")
    if role is not None and ":role/" not in role:
        raise ValidationException(
            f"1 validation error detected: Value '{role[:200]}' at 'roleArn' failed to satisfy constraint: Member must "
            "satisfy regular expression pattern: ^arn:aws[a-z\\-]*:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+$"
        )


def _check_algorithm(algorithm: Mapping[str, Any]) -> None:
    if bool(algorithm.get("TrainingImage")) == bool(algorithm.get("AlgorithmName")):
        raise ValidationException(
            "AlgorithmSpecification must contain either TrainingImage or AlgorithmName, and not both"
        )
    definitions = algorithm.get("MetricDefinitions") or ()
    names = [definition["Name"] for definition in definitions]
    if len(set(names)) != len(names):
        raise ValidationException(f"Invalid MetricDefinitions: names have to be unique: {names}")
    for definition in definitions:
        try:
            re.compile(definition["Regex"])
        except (re.error, OverflowError) as error:
            raise ValidationException(
                f"Invalid MetricDefinitions: the Regex of {definition['Name']} cannot be compiled: {error}"
            ) from error


def _check_resources(resources: Mapping[str, Any]) -> None:
    if resources.get("InstanceGroups") and (resources.get("InstanceType") or resources.get("InstanceCount")):
        raise ValidationException("InstanceType or InstanceCount cannot be specified with InstanceGroups")
    ways = ("InstanceType", "InstanceGroups", "InstancePreferences")
    given = [member for member in ways if resources.get(member)]
    if len(given) != 1:
        raise ValidationException(
            "ResourceConfig must contain exactly one of InstanceType and InstanceCount, InstanceGroups or "
            f"InstancePreferences; found {', '.join(given) or 'none'}"
        )
    if resources.get("InstanceType") and not resources.get("InstanceCount"):
        raise ValidationException(
            "InstanceCount is required in ResourceConfig when InstanceType is specified"
        )
    if resources.get("InstancePreferences") and resources.get("InstancePlacementConfig"):
        raise ValidationException("InstancePlacementConfig cannot be specified with InstancePreferences")
    groups = [group["InstanceGroupName"] for group in resources.get("InstanceGroups") or ()]
    if len(set(groups)) != len(groups):
        raise ValidationException(f"InstanceGroups must have unique names: {groups}")


def _check_stopping(request: Mapping[str, Any]) -> None:
    condition = request.get("StoppingCondition") or {}
    max_wait = condition.get("MaxWaitTimeInSeconds")
    max_runtime = condition.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_SECONDS)
    if max_runtime > _LONGEST_RUNTIME_SECONDS:
        raise ValidationException(
            f"Invalid MaxRuntimeInSeconds ({max_runtime}). It must be at most {_LONGEST_RUNTIME_SECONDS} (28 days)"
        )
    if not request.get("EnableManagedSpotTraining"):
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
    resources = request.get("ResourceConfig") or {}
    for member in ("KeepAlivePeriodInSeconds", "InstancePreferences", "TrainingPlanArn"):
        if resources.get(member):
            raise ValidationException(
                f"{member} is not supported when EnableManagedSpotTraining is set to true"
            )


def _check_checkpoints(checkpoints: Mapping[str, Any]) -> None:
    path = checkpoints.get("LocalPath")
    if path and (not path.startswith("/") or posixpath.normpath(path) in ("/", "//")):
        raise ValidationException(
            f"Invalid LocalPath ('{path[:200]}') in CheckpointConfig. It must be an absolute path to a directory other than /"
        )


def _check_channels(request: Mapping[str, Any]) -> None:
    channels: Sequence[Mapping[str, Any]] = request.get("InputDataConfig") or ()
    names = [channel["ChannelName"] for channel in channels]
    if len(set(names)) != len(names) or any(_SAFE_NAME.fullmatch(name) for name in names):
        raise ValidationException(f"InputDataConfig must have channels with names of their own: {names}")
    mode = (request.get("AlgorithmSpecification") or {}).get("TrainingInputMode")
    groups = {
        group["InstanceGroupName"]
        for group in (request.get("ResourceConfig") or {}).get("InstanceGroups") or ()
    }
    assigned = [channel["ChannelName"] for channel in channels if _groups_of(channel)]
    others = [name for name in names if name not in assigned]
    if assigned and others:
        raise ValidationException(
            f"Some channels have assigned instance groups: [{', '.join(assigned)}] while others not: [{', '.join(others)}]"
        )
    for channel in channels:
        _check_channel(
            channel, channel.get("InputMode") or mode, groups, has_vpc=bool(request.get("VpcConfig"))
        )


def _check_channel(channel: Mapping[str, Any], mode: str | None, groups: set[str], *, has_vpc: bool) -> None:
    name, source = channel["ChannelName"], channel["DataSource"]
    kinds = [kind for kind, value in source.items() if value is not None]
    if len(kinds) != 1:
        raise ValidationException(
            f"The channel {name} must have exactly one data source; found {', '.join(sorted(kinds)) or 'none'}"
        )
    if source.get("FileSystemDataSource") and not has_vpc:
        raise ValidationException(f"VpcConfig is required for the FileSystemDataSource of channel {name}")
    s3 = source.get("S3DataSource") or {}
    augmented = s3.get("S3DataType") == "AugmentedManifestFile"
    if augmented != bool(s3.get("AttributeNames")):
        raise ValidationException(
            f"AttributeNames and the S3DataType AugmentedManifestFile must be given together, in channel {name}"
        )
    if augmented and mode != "Pipe":
        raise ValidationException(
            f"The S3DataType AugmentedManifestFile of channel {name} can only be used in the input mode Pipe"
        )
    if strangers := set(_groups_of(channel)) - groups:
        raise ValidationException(
            f"Channel {name} names instance groups that ResourceConfig does not have: {sorted(strangers)}"
        )
    if channel.get("RecordWrapperType") == "RecordIO" and mode not in ("Pipe", None):
        raise ValidationException(
            f"RecordWrapperType RecordIO of channel {name} can only be used in the input mode Pipe"
        )


def _groups_of(channel: Mapping[str, Any]) -> Sequence[str]:
    """The instance groups that a channel is for; none: it is for all."""
    return (channel["DataSource"].get("S3DataSource") or {}).get("InstanceGroupNames") or ()
