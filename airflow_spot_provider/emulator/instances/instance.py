"""The instance of a training job: what really happens there, with a script or without one."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from airflow_spot_provider.emulator.clock import Clock
from airflow_spot_provider.emulator.instances.checkpoints import CheckpointMirror
from airflow_spot_provider.emulator.instances.container import Container, channel_uri, missing_input
from airflow_spot_provider.emulator.instances.ending import Ending
from airflow_spot_provider.emulator.instances.logs import LogStream
from airflow_spot_provider.emulator.instances.storage import Storage
from airflow_spot_provider.emulator.instances.toolkit import HOST, has_script
from airflow_spot_provider.emulator.instances.warden import Warden
from airflow_spot_provider.emulator.spec import JobSpec

GRACE_SECONDS = 120.0
"""What SageMaker gives a script between SIGTERM and SIGKILL, in emulated seconds."""
LEAST_REAL_GRACE_SECONDS = 5.0
"""A fast clock must not rob a script of its chance to save a checkpoint."""


@dataclass(frozen=True)
class Listener:
    """Whom an instance tells what happens on it; each is called on a thread of the instance's own.

    :param line: a line of the log.
    :param checkpoint: a checkpoint has reached S3.
    :param exited: the script ended with this status.
    """

    line: Callable[[str], None]
    checkpoint: Callable[[], None]
    exited: Callable[[int], None]


class Instance(Protocol):
    """One stay of a job on an instance. Each step may take its time, and raises TrainingProblem where the job cannot go on."""

    runs_script: bool

    def download(self) -> None:
        """Bring everything in: channels, script, checkpoints."""

    def train(self) -> None:
        """Begin to train."""

    def end(self) -> Ending:
        """End what runs, with SageMaker's grace, and mirror its checkpoints a last time."""

    def tear(self) -> Ending:
        """End what runs at once, and leave S3 as a loss in the middle of writing a checkpoint does."""

    def metrics(self) -> Mapping[str, float]:
        """The figures that an instance without a script states in the end."""

    def kill(self) -> None:
        """End what runs, and leave it at that."""

    def upload(self, *, completed: bool) -> str | None:
        """Bring out what the job leaves, and say where its model is, if it has one.

        :param completed: False for a job that was stopped on the way.
        """

    def failure(self) -> str:
        """What the script says of its failure."""

    def discard(self) -> None:
        """Remove what is left of it here."""


class SimulatedInstance:
    """The instance of a job without a script: it has inputs and a model, and nothing runs on it.

    :param spec: the job.
    :param storage: S3.
    """

    runs_script = False

    def __init__(self, spec: JobSpec, storage: Storage) -> None:
        self._spec = spec
        self._storage = storage

    def download(self) -> None:
        """See that the inputs are there."""
        for channel in self._spec.channels:
            if not self._storage.holds(channel_uri(channel)):
                raise missing_input(channel, self._spec.region)

    def train(self) -> None:
        """Nothing runs: the job lets the time pass."""

    def end(self) -> Ending:
        """Nothing runs."""
        return Ending()

    def tear(self) -> Ending:
        """Nothing runs, and nothing is written."""
        return Ending()

    def metrics(self) -> Mapping[str, float]:
        """None yet."""
        return {}

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
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "model.tar.gz"
            tarfile.open(archive, "w:gz").close()
            self._storage.upload_file(archive, uri)
        return uri


class ScriptInstance:
    """The instance of a job that runs a script.

    :param spec: the job.
    :param container: where it runs.
    :param mirror: of its checkpoints, if it has a place for them.
    :param storage: S3.
    :param listener: is told what happens.
    :param grace_seconds: real seconds from SIGTERM to SIGKILL.
    """

    runs_script = True

    def __init__(
        self,
        spec: JobSpec,
        container: Container,
        mirror: CheckpointMirror | None,
        *,
        storage: Storage,
        listener: Listener,
        grace_seconds: float,
    ) -> None:
        self._spec = spec
        self._container = container
        self._mirror = mirror
        self._storage = storage
        self._listener = listener
        self._grace_seconds = grace_seconds

    def download(self) -> None:
        """Prepare the container, and restore the checkpoints."""
        self._container.prepare()
        if self._mirror is not None:
            self._mirror.restore()

    def train(self) -> None:
        """Run the script, and mirror its checkpoints."""
        self._container.start(self._listener.line, self._listener.exited)
        if self._mirror is not None:
            self._mirror.start()

    def end(self) -> Ending:
        """SIGTERM, grace, SIGKILL; then the last checkpoints."""
        ending = self._container.stop(self._grace_seconds)
        if self._mirror is not None:
            self._mirror.finish()
        return ending

    def tear(self) -> Ending:
        """SIGKILL; then what a loss in the middle of writing a checkpoint leaves."""
        ending = self._container.stop(0)
        if self._mirror is not None:
            self._mirror.tear()
        return ending

    def metrics(self) -> Mapping[str, float]:
        """A script prints its own."""
        return {}

    def kill(self) -> None:
        """End the script, with a moment to notice."""
        if self._mirror is not None:
            self._mirror.abandon()
        self._container.stop(grace_seconds=0.5)

    def upload(self, *, completed: bool) -> str | None:
        """model.tar.gz and output.tar.gz, of whatever the script left in their folders."""
        if self._container.holds("output/data"):
            output = self._container.pack("output/data")
            self._storage.upload_file(output, f"{self._spec.output_uri}/output.tar.gz")
        if not completed and not self._container.holds("model"):
            return None
        model = self._container.pack("model")
        uri = f"{self._spec.output_uri}/model.tar.gz"
        self._storage.upload_file(model, uri)
        return uri

    def failure(self) -> str:
        """The contents of /opt/ml/output/failure."""
        return self._container.failure()

    def discard(self) -> None:
        """Remove its folder."""
        shutil.rmtree(self._container.root, ignore_errors=True)


@dataclass(frozen=True)
class Fleet:
    """Where instances come from.

    :param clock: the emulated time, for the logs and the grace period.
    :param storage: S3.
    :param endpoint_url: of the server, for the scripts.
    :param folder: where the jobs' folders are.
    :param warden: watches the jobs' processes.
    """

    clock: Clock
    storage: Storage
    endpoint_url: str
    folder: Path
    warden: Warden

    def launch(self, spec: JobSpec, number: int, listener: Listener) -> Instance:
        """A new instance.

        :param spec: the job.
        :param number: the number of its stay, from 0.
        :param listener: is told what happens on it.
        """
        if not has_script(spec):
            return SimulatedInstance(spec, self.storage)
        second = int(self.clock.now().timestamp())
        root = self.folder / f"{spec.account_id}-{spec.region}" / spec.name / f"{number}-{second}"
        container = Container(
            root, spec, storage=self.storage, endpoint_url=self.endpoint_url, warden=self.warden
        )
        mirror = None
        if spec.checkpoint_uri is not None:
            mirror = CheckpointMirror(
                root / "checkpoints", spec.checkpoint_uri, self.storage, listener.checkpoint
            )
        # Streams are named by the second; the number of the stay keeps two starts in one second apart.
        stream = LogStream(spec, f"{spec.name}/{HOST}-{second + number}", self.clock.now)

        def _line(line: str) -> None:
            stream.write(line)
            listener.line(line)

        return ScriptInstance(
            spec,
            container,
            mirror,
            storage=self.storage,
            listener=Listener(_line, listener.checkpoint, listener.exited),
            grace_seconds=max(LEAST_REAL_GRACE_SECONDS, self.clock.real_seconds(GRACE_SECONDS)),
        )
