"""The instances of a job that runs a program: one container on each, and what they leave together."""

from __future__ import annotations

import errno
import os
import tarfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from airflow_spot_provider.emulator.exceptions import TrainingProblem
from airflow_spot_provider.emulator.instances.checkpoints import CheckpointMirror
from airflow_spot_provider.emulator.instances.container import Container
from airflow_spot_provider.emulator.instances.ending import Ending
from airflow_spot_provider.emulator.instances.instance import Listener
from airflow_spot_provider.emulator.instances.storage import Storage
from airflow_spot_provider.emulator.spec import JobSpec

VOLUME_LOOK_SECONDS = 1.0
"""Real seconds between two looks at how much of its volume a job uses."""


class Cluster:
    """The instances of a job that runs a program.

    :param spec: the job.
    :param containers: one for each host.
    :param mirrors: of the checkpoints of each host, if the job has a place for them.
    :param lines: takes the lines of each host.
    :param storage: S3.
    :param listener: is told what happens.
    :param grace_seconds: real seconds from SIGTERM to SIGKILL.
    """

    runs_script = True

    def __init__(
        self,
        spec: JobSpec,
        containers: Sequence[Container],
        mirrors: Sequence[CheckpointMirror],
        *,
        lines: Sequence[Callable[[str], None]],
        storage: Storage,
        listener: Listener,
        grace_seconds: float,
    ) -> None:
        self._spec = spec
        self._containers = containers
        self._mirrors = mirrors
        self._lines = lines
        self._storage = storage
        self._listener = listener
        self._grace_seconds = grace_seconds
        self._lock = threading.Lock()
        self._running = len(containers)
        self._over = threading.Event()

    def download(self) -> None:
        """Prepare the containers, and restore the checkpoints."""
        for container in self._containers:
            container.prepare()
        for mirror in self._mirrors:
            mirror.restore()
        self._see_that_it_fits()

    def train(self) -> None:
        """Run the program on every host, and mirror its checkpoints."""
        threading.Thread(target=self._watch_volumes, name="volumes", daemon=True).start()
        for container, line in zip(self._containers, self._lines, strict=True):
            container.start(line, self._exited)
        for mirror in self._mirrors:
            mirror.start()

    def end(self) -> Ending:
        """SIGTERM, grace, SIGKILL; then the last checkpoints."""
        ending = self._stop(self._grace_seconds)
        for mirror in self._mirrors:
            mirror.finish()
        return ending

    def tear(self) -> Ending:
        """SIGKILL; then what a loss in the middle of writing a checkpoint leaves."""
        ending = self._stop(0)
        for mirror in self._mirrors:
            mirror.tear()
        return ending

    def metrics(self) -> Mapping[str, float]:
        """A program prints its own."""
        return {}

    def kill(self) -> None:
        """End the programs, with a moment to notice."""
        for mirror in self._mirrors:
            mirror.abandon()
        self._stop(0.5)

    def upload(self, *, completed: bool) -> str | None:
        """model.tar.gz and output.tar.gz, of whatever the programs left in their folders; where two have a name, the first host's counts."""
        self._see_that_it_fits()
        output = self._packed("output/data")
        if output is not None:
            self._storage.upload_file(output, f"{self._spec.output_uri}/output.tar.gz")
        model = self._packed("model", even_if_empty=completed)
        if model is None:
            return None
        uri = f"{self._spec.output_uri}/model.tar.gz"
        self._storage.upload_file(model, uri)
        return uri

    def failure(self) -> str:
        """The contents of /opt/ml/output/failure on the first host that has it."""
        return next((said for container in self._containers if (said := container.failure())), "")

    def discard(self) -> None:
        """Remove the hosts' folders."""
        for container in self._containers:
            container.discard()

    def _exited(self, status: int) -> None:
        """One program has ended: the last one with 0, or the first with another status, is the job's."""
        with self._lock:
            self._running -= 1
            ends_the_job = not self._over.is_set() and (status != 0 or self._running == 0)
            if ends_the_job:
                self._over.set()
        if ends_the_job:
            self._listener.exited(status)

    def _stop(self, grace_seconds: float) -> Ending:
        """End all programs at the same time, and tell of the slowest."""
        self._over.set()
        with ThreadPoolExecutor(len(self._containers)) as pool:
            endings = list(pool.map(lambda container: container.stop(grace_seconds), self._containers))
        statuses = [ending.exit_status for ending in endings if ending.exit_status is not None]
        return Ending(
            next((status for status in statuses if status), statuses[0] if statuses else None),
            max(ending.seconds for ending in endings),
            any(ending.killed for ending in endings),
        )

    def _packed(self, folder: str, *, even_if_empty: bool = False) -> Path | None:
        """A tar.gz of a folder of all hosts; None if there is nothing in it."""
        archive = self._containers[0].root / f"{folder.replace('/', '-')}.tar.gz"
        packed: set[str] = set()
        with tarfile.open(archive, "w:gz") as tar:
            for container in self._containers:
                top = container.root / folder
                for path in sorted(top.rglob("*")) if top.is_dir() else ():
                    name = path.relative_to(top).as_posix()
                    if name not in packed:
                        packed.add(name)
                        tar.add(path, arcname=name, recursive=False)
        return archive if packed or even_if_empty else None

    def _watch_volumes(self) -> None:
        while not self._over.wait(VOLUME_LOOK_SECONDS):
            try:
                self._see_that_it_fits()
            except TrainingProblem as problem:
                self._over.set()
                self._listener.failed(str(problem))

    def _see_that_it_fits(self) -> None:
        """Refuse what is larger than the volume of an instance.

        :raises TrainingProblem: it is.
        """
        limit = self._spec.volume_bytes
        for container in self._containers:
            used = container.used_bytes()
            if used > limit:
                raise TrainingProblem(
                    f"ClientError: {os.strerror(errno.ENOSPC)}: the job uses {used:,} bytes on algo-{container.number + 1}, and its volume has "
                    f"{limit:,.0f}. Please increase VolumeSizeInGB in ResourceConfig."
                )
