"""The local Airflow and DAG files that cannot be imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.demo.local_airflow import LocalAirflow, LocalAirflowError


@pytest.fixture
def airflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalAirflow:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "newer.py").write_text("from airflow.sdk import Newer\nDAG('newer')\n")
    answers = {
        "/dags": {"dags": [{"dag_id": "good"}]},
        "/importErrors": {"import_errors": [{"filename": "newer.py", "stack_trace": "ImportError: Newer"}]},
    }
    local = LocalAirflow(tmp_path / "home", dags, environment={})
    monkeypatch.setattr(local, "get", lambda path, **_: answers[path])
    return local


def test_dag_runs_beside_an_example_that_cannot_be_imported(airflow: LocalAirflow) -> None:
    assert airflow._knows("good")
    assert not airflow._knows("still_being_read")


def test_dag_whose_file_cannot_be_imported_says_why_at_once(airflow: Any) -> None:
    with pytest.raises(LocalAirflowError, match=r"newer\.py cannot be imported.*\nImportError: Newer"):
        airflow._knows("newer")
