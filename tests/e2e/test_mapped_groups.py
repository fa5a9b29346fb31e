"""Mapped task groups on a real scheduler: a member that completed on spot is trained once, whatever Airflow makes of a branch there."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_spot_provider.demo.local_airflow import LocalAirflow
from tests.e2e.conftest import Jobs, Run

pytestmark = [pytest.mark.e2e, pytest.mark.search, pytest.mark.timeout(1800)]

OUTCOMES = ["Completed", "MaxWaitTimeExceeded", "Failed", "Completed"]
TO_SKIP, TO_RUN, OUT_OF_REACH = "skipped", "success", "upstream_failed"


def _states(run: Run, *task_ids: str) -> dict[str, list[str]]:
    return {
        task_id.rsplit(".", 1)[-1]: [member["state"] for member in run.members(task_id)]
        for task_id in task_ids
    }


def _trained(jobs: Jobs) -> list[tuple[bool, str]]:
    """Whether on spot, and how it ended, of every job of the run."""
    return sorted(
        (bool(job.get("EnableManagedSpotTraining")), job["SecondaryStatus"]) for job in jobs.descriptions()
    )


SPOT = [(True, outcome) for outcome in sorted(OUTCOMES)]


def test_members_that_completed_on_spot_have_no_second_training(
    airflow: LocalAirflow, run_id: str, jobs: Any
) -> None:
    run = Run(airflow, "e2e_mapped_group", run_id)

    assert run.start() == "failed"  # one member's training failed

    group = "member.model"
    assert _states(run, f"{group}.train_on_spot", f"{group}.train_on_demand", f"{group}.result") == {
        "train_on_spot": [TO_RUN, TO_RUN, "failed", TO_RUN],
        "train_on_demand": [TO_SKIP, TO_RUN, OUT_OF_REACH, TO_SKIP],
        "result": [TO_RUN, TO_RUN, OUT_OF_REACH, TO_RUN],
    }
    assert _trained(jobs) == [(False, "Completed"), *SPOT]
    results = {index: run.result(f"{group}.result", index) for index in (0, 1, 3)}
    assert {index: (result["outcome"], result["managed_spot"]) for index, result in results.items()} == {
        0: ("Completed", True),
        1: ("Completed", False),
        3: ("Completed", True),
    }


def test_what_a_branch_by_hand_did_not_choose_is_skipped_for_that_member(
    airflow: LocalAirflow, run_id: str, jobs: Any
) -> None:
    run = Run(airflow, "e2e_mapped_branch", run_id)

    run.start()

    assert _states(run, "by_hand.branch", "by_hand.demand", "by_hand.deploy") == {
        "branch": [TO_RUN] * 4,
        "demand": [TO_SKIP, TO_RUN, TO_SKIP, TO_SKIP],
        "deploy": [TO_RUN, TO_SKIP, TO_SKIP, TO_RUN],
    }
    assert _trained(jobs) == [(False, "Completed"), *SPOT]
