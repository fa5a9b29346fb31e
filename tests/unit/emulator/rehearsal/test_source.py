"""What is rehearsed is read before anything starts."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from airflow_spot_provider.emulator.rehearsal.exceptions import RehearsalError
from airflow_spot_provider.emulator.rehearsal.source import Source, files_of, source_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "src"
    folder.mkdir()
    (folder / "train.py").write_text("print('train')")
    (folder / "other.py").write_text("")
    return folder


def packed(source: Source) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(source.packed())) as tar:
        return {member.name for member in tar.getmembers() if member.isfile()}


def test_script_is_packed_alone(folder: Path) -> None:
    source = source_of(folder / "other.py")
    assert source.program == "other.py"
    assert packed(source) == {"other.py"}


def test_folder_is_packed_without_what_is_no_source(folder: Path) -> None:
    for name in (
        "lib/nets.py",
        ".git/config",
        "lib/__pycache__/nets.pyc",
        "venv/pyvenv.cfg",
        "venv/bin/python",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    (folder / "linked.py").symlink_to(folder / "other.py")
    source = source_of(folder)
    assert source.program == "train.py"
    assert packed(source) == {"train.py", "other.py", "lib/nets.py", "linked.py"}


def test_only_python_file_of_a_folder_is_its_program(folder: Path) -> None:
    (folder / "train.py").unlink()
    assert source_of(folder).program == "other.py"


def test_data_and_channels_and_hyperparameters_are_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "data/deep").mkdir(parents=True)
    (tmp_path / "data/deep/x.csv").write_text("1")
    source = source_of(
        folder,
        program="other.py",
        data=tmp_path / "data",
        channels=[f"validation={tmp_path / 'data/deep/x.csv'}"],
        hyperparameters=["lr=0.1", "note=a=b", "empty="],
    )
    assert source.program == "other.py"
    assert {name: [key for key, _ in files_of(place)] for name, place in source.channels.items()} == {
        "training": ["deep/x.csv"],
        "validation": ["x.csv"],
    }
    assert source.hyperparameters == {"lr": "0.1", "note": "a=b", "empty": ""}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"program": "nothing.py"}, "nothing.py"),
        ({"data": Path("nowhere")}, "nowhere"),
        ({"channels": ["training"]}, "NAME=DIR"),
        ({"channels": ["a b=."]}, "letters"),
        ({"channels": ["x=.", "x=."]}, "twice"),
        ({"hyperparameters": ["lr"]}, "NAME=VALUE"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_was_given(
    folder: Path, options: dict[str, object], said: str
) -> None:
    with pytest.raises(RehearsalError, match=said):
        source_of(folder, **options)


def test_missing_script_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(RehearsalError, match="not there"):
        source_of(tmp_path / "nothing.py")
    with pytest.raises(RehearsalError, match="--program"):
        source_of(folder / "train.py", program="other.py")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RehearsalError, match="has no file"):
        source_of(folder, data=tmp_path / "empty")
