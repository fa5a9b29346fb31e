"""Which lifecycle a new job gets."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_spot_provider.emulator.jobs.lifecycles import LIFECYCLES, lifecycle_named
from airflow_spot_provider.emulator.jobs.plans import Plans
from airflow_spot_provider.emulator.spec import JobSpec

SERVER = lifecycle_named("never-launched")


def _spec(name: str = "job", lifecycle: str | None = None) -> JobSpec:
    tags = [] if lifecycle is None else [{"Key": "emulator:lifecycle", "Value": lifecycle}]
    return JobSpec({"TrainingJobName": name, "Tags": tags}, "123456789012", "us-east-1")


def test_servers_lifecycle_is_for_jobs_that_nothing_else_was_said_of() -> None:
    assert Plans(SERVER).take(_spec()) is SERVER


def test_tag_wins_over_the_server_and_a_plan_over_the_tag() -> None:
    plans = Plans(SERVER)
    assert plans.take(_spec(lifecycle="failed")).name == "failed"
    plans.plan(lifecycle_named("interrupted-once"))
    assert plans.take(_spec(lifecycle="failed")).name == "interrupted-once"
    assert plans.take(_spec(lifecycle="failed")).name == "failed"


def test_plans_are_for_the_next_jobs_in_turn_and_for_named_ones_once() -> None:
    plans = Plans(SERVER)
    plans.plan(lifecycle_named("interrupted-once"))
    plans.plan(lifecycle_named("failed"))
    plans.plan(lifecycle_named("uninterrupted"), "chosen")
    taken = [plans.take(_spec(name)).name for name in ("a", "chosen", "b", "chosen")]
    assert taken == ["interrupted-once", "uninterrupted", "failed", "never-launched"]


def test_unknown_lifecycle_is_refused_with_those_there_are() -> None:
    plans = Plans(SERVER)
    plans.plan(lifecycle_named("failed"))
    with pytest.raises(ValueError, match="no lifecycle 'nope'; choose one of") as refusal:
        plans.take(_spec(lifecycle="nope"))
    assert all(name in str(refusal.value) for name in LIFECYCLES)
    assert plans.take(_spec()).name == "failed"


@pytest.mark.parametrize("name", [None, 5, ["failed"], {}, ""])
def test_what_is_no_name_names_no_lifecycle(name: Any) -> None:
    with pytest.raises(ValueError, match="choose one of"):
        lifecycle_named(name)
