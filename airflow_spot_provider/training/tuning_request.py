"""Build a CreateHyperParameterTuningJob request whose training jobs train on managed spot capacity, or on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from airflow_spot_provider.training.exceptions import InvalidSpotRequest
from airflow_spot_provider.training.request import (
    copied,
    everything_is_known,
    on_demand_request,
    spot_request,
)
from airflow_spot_provider.training.rules import Known, is_given, member_of
from airflow_spot_provider.training.tuning_rules import (
    definition_problems,
    general_tuning_problems,
    own_problems,
)
from airflow_spot_provider.training.warm_start import (
    IDENTICAL,
    parents_in,
    warm_start_config,
    warm_start_problems,
)

_CONFIG = "HyperParameterTuningJobConfig"
_MaxWait = int | float | str | timedelta | None
_TrainingRequest = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Turns a CreateTrainingJob config into a checked request."""


def spot_tuning_request(
    config: Mapping[str, Any],
    *,
    max_wait: _MaxWait = None,
    checkpoint_s3_uri: str | None = None,
    warm_start: object = None,
    warm_start_type: str = IDENTICAL,
    allow_no_checkpoint: bool = False,
    algorithm_checkpoints: bool | None = None,
    known: Known = everything_is_known,
) -> dict[str, Any]:
    """Turn a CreateHyperParameterTuningJob config into one whose training jobs train on spot.

    :param config: members of CreateHyperParameterTuningJob. It is not changed; arguments win over it.
    :param max_wait: seconds or timedelta for StoppingCondition.MaxWaitTimeInSeconds of every definition: waiting plus running of one
        training job.
    :param checkpoint_s3_uri: s3:// prefix for CheckpointConfig.S3Uri of every definition.
    :param warm_start: what to go on from: a result of an earlier tuning task, the name of a tuning job, or a list of them.
    :param warm_start_type: ``IdenticalDataAndAlgorithm`` or ``TransferLearning``.
    :param allow_no_checkpoint: accept a MaxRuntime of more than an hour with no checkpoints.
    :param algorithm_checkpoints: whether the algorithm writes checkpoints. None asks the image's name.
    :param known: tells whether a value can be looked at already; what it says no to (a template before it is
        rendered) is carried through and not checked.
    :return: a new request with EnableManagedSpotTraining, MaxWaitTimeInSeconds and CheckpointConfig in TrainingJobDefinition, or in each of
        TrainingJobDefinitions.
    :raises InvalidSpotRequest: with all that is wrong, in one go; what is wrong in one definition is said with its name.
    """
    return _request(
        config,
        lambda definition: spot_request(
            definition,
            max_wait=max_wait,
            checkpoint_s3_uri=checkpoint_s3_uri,
            allow_no_checkpoint=allow_no_checkpoint,
            algorithm_checkpoints=algorithm_checkpoints,
            known=known,
        ),
        (warm_start, warm_start_type),
        known,
    )


def on_demand_tuning_request(
    config: Mapping[str, Any],
    *,
    max_wait: _MaxWait = None,
    checkpoint_s3_uri: str | None = None,
    warm_start: object = None,
    warm_start_type: str = IDENTICAL,
    known: Known = everything_is_known,
) -> dict[str, Any]:
    """Check a CreateHyperParameterTuningJob config for the same tuning on demand; parameters as for :func:`spot_tuning_request`.

    :raises InvalidSpotRequest: with all that is wrong; ``max_wait`` and what else is spot's own included.
    """
    return _request(
        config,
        lambda definition: on_demand_request(
            definition, max_wait=max_wait, checkpoint_s3_uri=checkpoint_s3_uri, known=known
        ),
        (warm_start, warm_start_type),
        known,
    )


def _request(
    config: Mapping[str, Any],
    training_request: _TrainingRequest,
    warm_start: tuple[object, str],
    known: Known,
) -> dict[str, Any]:
    if not isinstance(config, Mapping):
        raise InvalidSpotRequest(
            [
                f"config is of type {type(config).__name__}; it takes a dict of CreateHyperParameterTuningJob's members."
            ]
        )
    request: dict[str, Any] = copied(config)
    problems = [*general_tuning_problems(request, known), *definition_problems(request, known)]
    problems += _spot_in_some_only(request, known)
    for holder, key, label in _definitions(request, known):
        definition = holder[key]
        if not isinstance(definition, Mapping):
            problems.append(f"{label} is of type {type(definition).__name__}; it takes a dict.")
            continue
        several = label != "TrainingJobDefinition"
        tuned = request.get(_CONFIG)
        own = list(own_problems(definition, tuned, known, is_one_of_several=several))
        try:
            holder[key] = _definition(definition, training_request)
        except InvalidSpotRequest as error:
            own += error.problems
        problems += [f"{label}: {problem}" for problem in own]
    problems += warm_start_problems(*warm_start, known)
    if any(parent is not None for parent in parents_in(warm_start[0])) and "WarmStartConfig" in request:
        problems.append(
            "WarmStartConfig is in config, and warm_start is given too; take one of the two away."
        )
    if problems:
        raise InvalidSpotRequest(problems)
    if all(known(parent) for parent in parents_in(warm_start[0])):
        request |= warm_start_config(*warm_start)
    return request


def _definition(definition: Mapping[str, Any], training_request: _TrainingRequest) -> dict[str, Any]:
    """A definition has the members of a training job's request, but for what its hyperparameters are called."""
    as_training_job = {
        ("HyperParameters" if member == "StaticHyperParameters" else member): value
        for member, value in definition.items()
        if member != "HyperParameters"
    }
    return {
        ("StaticHyperParameters" if member == "HyperParameters" else member): value
        for member, value in training_request(as_training_job).items()
    }


def _definitions(request: dict[str, Any], known: Known) -> Iterator[tuple[Any, Any, str]]:
    """Where each definition stands that can be looked at, and what to call it."""
    if is_given(member_of(request, "TrainingJobDefinition", known=known)):
        yield request, "TrainingJobDefinition", "TrainingJobDefinition"
    several = member_of(request, "TrainingJobDefinitions", known=known)
    for place, definition in enumerate(several if isinstance(several, list) else ()):
        if not known(definition):
            continue
        name = definition.get("DefinitionName") if isinstance(definition, Mapping) else None
        told = f" ({name})" if isinstance(name, str) else ""
        yield several, place, f"TrainingJobDefinitions[{place}]{told}"


def _spot_in_some_only(request: dict[str, Any], known: Known) -> Iterator[str]:
    """Spot is put in where no definition says anything of it; where some do, one with MaxWait alone was forgotten."""
    labelled = [
        (label, holder[key])
        for holder, key, label in _definitions(request, known)
        if isinstance(holder[key], Mapping)
    ]
    on_spot = [label for label, each in labelled if each.get("EnableManagedSpotTraining") is True]
    for label, definition in labelled:
        max_wait = member_of(definition, "StoppingCondition", "MaxWaitTimeInSeconds", known=known)
        if on_spot and max_wait is not None and definition.get("EnableManagedSpotTraining") is None:
            yield (
                f"{label}: MaxWaitTimeInSeconds is given without EnableManagedSpotTraining, which {on_spot[0]} has. SageMaker takes "
                "MaxWait with spot only: say EnableManagedSpotTraining in every definition, or in none to have it put in."
            )
