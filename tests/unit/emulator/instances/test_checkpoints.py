"""Checkpoints: down before a start, up while a script trains."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.emulator.exceptions import TrainingProblem
from airflow_spot_provider.emulator.instances.checkpoints import CheckpointMirror

URI = "s3://bucket/checkpoints/"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "local"
    folder.mkdir()
    return folder


@pytest.fixture
def on_s3(tmp_path: Path) -> Path:
    return tmp_path / "s3/bucket/checkpoints"


def test_checkpoints_are_restored_with_their_folders_and_not_uploaded_again(
    folder: Path, on_s3: Path, storage: Any
) -> None:
    (on_s3 / "epoch").mkdir(parents=True)
    (on_s3 / "epoch/3.json").write_text("3")
    uploads: list[str] = []
    mirror = CheckpointMirror(folder, URI, storage, lambda: None)
    mirror.restore()
    assert (folder / "epoch/3.json").read_text() == "3"
    storage.upload_file = lambda _path, uri: uploads.append(uri)
    mirror.start()
    mirror.finish()
    assert uploads == []


def test_new_checkpoint_is_mirrored_while_the_script_runs_and_told(
    folder: Path, on_s3: Path, storage: Any
) -> None:
    told = threading.Event()
    mirror = CheckpointMirror(folder, URI, storage, told.set)
    mirror.restore()
    mirror.start()
    (folder / "state.json").write_text("1")
    assert told.wait(20)
    assert (on_s3 / "state.json").read_text() == "1"
    (folder / "state.json").write_text("22")
    mirror.finish()
    assert (on_s3 / "state.json").read_text() == "22"


def test_half_written_checkpoint_is_mirrored_but_is_no_moment_to_interrupt(
    folder: Path, storage: Any
) -> None:
    upload, looks, told = storage.upload_file, threading.Semaphore(0), threading.Event()

    def _written_to_meanwhile(path: Path, uri: str) -> None:
        upload(path, uri)
        with path.open("a") as file:
            file.write("more")
        looks.release()

    storage.upload_file = _written_to_meanwhile
    mirror = CheckpointMirror(folder, URI, storage, told.set)
    mirror.start()
    (folder / "state.json").write_text("1")
    for _ in range(2):
        assert looks.acquire(timeout=20)
    assert not told.is_set()
    storage.upload_file = upload
    assert told.wait(20)
    mirror.finish()


def test_restore_that_was_cut_short_uploads_nothing(folder: Path, on_s3: Path, storage: Any) -> None:
    mirror = CheckpointMirror(folder, URI, storage, lambda: None)
    (folder / "half").write_text("ha")
    mirror.finish()
    assert not on_s3.exists()


def test_deleted_checkpoint_stays_on_s3(folder: Path, on_s3: Path, storage: Any) -> None:
    told = threading.Event()
    mirror = CheckpointMirror(folder, URI, storage, told.set)
    mirror.start()
    (folder / "old").write_text("1")
    assert told.wait(20)
    (folder / "old").unlink()
    mirror.finish()
    assert (on_s3 / "old").exists()


def test_mirror_goes_on_after_s3_refused_and_says_so_at_the_end_if_it_still_does(
    folder: Path, on_s3: Path, storage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    upload, refused, told = storage.upload_file, threading.Event(), threading.Event()

    def _refuse(_path: Path, _uri: str) -> None:
        refused.set()
        raise TrainingProblem("ClientError: no")

    storage.upload_file = _refuse
    mirror = CheckpointMirror(folder, URI, storage, told.set)
    mirror.start()
    (folder / "state").write_text("1")
    assert refused.wait(20)
    storage.upload_file = upload
    assert told.wait(20)
    assert (on_s3 / "state").exists()
    assert "were not mirrored" in caplog.text
    storage.upload_file = _refuse
    (folder / "another").write_text("1")
    with pytest.raises(TrainingProblem):
        mirror.finish()


def test_missing_bucket_is_found_out_before_training(folder: Path, storage: Any) -> None:
    with pytest.raises(TrainingProblem, match="no such bucket"):
        CheckpointMirror(folder, "s3://nowhere/x", storage, lambda: None).restore()
