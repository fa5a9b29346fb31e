"""Checkpoints: down before a start, up while a script trains."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.emulator.exceptions import TrainingProblem
from airflow_spot_provider.emulator.instances import checkpoint_writes, checkpoints
from airflow_spot_provider.emulator.instances.checkpoint_versions import LOOKS_KEPT, Versions
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
        with (folder / "state.json").open("a") as file:
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


def test_looks_that_uploaded_something_are_counted(folder: Path, storage: Any) -> None:
    mirror = CheckpointMirror(folder, URI, storage, lambda: None)
    mirror.restore()
    mirror.start()
    mirror.finish()
    assert mirror.mirrored == 0
    (folder / "state").write_text("1")
    mirror.finish()
    mirror.finish()
    assert mirror.mirrored == 1


def test_mirror_survives_what_a_script_does_to_a_file_meanwhile(
    folder: Path, on_s3: Path, storage: Any
) -> None:
    """After it was listed, and before it is uploaded."""
    upload, touched = storage.upload_file, threading.Event()

    def _meddle() -> None:
        (folder / "b-renamed").rename(folder / "new-name")
        (folder / "c-truncated").write_text("")
        (folder / "d-deleted").unlink()
        (folder / "e-replaced").unlink()
        (folder / "e-replaced").mkdir()
        (folder / "e-replaced/inside").write_text("1")
        shutil.rmtree(folder / "f-folder")
        (folder / "f-folder").write_text("a file now")

    def _upload(path: Path, uri: str) -> None:
        upload(path, uri)
        if not touched.is_set():
            _meddle()
            touched.set()

    (folder / "f-folder").mkdir()
    for name in ("a", "b-renamed", "c-truncated", "d-deleted", "e-replaced", "f-folder/file"):
        (folder / name).write_text("first")
    storage.upload_file = _upload
    mirror = CheckpointMirror(folder, URI, storage, lambda: None)
    mirror.start()
    assert touched.wait(20)
    mirror.finish()
    there = {
        path.relative_to(on_s3).as_posix(): path.read_text() for path in on_s3.rglob("*") if path.is_file()
    }
    assert there == {
        "a": "first",
        "new-name": "first",
        "c-truncated": "",
        "e-replaced/inside": "1",
        "f-folder": "a file now",
    }


def test_what_is_uploaded_is_a_copy_that_nobody_writes_to(folder: Path, on_s3: Path, storage: Any) -> None:
    upload = storage.upload_file

    def _truncated_meanwhile(path: Path, uri: str) -> None:
        (folder / "state").write_text("")
        upload(path, uri)

    storage.upload_file = _truncated_meanwhile
    (folder / "state").write_text("whole")
    mirror = CheckpointMirror(folder, URI, storage, lambda: None)
    mirror.start()
    mirror.finish()
    assert (on_s3 / "state").read_text() == "whole"


def test_big_file_waits_until_it_stands_still(
    folder: Path, on_s3: Path, storage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "BIG_BYTES", 10)
    upload, looked = storage.upload_file, threading.Semaphore(0)

    def _grows(path: Path, uri: str) -> None:
        upload(path, uri)
        with (folder / "big").open("a") as file:
            file.write("more and more")
        (folder / "tick").write_text((folder / "tick").read_text() + ".")
        looked.release()

    storage.upload_file = _grows
    (folder / "tick").write_text("")
    mirror = CheckpointMirror(folder, URI, storage, lambda: None)
    mirror.start()
    for _ in range(3):
        assert looked.acquire(timeout=20)
    assert not (on_s3 / "big").exists()
    mirror.finish()
    assert (on_s3 / "big").stat().st_size > 10


def test_several_hosts_share_a_prefix_and_leave_what_others_wrote(
    tmp_path: Path, on_s3: Path, storage: Any
) -> None:
    on_s3.mkdir(parents=True)
    (on_s3 / "shared").write_text("old")
    mirrors = []
    for host in ("algo-1", "algo-2"):
        folder = tmp_path / host
        folder.mkdir()
        mirror = CheckpointMirror(folder, URI, storage, lambda: None)
        mirror.restore()
        mirror.start()
        (folder / f"rank-{host}").write_text(host)
        mirrors.append((folder, mirror))
    (mirrors[0][0] / "shared").write_text("new")
    for _, mirror in mirrors:
        mirror.finish()
    assert (on_s3 / "shared").read_text() == "new"
    assert (on_s3 / "rank-algo-1").read_text() == "algo-1"
    assert (on_s3 / "rank-algo-2").read_text() == "algo-2"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not take such a name")
def test_name_that_s3_cannot_hold_fails_the_job_with_the_reason(folder: Path, storage: Any) -> None:
    mirror = CheckpointMirror(folder, URI, storage, lambda: None)
    mirror.start()
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).write_text("1")
    with pytest.raises(TrainingProblem, match="UTF-8"):
        mirror.finish()


class TornFolder:
    """A checkpoint folder whose instance is lost in the middle of the latest write."""

    def __init__(self, folder: Path, on_s3: Path, storage: Any) -> None:
        self.folder = folder
        self.on_s3 = on_s3
        self._looked = threading.Event()
        self.mirror = CheckpointMirror(folder, URI, storage, self._looked.set)
        self.mirror.restore()
        self.mirror.start()

    def mirrored(self) -> None:
        """Wait until what is there now has been seen."""
        (self.folder / "seen").write_text("seen")
        self._looked.clear()
        assert self._looked.wait(20)
        (self.folder / "seen").unlink()
        (self.on_s3 / "seen").unlink()

    def renames(self, name: str, text: str) -> None:
        (self.folder / f"{name}.tmp").write_text(text)
        (self.folder / f"{name}.tmp").replace(self.folder / name)

    def left(self) -> dict[str, str]:
        self.mirror.tear()
        self.mirror.finish()
        files = (path for path in self.on_s3.rglob("*") if path.is_file())
        return {path.relative_to(self.on_s3).as_posix(): path.read_text() for path in files}


@pytest.fixture
def torn(folder: Path, on_s3: Path, storage: Any) -> Iterator[TornFolder]:
    on_s3.mkdir(parents=True)
    torn = TornFolder(folder, on_s3, storage)
    yield torn
    torn.mirror.abandon()


def test_file_written_in_place_is_left_half(torn: TornFolder) -> None:
    (torn.folder / "state").write_text("first")
    torn.mirrored()
    (torn.folder / "other").write_text("other")
    (torn.folder / "state").write_text("second")
    assert torn.left() == {"state": "sec", "other": "other"}


@pytest.mark.parametrize("newest_is_mirrored", [True, False])
def test_file_that_was_renamed_leaves_the_one_before_and_half_of_it_under_the_other_name(
    torn: TornFolder, newest_is_mirrored: bool
) -> None:
    torn.renames("state", "first")
    torn.mirrored()
    torn.renames("state", "second")
    if newest_is_mirrored:
        torn.mirrored()
    assert torn.left() == {"state": "first", "state.tmp": "sec"}


def test_first_file_that_was_renamed_leaves_no_other(torn: TornFolder) -> None:
    torn.renames("state", "first!")
    torn.mirrored()
    assert torn.left() == {"state.tmp": "fir"}


def test_restored_checkpoint_is_what_a_torn_one_falls_back_to(
    folder: Path, on_s3: Path, storage: Any
) -> None:
    on_s3.mkdir(parents=True)
    (on_s3 / "state").write_text("restored")
    torn = TornFolder(folder, on_s3, storage)
    torn.renames("state", "second")
    torn.mirrored()
    assert torn.left() == {"state": "restored", "state.tmp": "sec"}


def test_folder_renamed_as_one_is_left_under_its_other_name_with_its_last_file_half(
    torn: TornFolder,
) -> None:
    for number in ("1", "2"):
        written = torn.folder / f"checkpoint-{number}.tmp"
        written.mkdir()
        (written / "weights").write_text(f"weights {number}")
        (written / "optimizer").write_text(f"adam of {number}")
        written.rename(torn.folder / f"checkpoint-{number}")
        torn.mirrored()
    assert torn.left() == {
        "checkpoint-1/weights": "weights 1",
        "checkpoint-1/optimizer": "adam of 1",
        "checkpoint-2.tmp/weights": "weights 2",
        "checkpoint-2.tmp/optimizer": "adam",
    }


def test_of_files_written_one_after_the_other_the_last_is_left_half(torn: TornFolder) -> None:
    folder = torn.folder / "checkpoint-1"
    folder.mkdir()
    torn.mirrored()  # of files that are there before their folder is watched, nobody hears which came last
    (folder / "weights").write_text("weights")
    (folder / "optimizer").write_text("adam")
    assert torn.left() == {"checkpoint-1/weights": "weights", "checkpoint-1/optimizer": "ad"}


def test_mark_that_a_checkpoint_is_done_is_not_there_yet(torn: TornFolder) -> None:
    (torn.folder / "weights").write_text("weights")
    (torn.folder / "DONE").touch()
    assert torn.left() == {"weights": "weights"}


def test_last_checkpoint_moved_out_of_the_way_is_no_write(torn: TornFolder) -> None:
    torn.renames("last", "first")
    torn.mirrored()
    (torn.folder / "last").rename(torn.folder / "previous")
    assert torn.left() == {"last": "first", "previous": "first"}
    assert not list(torn.folder.glob(".*"))


def test_nothing_is_torn_where_nothing_was_written(torn: TornFolder) -> None:
    assert torn.left() == {}


def test_mirror_that_never_started_is_not_torn(folder: Path, on_s3: Path, storage: Any) -> None:
    (folder / "half-restored").write_text("ha")
    CheckpointMirror(folder, URI, storage, lambda: None).tear()
    assert not on_s3.exists()


def test_without_events_the_times_of_the_files_tell_the_newest(
    torn: TornFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(checkpoint_writes, "DRAIN_SECONDS", 0.0)
    monkeypatch.setattr(checkpoint_writes.WriteJournal, "on_any_event", lambda *_: None)
    (torn.folder / "old").write_text("old")
    (torn.folder / "new").write_text("new!")
    os.utime(torn.folder / "old", (1, 1))
    assert torn.left() == {"old": "old", "new": "ne"}
    assert "did not come" in caplog.text


def test_system_without_watches_mirrors_all_the_same(
    folder: Path, on_s3: Path, storage: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def _none_left(*_args: Any, **_named: Any) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(checkpoint_writes.Observer, "schedule", _none_left)
    mirror = CheckpointMirror(folder, URI, storage, lambda: None)
    mirror.start()
    (folder / "state").write_text("half")
    mirror.tear()
    assert (on_s3 / "state").read_text() == "ha"
    assert "cannot be watched" in caplog.text


def test_nothing_of_the_mirror_is_left_in_or_beside_the_folder(
    folder: Path, on_s3: Path, storage: Any
) -> None:
    torn = TornFolder(folder, on_s3, storage)
    torn.renames("state", "first")
    torn.mirrored()
    torn.mirror.finish()
    assert [path.name for path in folder.iterdir()] == ["state"]
    assert {path.name for path in folder.parent.iterdir()} == {"local", "s3"}
    assert (folder / "state").stat().st_nlink == 1


def test_room_of_a_deleted_checkpoint_is_free_after_a_while(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "store")
    path = tmp_path / "state"
    path.write_text("1")
    held = versions.hold(path)
    path.unlink()
    for _ in range(LOOKS_KEPT):
        versions.look(set())
    assert held.exists()
    versions.look(set())
    assert not held.exists()


def test_file_system_without_hard_links_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def _refuse(*_args: Any, **_named: Any) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", _refuse)
    versions = Versions(tmp_path / "store")
    path = tmp_path / "state"
    path.write_text("1")
    versions.hold(path)
    (tmp_path / "new").write_text("2")
    (tmp_path / "new").replace(path)
    versions.hold(path)
    before = versions.before(path)
    assert before is not None
    assert before.read_text() == "1"
