"""Checkpoints: mirrored to S3 while a job trains, restored before it starts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from airflow_spot_provider.emulator.exceptions import TrainingProblem
from airflow_spot_provider.emulator.instances.storage import Storage

log = logging.getLogger(__name__)

MIRROR_SECONDS = 0.5
"""Real seconds between two looks at the folder."""

State = tuple[int, int]


class CheckpointMirror:
    """Keeps an S3 prefix like a folder, as SageMaker does with /opt/ml/checkpoints.

    New and changed files are uploaded; what a script deletes stays on S3, so that no checkpoint is ever lost here.

    :param folder: the script's checkpoint folder.
    :param uri: CheckpointConfig.S3Uri.
    :param storage: S3.
    :param on_checkpoint: is told after each look that uploaded a file which stood still meanwhile.
    """

    def __init__(self, folder: Path, uri: str, storage: Storage, on_checkpoint: Callable[[], None]) -> None:
        self._folder = folder
        self._uri = uri.rstrip("/")
        self._storage = storage
        self._on_checkpoint = on_checkpoint
        self._uploaded: dict[Path, State] = {}
        self._started = False
        self._done = threading.Event()
        self._uploading = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="checkpoint-mirror", daemon=True)

    def restore(self) -> None:
        """Bring what is on S3 into the folder.

        :raises TrainingProblem: the bucket is not there.
        """
        self._storage.download_prefix(f"{self._uri}/", self._folder)
        self._uploaded = self._files()

    def start(self) -> None:
        """Begin to mirror; only what is complete has been restored by then."""
        self._started = True
        self._thread.start()

    def finish(self) -> None:
        """Mirror a last time, and end. Nothing happens where the mirror never started.

        :raises TrainingProblem: S3 does not take it.
        """
        self.abandon()
        if self._started:
            self._thread.join()
            self._upload_changes()

    def abandon(self) -> None:
        """End without a last look."""
        self._done.set()

    def _run(self) -> None:
        while not self._done.wait(MIRROR_SECONDS):
            try:
                if self._upload_changes():
                    self._on_checkpoint()
            except TrainingProblem:
                # The next look tries again; if S3 still refuses at the end, the job fails with the reason.
                log.warning("Checkpoints under %s were not mirrored", self._folder, exc_info=True)

    def _upload_changes(self) -> bool:
        """Upload what has changed, and say whether that holds a file which nobody was writing to meanwhile."""
        complete = False
        with self._uploading:
            for path, state in self._files().items():
                if self._uploaded.get(path) == state:
                    continue
                try:
                    self._storage.upload_file(
                        path, f"{self._uri}/{path.relative_to(self._folder).as_posix()}"
                    )
                except FileNotFoundError:
                    continue  # renamed or deleted since it was listed; what it became is listed next time
                self._uploaded[path] = state
                complete = complete or _state(path) == state
        return complete

    def _files(self) -> dict[Path, State]:
        return {
            path: state for path in sorted(self._folder.rglob("*")) if (state := _state(path)) is not None
        }


def _state(path: Path) -> State | None:
    """When a file was written to, and its size; None for what is no file, or is one no more: the script is at work here."""
    try:
        if path.is_symlink() or not path.is_file():
            return None
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_size
