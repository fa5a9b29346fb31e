"""The fixtures that users of the package have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

USERS_TESTS = """
import boto3

def test_with_a_client(sagemaker_emulator):
    sagemaker_emulator.client("s3").create_bucket(Bucket="mine")
    assert sagemaker_emulator.settings.clock == "stepped"

def test_with_the_environment(sagemaker_emulator_environment):
    assert [bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]] == ["mine"]
    assert boto3.client("sagemaker").list_training_jobs()["TrainingJobSummaries"] == []
"""
USERS_CONFTEST = """
import pytest

@pytest.fixture(scope="session")
def sagemaker_emulator_settings():
    return {"clock": "stepped"}
"""


def test_tests_of_a_user_find_the_emulator_by_themselves(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(USERS_TESTS)
    (tmp_path / "conftest.py").write_text(USERS_CONFTEST)
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            str(tmp_path),
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "2 passed" in run.stdout
