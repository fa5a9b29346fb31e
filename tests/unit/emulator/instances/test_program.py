"""What a job runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.emulator.exceptions import TrainingProblem
from airflow_spot_provider.emulator.instances.program import Program, program_of
from airflow_spot_provider.emulator.spec import JobSpec

IMAGES = {"*/mine:*": "python 'my train.py'"}
SCRIPT = {"sagemaker_program": '"train.py"', "sagemaker_submit_directory": '"s3://bucket/code.tar.gz"'}


def _program(
    request_of: Any, image: str = "other", parameters: dict[str, str] | None = None, **algorithm: Any
) -> Any:
    algorithm = {"TrainingImage": image, "TrainingInputMode": "File", **algorithm}
    request = request_of(AlgorithmSpecification=algorithm, HyperParameters=parameters or {})
    return program_of(JobSpec(request, "123456789012", "us-east-1"), IMAGES)


def test_entry_point_comes_before_image_and_image_before_script(request_of: Any) -> None:
    entry = _program(request_of, "x/mine:1", SCRIPT, ContainerEntrypoint=["run"], ContainerArguments=["-v"])
    assert entry.command == ("run", "-v")
    assert _program(request_of, "x/mine:1", SCRIPT).command == ("python", "my train.py", "train")
    assert _program(request_of, "x/mine:1", ContainerArguments=["fit"]).command[-1] == "fit"
    assert _program(request_of, "other", SCRIPT).script == "train.py"
    assert _program(request_of, "other") is None


def test_python_runs_python_and_a_shell_hands_itself_over_to_the_rest(tmp_path: Path) -> None:
    for name in ("train.py", "train.sh"):
        (tmp_path / name).write_text("")
    python = Program(script="train.py", archive="s3://bucket/code")
    assert python.command_line(tmp_path, ["--a", "b c"]) == [sys.executable, "train.py", "--a", "b c"]
    shell = Program(script="train.sh", archive="s3://bucket/code")
    assert shell.command_line(tmp_path, ["--a", "b c"]) == ["/bin/sh", "-c", "exec ./train.sh --a 'b c'"]


@pytest.mark.parametrize("script", ["nothing.py", "../outside.py", "."])
def test_script_that_the_archive_does_not_hold_is_refused(tmp_path: Path, script: str) -> None:
    (tmp_path / "outside.py").write_text("")
    code = tmp_path / "code"
    code.mkdir()
    with pytest.raises(TrainingProblem, match="has no such file"):
        Program(script=script, archive="s3://bucket/code").command_line(code, [])
