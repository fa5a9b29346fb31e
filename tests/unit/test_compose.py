"""docker-compose.yaml, without a Docker engine: its schema, and that what it calls and sets exists."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.cli import cli_parser
from airflow.configuration import conf
from moto.server import ThreadedMotoServer

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yaml"
AIRFLOW_OPTION = re.compile(r"AIRFLOW__(?P<section>[A-Z0-9_]+?)__(?P<key>[A-Z0-9_]+)")
INTERPOLATION = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}")
ONE_SHOT = {"airflow-init", "bucket"}


def _interpolated(value: Any) -> Any:
    """What Compose makes of a value when nobody has set a variable."""
    if isinstance(value, dict):
        return {key: _interpolated(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_interpolated(member) for member in value]
    if not isinstance(value, str):
        return value
    return INTERPOLATION.sub(lambda match: match["default"] or "", value).replace("$$", "$")


DOCUMENT = yaml.safe_load(COMPOSE_FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = _interpolated(DOCUMENT["services"])
AIRFLOW_SERVICES = {
    name: service
    for name, service in SERVICES.items()
    if service["image"] == SERVICES["api-server"]["image"] and "entrypoint" not in service
}


def _schema_errors(compose_file: Path) -> list[str]:
    checked = subprocess.run(
        [
            sys.executable,
            *("-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"),
            *("--output-format", "json", str(compose_file)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(checked.stdout)
    assert not report.get("parse_errors"), report
    return [f"{error['path']}: {error['message']}" for error in report["errors"]]


def _airflow_commands() -> list[tuple[str, list[str]]]:
    commands = [(name, service["command"]) for name, service in AIRFLOW_SERVICES.items()]
    for name, service in SERVICES.items():
        kind, *words = service.get("healthcheck", {}).get("test", [""])
        line = shlex.split(words[0]) if kind == "CMD-SHELL" else words
        if line[:1] == ["airflow"]:
            commands.append((f"{name} health check", line[1:]))
    for line in (ROOT / "docs/containers.md").read_text().splitlines():
        match line.split():
            case ["docker", "compose", "exec", name, "airflow", *arguments]:
                assert name in AIRFLOW_SERVICES, line
                commands.append(("docs/containers.md", arguments))
    return commands


def test_compose_file_follows_the_compose_specification() -> None:
    assert _schema_errors(COMPOSE_FILE) == []


def test_schema_check_finds_a_misspelt_key(tmp_path: Path) -> None:
    broken = tmp_path / "docker-compose.yaml"
    broken.write_text(COMPOSE_FILE.read_text().replace("healthcheck:", "healthchek:", 1))
    assert any("healthchek" in error for error in _schema_errors(broken))


def test_every_part_of_a_deployed_airflow_is_there() -> None:
    assert {service["command"][0] for service in AIRFLOW_SERVICES.values()} == {
        "api-server",
        "celery",
        "dag-processor",
        "db",
        "scheduler",
        "triggerer",
    }


@pytest.mark.parametrize(("where", "arguments"), _airflow_commands())
def test_airflow_commands_exist_with_their_options(where: str, arguments: list[str]) -> None:
    parsed = cli_parser.get_parser().parse_args(arguments)
    assert callable(parsed.func), f"{where}: `airflow {shlex.join(arguments)}` names only a group of commands"


def test_airflow_options_are_known_to_airflow() -> None:
    known = {
        (section.upper(), key.upper())
        for section, description in conf.configuration_description.items()
        for key in description["options"]
    }
    named = {
        (match["section"], match["key"])
        for service in SERVICES.values()
        for variable in service.get("environment", {})
        if (match := AIRFLOW_OPTION.fullmatch(variable))
    }
    assert named
    assert named - known == set()


def test_every_airflow_service_has_the_same_configuration() -> None:
    """A key that only some of them knew would make the API server refuse the others' tokens."""
    shared = SERVICES["api-server"]["environment"]
    for name, service in AIRFLOW_SERVICES.items():
        assert shared.items() <= service["environment"].items(), name


def test_bucket_command_makes_the_bucket_and_may_run_again() -> None:
    bucket = SERVICES["bucket"]
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        environment = {**os.environ, **bucket["environment"], "AWS_ENDPOINT_URL": endpoint}
        for _ in range(2):
            subprocess.run([sys.executable, "-c", *bucket["command"]], env=environment, check=True)
        answer = urllib.request.urlopen(f"{endpoint}/{environment['SPOT_TRAINING_BUCKET']}")  # noqa: S310 loopback
        assert answer.status == HTTPStatus.OK
    finally:
        server.stop()


def test_emulator_command_is_one_that_the_command_line_takes() -> None:
    emulator = SERVICES["emulator"]
    assert emulator["entrypoint"] == ["airflow-spot"]
    from airflow_spot_provider.emulator import __main__ as emulator_command

    subcommand, *arguments = emulator["command"]
    assert subcommand == "emulator"
    parser = argparse.ArgumentParser()
    emulator_command.add_arguments(parser)
    parsed = parser.parse_args(arguments)
    assert f"{parsed.host}:{parsed.port}" == "0.0.0.0:4566"


def test_emulator_is_where_the_connection_looks_for_it() -> None:
    connection = json.loads(SERVICES["worker"]["environment"]["AIRFLOW_CONN_AWS_DEFAULT"])
    assert connection["conn_type"] == "aws"
    assert connection["extra"]["endpoint_url"] == "http://emulator:4566"
    assert SERVICES["bucket"]["environment"]["AWS_ENDPOINT_URL"] == "http://emulator:4566"


def test_every_lasting_service_has_a_health_check() -> None:
    assert {name for name, service in SERVICES.items() if "healthcheck" not in service} == ONE_SHOT


def test_services_wait_for_what_can_become_ready() -> None:
    waits = [
        (name, other, wait["condition"])
        for name, service in SERVICES.items()
        for other, wait in service.get("depends_on", {}).items()
    ]
    assert waits
    for name, other, condition in waits:
        expected = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
        assert condition == expected, f"{name} waits for {other}"


def test_ports_are_published_on_loopback_only() -> None:
    published = list(itertools.chain.from_iterable(service.get("ports", []) for service in SERVICES.values()))
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_example_dags_find_their_variables_and_files() -> None:
    dags = "\n".join(path.read_text() for path in (ROOT / "dags").glob("*.py"))
    named = {f"AIRFLOW_VAR_{name.upper()}" for name in re.findall(r"spot_training_(?:bucket|role_arn)", dags)}
    assert named
    for service in ("scheduler", "worker", "triggerer", "dag-processor"):
        assert named <= SERVICES[service]["environment"].keys()
        assert "./dags:/opt/airflow/dags:ro" in SERVICES[service]["volumes"]
    assert (
        SERVICES["bucket"]["environment"]["SPOT_TRAINING_BUCKET"]
        == (SERVICES["worker"]["environment"]["AIRFLOW_VAR_SPOT_TRAINING_BUCKET"])
    )


def test_image_is_built_from_files_that_its_context_holds() -> None:
    copied = {
        source
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY") and "--from" not in line
        for source in [word for word in line.split()[1:-1] if not word.startswith("--")]
    }
    ignore_rules = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {rule.removeprefix("!") for rule in ignore_rules if rule.startswith("!")}
    assert copied == let_in
    assert all((ROOT / source).exists() for source in copied)
