"""What is rehearsed: a script or a source directory, its data and its hyperparameters, as script mode takes them."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from airflow_spot_provider.emulator.rehearsal.exceptions import RehearsalError

DEFAULT_PROGRAM = "train.py"
DATA_CHANNEL = "training"
_CHANNEL = re.compile(r"[A-Za-z0-9.\-_]{1,64}")


@dataclass(frozen=True)
class Source:
    """A script with what it is given.

    :param path: of the script, or of its source directory.
    :param program: the script's name in the source directory.
    :param channels: folders or files by channel name.
    :param hyperparameters: its arguments.
    """

    path: Path
    program: str
    channels: Mapping[str, Path] = field(default_factory=dict)
    hyperparameters: Mapping[str, str] = field(default_factory=dict)

    def packed(self) -> bytes:
        """sourcedir.tar.gz, as the SageMaker SDK packs it; hidden folders, caches and virtual environments stay out."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz", dereference=True) as tar:
            if self.path.is_file():
                tar.add(self.path, arcname=self.program)
            else:
                for path in sorted(self.path.iterdir()):
                    tar.add(path, arcname=path.name, filter=self._taken)
        return packed.getvalue()

    def _taken(self, member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        name = Path(member.name).name
        left_out = member.isdir() and (
            name.startswith(".")
            or name == "__pycache__"
            or (self.path / member.name / "pyvenv.cfg").is_file()
        )
        return None if left_out else member


def source_of(
    path: Path | str,
    *,
    program: str | None = None,
    data: Path | str | None = None,
    channels: Sequence[str] = (),
    hyperparameters: Sequence[str] = (),
) -> Source:
    """Read what was asked for.

    :param path: a script, or a folder with one.
    :param program: the script in that folder; ``train.py``, or its only Python file, if left out.
    :param data: the folder or file of the channel ``training``.
    :param channels: others, as ``name=path``.
    :param hyperparameters: as ``name=value``.
    :raises RehearsalError: something is not there, or is not what it should be.
    """
    path = Path(path)
    if path.is_file():
        if program is not None and program != path.name:
            raise RehearsalError(
                f"{path} is a script, and --program names {program}; give the folder instead, or leave --program out."
            )
        program = path.name
    elif path.is_dir():
        program = program or _only_program(path)
        if not (path / program).is_file():
            raise RehearsalError(f"{path} has no {program}; name its script with --program.")
    else:
        raise RehearsalError(f"{path} is not there; give a training script, or the folder with it.")
    places = {} if data is None else {DATA_CHANNEL: Path(data)}
    for name, place in (_pair(channel, "--channel", "DIR") for channel in channels):
        if not _CHANNEL.fullmatch(name):
            raise RehearsalError(
                f"--channel {name}={place}: a channel's name is 1 to 64 letters, digits, '.', '-' and '_'."
            )
        if name in places:
            raise RehearsalError(f"The channel {name} is given twice; --data is the channel {DATA_CHANNEL}.")
        places[name] = Path(place)
    for name, folder in places.items():
        if next(files_of(folder), None) is None:
            raise RehearsalError(f"The channel {name} has no file: {folder} is not there, or is empty.")
    given = dict(_pair(parameter, "--hyperparameter", "VALUE") for parameter in hyperparameters)
    return Source(path, program, places, given)


def files_of(place: Path) -> Iterator[tuple[str, Path]]:
    """The files of a channel, with their keys below its prefix."""
    if place.is_file():
        yield place.name, place
    else:
        for path in sorted(place.rglob("*")):
            if path.is_file():
                yield path.relative_to(place).as_posix(), path


def _only_program(folder: Path) -> str:
    programs = [path.name for path in folder.glob("*.py")]
    if DEFAULT_PROGRAM in programs or len(programs) != 1:
        return DEFAULT_PROGRAM
    return programs[0]


def _pair(text: str, option: str, value: str) -> tuple[str, str]:
    name, separator, given = text.partition("=")
    if not name or not separator:
        raise RehearsalError(f"{option} {text!r} is no NAME={value}.")
    return name, given
