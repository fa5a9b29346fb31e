"""``airflow spot ...``: the commands of ``airflow-spot``, in Airflow's own parser."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

import pytest
from airflow.cli import cli_parser
from airflow.cli.cli_config import GroupCommand

from airflow_spot_provider import get_provider_info
from airflow_spot_provider.cli.airflow_commands import spot_commands
from airflow_spot_provider.cli.commands import COMMANDS
from tests.ui.metadata import Metadata


def parser() -> argparse.ArgumentParser:
    """As Airflow makes it."""
    made = argparse.ArgumentParser()
    commands = made.add_subparsers(dest="subcommand")
    for command in spot_commands():
        cli_parser._add_command(commands, command)
    return made


def test_airflow_is_told_of_the_commands() -> None:
    assert get_provider_info()["cli"] == ["airflow_spot_provider.cli.airflow_commands.spot_commands"]
    [group] = spot_commands()
    assert isinstance(group, GroupCommand)
    assert group.name == "spot"
    assert {command.name for command in group.subcommands} == {command.name for command in COMMANDS}


@pytest.mark.parametrize(
    "arguments",
    [
        ["jobs", "--watch", "--every", "5"],
        ["savings", "--by", "task", "--dag", "churn"],
        ["events", "setup", "--triggerers", "3"],
        ["emulator", "--port", "0", "--speed", "60"],
        ["rehearse", "train.py", "--at", "3"],
        ["demo", "--keep"],
    ],
)
def test_arguments_are_those_of_the_console_command(arguments: list[str]) -> None:
    [own] = [command for command in COMMANDS if command.name == arguments[0]]
    alone = argparse.ArgumentParser()
    own.add_arguments(alone)
    wanted = vars(alone.parse_args(arguments[1:]))
    parsed = vars(parser().parse_args(["spot", *arguments]))
    # The default of --since is counted back from now.
    assert {name: parsed[name] for name in wanted if name != "since"} == {
        name: value for name, value in wanted.items() if name != "since"
    }


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_each_has_its_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        parser().parse_args(["spot", command, "--help"])
    assert "usage" in capsys.readouterr().out.lower()


@pytest.mark.usefixtures("metadata")
def test_a_command_runs_and_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = parser().parse_args(["spot", "savings", "--json"])
    arguments.func(arguments)
    assert json.loads(capsys.readouterr().out)["groups"] == []


def test_an_exit_status_gets_through_airflow(metadata: Metadata, capsys: pytest.CaptureFixture[str]) -> None:
    with metadata.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE xcom")
    arguments = parser().parse_args(["spot", "savings"])
    with pytest.raises(SystemExit, match="1"):
        arguments.func(arguments)
    assert "no such table: xcom" in capsys.readouterr().err


def test_what_the_commands_stand_on_is_not_imported_by_every_airflow_command() -> None:
    heavy = ["boto3", "moto", "flask", "optuna", "rich.live", "airflow.models.taskinstance", "sklearn"]
    script = (
        "import sys, airflow.cli.cli_config; before = set(sys.modules); "
        "from airflow_spot_provider.cli.airflow_commands import spot_commands; spot_commands(); "
        f"print([name for name in {heavy!r} if name in sys.modules and name not in before])"
    )
    ran: Any = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"
