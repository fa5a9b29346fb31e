"""Tuning jobs over simulated training on a clock that is stepped."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from moto.sagemaker.models import sagemaker_backends

from airflow_spot_provider.emulator.clock import SteppedClock
from airflow_spot_provider.emulator.jobs.lifecycles import lifecycle_named
from airflow_spot_provider.emulator.jobs.plans import Plans
from airflow_spot_provider.emulator.jobs.registry import Registry
from airflow_spot_provider.emulator.jobs.training_job import TrainingJob
from airflow_spot_provider.emulator.jobs.world import World
from airflow_spot_provider.emulator.market.quotas import Quotas
from airflow_spot_provider.emulator.tuning.tuning_jobs import TuningJobs
from airflow_spot_provider.emulator.wire.protocol import Call
from airflow_spot_provider.emulator.wire.tuning import TuningAPI

ACCOUNT, REGION = "123456789012", "eu-central-1"
METRIC = "validation:error"
Figures = Callable[[Mapping[str, str]], dict[str, float]]


class Bench:
    """A server's tuning without the server: calls operations, and decides what training jobs state in the end."""

    def __init__(self, world: World, clock: SteppedClock) -> None:
        self.clock = clock
        self.figures: Figures = lambda values: {METRIC: abs(float(values.get("x", 0)) - 0.3)}
        self.quotas = Quotas()
        self.told: list[tuple[str, str]] = []
        own = dataclasses.replace(world, launch=self._launch, announce=self._announce)
        self._world = world
        self.registry = Registry(own, Plans(lifecycle_named("uninterrupted")), self.quotas)
        self.tuning_jobs = TuningJobs(self.registry, clock, seed=7)
        self.tuning_jobs.observers.append(lambda job: self.told.append((job.name, job.status)))
        self.operations = TuningAPI(self.tuning_jobs).operations

    def _launch(self, spec: Any, number: int, listener: Any) -> Any:
        instance = self._world.launch(spec, number, listener)
        instance.metrics = lambda: self.figures(spec.hyperparameters)
        return instance

    def _announce(self, job: TrainingJob) -> None:
        self.tuning_jobs.training_job_changed(job)

    def __call__(self, operation: str, **parameters: Any) -> Any:
        return self.operations[operation](Call(operation, parameters, ACCOUNT, REGION))

    def training_jobs(self, name: str = "tune", **parameters: Any) -> list[dict[str, Any]]:
        parameters = {"HyperParameterTuningJobName": name, "MaxResults": 100, **parameters}
        summaries: list[dict[str, Any]] = self("ListTrainingJobsForHyperParameterTuningJob", **parameters)[
            "TrainingJobSummaries"
        ]
        return summaries

    def training_job(self, name: str) -> TrainingJob:
        return self.registry.of(ACCOUNT, REGION)[name]

    def described(self, name: str = "tune") -> dict[str, Any]:
        description: dict[str, Any] = self(
            "DescribeHyperParameterTuningJob", HyperParameterTuningJobName=name
        )
        return description


@pytest.fixture
def bench(world: World, clock: SteppedClock) -> Iterator[Bench]:
    yield Bench(world, clock)
    backend = sagemaker_backends[ACCOUNT][REGION]
    backend.training_jobs.clear()
    backend.hyper_parameter_tuning_jobs.clear()


@pytest.fixture
def definition() -> Callable[..., dict[str, Any]]:
    """Builds a TrainingJobDefinition for spot; keyword arguments are members that win."""

    def _definition(**members: Any) -> dict[str, Any]:
        request = {
            "AlgorithmSpecification": {
                "TrainingImage": "local/image:1",
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": METRIC, "Regex": "error=(.*)"}],
            },
            "RoleArn": "arn:aws:iam::123456789012:role/training",
            "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StaticHyperParameters": {"layers": "3"},
            "EnableManagedSpotTraining": True,
            "CheckpointConfig": {"S3Uri": "s3://bucket/checkpoints"},
            "StoppingCondition": {"MaxRuntimeInSeconds": 1800, "MaxWaitTimeInSeconds": 3600},
            **members,
        }
        return {name: value for name, value in request.items() if value is not None}

    return _definition


@pytest.fixture
def tuning_request(definition: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Builds a CreateHyperParameterTuningJob request; keyword arguments are members of its config that win."""

    def _request(
        name: str = "tune",
        *,
        jobs: int = 6,
        parallel: int = 2,
        seconds: int = 60,
        members: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
        **config: Any,
    ) -> dict[str, Any]:
        return {
            "HyperParameterTuningJobName": name,
            "HyperParameterTuningJobConfig": {
                "Strategy": "Random",
                "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": METRIC},
                "ResourceLimits": {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": parallel},
                "ParameterRanges": {
                    "ContinuousParameterRanges": [{"Name": "x", "MinValue": "0", "MaxValue": "1"}]
                },
                **config,
            },
            "TrainingJobDefinition": definition(**(training or {})),
            "Tags": [{"Key": "emulator:training-seconds", "Value": str(seconds)}],
            **(members or {}),
        }

    return _request


@pytest.fixture
def tune(bench: Bench, tuning_request: Callable[..., dict[str, Any]]) -> Callable[..., str]:
    """Creates a tuning job, and gives its ARN."""

    def _tune(*args: Any, **kwargs: Any) -> str:
        answer = bench("CreateHyperParameterTuningJob", **tuning_request(*args, **kwargs))
        return str(answer["HyperParameterTuningJobArn"])

    return _tune
