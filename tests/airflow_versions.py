"""What the tests need of Airflow, from where its versions keep it; and which of them a version cannot run."""

from __future__ import annotations

from typing import Any

import pytest
from airflow import __version__
from packaging.version import Version

try:
    from airflow.sdk.exceptions import (
        AirflowSkipException,
        TaskDeferralError,
        TaskDeferralTimeout,
        TaskDeferred,
    )
except ImportError:  # before Airflow 3.2
    from airflow.exceptions import AirflowSkipException, TaskDeferralError, TaskDeferralTimeout, TaskDeferred
try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # before Airflow 3.2
    from airflow.models.dagbag import DagBag
try:
    from airflow.sdk import AssetOrTimeSchedule
except ImportError:  # before Airflow 3.2
    from airflow.timetables.assets import AssetOrTimeSchedule
try:
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:  # before Airflow 3.2
    from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization

__all__ = [
    "AIRFLOW",
    "AirflowSkipException",
    "AssetOrTimeSchedule",
    "ByAsset",
    "DagBag",
    "DagSerialization",
    "TaskDeferralError",
    "TaskDeferralTimeout",
    "TaskDeferred",
    "needs_airflow",
]


class ByAsset(dict[Any, Any]):
    """What Airflow's accessors of asset events are: looked up by an asset, which before Airflow 3.2 cannot be hashed."""

    def __init__(self, *items: tuple[Any, Any]) -> None:
        super().__init__((self._key(asset), value) for asset, value in items)

    def __getitem__(self, asset: Any) -> Any:
        try:
            return super().__getitem__(self._key(asset))
        except KeyError:
            raise KeyError(asset) from None

    def __contains__(self, asset: Any) -> bool:
        return super().__contains__(self._key(asset))

    def get(self, asset: Any, default: Any = None) -> Any:
        return super().get(self._key(asset), default)

    @staticmethod
    def _key(asset: Any) -> Any:
        return type(asset).__name__, asset.name, getattr(asset, "uri", None)


AIRFLOW = Version(__version__)


def needs_airflow(version: str, what: str) -> pytest.MarkDecorator:
    """A mark for what a version before this one cannot do; ``docs/versions.md`` says the same to users."""
    return pytest.mark.skipif(Version(version) > AIRFLOW, reason=f"needs Airflow {version}: {what}")
