"""A tuning job as it was asked for: a checked CreateHyperParameterTuningJob request, and whose it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moto.utilities.utils import get_partition

from airflow_spot_provider.emulator.exceptions import ValidationException
from airflow_spot_provider.emulator.tuning.definition import Definition

MOST_TRAINING_JOBS = 750
"""The training jobs of a tuning job that says nothing: SageMaker's quota."""


class TuningJobSpec:
    """What was asked for, in the shapes that tuning works with.

    :param request: the CreateHyperParameterTuningJob request.
    :param account_id: AWS account of the tuning job.
    :param region: AWS region of the tuning job.
    :param seed: of the server, for a request without RandomSeed.
    :raises ValidationException: the request has no definition, or one that makes no sense.
    """

    def __init__(self, request: Mapping[str, Any], account_id: str, region: str, seed: int) -> None:
        self.request = request
        self.account_id = account_id
        self.region = region
        self.name = str(request["HyperParameterTuningJobName"])
        self.config: Mapping[str, Any] = request["HyperParameterTuningJobConfig"]
        given = self.config.get("RandomSeed")
        drawn_from = f"{seed}/{self.name}" if given is None else str(given)
        single, several = request.get("TrainingJobDefinition"), request.get("TrainingJobDefinitions")
        if bool(single) == bool(several):
            raise ValidationException(
                "Either TrainingJobDefinition or TrainingJobDefinitions must be given, and not both"
            )
        definitions = [single] if single else several or ()
        self.definitions = [Definition(each, self.config, drawn_from) for each in definitions]

    @property
    def arn(self) -> str:
        """HyperParameterTuningJobArn."""
        partition = get_partition(self.region)
        return f"arn:{partition}:sagemaker:{self.region}:{self.account_id}:hyper-parameter-tuning-job/{self.name}"

    @property
    def tags(self) -> Sequence[Mapping[str, str]]:
        """Tags."""
        return self.request.get("Tags") or ()

    @property
    def most_training_jobs(self) -> int:
        """MaxNumberOfTrainingJobs, or all that the grid has."""
        limit: int = self._limits.get("MaxNumberOfTrainingJobs") or MOST_TRAINING_JOBS
        sizes = [each.strategy.size for each in self.definitions]
        return min(limit, sum(size for size in sizes if size is not None)) if None not in sizes else limit

    @property
    def most_parallel(self) -> int:
        """MaxParallelTrainingJobs."""
        return int(self._limits["MaxParallelTrainingJobs"])

    @property
    def max_runtime_seconds(self) -> float | None:
        """MaxRuntimeInSeconds."""
        runtime: float | None = self._limits.get("MaxRuntimeInSeconds")
        return runtime

    @property
    def criteria(self) -> Mapping[str, Any]:
        """TuningJobCompletionCriteria; with Autotune the tuning job ends when it has converged."""
        criteria: Mapping[str, Any] = self.config.get("TuningJobCompletionCriteria") or {}
        if self._autotunes:
            return {"ConvergenceDetected": {"CompleteOnConvergence": "Enabled"}} | dict(criteria)
        return criteria

    @property
    def stops_early(self) -> bool:
        """Whether training jobs that do badly are stopped: TrainingJobEarlyStoppingType, or Autotune."""
        kind = self.config.get("TrainingJobEarlyStoppingType")
        return kind == "Auto" or (kind is None and self._autotunes and self.config["Strategy"] != "Hyperband")

    @property
    def watches_training_jobs(self) -> bool:
        """Whether it stops training jobs for what they state on the way."""
        return self.stops_early or self.config["Strategy"] == "Hyperband"

    @property
    def _limits(self) -> Mapping[str, Any]:
        limits: Mapping[str, Any] = self.config["ResourceLimits"]
        return limits

    @property
    def _autotunes(self) -> bool:
        return (self.request.get("Autotune") or {}).get("Mode") == "Enabled"
