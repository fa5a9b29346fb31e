"""Airflow reads its environment when it is first imported: it is set here, before any test imports it."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

from hypothesis import HealthCheck, settings

_airflow_home = tempfile.mkdtemp(prefix="airflow-spot-tests-")
atexit.register(shutil.rmtree, _airflow_home, ignore_errors=True)

os.environ["AIRFLOW_HOME"] = _airflow_home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "True"
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"

# Properties are checked without a time limit for one example: a busy machine is no failure.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
