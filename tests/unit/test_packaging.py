"""What a person gets who installs the package: metadata, entry points, files, and words that are true."""

from __future__ import annotations

import configparser
import email
import json
import pkgutil
import re
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import airflow_spot_provider
from airflow_spot_provider import get_provider_info

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "airflow_spot_provider"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for member in value.values() if isinstance(value, dict) else value:
            yield from _strings(member)


def _paths_in_provider_info() -> list[str]:
    return sorted(
        {text for text in _strings(get_provider_info()) if text.startswith("airflow_spot_provider.")}
    )


def _python_blocks() -> list[Any]:
    return [
        pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}")
        for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
        for number, block in enumerate(PYTHON_BLOCK.findall(page.read_text()), start=1)
    ]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    [path] = WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("dist")))
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_provider_info_follows_airflows_schema() -> None:
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


@pytest.mark.parametrize("path", _paths_in_provider_info())
def test_everything_that_provider_info_names_can_be_imported(path: str) -> None:
    assert pkgutil.resolve_name(path)


@pytest.mark.parametrize("kind", ["operators", "sensors", "hooks", "triggers"])
def test_every_public_module_is_in_provider_info(kind: str) -> None:
    public = {
        f"airflow_spot_provider.{kind}.{module.stem}"
        for module in (PACKAGE / kind).glob("*.py")
        if not module.stem.startswith("_")
    }
    listed = {module for entry in get_provider_info().get(kind, []) for module in entry["python-modules"]}
    assert listed == public


def test_integrations_are_named_as_declared() -> None:
    info = get_provider_info()
    declared = {integration["integration-name"] for integration in info["integrations"]}
    used = {
        entry["integration-name"]
        for kind in ("operators", "sensors", "hooks", "triggers")
        for entry in info.get(kind, [])
    }
    assert used <= declared
    assert info["package-name"] == PROJECT["name"]


def test_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    sources = {
        str(path.relative_to(ROOT))
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert shipped == sources
    assert "airflow_spot_provider/py.typed" in shipped
    assert any(name.endswith("/licenses/LICENSE") for name in wheel.namelist())


def test_wheel_has_the_entry_points_of_airflow_and_of_the_command_line(wheel: zipfile.ZipFile) -> None:
    [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt")]
    entry_points = configparser.ConfigParser()
    entry_points.read_string(wheel.read(name).decode())
    assert {section: dict(entry_points[section]) for section in entry_points.sections()} == {
        "apache_airflow_provider": {"provider_info": "airflow_spot_provider:get_provider_info"},
        "console_scripts": {"airflow-spot": "airflow_spot_provider.cli:main"},
        "airflow.plugins": {"spot_training": "airflow_spot_provider.ui.plugin:SpotTrainingPlugin"},
        "pytest11": {"airflow_spot": "airflow_spot_provider.pytest_plugin"},
    }
    assert callable(pkgutil.resolve_name("airflow_spot_provider:get_provider_info"))
    assert callable(pkgutil.resolve_name("airflow_spot_provider.cli:main"))
    assert pkgutil.resolve_name("airflow_spot_provider.pytest_plugin")


def test_wheel_package_and_changelog_tell_the_same_version(wheel: zipfile.ZipFile) -> None:
    [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    built = email.message_from_bytes(wheel.read(name))["Version"]
    newest = re.search(r"^## (\d\S*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest, "CHANGELOG.md has no heading like '## 1.2.3'"
    assert built == airflow_spot_provider.__version__ == newest[1]


def test_constraints_are_plain_pins_of_every_requirement() -> None:
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    assert [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", pin)] == []
    assert pins == sorted(set(pins), key=lambda pin: (pin.upper(), pin))
    pinned = dict(pin.split("==") for pin in pins)
    pinned = {canonicalize_name(name): version for name, version in pinned.items()}
    extras = PROJECT["optional-dependencies"].values()
    for requirement in map(
        Requirement, [*PROJECT["dependencies"], *(line for extra in extras for line in extra)]
    ):
        if requirement.name != PROJECT["name"]:
            assert pinned[canonicalize_name(requirement.name)] in requirement.specifier, requirement


@pytest.mark.parametrize("block", _python_blocks())
def test_python_in_the_documentation_compiles(block: str) -> None:
    compile(block, "documentation", "exec")


@pytest.mark.parametrize("block", PYTHON_BLOCK.findall((ROOT / "README.md").read_text()))
def test_dags_in_the_readme_can_be_parsed(block: str) -> None:
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})  # noqa: S102 our own README
