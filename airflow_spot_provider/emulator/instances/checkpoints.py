"""Checkpoints: mirrored to S3 while a job trains, restored before it starts."""

from __future__ import annotations

import logging
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from airflow_spot_provider.emulator.exceptions import TrainingProblem
from airflow_spot_provider.emulator.instances.checkpoint_versions import Versions
from airflow_spot_provider.emulator.instances.checkpoint_writes import Write, WriteJournal
from airflow_spot_provider.emulator.instances.storage import Storage

log = logging.getLogger(__name__)

MIRROR_SECONDS = 0.5
"""Real seconds between two looks at the folder."""
BIG_BYTES = 64 * 1024 * 1024
"""A file above this size waits until it stood still from one look to the next, so that it is not copied again and again."""


@dataclass(frozen=True)
class State:
    """What tells one state of a file from another."""

    inode: int
    modified: int
    size: int


class CheckpointMirror:
    """Keeps an S3 prefix like a folder, as SageMaker does with /opt/ml/checkpoints.

    New and changed files are uploaded; what a script deletes stays on S3, so that no checkpoint is ever lost here. Several
    hosts may mirror to the same prefix: each uploads only what has changed in its own folder. A file is uploaded from a copy
    of one moment, so that a script may write, rename, truncate and delete as it likes meanwhile.

    :param folder: the script's checkpoint folder.
    :param uri: CheckpointConfig.S3Uri.
    :param storage: S3.
    :param on_checkpoint: is told after each look that uploaded a file which stood still meanwhile.
    """

    def __init__(self, folder: Path, uri: str, storage: Storage, on_checkpoint: Callable[[], None]) -> None:
        self.mirrored = 0
        """How many looks uploaded something."""
        self._folder = folder
        self._uri = uri.rstrip("/")
        self._storage = storage
        self._on_checkpoint = on_checkpoint
        self._versions = Versions(folder.parent / f".{folder.name}-versions")
        self._journal: WriteJournal | None = None
        self._uploaded: dict[Path, State] = {}
        self._seen: dict[Path, State] = {}
        self._started = False
        self._torn = False
        self._done = threading.Event()
        self._uploading = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="checkpoint-mirror", daemon=True)

    def restore(self) -> None:
        """Bring what is on S3 into the folder.

        :raises TrainingProblem: the bucket is not there.
        """
        self._storage.download_prefix(f"{self._uri}/", self._folder)
        self._uploaded = self._files()
        for path in self._uploaded:
            self._versions.hold(path)
        self._listen()

    def start(self) -> None:
        """Begin to mirror; only what is complete has been restored by then."""
        self._listen()
        self._started = True
        self._thread.start()

    def finish(self) -> None:
        """Mirror a last time, and end. Nothing happens where the mirror never started, or has been torn.

        :raises TrainingProblem: S3 does not take it.
        """
        self.abandon()
        try:
            if self._started and not self._torn:
                self._thread.join()
                self._upload_changes(at_the_end=True)
        finally:
            self._versions.close()

    def tear(self) -> None:
        """End as an instance does that is lost in the middle of its latest write; its script has been killed by now.

        S3 then holds what such a loss leaves. Of a file written in place, its name holds the first half. Of one that was
        renamed, its name holds what it held before (or is not there), and the other name the first half. A folder renamed as
        one is under its other name, all but its last file whole. An empty file, which marks something as done, is not there yet.
        Nothing happens where the mirror never started.

        :raises TrainingProblem: S3 does not take it.
        """
        self._done.set()
        if self._started and not self._torn:
            self._torn = True
            self._thread.join()
            write = None if self._journal is None else self._journal.newest()
            try:
                if write is None:
                    self._upload_changes(at_the_end=True)
                else:
                    self._upload_changes(at_the_end=True, but=write.path)
                    self._leave_half(write)
            finally:
                self._versions.close()
        self.abandon()

    def abandon(self) -> None:
        """End without a last look."""
        self._done.set()
        if self._journal is not None:
            self._journal.stop()

    def _listen(self) -> None:
        if self._journal is None:
            self._journal = WriteJournal(self._folder)
            self._journal.start()

    def _run(self) -> None:
        while not self._done.wait(MIRROR_SECONDS):
            try:
                if self._upload_changes():
                    self._on_checkpoint()
            except TrainingProblem:
                # The next look tries again; if S3 still refuses at the end, the job fails with the reason.
                log.warning("Checkpoints under %s were not mirrored", self._folder, exc_info=True)

    def _upload_changes(self, *, at_the_end: bool = False, but: Path | None = None) -> bool:
        """Upload what has changed, and say whether that holds a file which nobody was writing to meanwhile.

        :param at_the_end: nobody writes any more, and there is no next look.
        :param but: a file or folder to leave out.
        """
        uploaded = complete = False
        with self._uploading:
            files = self._files()
            for path, state in files.items():
                if self._uploaded.get(path) == state or (
                    but is not None and (path == but or but in path.parents)
                ):
                    continue
                if not at_the_end and state.size > BIG_BYTES and self._seen.get(path) != state:
                    continue
                try:
                    held = self._versions.hold(path)
                    state = _state(held) or state
                    self._upload(self._versions.snapshot(held), path)
                except (FileNotFoundError, NotADirectoryError):
                    continue  # renamed or deleted since it was listed; what it became is listed next time
                except OSError as error:
                    raise TrainingProblem(
                        f"ClientError: The checkpoint {path.name} cannot be read: {error}"
                    ) from error
                self._uploaded[path] = state
                uploaded = True
                complete = complete or _state(path) == state
            self._seen = files
            self._versions.look(set(files))
        self.mirrored += uploaded
        return complete

    def _leave_half(self, write: Write) -> None:
        """Make S3 look as if the instance had been lost in the middle of a write that is complete in the folder."""
        files = [path for path in self._files() if path == write.path or write.path in path.parents]
        files.sort(key=lambda path: (path.stat().st_mtime_ns, path))
        if write.renamed:
            for path in files:
                self._put_back(path)
        # Of a folder, the file that was written last is the one that is torn. It is uploaded last too.
        last = max((number for number, path in enumerate(files) if path.stat().st_size), default=-1)
        for number, path in enumerate(files):
            place = path
            if write.renamed:
                if write.temporary is None:
                    continue  # it was written elsewhere, and what was there is lost
                place = write.temporary / path.relative_to(write.path)
            size = path.stat().st_size
            if number < last:
                self._upload(path, place)
            elif number == last:
                self._upload(self._versions.first_part(path, size // 2), place)
            else:
                self._storage.delete_file(self._place(place))

    def _put_back(self, path: Path) -> None:
        """Give a name on S3 what it held before a rename; nothing is to do if the renamed file never got there."""
        if not self._versions.holds(path):
            return
        before = self._versions.before(path)
        if before is None:
            self._storage.delete_file(self._place(path))
        else:
            self._upload(before, path)

    def _upload(self, source: Path, path: Path) -> None:
        self._storage.upload_file(source, self._place(path))

    def _place(self, path: Path) -> str:
        key = path.relative_to(self._folder).as_posix()
        try:
            key.encode()
        except UnicodeEncodeError as error:
            raise TrainingProblem(
                f"ClientError: The checkpoint {key!r} cannot be mirrored: its name is no UTF-8, as S3 wants it."
            ) from error
        return f"{self._uri}/{key}"

    def _files(self) -> dict[Path, State]:
        # os.walk goes on where a folder disappears in the middle; pathlib raises.
        paths = (Path(root, name) for root, _, names in os.walk(self._folder) for name in names)
        return {path: state for path in sorted(paths) if (state := _state(path)) is not None}


def _state(path: Path) -> State | None:
    """The state of a file; None for what is no file, or is one no more: the script is at work here."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return State(found.st_ino, found.st_mtime_ns, found.st_size)
