"""Warm start: a tuning job that goes on from what earlier ones have found.

Source: `Run a warm start hyperparameter tuning job
<https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-warm-start.html>`_.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_spot_provider.emulator.exceptions import ValidationException
from airflow_spot_provider.emulator.tuning.definition import Definition
from airflow_spot_provider.emulator.tuning.member import Member
from airflow_spot_provider.emulator.tuning.spec import TuningJobSpec
from airflow_spot_provider.emulator.tuning.trial import Trial

if TYPE_CHECKING:
    from airflow_spot_provider.emulator.tuning.tuning_job import TuningJob

IDENTICAL = "IdenticalDataAndAlgorithm"


class WarmStart:
    """What parent tuning jobs have found, as it was when the new one was made.

    :param kind: WarmStartType.
    :param found: the hyperparameters, all of them, and the metric and value of each training job with an objective.
    :param best: the parents' best training jobs, and their losses.
    """

    def __init__(
        self,
        kind: str = "",
        found: Sequence[tuple[Mapping[str, str], str, float]] = (),
        best: Sequence[tuple[float, dict[str, Any]]] = (),
    ) -> None:
        self.kind = kind
        self.found = found
        self.best = best

    @property
    def compares_with_parents(self) -> bool:
        """Whether the best of all, the parents' too, is told."""
        return self.kind == IDENTICAL

    def trials_for(self, definition: Definition) -> list[Trial]:
        """What was found, as trials of a definition: those that state a value for each of its ranges."""
        objective = definition.objective
        names = [each.name for each in definition.ranges]
        return [
            Trial(0, {name: values[name] for name in names}, [objective.loss(value)], True, True)
            for values, metric, value in self.found
            if objective is not None and metric == objective.metric and set(names) <= set(values)
        ]


def warm_start_of(spec: TuningJobSpec, known: Mapping[str, TuningJob]) -> WarmStart:
    """What a request's WarmStartConfig gives a new tuning job to go on from.

    :param spec: the new tuning job.
    :param known: the tuning jobs of its account and region, by name.
    :raises ValidationException: a parent is not there, has not ended, or looked for something else.
    """
    config = spec.request.get("WarmStartConfig")
    if config is None:
        return WarmStart()
    found: list[tuple[Mapping[str, str], str, float]] = []
    best: list[tuple[float, dict[str, Any]]] = []
    for entry in config["ParentHyperParameterTuningJobs"]:
        name = entry.get("HyperParameterTuningJobName")
        parent = known.get(name)
        if parent is None:
            raise ValidationException(
                f"The parent hyperparameter tuning job {name} of WarmStartConfig could not be found."
            )
        if not parent.has_ended:
            raise ValidationException(
                f"The parent hyperparameter tuning job {name} of WarmStartConfig is in status {parent.status}; it must have "
                "ended before another tuning job can start from it."
            )
        _see_that_it_fits(spec, parent, config["WarmStartType"])
        found += [_found(member) for member in parent.members if member.objective is not None]
        winner = parent.best
        if winner is not None and winner.loss is not None:
            best.append((winner.loss, {**winner.summarized(), "TuningJobName": parent.name}))
    return WarmStart(config["WarmStartType"], found, best)


def _found(member: Member) -> tuple[Mapping[str, str], str, float]:
    objective, value = member.definition.objective, member.objective
    assert objective is not None
    assert value is not None
    return {**member.definition.static_hyperparameters, **member.values}, objective.metric, value


def _see_that_it_fits(spec: TuningJobSpec, parent: TuningJob, kind: str) -> None:
    """Refuse a parent with another objective; with identical data and algorithm, one of another image, or other inputs."""
    for mine in spec.definitions:
        theirs = next((each for each in parent.spec.definitions if each.name == mine.name), None)
        if theirs is None or theirs.objective != mine.objective:
            raise ValidationException(
                f"The objective metric of the tuning job must be the same as that of the parent tuning job {parent.name} of "
                "WarmStartConfig."
            )
        if kind == IDENTICAL and _data_and_algorithm(mine) != _data_and_algorithm(theirs):
            raise ValidationException(
                "With the WarmStartType IdenticalDataAndAlgorithm, the algorithm, the InputDataConfig and the names of all "
                f"hyperparameters must be those of the parent tuning job {parent.name}. Take TransferLearning to change them."
            )


def _data_and_algorithm(definition: Definition) -> tuple[Any, ...]:
    algorithm = definition.request["AlgorithmSpecification"]
    inputs = definition.request.get("InputDataConfig") or ()
    return (
        algorithm.get("TrainingImage"),
        algorithm.get("AlgorithmName"),
        sorted((channel["ChannelName"], repr(channel["DataSource"])) for channel in inputs),
        sorted({*definition.static_hyperparameters, *(each.name for each in definition.ranges)}),
    )
