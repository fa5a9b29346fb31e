"""Where instances come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from airflow_spot_provider.emulator.clock import Clock
from airflow_spot_provider.emulator.instances.checkpoints import CheckpointMirror
from airflow_spot_provider.emulator.instances.cluster import Cluster
from airflow_spot_provider.emulator.instances.container import Container, Surroundings
from airflow_spot_provider.emulator.instances.instance import Instance, Listener
from airflow_spot_provider.emulator.instances.logs import KeepLine, LogStream
from airflow_spot_provider.emulator.instances.moto_storage import MotoStorage
from airflow_spot_provider.emulator.instances.program import Program, program_of
from airflow_spot_provider.emulator.instances.simulated import SimulatedInstance
from airflow_spot_provider.emulator.instances.toolkit import host_name
from airflow_spot_provider.emulator.spec import JobSpec

GRACE_SECONDS = 120.0
"""What SageMaker gives a program between SIGTERM and SIGKILL, in emulated seconds."""
LEAST_REAL_GRACE_SECONDS = 5.0
"""A fast clock must not rob a program of its chance to save a checkpoint."""


@dataclass(frozen=True)
class Fleet:
    """Where instances come from.

    :param clock: the emulated time, for the logs and the grace period.
    :param surroundings: what all containers have in common.
    :param folder: where the jobs' folders are.
    :param images: command lines by patterns of image names.
    :param grace_seconds: real seconds from SIGTERM to SIGKILL; None: 120 emulated ones, and 5 real ones at least.
    :param written: is told of each object that a simulated job puts: account, bucket, key.
    :param keep_line: is told of each line of a log.
    """

    clock: Clock
    surroundings: Surroundings
    folder: Path
    images: Mapping[str, str] = field(default_factory=dict)
    grace_seconds: float | None = None
    written: Callable[[str, str, str], None] = lambda *_: None
    keep_line: KeepLine = lambda *_: None

    def launch(self, spec: JobSpec, number: int, listener: Listener) -> Instance:
        """The instances of a job.

        :param spec: the job.
        :param number: the number of its stay, from 0.
        :param listener: is told what happens on them.
        """
        program = program_of(spec, self.images)
        if program is None:
            return SimulatedInstance(spec, MotoStorage(spec.account_id, self.written))
        return self._cluster(spec, program, number, listener)

    def _cluster(self, spec: JobSpec, program: Program, number: int, listener: Listener) -> Cluster:
        second = int(self.clock.now().timestamp())
        folder = self.folder / f"{spec.account_id}-{spec.region}" / spec.name / f"{number}-{second}"
        storage = self.surroundings.storage
        containers = [
            Container(
                folder / host_name(host),
                spec,
                program,
                host,
                surroundings=self.surroundings,
                failed=listener.failed,
            )
            for host in range(len(spec.hosts))
        ]
        mirrors = []
        if spec.checkpoint_uri is not None:
            mirrors = [
                CheckpointMirror(container.checkpoints, spec.checkpoint_uri, storage, listener.checkpoint)
                for container in containers
            ]
        # Streams are named by the second; the number of the stay keeps two starts in one second apart.
        streams = [
            LogStream(
                spec, f"{spec.name}/{host_name(host)}-{second + number}", self.clock.now, self.keep_line
            )
            for host in range(len(spec.hosts))
        ]
        return Cluster(
            spec,
            containers,
            mirrors,
            lines=[_to_both(stream, listener) for stream in streams],
            storage=storage,
            listener=listener,
            grace_seconds=self._grace_seconds,
        )

    @property
    def _grace_seconds(self) -> float:
        if self.grace_seconds is not None:
            return self.grace_seconds
        return max(LEAST_REAL_GRACE_SECONDS, self.clock.real_seconds(GRACE_SECONDS))


def _to_both(stream: LogStream, listener: Listener) -> Callable[[str], None]:
    def _line(line: str) -> None:
        stream.write(line)
        listener.line(line)

    return _line
