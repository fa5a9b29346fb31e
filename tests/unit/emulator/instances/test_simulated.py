"""Jobs without a program."""

from __future__ import annotations

from typing import Any

from airflow_spot_provider.emulator.instances.simulated import EMPTY_MODEL, SimulatedInstance
from airflow_spot_provider.emulator.spec import JobSpec

DEFINITIONS = [{"Name": "loss", "Regex": "x"}, {"Name": "accuracy", "Regex": "y"}]


def _metrics(request_of: Any, storage: Any, parameters: dict[str, str]) -> dict[str, float]:
    algorithm = {"TrainingImage": "x", "TrainingInputMode": "File", "MetricDefinitions": DEFINITIONS}
    request = request_of(AlgorithmSpecification=algorithm, HyperParameters=parameters)
    return dict(SimulatedInstance(JobSpec(request, "123456789012", "us-east-1"), storage).metrics())


def test_metrics_are_a_bowl_over_the_hyperparameters(request_of: Any, storage: Any) -> None:
    losses = [_metrics(request_of, storage, {"rate": str(rate / 50)})["loss"] for rate in range(-300, 300)]
    best = losses.index(min(losses))
    assert losses[:best] == sorted(losses[:best], reverse=True)
    assert losses[best:] == sorted(losses[best:])
    assert 0 <= min(losses) < 0.05 < max(losses) <= 1


def test_metrics_are_the_same_each_time_and_differ_by_name_and_choice(request_of: Any, storage: Any) -> None:
    first = _metrics(request_of, storage, {"rate": "0.1", "optimizer": '"adam"'})
    assert first == _metrics(request_of, storage, {"rate": "0.1", "optimizer": "adam"})
    assert first["loss"] != first["accuracy"]
    assert first != _metrics(request_of, storage, {"rate": "0.1", "optimizer": "sgd"})


def test_model_is_an_empty_archive_the_same_to_the_byte(request_of: Any, storage: Any) -> None:
    instance = SimulatedInstance(JobSpec(request_of(), "123456789012", "us-east-1"), storage)
    uri = instance.upload(completed=True)
    assert uri == "s3://bucket/output/job/output/model.tar.gz"
    assert storage.read(uri) == EMPTY_MODEL
    assert instance.upload(completed=False) is None
