"""Airflow reads its environment when it is first imported: it is set here, before any test imports it."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

import pytest

_airflow_home = tempfile.mkdtemp(prefix="airflow-spot-tests-")
atexit.register(shutil.rmtree, _airflow_home, ignore_errors=True)

os.environ["AIRFLOW_HOME"] = _airflow_home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "True"
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On several workers the tests of a file stay together, and all that need a real Airflow: they begin first, and share one."""
    for item in items:
        group = "e2e" if "e2e" in item.path.parts else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: "e2e" not in item.path.parts)
