"""One definition of a tuning job's training jobs: what they share, and what is tuned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from airflow_spot_provider.emulator.exceptions import ValidationException
from airflow_spot_provider.emulator.tuning.ranges import Range, ranges_of
from airflow_spot_provider.emulator.tuning.strategies.bayesian import BayesianSearch
from airflow_spot_provider.emulator.tuning.strategies.grid import GridSearch
from airflow_spot_provider.emulator.tuning.strategies.hyperband import Hyperband
from airflow_spot_provider.emulator.tuning.strategies.random_search import RandomSearch
from airflow_spot_provider.emulator.tuning.strategies.strategy import Strategy
from airflow_spot_provider.emulator.tuning.trial import Objective

OBJECTIVE_PARAMETER = "_tuning_objective_metric"
"""The hyperparameter by which SageMaker tells a training job what it is tuned for."""
_TAKEN_OVER = (
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "VpcConfig",
    "OutputDataConfig",
    "StoppingCondition",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "RetryStrategy",
    "Environment",
)
_EPOCHS = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")
"""Static hyperparameters that stand for MaxResource where it is not given."""
_MOST_EPOCHS = 20_000


class Definition:
    """A HyperParameterTrainingJobDefinition.

    :param definition: that structure.
    :param config: HyperParameterTuningJobConfig, for what a single definition does not say itself.
    :param seed: of the strategy.
    :raises ValidationException: a range, or Hyperband's resource, makes no sense.
    """

    def __init__(self, definition: Mapping[str, Any], config: Mapping[str, Any], seed: str) -> None:
        self.request = definition
        self._config = config
        self.name: str | None = definition.get("DefinitionName")
        self.ranges: Sequence[Range] = ranges_of(
            definition.get("HyperParameterRanges") or config.get("ParameterRanges") or {}
        )
        self.strategy = self._strategy(seed if self.name is None else f"{seed}/{self.name}")

    @cached_property
    def objective(self) -> Objective | None:
        """TuningObjective, or the tuning job's."""
        objective = self.request.get("TuningObjective") or self._config.get(
            "HyperParameterTuningJobObjective"
        )
        return objective and Objective(objective["MetricName"], minimize=objective["Type"] == "Minimize")

    @property
    def static_hyperparameters(self) -> dict[str, str]:
        """StaticHyperParameters, and with them the objective's name, as SageMaker describes them."""
        static = dict(self.request.get("StaticHyperParameters") or {})
        return static if self.objective is None else {OBJECTIVE_PARAMETER: self.objective.metric} | static

    @property
    def described(self) -> dict[str, Any]:
        """The definition as SageMaker describes it."""
        return {**self.request, "StaticHyperParameters": self.static_hyperparameters}

    def training_job_request(
        self, name: str, values: Mapping[str, str], tags: Sequence[Mapping[str, str]]
    ) -> dict[str, Any]:
        """CreateTrainingJob's request for one of its training jobs.

        :param name: TrainingJobName.
        :param values: the hyperparameters that are tuned.
        :param tags: the tuning job's, which all its training jobs have.
        """
        request = {
            member: self.request[member] for member in _TAKEN_OVER if self.request.get(member) is not None
        }
        request |= {
            "TrainingJobName": name,
            "HyperParameters": self.static_hyperparameters | dict(values),
            "ResourceConfig": self._resources,
            "Tags": [dict(tag) for tag in tags],
        }
        checkpoints = self.request.get("CheckpointConfig")
        if checkpoints is not None:
            # A prefix of its own for each: none of them may take up what another has left.
            uri = f"{str(checkpoints['S3Uri']).rstrip('/')}/{name}"
            request["CheckpointConfig"] = {**checkpoints, "S3Uri": uri}
        return request

    @property
    def _resources(self) -> dict[str, Any]:
        """ResourceConfig; of several instance configurations the first, which is the one that is preferred."""
        resources = self.request.get("ResourceConfig")
        if resources is not None:
            return dict(resources)
        flexible = self.request.get("HyperParameterTuningResourceConfig") or {}
        shared = {
            name: value
            for name, value in flexible.items()
            if name not in ("AllocationStrategy", "InstanceConfigs")
        }
        preferred: Mapping[str, Any] = next(iter(flexible.get("InstanceConfigs") or ()), {})
        return {**shared, **preferred}

    def _strategy(self, seed: str) -> Strategy:
        match self._config["Strategy"]:
            case "Grid":
                return GridSearch(self.ranges)
            case "Bayesian":
                return BayesianSearch(self.ranges, seed)
            case "Hyperband":
                lowest, highest = self._resource
                return Hyperband(self.ranges, seed, min_resource=lowest, max_resource=highest)
        return RandomSearch(self.ranges, seed)

    @property
    def _resource(self) -> tuple[int, int]:
        """MinResource and MaxResource of Hyperband."""
        strategy = (self._config.get("StrategyConfig") or {}).get("HyperbandStrategyConfig") or {}
        lowest, highest = strategy.get("MinResource") or 1, strategy.get("MaxResource")
        if highest is None:
            static = self.request.get("StaticHyperParameters") or {}
            stated = (static[name].strip('"') for name in _EPOCHS if name in static)
            highest = next((int(each) for each in stated if each.isdecimal()), None)
        if highest is None:
            raise ValidationException(
                "The Hyperband strategy needs a MaxResource in HyperbandStrategyConfig, or one of the static hyperparameters "
                f"{', '.join(_EPOCHS)}"
            )
        if not lowest <= highest <= _MOST_EPOCHS:
            raise ValidationException(
                f"The MaxResource of HyperbandStrategyConfig ({highest}) must not be less than its MinResource ({lowest}), nor "
                f"greater than {_MOST_EPOCHS}"
            )
        return lowest, highest
