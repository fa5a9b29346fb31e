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
from tests.parity.record import TABLES, Place, Service, differences

ENTRIES = [(table.stem, entry) for table in TABLES for entry in json.loads(table.read_text())]


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture(scope="module")
def service(emulator: SageMakerEmulator) -> Service:
    session = boto3.Session("x", "x", region_name="us-east-1")
    return Service(session, emulator.endpoint_url)


@pytest.mark.parametrize(
    ("table", "entry"), ENTRIES, ids=lambda value: value["name"] if isinstance(value, dict) else value
)
def test_emulator_answers_as_the_table_says(service: Service, table: str, entry: dict[str, Any]) -> None:
    expected = entry["emulator"]["answer"] if "emulator" in entry else entry["answer"]
    assert list(differences(expected, service.play(entry))) == [], table


def test_nothing_is_left_behind(emulator: SageMakerEmulator) -> None:
    sagemaker = emulator.client("sagemaker")
    for operation, summaries in (
        ("list_training_jobs", "TrainingJobSummaries"),
        ("list_hyper_parameter_tuning_jobs", "HyperParameterTuningJobSummaries"),
    ):
        pages = sagemaker.get_paginator(operation).paginate(NameContains="parity")
        assert [summary for page in pages for summary in page[summaries]] == []


def test_recording_in_another_account_asks_for_its_own_names_and_writes_them_down_nowhere() -> None:
    place = Place("999900001111", "eu-north-1", "arn:aws:iam::999900001111:role/mine", "my-bucket")
    for _, entry in ENTRIES:
        asked = json.dumps(place.here(entry["request"]))
        for name in ("123456789012", "us-east-1", "parity-bucket", "role/sagemaker-training"):
            assert name not in asked
        assert place.anywhere(place.here(entry["request"])) == entry["request"]


def test_every_entry_says_where_it_comes_from() -> None:
    for _, entry in ENTRIES:
        assert entry["source"] in ("documented", "recorded")
        assert (
            entry["reference"].startswith("https://")
            if entry["source"] == "documented"
            else entry["recorded"]
        )
        assert entry["emulator"]["why"] if "emulator" in entry else True


def test_what_was_recorded_is_what_the_table_says() -> None:
    for table, entry in ENTRIES:
        if "recorded" in entry:
            found = {"members": entry["answer"].get("members", {}), **entry["recorded"]}
            assert list(differences(entry["answer"], found)) == [], table


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
    assert "name that is taken" not in asked.stdout
    assert "name that is taken" in _record(tmp_path, "--jobs", "--endpoint-url", emulator.endpoint_url).stdout
    assert emulator.calls() == before

    table = tmp_path / TABLES[0].name
    entries = json.loads(table.read_text())
    entries[0]["answer"]["code"] = "Nonsense"
    table.write_text(json.dumps(entries))
    recorded = _record(tmp_path, "--yes", "--write", "--endpoint-url", emulator.endpoint_url)
    assert recorded.returncode == 1, recorded.stderr
    assert "'ValidationException', and in the table 'Nonsense'" in recorded.stdout
    known = sum("emulator" in entry for _, entry in ENTRIES)
    told = [line for line in recorded.stdout.splitlines() if "in the table" in line]
    assert len({line.split(":")[2] for line in told}) == 1 + known
    written = json.loads(table.read_text())[0]
    assert written["source"] == "recorded"
    assert written["recorded"]["code"] == "ValidationException"
