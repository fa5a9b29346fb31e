"""A view of the file system of one's own."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.emulator.exceptions import TrainingProblem
from airflow_spot_provider.emulator.instances import sandbox
from airflow_spot_provider.emulator.instances.container import Container, Surroundings
from airflow_spot_provider.emulator.instances.program import Program
from airflow_spot_provider.emulator.instances.warden import Warden
from airflow_spot_provider.emulator.spec import JobSpec

AS_WHOM = {
    "as it comes": [],
    # What a user without root's rights has: no way to a mount namespace but through one of users.
    "without rights": ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"],
}
PLACES = ["/opt/ml", "/srv/no/such/folder", "/opt/no-such-folder"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mount namespaces are Linux's")
@pytest.mark.parametrize("whom", AS_WHOM)
@pytest.mark.parametrize("place", PLACES)
def test_program_sees_its_folder_at_a_place_and_nobody_else_does(
    tmp_path: Path, whom: str, place: str
) -> None:
    assert sandbox.is_available()
    if AS_WHOM[whom] and shutil.which("setpriv") is None:
        pytest.fail("setpriv (util-linux) is needed to try this as a user without rights")
    folder, scratch = tmp_path / "folder", tmp_path / "scratch"
    for made in (folder / "code", scratch):
        made.mkdir(parents=True)
    was_there = Path(place).exists()
    before = sorted(path.name for path in Path(place).parent.glob("*"))
    command = sandbox.command_in(
        {Path(place): folder},
        Path(place) / "code",
        scratch,
        ["sh", "-c", f"pwd && echo mine > {place}/file && ls {Path(place).parent}"],
    )
    run = subprocess.run([*AS_WHOM[whom], *command], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    seen = run.stdout.splitlines()
    assert seen[0] == f"{place}/code"
    assert set(seen[1:]) >= {*before, Path(place).name}
    assert (folder / "file").read_text() == "mine\n"
    assert Path(place).exists() == was_there
    assert sorted(path.name for path in Path(place).parent.glob("*")) == before


def test_exit_status_of_a_command_that_is_not_there_is_a_shell_s(tmp_path: Path) -> None:
    command = sandbox.command_in({}, tmp_path, tmp_path, ["no-such-command"])
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 127
    assert run.stderr == "no-such-command could not be started: No such file or directory\n"


@pytest.fixture
def without_views(tmp_path: Path, storage: Any) -> Iterator[Surroundings]:
    """A system without mount namespaces."""
    with contextlib.closing(Warden(tmp_path / "warden")) as warden:
        yield Surroundings(storage=storage, endpoint_url="http://127.0.0.1:1", warden=warden, own_view=False)


@pytest.mark.parametrize(
    ("program", "checkpoints"),
    [
        (Program(("bash", "/opt/ml/input/data/code/run.sh"), needs_opt_ml=True), None),
        (Program(("true",)), {"S3Uri": "s3://bucket/c", "LocalPath": "/checkpoints"}),
    ],
)
def test_job_that_needs_a_view_where_there_is_none_is_told_what_to_do(
    tmp_path: Path,
    without_views: Surroundings,
    request_of: Any,
    program: Program,
    checkpoints: dict[str, str] | None,
) -> None:
    spec = JobSpec(request_of(CheckpointConfig=checkpoints), "123456789012", "us-east-1")
    container = Container(
        tmp_path / "host", spec, program, 0, surroundings=without_views, failed=lambda _: None
    )
    with pytest.raises(TrainingProblem, match=r"SM_MODEL_DIR.* allows user namespaces"):
        container.prepare()


@pytest.mark.parametrize(
    ("script", "can_do_without"),
    [
        ("open('/opt/ml/model/x', 'w')", False),
        ("os.environ.get('SM_MODEL_DIR', '/opt/ml/model')", True),
        ("print(1)", True),
    ],
)
def test_script_that_asks_the_variables_can_do_without_a_view(
    tmp_path: Path, script: str, can_do_without: bool
) -> None:
    (tmp_path / "train.py").write_text(script)
    program = Program(script="train.py", archive="s3://bucket/code.tar.gz")
    assert program.is_lost_without_opt_ml(tmp_path) is not can_do_without
