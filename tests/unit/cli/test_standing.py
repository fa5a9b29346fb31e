"""What is to be thought of a job: an orphan is only what nobody waits for, for certain."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_spot_provider.aws.kinds import TRAINING_JOBS, TUNING_JOBS
from airflow_spot_provider.aws.ownership import RELEASED, tags_of
from airflow_spot_provider.cli.jobs.standing import Standing, judged
from airflow_spot_provider.cli.jobs.waiting import TaskOfJob
from airflow_spot_provider.hooks._tagged import TaggedJob
from airflow_spot_provider.training import TaskIdentity

TASK = TaskIdentity("churn", "r1", "train")


def a_job(status: str = "InProgress", released: str | None = None, **members: Any) -> TaggedJob:
    tags = tags_of(TASK, 1) | ({RELEASED: released} if released else {})
    return TaggedJob(
        TRAINING_JOBS, {"TrainingJobName": "churn-1", "TrainingJobStatus": status, **members}, tags
    )


def standing(job: TaggedJob, state: str | None, *, run_state: str = "running") -> Standing:
    return judged(job, TaskOfJob(TASK, state, run_state), airflow_is_known=True).standing


@pytest.mark.parametrize(
    "state",
    ["deferred", "running", "queued", "scheduled", "restarting", "up_for_retry", "up_for_reschedule"],
)
def test_a_job_whose_task_will_hear_of_it_is_waited_for(state: str) -> None:
    assert standing(a_job(), state) is Standing.WAITED_FOR


@pytest.mark.parametrize("state", ["success", "failed", "skipped", "upstream_failed", "removed"])
def test_a_job_whose_task_is_over_is_an_orphan(state: str) -> None:
    seen = judged(a_job(), TaskOfJob(TASK, state, "running"), airflow_is_known=True)
    assert seen.standing is Standing.ORPHAN
    assert seen.why == f"Its task is {state}: nobody waits for the job."


@pytest.mark.parametrize("run_state", ["queued", "running"])
def test_a_cleared_task_takes_its_job_up_while_its_run_goes_on(run_state: str) -> None:
    assert standing(a_job(), None, run_state=run_state) is Standing.WAITED_FOR


@pytest.mark.parametrize("run_state", ["success", "failed"])
def test_a_task_without_a_state_in_a_run_that_is_over_waits_for_nothing(run_state: str) -> None:
    assert standing(a_job(), None, run_state=run_state) is Standing.ORPHAN


def test_a_job_that_was_killed_and_still_runs_is_an_orphan_whoever_waits() -> None:
    assert standing(a_job(released="killed"), "deferred") is Standing.ORPHAN


def test_a_published_result_does_not_make_an_orphan_of_a_job_that_is_waited_for() -> None:
    assert standing(a_job(released="published"), "deferred") is Standing.WAITED_FOR


@pytest.mark.parametrize("state", ["failed", "deferred"])
def test_a_job_that_is_being_stopped_is_no_orphan(state: str) -> None:
    assert standing(a_job("Stopping", released="killed"), state) is Standing.ENDING


@pytest.mark.parametrize("status", ["Completed", "Failed", "Stopped"])
def test_a_job_that_has_ended_is_no_orphan(status: str) -> None:
    assert standing(a_job(status), "failed") is Standing.ENDED


def test_a_tuning_job_is_judged_by_its_own_status() -> None:
    tags = tags_of(TASK, 1)
    running, ended = (
        TaggedJob(
            TUNING_JOBS, {"HyperParameterTuningJobName": "t", "HyperParameterTuningJobStatus": status}, tags
        )
        for status in ("InProgress", "Completed")
    )
    assert [standing(running, "failed"), standing(ended, "failed")] == [Standing.ORPHAN, Standing.ENDED]


def test_a_job_of_no_task_here_is_never_an_orphan() -> None:
    assert judged(a_job(released="killed"), None, airflow_is_known=True).standing is Standing.UNKNOWN_HERE


def test_without_airflow_nothing_is_an_orphan() -> None:
    assert judged(a_job(released="killed"), None, airflow_is_known=False).standing is Standing.NOT_KNOWN
