"""Airflow reads its environment when it is first imported: it is set here, before any test imports it."""

from __future__ import annotations

import os
import tempfile

_airflow_home = tempfile.TemporaryDirectory(prefix="airflow-spot-tests-")

os.environ["AIRFLOW_HOME"] = _airflow_home.name
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "True"
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"


def pytest_unconfigure() -> None:
    _airflow_home.cleanup()
