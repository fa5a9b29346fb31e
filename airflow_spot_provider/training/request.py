"""Build a CreateTrainingJob request for managed spot training, or for the same training on demand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow_spot_provider.training.exceptions import InvalidSpotRequest
from airflow_spot_provider.training.free_text import as_free_text
from airflow_spot_provider.training.rules import (
    NOT_KNOWN,
    Known,
    checkpoint_problems,
    flag_of_another_type,
    general_problems,
    is_given,
    member_of,
    spot_conflicts,
    wait_problems,
)

_WHOLE_NUMBER = re.compile(r"\s*\d{1,18}\s*")


def everything_is_known(_value: object) -> bool:
    """Nothing is a template any more."""
    return True


def spot_request(
    config: Mapping[str, Any],
    *,
    max_wait: int | float | str | timedelta | None = None,
    checkpoint_s3_uri: str | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    instance_type: str | None = None,
    allow_no_checkpoint: bool = False,
    algorithm_checkpoints: bool | None = None,
    known: Known = everything_is_known,
) -> dict[str, Any]:
    """Turn a CreateTrainingJob config into one for managed spot training.

    :param config: members of CreateTrainingJob. It is not changed; arguments win over it.
    :param max_wait: seconds or timedelta for StoppingCondition.MaxWaitTimeInSeconds: waiting plus running.
    :param checkpoint_s3_uri: s3:// prefix for CheckpointConfig.S3Uri.
    :param hyperparameters: merged into HyperParameters; numbers become text, lists and dicts JSON, and None leaves one out.
    :param instance_type: for ResourceConfig.InstanceType.
    :param allow_no_checkpoint: accept a MaxRuntime of more than an hour with no checkpoints.
    :param algorithm_checkpoints: whether the algorithm writes checkpoints. None asks the image's name.
    :param known: tells whether a value can be looked at already; what it says no to (a template before it is
        rendered) is carried through and not checked.
    :return: a new request with EnableManagedSpotTraining, MaxWaitTimeInSeconds and CheckpointConfig.
    :raises InvalidSpotRequest: with all that is wrong, in one go.
    """
    request = _merged(config, checkpoint_s3_uri, hyperparameters, instance_type, known)
    problems = list(spot_conflicts(request, known))
    request["EnableManagedSpotTraining"] = True
    if max_wait is not None:
        _put(request, "StoppingCondition", "MaxWaitTimeInSeconds", _seconds(max_wait, known, problems))
    problems += general_problems(request, known)
    problems += wait_problems(request, known, algorithm_checkpoints)
    if not allow_no_checkpoint:
        problems += checkpoint_problems(request, known)
    return _checked(request, problems)


def on_demand_request(
    config: Mapping[str, Any],
    *,
    max_wait: int | float | str | timedelta | None = None,
    checkpoint_s3_uri: str | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    instance_type: str | None = None,
    known: Known = everything_is_known,
) -> dict[str, Any]:
    """Check a CreateTrainingJob config for the same training on demand; parameters as for :func:`spot_request`.

    :raises InvalidSpotRequest: with all that is wrong; ``max_wait`` and what else is spot's own included.
    """
    request = _merged(config, checkpoint_s3_uri, hyperparameters, instance_type, known)
    problems = []
    enabled = member_of(request, "EnableManagedSpotTraining", known=known)
    if is_given(enabled) and not isinstance(enabled, bool):
        problems.append(flag_of_another_type(enabled))
    elif enabled is True:
        problems.append(
            f"EnableManagedSpotTraining is {enabled!r} in config, and managed_spot=False asks for on demand; "
            "take one of the two away."
        )
    waits = [max_wait, member_of(request, "StoppingCondition", "MaxWaitTimeInSeconds", known=known)]
    if any(is_given(wait) for wait in waits):
        problems.append(
            "MaxWaitTimeInSeconds is given without managed spot training, and SageMaker takes it only with it; "
            "leave it out, or train on spot (managed_spot=True)."
        )
    problems += general_problems(request, known)
    return _checked(request, problems)


def without_spot(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same training on demand: a copy of ``config`` with neither EnableManagedSpotTraining nor MaxWait."""
    request = {key: value for key, value in config.items() if key != "EnableManagedSpotTraining"}
    if isinstance(stopping := request.get("StoppingCondition"), Mapping):
        request["StoppingCondition"] = {k: v for k, v in stopping.items() if k != "MaxWaitTimeInSeconds"}
    return request


def _merged(
    config: Mapping[str, Any],
    checkpoint_s3_uri: str | None,
    hyperparameters: Mapping[str, Any] | None,
    instance_type: str | None,
    known: Known,
) -> dict[str, Any]:
    """Config with the arguments put over it. The config itself stays as it is."""
    if not isinstance(config, Mapping):
        raise InvalidSpotRequest(
            [f"config is of type {type(config).__name__}; it takes a dict of CreateTrainingJob's members."]
        )
    if hyperparameters is not None and known(hyperparameters) and not isinstance(hyperparameters, Mapping):
        raise InvalidSpotRequest(
            [
                f"hyperparameters is of type {type(hyperparameters).__name__}; it takes a dict of names to values."
            ]
        )
    request = {key: copied(value) for key, value in config.items()}
    if checkpoint_s3_uri is not None:
        _put(request, "CheckpointConfig", "S3Uri", checkpoint_s3_uri)
    if instance_type is not None:
        _put(request, "ResourceConfig", "InstanceType", instance_type)
    if isinstance(hyperparameters, Mapping):
        for name, value in hyperparameters.items():
            _put(request, "HyperParameters", name, value)
    return request


def _checked(request: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    if problems:
        raise InvalidSpotRequest(problems)
    if isinstance(parameters := request.get("HyperParameters"), Mapping):
        request["HyperParameters"] = {
            name: as_free_text(value) for name, value in parameters.items() if value is not None
        }
    return request


def _seconds(value: object, known: Known, problems: list[str]) -> object:
    """Whole seconds of what a user may pass as ``max_wait``."""
    if not known(value):
        return value
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, str) and _WHOLE_NUMBER.fullmatch(seconds):
        return int(seconds)
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds == seconds // 1:
        return int(seconds)
    problems.append(f"max_wait is {value!r}; it takes whole seconds (int) or a timedelta.")
    return NOT_KNOWN


def _put(request: dict[str, Any], member: str, field: str, value: object) -> None:
    """Set a member's field, leaving a member that cannot be looked at yet as it is."""
    if request.get(member) is None:
        request[member] = {}
    holder = request[member]
    if isinstance(holder, dict):
        holder[field] = value


def copied(value: Any) -> Any:
    """A copy of the containers; what they hold (which may be a reference to another task's XCom) is shared."""
    if isinstance(value, Mapping):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [copied(item) for item in value]
    return value
