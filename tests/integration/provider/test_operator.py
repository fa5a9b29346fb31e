"""The training operator on the emulator, over HTTP: submit, adopt, publish, judge, stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_spot_provider.aws.kinds import TRAINING_JOBS
from airflow_spot_provider.aws.ownership import RELEASED, TASK, TRY
from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.training import (
    ConnectionNotFound,
    InvalidSpotRequest,
    JobNameTaken,
    MaxRuntimeExceeded,
    MaxWaitTimeExceeded,
    SpotTrainingError,
    SpotTrainingResult,
    TrainingJobFailed,
    TrainingJobStopped,
    WatchFailed,
)
from airflow_spot_provider.triggers.training import SageMakerSpotTrainingTrigger
from tests.airflow_versions import TaskDeferralError, TaskDeferralTimeout, TaskDeferred
from tests.integration.provider.task_instance import FakeTaskInstance

pytestmark = pytest.mark.usefixtures("aws_connection")

Build = Callable[..., SageMakerSpotTrainingOperator]


@pytest.fixture
def build(job_config: dict[str, Any]) -> Build:
    """Make an operator; ``lifecycle`` is what the emulator plays for its job."""

    def _build(lifecycle: str = "uninterrupted", **kwargs: Any) -> SageMakerSpotTrainingOperator:
        config = {**job_config, **kwargs.pop("config", {})}
        config["Tags"] = [*config["Tags"], {"Key": "emulator:lifecycle", "Value": lifecycle}]
        arguments = {
            "max_wait": 1200,
            "poll_interval": 1,
            "deferrable": False,
            "region_name": "us-east-1",
            **kwargs,
        }
        return SageMakerSpotTrainingOperator(task_id="train", config=config, **arguments)

    return _build


@pytest.fixture
def hook() -> SageMakerSpotHook:
    return SageMakerSpotHook(region_name="us-east-1")


@pytest.fixture
def ti(unique: str) -> FakeTaskInstance:
    return FakeTaskInstance(f"manual__{unique}")


def _deferred(operator: SageMakerSpotTrainingOperator, ti: FakeTaskInstance) -> TaskDeferred:
    operator.deferrable = True
    with pytest.raises(TaskDeferred) as deferral:
        operator.execute(ti.context)
    return deferral.value


def _job_of(deferral: TaskDeferred) -> str:
    trigger = deferral.trigger
    assert isinstance(trigger, SageMakerSpotTrainingTrigger)
    return trigger.job_name


def _jobs_of(emulator: SageMakerEmulator, ti: FakeTaskInstance) -> list[str]:
    """Every job whose tags name this run, whatever its name."""
    sagemaker = emulator.client("sagemaker")
    return [
        job["TrainingJobName"]
        for page in sagemaker.get_paginator("list_training_jobs").paginate()
        for job in page["TrainingJobSummaries"]
        if {"Key": "airflow-spot:run-id", "Value": ti.run_id}
        in sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    ]


def test_completed_job_is_published_and_returned(
    build: Build, ti: FakeTaskInstance, hook: SageMakerSpotHook
) -> None:
    returned = build("interrupted-once").execute(ti.context)

    result = SpotTrainingResult.from_json(ti.xcoms["return_value"])
    assert result.to_json() == returned
    description = hook.jobs(TRAINING_JOBS).get(result.job_name)
    assert (result.outcome, result.interruptions, result.managed_spot) == ("Completed", 1, True)
    expected = (1 - description["BillableTimeInSeconds"] / description["TrainingTimeInSeconds"]) * 100
    assert ti.xcoms["savings_percent"] == result.savings_percent == pytest.approx(expected)
    assert hook.jobs(TRAINING_JOBS).get_tags(description["TrainingJobArn"])[RELEASED] == "done max_tries=0"


@pytest.mark.parametrize(
    ("lifecycle", "raised", "outcome"),
    [
        ("interrupted-twice-then-max-wait", MaxWaitTimeExceeded, "MaxWaitTimeExceeded"),
        ("never-launched", MaxWaitTimeExceeded, "MaxWaitTimeExceeded"),
        ("failed", TrainingJobFailed, "Failed"),
    ],
)
def test_result_is_published_before_the_outcome_is_raised(
    build: Build, ti: FakeTaskInstance, lifecycle: str, raised: type[SpotTrainingError], outcome: str
) -> None:
    with pytest.raises(raised) as error:
        build(lifecycle, max_wait=600).execute(ti.context)

    assert ti.xcoms["return_value"]["outcome"] == outcome
    assert ti.xcoms["return_value"]["job_name"] in str(error.value)


def test_job_that_never_trained_has_no_savings_figure(build: Build, ti: FakeTaskInstance) -> None:
    build("never-launched", max_wait=600, accept=("MaxWaitTimeExceeded",)).execute(ti.context)

    assert ti.xcoms["savings_percent"] is None
    assert ti.xcoms["return_value"]["waiting_seconds"] > 0


def test_max_runtime_exceeded_is_told_apart(build: Build, ti: FakeTaskInstance) -> None:
    tags = [{"Key": "emulator:training-seconds", "Value": "500"}]
    config = {"StoppingCondition": {"MaxRuntimeInSeconds": 60}, "Tags": tags}

    with pytest.raises(MaxRuntimeExceeded):
        build(config=config).execute(ti.context)

    assert ti.xcoms["return_value"]["outcome"] == "MaxRuntimeExceeded"


def test_job_that_somebody_stopped_is_told_apart(
    build: Build, ti: FakeTaskInstance, emulator: SageMakerEmulator
) -> None:
    job = _job_of(_deferred(build("never-launched"), ti))
    emulator.client("sagemaker").stop_training_job(TrainingJobName=job)

    with pytest.raises(TrainingJobStopped):
        build("never-launched").execute(ti.next_try().context)


def test_deferral_carries_every_setting_to_the_trigger(build: Build, ti: FakeTaskInstance) -> None:
    operator = build(
        region_name="eu-west-1",
        verify=False,
        botocore_config={"read_timeout": 7},
        poll_interval=3,
        cancel_on_kill=False,
    )
    deferral = _deferred(operator, ti)

    path, arguments = deferral.trigger.serialize()
    assert path == "airflow_spot_provider.triggers.training.SageMakerSpotTrainingTrigger"
    job_name = arguments.pop("job_name")
    assert arguments == {
        "aws_conn_id": "aws_default",
        "region_name": "eu-west-1",
        "verify": False,
        "botocore_config": {"read_timeout": 7},
        "poll_interval": 3,
        "cancel_on_kill": False,
        "try_number": 1,
        "facts": {"aws_conn_id": "aws_default", "region": "eu-west-1"},
        "print_log": True,
    }
    json.dumps(arguments)
    assert ti.xcoms["sagemaker_training_job"]["job_name"] == job_name


def test_retry_adopts_the_job_that_a_crashed_try_submitted(
    build: Build, ti: FakeTaskInstance, hook: SageMakerSpotHook, emulator: SageMakerEmulator
) -> None:
    first = _job_of(_deferred(build(), ti))

    result = build().execute(ti.next_try().context)

    assert result["job_name"] == first
    assert _jobs_of(emulator, ti) == [first]
    assert (
        hook.jobs(TRAINING_JOBS).get_tags(result["job_arn"])[TRY] == "2" or result["outcome"] == "Completed"
    )


def test_retry_adopts_a_job_that_ended_unseen(build: Build, ti: FakeTaskInstance) -> None:
    operator = build()
    job = _job_of(_deferred(operator, ti))
    operator._jobs.watch(job, poll_interval=1)

    # Not deferred for: Airflow's scheduler fails a task that resumes before it has heard of the deferral.
    assert build(deferrable=True).execute(ti.next_try().context)["job_name"] == job


def test_clearing_a_finished_task_starts_a_new_job(build: Build, ti: FakeTaskInstance) -> None:
    first = build().execute(ti.context)
    second = build().execute(ti.cleared().context)

    assert first["job_name"] != second["job_name"]
    assert [attempt["job_name"] for attempt in second["attempts"]] == [first["job_name"], second["job_name"]]


class _Died(BaseException):
    """The worker's process is no more."""


@pytest.mark.parametrize("died_in", ["_publish", "_release", "_repeat_training_log", "_returned"])
def test_worker_that_dies_before_airflow_hears_of_the_success_trains_nothing_twice(
    build: Build, ti: FakeTaskInstance, monkeypatch: pytest.MonkeyPatch, died_in: str
) -> None:
    dying = build()

    def _dies(*_: Any, **__: Any) -> Any:
        raise _Died

    monkeypatch.setattr(dying, died_in, _dies)
    with pytest.raises(_Died):
        dying.execute(ti.context)

    result = build().execute(ti.next_try().context)

    assert [attempt["job_name"] for attempt in result["attempts"]] == [result["job_name"]]
    assert result["job_name"].endswith("-1")
    assert build().execute(ti.next_try().cleared().context)["job_name"].endswith("-2")


def test_retry_after_an_outcome_that_was_not_accepted_trains_again(
    build: Build, ti: FakeTaskInstance
) -> None:
    with pytest.raises(TrainingJobFailed):
        build("failed").execute(ti.context)

    assert build().execute(ti.next_try().context)["job_name"].endswith("-2")


def test_task_waits_for_a_killed_job_to_end_before_it_has_another(
    build: Build, ti: FakeTaskInstance, hook: SageMakerSpotHook
) -> None:
    operator = build("never-launched", max_wait=3600)
    first = _job_of(_deferred(operator, ti))
    operator.on_kill()

    second = build().execute(ti.next_try().context)

    assert second["job_name"] != first
    killed, fresh = hook.jobs(TRAINING_JOBS).get(first), hook.jobs(TRAINING_JOBS).get(second["job_name"])
    assert killed["TrainingJobStatus"] == "Stopped"
    assert fresh["CreationTime"] >= killed["SecondaryStatusTransitions"][-1]["StartTime"]


def test_kill_in_the_worker_stops_the_job(
    build: Build, ti: FakeTaskInstance, hook: SageMakerSpotHook
) -> None:
    operator = build("never-launched")
    job = _job_of(_deferred(operator, ti))

    operator.on_kill()

    assert hook.jobs(TRAINING_JOBS).get(job)["TrainingJobStatus"] in ("Stopping", "Stopped")


def test_kill_leaves_a_job_alone_that_a_later_try_has_taken_over(
    build: Build, ti: FakeTaskInstance, hook: SageMakerSpotHook
) -> None:
    killed = build("never-launched")
    job = _job_of(_deferred(killed, ti))
    _deferred(build("never-launched"), ti.next_try())

    killed.on_kill()

    assert hook.jobs(TRAINING_JOBS).get(job)["TrainingJobStatus"] == "InProgress"
    hook.jobs(TRAINING_JOBS).stop(job)


def test_cancel_on_kill_can_be_declined(build: Build, ti: FakeTaskInstance, hook: SageMakerSpotHook) -> None:
    operator = build("never-launched", cancel_on_kill=False)
    job = _job_of(_deferred(operator, ti))

    operator.on_kill()

    assert hook.jobs(TRAINING_JOBS).get(job)["TrainingJobStatus"] == "InProgress"
    hook.jobs(TRAINING_JOBS).stop(job)


def test_job_is_stopped_when_the_execution_timeout_is_over(
    build: Build, ti: FakeTaskInstance, hook: SageMakerSpotHook
) -> None:
    job = _job_of(_deferred(build("never-launched"), ti))

    with pytest.raises(TaskDeferralTimeout):
        build("never-launched").resume_execution("__fail__", {"error": "Trigger timeout"}, ti.context)

    assert hook.jobs(TRAINING_JOBS).get(job)["TrainingJobStatus"] in ("Stopping", "Stopped")


@pytest.mark.parametrize(("max_tries", "status"), [(0, {"Stopping", "Stopped"}), (1, {"InProgress"})])
def test_job_outlives_a_lost_trigger_only_if_a_retry_will_take_it_up(
    build: Build, ti: FakeTaskInstance, hook: SageMakerSpotHook, max_tries: int, status: set[str]
) -> None:
    ti.max_tries = max_tries
    job = _job_of(_deferred(build("never-launched"), ti))

    with pytest.raises(TaskDeferralError):
        build("never-launched").resume_execution("__fail__", {"error": "Trigger failure"}, ti.context)

    assert hook.jobs(TRAINING_JOBS).get(job)["TrainingJobStatus"] in status
    hook.jobs(TRAINING_JOBS).stop(job)


def test_trigger_that_gave_up_fails_the_task_in_its_words(build: Build, ti: FakeTaskInstance) -> None:
    job = _job_of(_deferred(build(), ti))
    event = {"job_name": job, "outcome": None, "error": "AccessDenied: not allowed"}

    with pytest.raises(WatchFailed, match="AccessDenied"):
        build().execute_complete(ti.context, event)


def test_name_of_the_users_own_is_kept_and_counted_up(
    build: Build, ti: FakeTaskInstance, unique: str
) -> None:
    config = {"TrainingJobName": f"mine-{unique}"}
    first = build(config=config).execute(ti.context)
    second = build(config=config).execute(ti.cleared().context)

    assert [first["job_name"], second["job_name"]] == [f"mine-{unique}", f"mine-{unique}-2"]


def test_name_that_belongs_to_another_job_is_refused(build: Build, ti: FakeTaskInstance, unique: str) -> None:
    config = {"TrainingJobName": f"mine-{unique}"}
    build(config=config).execute(ti.context)
    other = FakeTaskInstance(f"{ti.run_id}-other")
    operator = build(config=config)

    with pytest.raises(
        JobNameTaken, match=r"action_if_job_exists='timestamp'.*each run, also several of one day"
    ):
        operator.execute(other.context)


def test_kill_never_stops_a_job_of_another_task(
    build: Build, ti: FakeTaskInstance, unique: str, hook: SageMakerSpotHook
) -> None:
    config = {"TrainingJobName": f"mine-{unique}"}
    job = _job_of(_deferred(build("never-launched", config=config), ti))
    intruder = build("never-launched", config=config)
    with pytest.raises(JobNameTaken):
        intruder.execute(FakeTaskInstance(f"{ti.run_id}-other").context)

    intruder.on_kill()

    assert hook.jobs(TRAINING_JOBS).get(job)["TrainingJobStatus"] == "InProgress"
    hook.jobs(TRAINING_JOBS).stop(job)


def test_secrets_are_in_no_xcom_no_log_and_no_exception(
    build: Build, ti: FakeTaskInstance, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "hunter2-is-not-a-password"
    config = {"Environment": {"TOKEN": secret}}
    build(config=config, hyperparameters={"api_key": secret}).execute(ti.context)
    assert secret not in json.dumps(ti.xcoms)

    refused = build(
        config={**config, "RoleArn": "no-arn", "Environment": {"TOKEN": secret, "?": secret * 200}}
    )
    with pytest.raises(InvalidSpotRequest) as error:
        refused.execute(ti.next_try().context)

    assert secret not in str(error.value)
    assert error.value.__suppress_context__
    assert secret not in caplog.text


def test_rendered_fields_show_names_but_no_values(build: Build, ti: FakeTaskInstance) -> None:
    operator = build(
        config={"Environment": {"TOKEN": "{{ token }}"}},
        hyperparameters={"api_key": "{{ token }}", "epochs": 3},
    )
    operator.render_template_fields({**ti.context, "token": "s3cr3t-value"})  # type: ignore[typeddict-item]

    assert operator.config["Environment"] == {"TOKEN": "***"}
    assert operator.hyperparameters == {"api_key": "***", "epochs": "***"}
    assert operator._request()["Environment"] == {"TOKEN": "s3cr3t-value"}
    assert operator._request()["HyperParameters"] == {"api_key": "s3cr3t-value", "epochs": "3"}


def test_literals_are_checked_at_parse_and_templates_when_rendered(
    build: Build, ti: FakeTaskInstance, emulator: SageMakerEmulator
) -> None:
    with pytest.raises(InvalidSpotRequest, match="has to be equal to or greater than MaxRuntime"):
        build(max_wait=599)

    operator = build(max_wait="{{ wait }}")
    operator.render_template_fields({**ti.context, "wait": "599"})  # type: ignore[typeddict-item]
    with pytest.raises(InvalidSpotRequest, match="has to be equal to or greater than MaxRuntime"):
        operator.execute(ti.context)
    assert _jobs_of(emulator, ti) == []


def test_on_demand_job_has_no_savings_to_show_but_zero(build: Build, ti: FakeTaskInstance) -> None:
    result = build(managed_spot=False, max_wait=None).execute(ti.context)

    assert (result["managed_spot"], result["savings_percent"]) == (False, 0.0)


@pytest.mark.parametrize("wrong", [0, 0.5, -1, "10", True, float("nan"), float("inf"), None])
def test_poll_interval_below_a_second_or_no_number_is_refused(build: Build, wrong: Any) -> None:
    with pytest.raises(InvalidSpotRequest, match="from 1 to 86,400"):
        build(poll_interval=wrong)


def test_unknown_outcome_to_accept_is_refused(build: Build) -> None:
    with pytest.raises(InvalidSpotRequest, match="MaxWaitTimeExceeded"):
        build(accept=("Timeout",))


def test_job_is_tagged_for_the_provider_and_for_people(
    build: Build, ti: FakeTaskInstance, hook: SageMakerSpotHook
) -> None:
    result = build().execute(ti.context)

    tags = hook.jobs(TRAINING_JOBS).get_tags(result["job_arn"])
    assert len(tags[TASK]) == 12
    assert tags["airflow-spot:dag-id"] == "integration"
    assert tags["airflow-spot:run-id"] == ti.run_id


@pytest.mark.parametrize("given", [40, 47])
def test_as_many_tags_as_a_user_may_give_leave_room_for_what_the_task_needs(
    build: Build, ti: FakeTaskInstance, hook: SageMakerSpotHook, job_config: dict[str, Any], given: int
) -> None:
    # The build adds one more, and the job's config has some.
    more = given - len(job_config["Tags"]) - 1
    tags = [*job_config["Tags"], *({"Key": f"team-{number}", "Value": "v"} for number in range(more))]

    result = build(config={"Tags": tags}).execute(ti.context)

    at_sagemaker = hook.jobs(TRAINING_JOBS).get_tags(result["job_arn"])
    assert at_sagemaker[RELEASED] == "done max_tries=0"
    assert ("airflow-spot:run-id" in at_sagemaker) == (given == 40)


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_connection_that_does_not_exist_is_told_before_anything_is_submitted(
    build: Build, ti: FakeTaskInstance, emulator: SageMakerEmulator, deferrable: bool
) -> None:
    before = emulator.calls().get("CreateTrainingJob", 0)

    with pytest.raises(
        ConnectionNotFound, match=r"'prod_amdin'.*Create it.*correct the id.*aws_conn_id=None"
    ):
        build(aws_conn_id="prod_amdin", deferrable=deferrable).execute(ti.context)

    assert emulator.calls().get("CreateTrainingJob", 0) == before
