"""Fixtures for tests of DAGs, scripts and clients: a local SageMaker. Installed with the package; pytest finds them by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_spot_provider.emulator import SageMakerEmulator


@pytest.fixture(scope="session")
def sagemaker_emulator_settings() -> dict[str, Any]:
    """Settings of the emulator: a minute passes in a second. Override it in your ``conftest.py``."""
    return {"speed": 60.0}


@pytest.fixture(scope="session")
def sagemaker_emulator(sagemaker_emulator_settings: dict[str, Any]) -> Iterator[SageMakerEmulator]:
    """A local SageMaker for the whole run, on a free port; see docs/emulator.md for what it can do."""
    # Imported here: whoever has the package installed, and tests something else, need not wait for it.
    from airflow_spot_provider.emulator import SageMakerEmulator

    with SageMakerEmulator(**sagemaker_emulator_settings) as emulator:
        yield emulator


@pytest.fixture
def sagemaker_emulator_environment(
    sagemaker_emulator: SageMakerEmulator, monkeypatch: pytest.MonkeyPatch
) -> SageMakerEmulator:
    """The same, with the environment leading AWS's clients, and Airflow's connection ``aws_default``, to it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", sagemaker_emulator.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "emulator")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "emulator")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", sagemaker_emulator.airflow_connection())
    return sagemaker_emulator
