"""Checkpoints: mirrored to S3 while a job trains, restored before it starts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from airflow_spot_provider.emulator.storage import Storage

MIRROR_SECONDS = 0.5
"""Real seconds between two looks at the folder."""


class CheckpointMirror:
    """Keeps an S3 prefix like a folder, as SageMaker does with /opt/ml/checkpoints.

    New and changed files are uploaded; what a script deletes stays on S3, so that no checkpoint is ever lost here.

    :param folder: the script's checkpoint folder.
    :param uri: CheckpointConfig.S3Uri, or None to mirror nothing.
    :param storage: S3.
    :param on_checkpoint: is told after each look that uploaded something.
    """

    def __init__(
        self, folder: Path, uri: str | None, storage: Storage, on_checkpoint: Callable[[], None]
    ) -> None:
        self._folder = folder
        self._uri = uri.rstrip("/") if uri else None
        self._storage = storage
        self._on_checkpoint = on_checkpoint
        self._uploaded: dict[Path, tuple[int, int]] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpoint-mirror", daemon=True)

    def restore(self) -> int:
        """Bring what is on S3 into the folder, and say how many files that were."""
        if self._uri is None:
            return 0
        count = self._storage.download_prefix(f"{self._uri}/", self._folder)
        self._uploaded = self._files()
        return count

    def start(self) -> None:
        """Begin to mirror."""
        if self._uri is not None:
            self._thread.start()

    def finish(self) -> None:
        """Mirror a last time, and end."""
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._uri is not None:
            self._upload_changes()

    def _run(self) -> None:
        while not self._done.wait(MIRROR_SECONDS):
            if self._upload_changes():
                self._on_checkpoint()

    def _upload_changes(self) -> bool:
        changed = False
        for path, state in self._files().items():
            if self._uploaded.get(path) == state:
                continue
            try:
                self._storage.upload_file(path, f"{self._uri}/{path.relative_to(self._folder).as_posix()}")
            except FileNotFoundError:
                continue  # renamed or deleted since it was listed; what it became is listed next time
            self._uploaded[path] = state
            changed = True
        return changed

    def _files(self) -> dict[Path, tuple[int, int]]:
        files: dict[Path, tuple[int, int]] = {}
        for path in sorted(self._folder.rglob("*")):
            try:
                if path.is_file() and not path.is_symlink():
                    stat = path.stat()
                    files[path] = (stat.st_mtime_ns, stat.st_size)
            except FileNotFoundError:
                continue  # the script is at work in this folder
        return files
