"""What an Airflow says of the wheel that is installed beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest

import airflow_spot_provider
from airflow_spot_provider import get_provider_info
from tests.airflow_versions import DagBag

DAGS = Path(__file__).parents[2] / "dags"
NAME = "airflow-spot-provider"
pytestmark = [
    # Airflow's own reading of .airflowignore uses an old name of pathspec.
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),
    pytest.mark.timeout(600),
]


def _airflow(*arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "airflow", *arguments, "--output", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout[done.stdout.index("[{") :])


def test_it_is_the_wheel_that_is_tested() -> None:
    assert Path(sys.prefix) in Path(airflow_spot_provider.__file__).parents


def test_provider_info_follows_this_airflows_schema() -> None:
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())

    jsonschema.validate(get_provider_info(), schema)


def test_airflow_lists_the_provider_with_its_version() -> None:
    [ours] = [each for each in _airflow("providers", "list") if each["package_name"] == NAME]

    assert ours["version"] == airflow_spot_provider.__version__


@pytest.mark.parametrize(
    ("what", "of_ours"),
    [
        ("links", "airflow_spot_provider.links."),
        ("triggers", "airflow_spot_provider.triggers.training"),
        ("notifications", "airflow_spot_provider.notifications.spot_outcome"),
    ],
)
def test_airflow_lists_what_the_provider_brings(what: str, of_ours: str) -> None:
    assert of_ours in json.dumps(_airflow("providers", what))


def test_every_example_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DAGS)
    bag = DagBag(DAGS)

    assert bag.import_errors == {}
    assert len(bag.dags) == 6
