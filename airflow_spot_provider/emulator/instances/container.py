"""The container of a training job on one host, as far as a program can tell: folders, settings, process, signals.

Source: `How SageMaker runs your training image
<https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html>`_ and the environment
variables of the `SageMaker Training Toolkit
<https://github.com/aws/sagemaker-training-toolkit/blob/master/ENVIRONMENT_VARIABLES.md>`_.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from airflow_spot_provider.emulator.exceptions import TrainingProblem
from airflow_spot_provider.emulator.instances import sandbox
from airflow_spot_provider.emulator.instances.ending import Ending
from airflow_spot_provider.emulator.instances.inputs import Channel
from airflow_spot_provider.emulator.instances.pipes import ChannelPipe
from airflow_spot_provider.emulator.instances.program import Program
from airflow_spot_provider.emulator.instances.storage import Storage
from airflow_spot_provider.emulator.instances.toolkit import Settings
from airflow_spot_provider.emulator.instances.warden import Warden
from airflow_spot_provider.emulator.spec import JobSpec

_FOLDERS = (
    "input/config",
    "input/data",
    "model",
    "output/data",
    "output/intermediate",
    "checkpoints",
    "code",
)
_LAST_WORDS_SECONDS = 5.0
"""How long the output of a program that has ended is read on, if a process of its own that it left holds it open."""


@dataclass(frozen=True)
class Surroundings:
    """What the containers of one server have in common.

    :param storage: S3.
    :param endpoint_url: the emulator's own, so that a program can use AWS.
    :param warden: is told which processes run.
    :param own_view: whether a program can be given a view of the file system in which its folder is /opt/ml.
    """

    storage: Storage
    endpoint_url: str
    warden: Warden
    own_view: bool


class Container:
    """One start of a job's program on one host.

    :param folder: a new, empty folder; what stands for ``/opt/ml`` is in it.
    :param spec: the job.
    :param program: what runs.
    :param number: of the host, from 0.
    :param surroundings: what it has in common with others.
    :param failed: is told why the job cannot go on.
    """

    def __init__(
        self,
        folder: Path,
        spec: JobSpec,
        program: Program,
        number: int,
        *,
        surroundings: Surroundings,
        failed: Callable[[str], None],
    ) -> None:
        self.root = folder / "ml"
        self.number = number
        self._folder = folder
        self._spec = spec
        self._program = program
        self._surroundings = surroundings
        self._channels = [
            Channel(request, spec.input_mode, host_number=number, host_count=len(spec.hosts))
            for request in spec.channels
        ]
        self._settings = Settings(spec, self._channels, number)
        self._failed = failed
        self._pipes: list[ChannelPipe] = []
        self._command: list[str] = []
        self._lock = threading.Lock()
        self._stopped = False
        self._process: subprocess.Popen[str] | None = None
        self._waiter: threading.Thread | None = None

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints, wherever the program sees it."""
        inside = self._path_of(self._spec.checkpoint_path)
        return self.root / "checkpoints" if inside is None else inside

    def prepare(self) -> None:
        """Make the folders, write the settings, download the channels and the script.

        :raises TrainingProblem: an input is missing, or the job needs what this system does not give.
        """
        for name in _FOLDERS:
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "scratch").mkdir(exist_ok=True)
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        for name, content in self._settings.config_files().items():
            (self.root / f"input/config/{name}.json").write_text(json.dumps(content))
        storage, region, data = self._surroundings.storage, self._spec.region, self.root / "input/data"
        for channel in self._channels:
            if channel.mode == "Pipe":
                stream = partial(channel.stream, storage, region)
                self._pipes.append(ChannelPipe(data, channel.name, stream, self._failed))
            else:
                channel.download(storage, data / channel.name, region)
        if self._program.script:
            self._unpack()
        self._command = self._program.command_line(self.root / "code", self._settings.arguments)
        if not self._surroundings.own_view:
            self._see_that_it_can_do_without()

    def start(self, on_line: Callable[[str], None], on_exit: Callable[[int], None]) -> None:
        """Run the program, unless the container has been stopped.

        :param on_line: is given each line that it prints, on a thread of its own.
        :param on_exit: is given its exit status after the last line.
        :raises TrainingProblem: it cannot be run.
        """
        with self._lock:
            if self._stopped:
                return
            for pipe in self._pipes:
                pipe.start()
            root, checkpoints, command = self._seen()
            try:
                self._process = subprocess.Popen(
                    command,
                    cwd=self.root / "code",
                    env=self._settings.environment(root, checkpoints, self._surroundings.endpoint_url),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    encoding="utf-8",
                    errors="replace",
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                raise TrainingProblem(
                    f"AlgorithmError: {self._command[0]} could not be started: {error}"
                ) from error
            self._surroundings.warden.watch(self._process.pid)
            self._waiter = threading.Thread(
                target=self._wait, args=(self._process, on_line, on_exit), name="training", daemon=True
            )
            self._waiter.start()

    def stop(self, grace_seconds: float) -> Ending:
        """End the program and all that it started; returns when they have ended.

        :param grace_seconds: real seconds from SIGTERM to SIGKILL; 0 kills at once.
        """
        with self._lock:
            self._stopped = True
            process, waiter = self._process, self._waiter
        for pipe in self._pipes:
            pipe.stop()
        if process is None or waiter is None:
            return Ending()
        began, killed = time.monotonic(), False
        if waiter.is_alive():
            if grace_seconds > 0:
                _signal(process, signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(grace_seconds)
            if process.poll() is None:
                killed = True
                _signal(process, signal.SIGKILL)
        waiter.join()
        return Ending(_as_a_shell(process.returncode), time.monotonic() - began, killed)

    def failure(self) -> str:
        """What the program wrote to /opt/ml/output/failure, at most 1,024 characters."""
        path = self.root / "output/failure"
        return path.read_text(errors="replace")[:1024].strip() if path.is_file() else ""

    def used_bytes(self) -> int:
        """How much of its volume a job uses on this host: what it was given, and what it has written."""
        return sum(_sizes(self.root))

    def discard(self) -> None:
        """Remove its folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _seen(self) -> tuple[Path, Path, list[str]]:
        """Where the program sees its root and its checkpoints, and the command line that lets it."""
        if not self._surroundings.own_view:
            return self.root, self.checkpoints, self._command
        places = {sandbox.OPT_ML: self.root}
        local = Path(self._spec.checkpoint_path)
        if self._path_of(str(local)) is None:
            places[local] = self.checkpoints
        scratch = self._folder / "scratch"
        command = sandbox.command_in(places, sandbox.OPT_ML / "code", scratch, self._command)
        return sandbox.OPT_ML, local, command

    def _path_of(self, seen: str) -> Path | None:
        """The real path of what is seen below /opt/ml; None for what is elsewhere."""
        path = Path(os.path.normpath(seen))
        return self.root / path.relative_to(sandbox.OPT_ML) if path.is_relative_to(sandbox.OPT_ML) else None

    def _see_that_it_can_do_without(self) -> None:
        """Refuse what can only work in a view of its own."""
        elsewhere = self._path_of(self._spec.checkpoint_path) is None
        if elsewhere or self._program.is_lost_without_opt_ml(self.root / "code"):
            raise TrainingProblem(
                "ClientError: This job needs paths such as /opt/ml/model, and this system gives its processes no file system view "
                "of their own (Linux mount namespaces). Let the script take its folders from the SM_* variables, such as "
                "SM_MODEL_DIR and SM_CHECKPOINT_DIR, or run the emulator on a Linux that allows user namespaces "
                "(sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)."
            )

    def _wait(
        self, process: subprocess.Popen[str], on_line: Callable[[str], None], on_exit: Callable[[int], None]
    ) -> None:
        """Wait for the program, end what it left running, and hand over its exit status after its last line."""
        reader = threading.Thread(target=_read, args=(process, on_line), name="training-output", daemon=True)
        reader.start()
        status = process.wait()
        _signal(process, signal.SIGKILL)
        self._surroundings.warden.release(process.pid)
        reader.join(_LAST_WORDS_SECONDS)
        on_exit(_as_a_shell(status))

    def _unpack(self) -> None:
        """Unpack the script's archive; what leads out of it, and what is no file or folder, is refused."""
        uri = self._program.archive
        archive = self._folder / "sourcedir.tar.gz"
        self._surroundings.storage.download_file(uri, archive)
        try:
            with tarfile.open(archive) as tar:
                tar.extractall(self.root / "code", filter="data")
        except (tarfile.TarError, EOFError, OSError) as error:
            raise TrainingProblem(f"ClientError: {uri} could not be unpacked: {error}") from error


def _as_a_shell(status: int) -> int:
    """An exit status as a shell and a container tell it: 137 for a process that SIGKILL ended."""
    return status if status >= 0 else 128 - status


def _sizes(folder: Path) -> Iterator[int]:
    """The sizes of the files in a folder, some of which may go meanwhile."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") and entry.name.endswith("-versions"):
            continue  # the checkpoint mirror's own links to files that are counted already
        if entry.is_dir(follow_symlinks=False):
            yield from _sizes(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            with contextlib.suppress(FileNotFoundError):
                yield entry.stat(follow_symlinks=False).st_size


def _read(process: subprocess.Popen[str], on_line: Callable[[str], None]) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            on_line(line.rstrip("\n"))


def _signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Signal a program and all that it started; they may have ended (which macOS calls a lack of permission)."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
