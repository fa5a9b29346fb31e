"""The instances of a job without a program: it has inputs, metrics and a model, and nothing runs."""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import tarfile
from collections.abc import Mapping
from typing import Protocol

from airflow_spot_provider.emulator.instances.ending import Ending
from airflow_spot_provider.emulator.instances.inputs import Channel, missing_input
from airflow_spot_provider.emulator.spec import OBJECTIVE_PARAMETER, JobSpec, plain


def _empty_model() -> bytes:
    """A model.tar.gz with nothing in it: the same to the byte each time."""
    archive = io.BytesIO()
    tarfile.open(fileobj=archive, mode="w").close()
    return gzip.compress(archive.getvalue(), mtime=0)


EMPTY_MODEL = _empty_model()


class SmallStorage(Protocol):
    """What a simulated job needs of S3."""

    def holds(self, uri: str) -> bool:
        """Whether there is anything under a prefix."""

    def write(self, uri: str, content: bytes) -> None:
        """Put one object."""


class SimulatedInstance:
    """The instances of a job without a program.

    :param spec: the job.
    :param storage: S3.
    """

    runs_script = False

    def __init__(self, spec: JobSpec, storage: SmallStorage) -> None:
        self._spec = spec
        self._storage = storage

    def download(self) -> None:
        """See that the inputs are there."""
        for request in self._spec.channels:
            channel = Channel(request, self._spec.input_mode)
            if not self._storage.holds(channel.uri):
                raise missing_input(channel.name, channel.uri, self._spec.region)

    def train(self) -> None:
        """Nothing runs: the job lets the time pass."""

    def end(self) -> Ending:
        """Nothing runs."""
        return Ending()

    def tear(self) -> Ending:
        """Nothing runs, and nothing is written."""
        return Ending()

    def metrics(self) -> Mapping[str, float]:
        """A figure between 0 and 1 for each MetricDefinition, so that a search over hyperparameters has something to find.

        It is a bowl: 0 where every hyperparameter has its best value, which is drawn from the names of metric and hyperparameter, and
        nearer to 1 the farther they are. Numbers are compared on the axis ``x / (1 + |x|)``; each other value has a distance of its own.
        """
        values = {
            name: plain(value)
            for name, value in self._spec.hyperparameters.items()
            if not name.startswith(("_", "sagemaker_"))
        }
        names = [definition["Name"] for definition in self._spec.metric_definitions]
        if objective := self._spec.plain_hyperparameter(OBJECTIVE_PARAMETER):
            names.append(objective)  # a built-in algorithm states it without a definition
        return {name: _bowl(name, values) for name in names}

    def kill(self) -> None:
        """Nothing runs."""

    def failure(self) -> str:
        """Nothing fails either."""
        return ""

    def discard(self) -> None:
        """Nothing is kept here."""

    def upload(self, *, completed: bool) -> str | None:
        """A model with nothing in it, for a job that completed."""
        if not completed:
            return None
        uri = f"{self._spec.output_uri}/model.tar.gz"
        self._storage.write(uri, EMPTY_MODEL)
        return uri


def _bowl(metric: str, values: Mapping[str, str]) -> float:
    squares = [_distance(metric, name, value) ** 2 for name, value in values.items()]
    return round(math.sqrt(sum(squares) / len(squares)), 6) if squares else 0.5


def _distance(metric: str, name: str, value: str) -> float:
    """How far a value is from the best one, between 0 and 1."""
    try:
        number = float(value)
    except ValueError:
        return _drawn(metric, name, value)
    place = (number / (1 + abs(number)) + 1) / 2 if math.isfinite(number) else 0.0
    return abs(place - _drawn(metric, name))


def _drawn(*words: str) -> float:
    """A number between 0 and 1 that belongs to some words."""
    digest = hashlib.sha256("/".join(words).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6]) / 2**48
