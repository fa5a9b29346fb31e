"""A view of the file system of one's own: the program sees its folder at /opt/ml, and nobody else does.

This file is also a program: it makes the view with a Linux mount namespace, as root or, with a user namespace, as anybody, and becomes the
command that it was given. It needs nothing but the standard library, and leaves nothing behind.

Source: `mount_namespaces(7) <https://man7.org/linux/man-pages/man7/mount_namespaces.7.html>`_.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

OPT_ML = Path("/opt/ml")

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_CANNOT = 125
"""Exit status of the launcher itself, as docker's: the view could not be made."""


def command_in(places: Mapping[Path, Path], folder: Path, scratch: Path, command: Sequence[str]) -> list[str]:
    """A command line that runs a command with folders bound to other places.

    :param places: where each folder is to be seen; the folders exist.
    :param folder: where the command is run, in that view.
    :param scratch: an empty folder of this command's own, for what has to be overlaid.
    :param command: the command.
    """
    view = {
        "places": {str(place): str(folder) for place, folder in places.items()},
        "scratch": str(scratch),
        "folder": str(folder),
    }
    return [sys.executable, "-I", "-S", __file__, json.dumps(view), *command]


@cache
def is_available() -> bool:
    """Whether this system lets a process have a view of its own."""
    if not sys.platform.startswith("linux"):
        return False
    probe = subprocess.run(
        [sys.executable, "-I", "-S", __file__, json.dumps({"places": {}, "scratch": "/"}), "true"],
        capture_output=True,
        check=False,
    )
    return probe.returncode == 0


class _Linux:
    """The system calls."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def unshare(self, flags: int) -> None:
        """Leave a namespace for a new one."""
        self._check(self._libc.unshare(flags), "unshare")

    def mount(self, source: str, target: str, kind: str | None, flags: int) -> None:
        """Mount something."""
        names = [None if name is None else os.fsencode(name) for name in (source, target, kind)]
        self._check(self._libc.mount(*names, ctypes.c_ulong(flags), None), f"mount on {target}")

    @staticmethod
    def _check(status: int, what: str) -> None:
        if status != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{what}: {os.strerror(number)}")


def _separate(linux: _Linux) -> None:
    """Have a mount namespace; without root's rights in a user namespace in which one is root."""
    try:
        linux.unshare(_CLONE_NEWNS)
    except PermissionError:
        user, group = os.getuid(), os.getgid()
        linux.unshare(_CLONE_NEWUSER | _CLONE_NEWNS)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    linux.mount("none", "/", None, _MS_REC | _MS_PRIVATE)


def _make_place(linux: _Linux, place: Path, scratch: Path) -> None:
    """Have a folder at a place where none is, without making one for others: overlay the deepest folder that is there."""
    if place.is_dir():
        return
    there = next(parent for parent in place.parents if parent.is_dir())
    if there == Path("/"):
        raise OSError(f"{place} cannot be made: only the root folder is there of it")
    overlay = scratch / there.as_posix().strip("/").replace("/", "-")
    overlay.mkdir()
    linux.mount("tmpfs", str(overlay), "tmpfs", 0)
    for entry in sorted(there.iterdir()):
        copy = overlay / entry.name
        if entry.is_symlink():
            copy.symlink_to(entry.readlink())
            continue
        if entry.is_dir():
            copy.mkdir()
        else:
            copy.touch()
        linux.mount(str(entry), str(copy), None, _MS_BIND | _MS_REC)
    linux.mount(str(overlay), str(there), None, _MS_BIND | _MS_REC)
    place.mkdir(parents=True)


def _enter(view: str, command: Sequence[str]) -> None:
    """Make the view, and become the command."""
    wanted = json.loads(view)
    linux = _Linux()
    try:
        _separate(linux)
        for place, folder in wanted["places"].items():
            _make_place(linux, Path(place), Path(wanted["scratch"]))
            linux.mount(folder, place, None, _MS_BIND | _MS_REC)
        if wanted.get("folder"):
            os.chdir(wanted["folder"])
    except OSError as error:
        sys.stderr.write(f"No view of its own could be made for this job: {error}\n")
        sys.exit(_CANNOT)
    try:
        os.execvp(command[0], list(command))  # noqa: S606 - to become the job's command is what this is for
    except OSError as error:
        sys.stderr.write(f"{command[0]} could not be started: {error.strerror}\n")
        sys.exit(127 if isinstance(error, FileNotFoundError) else 126)


if __name__ == "__main__":
    _enter(sys.argv[1], sys.argv[2:])
