"""What checkpoint files held before: hard links to them, which cost no room and outlive a rename over them."""

from __future__ import annotations

import itertools
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

LOOKS_KEPT = 20
"""How many looks a file that is gone is held on to: it may be on its way to be replaced. Then its room is free."""


@dataclass
class _Held:
    inode: int
    link: Path


class Versions:
    """The last two versions of each file: the one that was uploaded last, and the one that a rename put it in the place of.

    :param store: where they are held; on the file system of the checkpoints, and no part of them.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._numbers = itertools.count()
        self._held: dict[Path, list[_Held]] = {}
        self._gone: dict[Path, int] = {}

    def hold(self, path: Path) -> Path:
        """Hold on to a file as it is now.

        :return: a file of ours that is the same file, whatever happens to its name.
        :raises OSError: it is gone (FileNotFoundError), or cannot be read.
        """
        held = self._held.setdefault(path, [])
        link, inode = self._link(path)
        if held and held[-1].inode == inode:
            held.pop().link.unlink()
        held.append(_Held(inode, link))
        while len(held) > 2:
            held.pop(0).link.unlink()
        return link

    def before(self, path: Path) -> Path | None:
        """What a name held before the file that is there now; None if there was none, or it is not known."""
        inode = path.stat().st_ino
        return next((held.link for held in reversed(self._held.get(path, ())) if held.inode != inode), None)

    def holds(self, path: Path) -> bool:
        """Whether the file that is there now is the one that was held last."""
        held = self._held.get(path, [])
        return bool(held) and held[-1].inode == path.stat().st_ino

    def look(self, there: set[Path]) -> None:
        """Let go of what has been gone for long.

        :param there: the files of one look.
        """
        for path in list(self._held):
            self._gone[path] = 0 if path in there else self._gone.get(path, 0) + 1
            if self._gone[path] > LOOKS_KEPT:
                del self._gone[path]
                for held in self._held.pop(path):
                    held.link.unlink()

    def snapshot(self, link: Path) -> Path:
        """A copy that nobody writes to, of one held file; the next one takes its place."""
        copy = self._store / "snapshot"
        shutil.copyfile(link, copy)
        return copy

    def first_part(self, path: Path, size: int) -> Path:
        """The first bytes of a file, as one of ours; the next one takes its place."""
        part = self._store / "part"
        self._store.mkdir(exist_ok=True)
        shutil.copyfile(path, part)
        os.truncate(part, size)
        return part

    def close(self) -> None:
        """Let go of everything."""
        self._held.clear()
        shutil.rmtree(self._store, ignore_errors=True)

    def _link(self, path: Path) -> tuple[Path, int]:
        self._store.mkdir(exist_ok=True)
        link = self._store / str(next(self._numbers))
        try:
            os.link(path, link, follow_symlinks=False)
        except FileNotFoundError:
            raise
        except OSError:
            # A file system without hard links, or a file of another user's: a copy holds what it was at this moment.
            inode = path.stat().st_ino
            shutil.copyfile(path, link)
            return link, inode
        return link, link.stat().st_ino
