"""The tables of what SageMaker answers, played against the emulator; and the recorder, which plays them against AWS."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest

from airflow_spot_provider.emulator import SageMakerEmulator
from tests.parity.record import TABLES, Service, differences

ENTRIES = [(table.stem, entry) for table in TABLES for entry in json.loads(table.read_text())]


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize(
    ("table", "entry"), ENTRIES, ids=lambda value: value["name"] if isinstance(value, dict) else value
)
def test_emulator_answers_as_the_table_says(
    emulator: SageMakerEmulator, table: str, entry: dict[str, Any]
) -> None:
    service = Service(boto3.Session(), emulator.endpoint_url)
    assert list(differences(entry["answer"], service.call(entry["operation"], entry["request"]))) == [], table


def test_every_entry_says_where_it_comes_from() -> None:
    for _, entry in ENTRIES:
        assert entry["source"] in ("documented", "recorded")
        assert (
            entry["reference"].startswith("https://")
            if entry["source"] == "documented"
            else entry["recorded"]
        )


def _record(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(folder / "record.py"), *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.usefixtures("credentials")
def test_recorder_asks_before_it_calls_tells_differences_and_writes_them(
    emulator: SageMakerEmulator, tmp_path: Path
) -> None:
    source = TABLES[0].parent
    for file in (*TABLES, source / "record.py"):
        shutil.copy(file, tmp_path)
    before = emulator.calls()
    asked = _record(tmp_path, "--endpoint-url", emulator.endpoint_url)
    assert "No call was made" in asked.stdout
    assert emulator.calls() == before

    table = tmp_path / TABLES[0].name
    entries = json.loads(table.read_text())
    entries[0]["answer"]["code"] = "Nonsense"
    table.write_text(json.dumps(entries))
    recorded = _record(tmp_path, "--yes", "--write", "--endpoint-url", emulator.endpoint_url)
    assert recorded.returncode == 1, recorded.stderr
    assert "'ValidationException', and in the table 'Nonsense'" in recorded.stdout
    assert "1 difference." in recorded.stdout
    written = json.loads(table.read_text())[0]
    assert written["source"] == "recorded"
    assert written["recorded"]["code"] == "ValidationException"
