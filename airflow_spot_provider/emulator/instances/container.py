"""The container of a training job, as far as a script can tell: folders, settings, process, signals.

Source: `How SageMaker runs your training image
<https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html>`_ and the environment
variables of the `SageMaker Training Toolkit
<https://github.com/aws/sagemaker-training-toolkit/blob/master/ENVIRONMENT_VARIABLES.md>`_.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from airflow_spot_provider.emulator.exceptions import TrainingProblem
from airflow_spot_provider.emulator.instances import toolkit
from airflow_spot_provider.emulator.instances.ending import Ending
from airflow_spot_provider.emulator.instances.storage import Storage
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
"""How long the output of a script that has ended is read on, if a process of its own that it left holds it open."""


class Container:
    """One start of a job on an instance.

    :param root: stands for ``/opt/ml``; a new, empty folder.
    :param spec: the job.
    :param storage: S3.
    :param endpoint_url: the emulator's own, so that a script can use AWS.
    :param warden: is told which processes run.
    """

    def __init__(
        self, root: Path, spec: JobSpec, *, storage: Storage, endpoint_url: str, warden: Warden
    ) -> None:
        self.root = root
        self._spec = spec
        self._storage = storage
        self._endpoint_url = endpoint_url
        self._warden = warden
        self._settings = toolkit.Settings(spec)
        self._lock = threading.Lock()
        self._stopped = False
        self._process: subprocess.Popen[str] | None = None
        self._waiter: threading.Thread | None = None

    def prepare(self) -> None:
        """Make the folders, write the settings, download the channels and the script.

        :raises TrainingProblem: an input is missing.
        """
        for folder in _FOLDERS:
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        for name, content in self._settings.config_files().items():
            (self.root / f"input/config/{name}.json").write_text(json.dumps(content))
        for channel in self._spec.channels:
            folder = self.root / "input/data" / channel["ChannelName"]
            folder.mkdir(exist_ok=True)
            if not self._storage.download_prefix(channel_uri(channel), folder):
                raise missing_input(channel, self._spec.region)
        self._unpack_script()

    def start(self, on_line: Callable[[str], None], on_exit: Callable[[int], None]) -> None:
        """Run the script, unless the container has been stopped.

        :param on_line: is given each line that it prints, on a thread of its own.
        :param on_exit: is given its exit status after the last line.
        :raises TrainingProblem: it cannot be run.
        """
        with self._lock:
            if self._stopped:
                return
            try:
                self._process = subprocess.Popen(
                    [sys.executable, self._settings.program, *self._settings.arguments],
                    cwd=self.root / "code",
                    env=self._settings.environment(self.root, self._endpoint_url),
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
                    f"AlgorithmError: {self._settings.program} could not be started: {error}"
                ) from error
            self._warden.watch(self._process.pid)
            self._waiter = threading.Thread(
                target=self._wait, args=(self._process, on_line, on_exit), name="training", daemon=True
            )
            self._waiter.start()

    def stop(self, grace_seconds: float) -> Ending:
        """End the script and all that it started; returns when they have ended.

        :param grace_seconds: real seconds from SIGTERM to SIGKILL.
        """
        with self._lock:
            self._stopped = True
            process, waiter = self._process, self._waiter
        if process is None or waiter is None:
            return Ending()
        began, killed = time.monotonic(), False
        if waiter.is_alive():
            _signal(process, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(grace_seconds)
            if process.poll() is None:
                killed = True
                _signal(process, signal.SIGKILL)
        waiter.join()
        status = process.returncode
        return Ending(status if status >= 0 else 128 - status, time.monotonic() - began, killed)

    def failure(self) -> str:
        """What the script wrote to /opt/ml/output/failure, at most 1,024 characters."""
        path = self.root / "output/failure"
        return path.read_text(errors="replace")[:1024].strip() if path.is_file() else ""

    def holds(self, folder: str) -> bool:
        """Whether there is anything in a folder below the root."""
        content = self.root / folder
        return content.is_dir() and any(content.iterdir())

    def pack(self, folder: str) -> Path:
        """A tar.gz of a folder below the root."""
        archive = self.root / f"{folder.replace('/', '-')}.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            for path in sorted((self.root / folder).iterdir()):
                tar.add(path, arcname=path.name)
        return archive

    def _wait(
        self, process: subprocess.Popen[str], on_line: Callable[[str], None], on_exit: Callable[[int], None]
    ) -> None:
        """Wait for the script, end what it left running, and hand over its exit status after its last line."""
        reader = threading.Thread(target=_read, args=(process, on_line), name="training-output", daemon=True)
        reader.start()
        status = process.wait()
        _signal(process, signal.SIGKILL)
        self._warden.release(process.pid)
        reader.join(_LAST_WORDS_SECONDS)
        # As a shell and a container tell it: 137 for a process that SIGKILL ended.
        on_exit(status if status >= 0 else 128 - status)

    def _unpack_script(self) -> None:
        uri, program = self._settings.submit_directory, self._settings.program
        archive, code = self.root / "sourcedir.tar.gz", self.root / "code"
        self._storage.download_file(uri, archive)
        try:
            with tarfile.open(archive) as tar:
                tar.extractall(code, filter="data")
        except (tarfile.TarError, EOFError, OSError) as error:
            raise TrainingProblem(f"ClientError: {uri} could not be unpacked: {error}") from error
        path = (code / program).resolve()
        if not path.is_file() or not path.is_relative_to(code.resolve()):
            raise TrainingProblem(
                f"ClientError: sagemaker_program is {program!r}, and {uri} has no such file."
            )


def channel_uri(channel: Mapping[str, Any]) -> str:
    """Where a channel's data is.

    :raises TrainingProblem: elsewhere than on S3.
    """
    source = (channel.get("DataSource") or {}).get("S3DataSource")
    if source is None:
        raise TrainingProblem(
            f"ClientError: Channel {channel['ChannelName']} has no S3DataSource, and only that is emulated."
        )
    return str(source["S3Uri"])


def missing_input(channel: Mapping[str, Any], region: str) -> TrainingProblem:
    """What SageMaker says to a channel under whose prefix there is nothing."""
    return TrainingProblem(
        f'ClientError: Data download failed: No S3 objects found under S3 URL "{channel_uri(channel)}" given in input '
        f"data source of channel {channel['ChannelName']}. Please ensure that the bucket exists in the selected region "
        f"({region}), that objects exist under that S3 prefix, and that the role has s3:ListBucket on it."
    )


def _read(process: subprocess.Popen[str], on_line: Callable[[str], None]) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            on_line(line.rstrip("\n"))


def _signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Signal a script and all that it started; they may have ended (which macOS calls a lack of permission)."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
