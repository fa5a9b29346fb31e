"""What an older Airflow takes otherwise."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_spot_provider._compat import runs


@pytest.mark.parametrize(
    ("task_sdk", "published"),
    [("1.0.6", [("figure", 0.0)]), ("1.1.0", [("none", None), ("figure", 0.0)])],
)
def test_airflow_3_0_is_not_given_a_none_that_it_refuses(
    monkeypatch: pytest.MonkeyPatch, task_sdk: str, published: list[tuple[str, Any]]
) -> None:
    monkeypatch.setattr(runs, "task_sdk", task_sdk)
    told: list[tuple[str, Any]] = []
    task_instance = SimpleNamespace(xcom_push=lambda key, value: told.append((key, value)))

    runs.push_xcom(task_instance, "none", None)
    runs.push_xcom(task_instance, "figure", 0.0)

    assert told == published
