"""Members of a fan-out on the emulator, over HTTP: none writes where another does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from tests.integration.conftest import BUCKET
from tests.integration.provider.task_instance import FakeTaskInstance

pytestmark = pytest.mark.usefixtures("aws_connection")

Build = Callable[..., SageMakerSpotTrainingOperator]


@pytest.fixture
def prefix(unique: str) -> str:
    return f"s3://{BUCKET}/{unique}/checkpoints"


@pytest.fixture
def build(job_config: dict[str, Any]) -> Build:
    def _build(**kwargs: Any) -> SageMakerSpotTrainingOperator:
        arguments: dict[str, Any] = {
            "config": job_config,
            "max_wait": 1200,
            "poll_interval": 1,
            "deferrable": False,
            "print_log": False,
            "region_name": "us-east-1",
            **kwargs,
        }
        return SageMakerSpotTrainingOperator(task_id="train", **arguments)

    return _build


def _member(unique: str, map_index: int, task_id: str = "train") -> FakeTaskInstance:
    ti = FakeTaskInstance(f"manual__{unique}", task_id=task_id)
    ti.map_index = map_index
    return ti


def _trained(operator: SageMakerSpotTrainingOperator, ti: FakeTaskInstance) -> dict[str, Any]:
    operator.render_template_fields(ti.context)
    return operator.execute(ti.context)


def _prefix(operator: SageMakerSpotTrainingOperator, ti: FakeTaskInstance) -> str:
    """The checkpoint prefix that the operator would submit."""
    operator.render_template_fields(ti.context)
    operator._identify(ti.context)
    return str(operator._request()["CheckpointConfig"]["S3Uri"])


@pytest.mark.parametrize("by", ["argument", "config"])
def test_each_member_has_a_checkpoint_prefix_and_an_output_of_its_own(
    build: Build, unique: str, prefix: str, by: str, job_config: dict[str, Any]
) -> None:
    in_config = {"config": {**job_config, "CheckpointConfig": {"S3Uri": prefix + "/"}}}
    arguments = {"checkpoint_s3_uri": prefix} if by == "argument" else in_config

    results = [_trained(build(**arguments), _member(unique, index)) for index in (0, 1)]

    assert [result["checkpoint_s3_uri"] for result in results] == [f"{prefix}/0", f"{prefix}/1"]
    models = [result["model_artifacts"] for result in results]
    assert len(set(models)) == 2
    assert all(model.startswith(f"s3://{BUCKET}/output/") for model in models)


@pytest.mark.parametrize(
    ("given", "map_index", "arguments", "expected"),
    [
        ("/x", -1, {}, "/x"),
        ("/x", 7, {"separate_members": False}, "/x"),
        ("/of-{{ ti.map_index }}/x", 7, {}, "/of-7/x"),
    ],
)
def test_prefix_is_left_as_it_is_where_there_is_nothing_to_keep_apart(
    build: Build,
    unique: str,
    prefix: str,
    given: str,
    map_index: int,
    arguments: dict[str, Any],
    expected: str,
) -> None:
    operator = build(checkpoint_s3_uri=prefix + given, **arguments)

    assert _prefix(operator, _member(unique, map_index)) == prefix + expected


def test_spot_and_on_demand_training_of_a_mapped_group_share_their_members_prefix(
    build: Build, unique: str, prefix: str
) -> None:
    on_spot = build(checkpoint_s3_uri=prefix)
    on_demand = build(checkpoint_s3_uri=prefix, managed_spot=False, max_wait=None)

    prefixes = [
        _prefix(operator, _member(unique, 2, f"g.{name}"))
        for operator, name in ((on_spot, "train_on_spot"), (on_demand, "train_on_demand"))
    ]

    assert prefixes == [f"{prefix}/2"] * 2


def test_completed_member_that_is_cleared_trains_anew_under_its_own_prefix(
    build: Build, unique: str, prefix: str
) -> None:
    first = _trained(build(checkpoint_s3_uri=prefix), _member(unique, 4))
    cleared = _member(unique, 4)
    cleared.try_number, cleared.max_tries = 2, 1
    second = _trained(build(checkpoint_s3_uri=prefix), cleared)

    assert first["job_name"] != second["job_name"]
    assert first["checkpoint_s3_uri"] == f"{prefix}/4"
    assert second["checkpoint_s3_uri"] == f"{prefix}/4/{second['job_name']}"
