"""The console command: what it takes, what it says when something is missing, which statuses it exits with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import boto3
import pytest

from airflow_spot_provider import __version__
from airflow_spot_provider.cli import main
from airflow_spot_provider.demo import run as demo
from airflow_spot_provider.emulator import server
from airflow_spot_provider.emulator.settings import Settings

DAGS = Path(__file__).parents[2] / "dags"


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize("arguments", [[], ["train"], ["emulator", "--lifecycle", "sometimes"]])
def test_wrong_arguments_are_refused_with_what_there_is(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    said = capsys.readouterr().err
    assert ("interrupted-once" if "emulator" in arguments else "emulator") in said


def test_emulator_is_served_as_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    class Server:
        def __init__(self, settings: Settings) -> None:
            asked.update(vars(settings))

        def serve(self, *, until_stdin_closes: bool) -> None:
            asked["until_stdin_closes"] = until_stdin_closes

    monkeypatch.setattr(server, "Server", Server)
    assert main(["emulator", "--port", "0", "--lifecycle", "never-launched", "--speed", "60"]) == 0
    assert asked.items() >= {"port": 0, "lifecycle": "never-launched", "speed": 60.0}.items()
    assert asked["until_stdin_closes"] is False


@pytest.mark.parametrize(
    ("arguments", "dag_id", "output", "keep", "status"),
    [
        ([], "spot_training_branching", "demo.json", False, 0),
        (["--keep"], "spot_training_branching", "demo.json", True, 1),
        (
            ["--dag", "recurring_retraining"],
            "recurring_retraining",
            "demo-recurring_retraining.json",
            False,
            0,
        ),
    ],
)
def test_demo_runs_with_its_arguments_and_hands_its_status_on(
    arguments: list[str],
    dag_id: str,
    output: str,
    keep: bool,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: dict[str, Any] = {}

    def _run(dag_id: str, **options: Any) -> int:
        asked.update(options, dag_id=dag_id)
        return status

    monkeypatch.setattr(demo, "run_demo", _run)
    assert main(["demo", "--dags", str(DAGS), "--build", str(tmp_path), *arguments]) == status
    assert asked == {
        "dag_id": dag_id,
        "dags": DAGS,
        "build": tmp_path,
        "output": tmp_path / output,
        "keep": keep,
    }


def test_demo_of_a_dag_that_is_not_there_lists_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--dag", "unheard_of", "--dags", str(DAGS)]) == 1
    said = capsys.readouterr().err
    assert "no unheard_of.py" in said
    assert "hyperparameter_sweep" in said
    assert "spot_training_branching" in said


def test_demo_without_its_dags_says_where_it_looked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--dags", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert str(tmp_path) in said
    assert "--dags" in said


@pytest.mark.parametrize(
    ("command", "module", "extra"),
    [("emulator", "moto", "emulator"), ("demo", "sklearn", "demo"), ("demo", "rich", "demo")],
)
def test_missing_extra_is_named_before_anything_starts(
    command: str,
    module: str,
    extra: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # What Python makes of a module that is None there is what it makes of one that is not installed.
    monkeypatch.setitem(sys.modules, module, None)
    assert main([command]) == 1
    said = capsys.readouterr().err
    assert f"needs {module}" in said
    assert f"airflow-spot-provider[{extra}]" in said


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["setup", "--triggerers", "0"], "a number from 1 to 100"),
        (["setup", "--triggerers", "101"], "a number from 1 to 100"),
        (["policy", "--triggerers", "-1"], "a number from 1 to 100"),
        (["setup", "--name", "no spaces"], "1 to 60 letters, digits, hyphens and underscores"),
        (["teardown", "--name", ""], "1 to 60 letters, digits, hyphens and underscores"),
        (["teardown", "--name", "n" * 61], "1 to 60 letters, digits, hyphens and underscores"),
    ],
)
def test_names_and_numbers_that_events_does_not_take_are_refused_before_aws_is_asked(
    arguments: list[str],
    allowed: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delattr(boto3, "Session")
    assert main(["events", *arguments]) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"airflow-spot events {arguments[0]}: {arguments[1]} is ")
    assert f"it takes {allowed}" in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "You must specify a region. Give --region, or a --profile that has one."),
        (["--profile", "nobody"], "profile (nobody) could not be found"),
        (["--region", "us-east-1", "--endpoint-url", "localhost"], "Invalid endpoint: localhost"),
        (
            ["--region", "us-east-1", "--endpoint-url", "http://127.0.0.1:9"],
            "Unable to locate credentials. Give --profile",
        ),
    ],
)
def test_events_without_what_aws_needs_says_what_is_missing(
    arguments: list[str],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for variable in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(variable, "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert main(["events", "setup", *arguments]) == 1
    said = capsys.readouterr().err
    assert said.startswith("airflow-spot events setup: ")
    assert reason in said


def test_events_of_an_unknown_kind_are_refused_with_what_there_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["events", "policy", "--for", "everybody"])
    said = capsys.readouterr().err
    assert all(whom in said for whom in ("triggerer", "setup", "queue"))
