"""What the API server's Airflow has."""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin


def deadline_model() -> Any | None:
    """Airflow's table of deadlines, where those that can still be met are told apart; None before Airflow 3.2."""
    from airflow.models.deadline import Deadline

    return Deadline if hasattr(Deadline, "missed") else None


def has_external_views() -> bool:
    """Whether this Airflow shows pages of plugins: from 3.1 on."""
    return hasattr(AirflowPlugin, "external_views")
