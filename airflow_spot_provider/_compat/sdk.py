"""Airflow's own classes and exceptions, from where this version keeps them."""

from __future__ import annotations

from airflow.configuration import conf
from airflow.sdk import BaseNotifier, BaseOperator, PokeReturnValue
from airflow.sdk.log import mask_secret

try:
    from airflow.sdk import BaseHook
except ImportError:  # Airflow 3.0
    from airflow.hooks.base import BaseHook  # type: ignore[attr-defined, no-redef]
try:
    from airflow.sdk.bases.branch import BaseBranchOperator
except ImportError:  # before Airflow 3.2
    from airflow.providers.standard.operators.branch import BaseBranchOperator  # type: ignore[assignment]
try:
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowNotFoundException,
        AirflowSkipException,
        TaskDeferralError,
        TaskDeferralTimeout,
    )
except ImportError:  # before Airflow 3.2
    from airflow.exceptions import (  # type: ignore[attr-defined, no-redef]
        AirflowException,
        AirflowNotFoundException,
        AirflowSkipException,
        TaskDeferralError,
        TaskDeferralTimeout,
    )
try:
    from airflow.sdk.observability.stats import Stats
except ImportError:  # before Airflow 3.2
    from airflow.stats import Stats

__all__ = [
    "AirflowException",
    "AirflowNotFoundException",
    "AirflowSkipException",
    "BaseBranchOperator",
    "BaseHook",
    "BaseNotifier",
    "BaseOperator",
    "PokeReturnValue",
    "Stats",
    "TaskDeferralError",
    "TaskDeferralTimeout",
    "conf",
    "mask_secret",
]
