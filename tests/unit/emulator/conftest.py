"""Jobs without a script on a clock that is stepped: whole lifecycles pass in no time."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.emulator.clock import SteppedClock
from airflow_spot_provider.emulator.exceptions import TrainingProblem
from airflow_spot_provider.emulator.instances.simulated import SimulatedInstance
from airflow_spot_provider.emulator.jobs.lifecycles import lifecycle_named
from airflow_spot_provider.emulator.jobs.training_job import TrainingJob
from airflow_spot_provider.emulator.jobs.world import World
from airflow_spot_provider.emulator.market.prices import SpotPrices
from airflow_spot_provider.emulator.market.settings import MarketSettings
from airflow_spot_provider.emulator.market.spot_market import SpotMarket
from airflow_spot_provider.emulator.spec import JobSpec

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class FolderStorage:
    """S3 as a folder: ``s3://bucket/key`` is the file ``bucket/key``; a bucket is there when its folder is."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _path(self, uri: str) -> Path:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if not (self.root / bucket).is_dir():
            raise TrainingProblem(f"ClientError: {uri}: no such bucket")
        return self.root / bucket / key

    def holds(self, uri: str) -> bool:
        try:
            return self._path(uri).exists()
        except TrainingProblem:
            return False

    def entries(self, uri: str) -> list[tuple[str, str]]:
        source = self._path(uri)
        files = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else []
        return [
            (f"{uri.rstrip('/')}/{name}", name)
            for file in files
            for name in [file.relative_to(source).as_posix()]
        ]

    def read(self, uri: str) -> bytes:
        return self._path(uri).read_bytes()

    def write(self, uri: str, content: bytes) -> None:
        target = self._path(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    def download_file(self, uri: str, path: Path) -> None:
        shutil.copyfile(self._path(uri), path)

    def download_prefix(self, uri: str, folder: Path) -> int:
        source = self._path(uri)
        files = [path for path in source.rglob("*") if path.is_file()] if source.is_dir() else []
        for file in files:
            target = folder / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        return len(files)

    def upload_file(self, path: Path, uri: str) -> None:
        target = self._path(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)

    def delete_file(self, uri: str) -> None:
        self._path(uri).unlink(missing_ok=True)


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    """A storage with the one bucket ``bucket``."""
    (tmp_path / "s3/bucket").mkdir(parents=True)
    return FolderStorage(tmp_path / "s3")


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(NOON)


@pytest.fixture
def request_of() -> Callable[..., dict[str, Any]]:
    """Builds a CreateTrainingJob request for spot; keyword arguments are members that win."""

    def _request(**members: Any) -> dict[str, Any]:
        request = {
            "TrainingJobName": "job",
            "RoleArn": "arn:aws:iam::123456789012:role/training",
            "AlgorithmSpecification": {"TrainingImage": "local/image:1", "TrainingInputMode": "File"},
            "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "EnableManagedSpotTraining": True,
            "CheckpointConfig": {"S3Uri": "s3://bucket/checkpoints"},
            "StoppingCondition": {"MaxRuntimeInSeconds": 1800, "MaxWaitTimeInSeconds": 3600},
            **members,
        }
        return {name: value for name, value in request.items() if value is not None}

    return _request


def tuning_request_of(
    training: dict[str, Any], name: str = "tune", *, jobs: int = 1, tags: list[dict[str, str]] | None = None
) -> dict[str, Any]:
    """A CreateHyperParameterTuningJob request over a CreateTrainingJob request, all training jobs at the same time."""
    algorithm = {
        **training["AlgorithmSpecification"],
        "MetricDefinitions": [{"Name": "error", "Regex": "error=(.*)"}],
    }
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "error"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": jobs},
            "ParameterRanges": {
                "ContinuousParameterRanges": [{"Name": "x", "MinValue": "0", "MaxValue": "1"}]
            },
        },
        "TrainingJobDefinition": {
            **{
                member: value
                for member, value in training.items()
                if member not in ("TrainingJobName", "Tags")
            },
            "AlgorithmSpecification": algorithm,
        },
        "Tags": tags or [],
    }


@pytest.fixture
def market_settings() -> MarketSettings:
    """The market of the world; a test module has its own by overriding this."""
    return MarketSettings()


@pytest.fixture
def announced() -> list[tuple[str, str]]:
    """Every transition that was announced: name of the job, SecondaryStatus."""
    return []


@pytest.fixture
def world(
    clock: SteppedClock,
    storage: FolderStorage,
    market_settings: MarketSettings,
    announced: list[tuple[str, str]],
) -> World:
    """What jobs share, without a server."""
    prices = SpotPrices(7)
    return World(
        clock=clock,
        prices=prices,
        market=SpotMarket(market_settings, prices, clock, 7, NOON),
        launch=lambda spec, _number, _listener: SimulatedInstance(spec, storage),
        background=lambda work: work(),
        keep=lambda _job: None,
        announce=lambda job: announced.append((job.training_job_name, job.secondary_status)),
    )


@pytest.fixture
def start(world: World, request_of: Callable[..., dict[str, Any]]) -> Callable[..., TrainingJob]:
    """Starts a job without a script in a lifecycle."""

    def _start(lifecycle: str = "uninterrupted", **members: Any) -> TrainingJob:
        spec = JobSpec(request_of(**members), "123456789012", "us-east-1")
        job = TrainingJob(spec, lifecycle_named(lifecycle), world)
        job.begin()
        return job

    return _start


@pytest.fixture
def pass_time(clock: SteppedClock) -> Callable[[float], None]:
    """Advances the clock by so many seconds."""

    def _pass(seconds: float) -> None:
        clock.advance(timedelta(seconds=seconds))

    return _pass
