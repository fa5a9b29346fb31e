"""Which task instance a job is of: digests tell, names only help to find it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session

from airflow_spot_provider.aws.kinds import TRAINING_JOBS
from airflow_spot_provider.aws.ownership import tags_of
from airflow_spot_provider.cli.jobs.waiting import TaskOfJob, tasks_of
from airflow_spot_provider.hooks._tagged import TaggedJob
from airflow_spot_provider.training import TaskIdentity, job_name
from tests.ui.metadata import Metadata, ago, task_row

TASK = TaskIdentity("churn", "manual__1", "group.train", 3)
STUDY = "churn/manual__1/sweep"


def a_job(task: TaskIdentity, attempt: int = 1) -> TaggedJob:
    name = job_name(task, attempt)
    return TaggedJob(TRAINING_JOBS, {"TrainingJobName": name}, tags_of(task, 1))


def found(*jobs: TaggedJob, deployment: str = "") -> dict[str, TaskOfJob]:
    with create_session() as session:
        return tasks_of(session, jobs, deployment)


@pytest.fixture
def airflow(metadata: Metadata) -> Metadata:
    """With one mapped task that waits."""
    metadata.add_dags("churn")
    metadata.add_run("churn", "manual__1", run_after=ago(hours=1), state="running")
    metadata.insert(TaskInstance, [task_row("churn", "manual__1", "group.train", 3, state="deferred")])
    return metadata


def sweeps_slot(airflow: Metadata, rendered: dict[str, object] | None) -> TaskIdentity:
    airflow.insert(TaskInstance, [task_row("churn", "manual__1", "sweep.trials", 0, state="up_for_retry")])
    if rendered is not None:
        row = {"dag_id": "churn", "run_id": "manual__1", "task_id": "sweep.trials", "map_index": 0}
        airflow.insert(RenderedTaskInstanceFields, [{**row, "rendered_fields": rendered}])
    return TaskIdentity("churn", "manual__1", "sweep.trials", 0)


@pytest.mark.usefixtures("airflow")
def test_a_job_is_found_by_its_tags_with_the_state_of_its_task_and_run() -> None:
    job = a_job(TASK)
    assert found(job) == {job.name: TaskOfJob(TASK, "deferred", "running")}


@pytest.mark.usefixtures("airflow")
@pytest.mark.parametrize(
    "other",
    [
        replace(TASK, dag_id="other"),
        replace(TASK, run_id="manual__2"),
        replace(TASK, task_id="train"),
        replace(TASK, map_index=2),
        replace(TASK, map_index=-1),
        replace(TASK, deployment="staging"),
    ],
)
def test_a_job_of_another_task_run_or_deployment_is_not_found(other: TaskIdentity) -> None:
    assert found(a_job(other)) == {}


@pytest.mark.usefixtures("airflow")
def test_a_deployment_finds_its_own_jobs() -> None:
    own = replace(TASK, deployment="staging")
    job = a_job(own)
    assert found(job, a_job(TASK), deployment="staging") == {job.name: TaskOfJob(own, "deferred", "running")}


@pytest.mark.usefixtures("airflow")
def test_names_that_somebody_has_put_on_another_job_do_not_make_it_ours() -> None:
    job = a_job(TASK)
    assert found(replace(job, tags={**job.tags, "airflow-spot:task": "aaaaaaaaaaaa"})) == {}


@pytest.mark.usefixtures("airflow")
def test_tags_with_parts_missing_or_odd_are_of_nobody() -> None:
    digest = {"airflow-spot:task": TASK.digest}
    odd = {**tags_of(TASK, 1), "airflow-spot:map-index": "٣"}
    for tags in (digest, odd):
        assert found(TaggedJob(TRAINING_JOBS, {"TrainingJobName": "n"}, tags)) == {}


def test_a_run_id_that_a_tag_cannot_hold_is_told_by_the_digest(airflow: Metadata) -> None:
    runs = ["a~b", "a_b", "a%b"]
    for run_id, state in zip(runs, ["deferred", "failed", "success"], strict=True):
        airflow.add_run("churn", run_id, run_after=ago(hours=1), state="running")
        airflow.insert(TaskInstance, [task_row("churn", run_id, "train", state=state)])
    identities = [TaskIdentity("churn", run_id, "train") for run_id in runs]
    jobs = [a_job(each) for each in identities]
    assert {job.tags["airflow-spot:run-id"] for job in jobs} == {"a_b"}
    assert found(*jobs) == {
        job.name: TaskOfJob(each, state, "running")
        for job, each, state in zip(jobs, identities, ["deferred", "failed", "success"], strict=True)
    }


def test_the_job_of_a_trial_is_its_slots(airflow: Metadata) -> None:
    slot = sweeps_slot(airflow, {"study": STUDY, "storage": "***"})
    trial = replace(slot, trial=(STUDY, 17))
    job = a_job(trial, attempt=2)
    assert found(job) == {job.name: TaskOfJob(trial, "up_for_retry", "running")}


@pytest.mark.parametrize("rendered", [None, {}, {"study": 7}, {"study": "another"}, ["study"]])
def test_a_trial_whose_study_is_not_known_here_is_nobodys(
    airflow: Metadata, rendered: dict[str, object]
) -> None:
    slot = sweeps_slot(airflow, rendered)
    assert found(a_job(replace(slot, trial=(STUDY, 17)))) == {}


def test_a_trial_of_another_deployments_study_is_nobodys(airflow: Metadata) -> None:
    slot = replace(sweeps_slot(airflow, {"study": STUDY}), deployment="staging")
    assert found(a_job(replace(slot, trial=(STUDY, 17)))) == {}


def test_many_jobs_are_asked_about_in_few_queries(airflow: Metadata) -> None:
    airflow.insert(
        TaskInstance,
        [task_row("churn", "manual__1", "fan_out", index, state="deferred") for index in range(450)],
    )
    jobs = [a_job(TaskIdentity("churn", "manual__1", "fan_out", index)) for index in range(500)]
    assert len(found(*jobs)) == 450
