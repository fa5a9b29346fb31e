"""What a tuning job's training jobs run on, where its definitions agree."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_spot_provider.training.tuning_progress import instance_type_of


def _on(instance_type: str) -> dict[str, Any]:
    return {"ResourceConfig": {"InstanceType": instance_type, "InstanceCount": 1}}


@pytest.mark.parametrize(
    ("description", "instance_type"),
    [
        ({"TrainingJobDefinition": _on("ml.m5.large")}, "ml.m5.large"),
        ({"TrainingJobDefinitions": [_on("ml.m5.large"), _on("ml.m5.large")]}, "ml.m5.large"),
        ({"TrainingJobDefinitions": [_on("ml.m5.large"), _on("ml.g5.xlarge")]}, None),
        ({}, None),
    ],
)
def test_instance_type_is_told_where_all_training_jobs_have_the_same(
    description: dict[str, Any], instance_type: str | None
) -> None:
    assert instance_type_of(description) == instance_type
