"""How a script wrote its checkpoints: in place, or under another name and renamed. Told by the file system's own events."""

from __future__ import annotations

import logging
import os
import sys
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

log = logging.getLogger(__name__)

DRAIN_SECONDS = 10.0
"""How long the events of a script that has ended are waited for; they come within a second."""
_TELLS_CLOSING = sys.platform.startswith("linux")
"""Only Linux tells that a file was closed after it was written; elsewhere every single write is told."""
_EVENTS: list[type[FileSystemEvent]] = [
    *(FileCreatedEvent, FileMovedEvent, FileDeletedEvent),
    *(DirCreatedEvent, DirMovedEvent, DirDeletedEvent),
    FileClosedEvent if _TELLS_CLOSING else FileModifiedEvent,
]


@dataclass(frozen=True)
class Write:
    """One thing that a script wrote.

    :param path: the name it has in the end: of a file, or of a folder that was renamed as one.
    :param renamed: it came there whole, by a rename; False if it was written in place.
    :param temporary: the name under which it was written, if it was renamed within the folder.
    """

    path: Path
    renamed: bool = False
    temporary: Path | None = None


class Writes:
    """The writes in one folder, put together from what is told in the order in which it happened.

    :param folder: the checkpoint folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._by_path: dict[Path, Write] = {}
        self._new_folders: set[Path] = set()

    def folder_created(self, path: Path) -> None:
        """A folder has appeared."""
        self._new_folders.add(path)

    def created(self, path: Path) -> None:
        """A file has appeared. Where nothing says that it was written, it was moved in, or linked.

        In a folder that is new itself, what was written at first may go untold: there it counts as written in place.
        """
        self._put(Write(path, renamed=_TELLS_CLOSING and path.parent == self._folder))

    def written(self, path: Path) -> None:
        """A file was written under its own name."""
        self._put(Write(path))

    def moved(self, source: Path, target: Path) -> None:
        """A file or folder has another name now.

        That ends a write where it was written under the first one. What was there before, or came by a rename itself, is only
        moved out of the way: a script that keeps the last checkpoint as the last but one writes nothing by that.
        """
        known = self._by_path.get(source)
        ends_a_write = source in self._new_folders or (
            source.parent in self._new_folders if known is None else not known.renamed
        )
        self.deleted(source)
        self.deleted(target)
        if ends_a_write:
            self._put(Write(target, renamed=True, temporary=source))

    def deleted(self, path: Path) -> None:
        """A file or folder is gone."""
        for known in [known for known in self._by_path if known == path or path in known.parents]:
            del self._by_path[known]
        self._new_folders = {
            folder for folder in self._new_folders if folder != path and path not in folder.parents
        }

    def newest(self) -> Write | None:
        """The latest write of what is still there."""
        return next((write for write in reversed(self._by_path.values()) if write.path.exists()), None)

    def _put(self, write: Write) -> None:
        self._by_path.pop(write.path, None)
        self._by_path[write.path] = write


class WriteJournal(FileSystemEventHandler):
    """Listens to the writes in a folder and below.

    :param folder: the checkpoint folder, which is there.
    """

    def __init__(self, folder: Path) -> None:
        # As the kernel tells it; a link on the way would make its paths others than ours.
        self._folder = folder.resolve()
        self._given = folder
        self._writes = Writes(self._folder)
        self._lock = threading.Lock()
        self._observer = Observer()
        self._mark: Path | None = None
        self._drained = threading.Event()
        self._listens = False

    def start(self) -> None:
        """Listen from now on. Where the system has no watch left, it goes by the times of the files."""
        try:
            self._observer.schedule(self, str(self._folder), recursive=True, event_filter=_EVENTS)
            self._observer.start()
        except OSError:
            log.warning(
                "Writes under %s cannot be watched; their times will have to do", self._given, exc_info=True
            )
            return
        self._listens = True

    def stop(self) -> None:
        """Listen no more; a second time does nothing."""
        if self._listens:
            self._listens = False
            self._observer.stop()

    def newest(self) -> Write | None:
        """The latest write of a script that has ended; None if it wrote nothing that is still there."""
        if self._drain():
            with self._lock:
                write = self._writes.newest()
        else:
            files = [path for path in self._folder.rglob("*") if path.is_file() and not path.is_symlink()]
            latest = max(files, key=lambda path: (path.stat().st_mtime_ns, path), default=None)
            write = None if latest is None else Write(latest)
        if write is None:
            return None
        temporary = None if write.temporary is None else self._as_given(write.temporary)
        return Write(self._as_given(write.path), write.renamed, temporary)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Take one event, on the observer's thread. Those that only follow from a folder's own are left out."""
        if event.is_synthetic:
            return
        path = Path(os.fsdecode(event.src_path))
        with self._lock:
            if path == self._mark:
                self._drained.set()
            elif isinstance(event, FileClosedEvent | FileModifiedEvent):
                self._writes.written(path)
            elif isinstance(event, FileCreatedEvent):
                self._writes.created(path)
            elif isinstance(event, DirCreatedEvent):
                self._writes.folder_created(path)
            elif isinstance(event, FileMovedEvent | DirMovedEvent):
                self._writes.moved(path, Path(os.fsdecode(event.dest_path)))
            elif isinstance(event, FileDeletedEvent | DirDeletedEvent):
                self._writes.deleted(path)

    def _drain(self) -> bool:
        """Wait until everything that happened so far has been told: a file of our own is told last."""
        if not self._listens or not self._folder.is_dir():
            return False
        with self._lock:
            self._mark = self._folder / f".emulator-{uuid.uuid4().hex}"
        self._mark.touch()
        told = self._drained.wait(DRAIN_SECONDS)
        self._mark.unlink()
        if not told:
            log.warning(
                "Events of %s did not come in %g seconds; going by the times of its files",
                self._given,
                DRAIN_SECONDS,
            )
        return told

    def _as_given(self, path: Path) -> Path:
        return self._given / path.relative_to(self._folder)
