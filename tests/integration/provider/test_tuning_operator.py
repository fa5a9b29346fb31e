"""The tuning operator on the emulator, over HTTP: spot in every definition, one job, the figures of all training jobs."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_spot_provider.aws import errors
from airflow_spot_provider.aws.kinds import TRAINING_JOBS, TUNING_JOBS
from airflow_spot_provider.aws.ownership import RELEASED, TRY
from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.hooks import _members as reading
from airflow_spot_provider.hooks._jobs import SageMakerJobs
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.operators.tuning import SageMakerSpotTuningOperator
from airflow_spot_provider.training import (
    InvalidSpotRequest,
    JobNameTaken,
    NoTrainingJobSucceeded,
    Savings,
    SpotTuningResult,
    TuningJobStopped,
    TuningMaxRuntimeExceeded,
    TuningMaxWaitTimeExceeded,
    WatchFailed,
    savings_percent,
)
from airflow_spot_provider.triggers import _job as triggers_job
from airflow_spot_provider.triggers import tuning as triggers_tuning
from airflow_spot_provider.triggers.tuning import SageMakerSpotTuningTrigger
from tests.airflow_versions import TaskDeferred
from tests.integration.provider.task_instance import FakeTaskInstance

pytestmark = pytest.mark.usefixtures("aws_connection")

Build = Callable[..., SageMakerSpotTuningOperator]
SHORT_WAIT = {"MaxRuntimeInSeconds": 90, "MaxWaitTimeInSeconds": 120}
"""Two real seconds on the emulator."""
RANGES = {"ContinuousParameterRanges": [{"Name": "rate", "MinValue": "0.001", "MaxValue": "1"}]}
OBJECTIVE = {"Type": "Minimize", "MetricName": "loss"}


@pytest.fixture
def definition(job_config: dict[str, Any]) -> dict[str, Any]:
    """Training jobs without a script, which state a loss in the end."""
    members = ("RoleArn", "OutputDataConfig", "ResourceConfig", "StoppingCondition")
    algorithm = {
        **job_config["AlgorithmSpecification"],
        "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}],
    }
    shared = {member: job_config[member] for member in members}
    return {**shared, "AlgorithmSpecification": algorithm, "StaticHyperParameters": {"secret": "hunter2"}}


@pytest.fixture
def build(definition: dict[str, Any]) -> Build:
    """Make an operator; ``lifecycle`` is what the emulator plays for each training job."""

    def _build(
        lifecycle: str = "uninterrupted",
        *,
        jobs: int = 2,
        parallel: int = 2,
        limits: dict[str, Any] | None = None,
        search: dict[str, Any] | None = None,
        stopping: dict[str, Any] | None = None,
        several: list[dict[str, Any]] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> SageMakerSpotTuningOperator:
        one = {**copy.deepcopy(definition), **({"StoppingCondition": stopping} if stopping else {})}
        parallel_jobs = {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": parallel}
        for_one = {"HyperParameterTuningJobObjective": OBJECTIVE, "ParameterRanges": RANGES}
        config: dict[str, Any] = {
            "HyperParameterTuningJobConfig": {
                "Strategy": "Random",
                "RandomSeed": 1,
                "ResourceLimits": {**parallel_jobs, **(limits or {})},
                **({} if several else for_one),
                **(search or {}),
            },
            **({"TrainingJobDefinitions": several} if several else {"TrainingJobDefinition": one}),
            **({"HyperParameterTuningJobName": name} if name else {}),
            "Tags": [
                {"Key": "emulator:training-seconds", "Value": "12"},
                {"Key": "emulator:lifecycle", "Value": lifecycle},
            ],
        }
        arguments = {
            "max_wait": 1200,
            "poll_interval": 1,
            "deferrable": False,
            "region_name": "us-east-1",
            **kwargs,
        }
        return SageMakerSpotTuningOperator(task_id="tune", config=config, **arguments)

    return _build


@pytest.fixture
def hook() -> SageMakerSpotHook:
    return SageMakerSpotHook(region_name="us-east-1")


@pytest.fixture
def ti(unique: str) -> FakeTaskInstance:
    return FakeTaskInstance(f"manual__{unique}", task_id="tune")


def _deferred(operator: SageMakerSpotTuningOperator, ti: FakeTaskInstance) -> TaskDeferred:
    operator.deferrable = True
    with pytest.raises(TaskDeferred) as deferral:
        operator.execute(ti.context)
    return deferral.value


def _job_of(deferral: TaskDeferred) -> str:
    trigger = deferral.trigger
    assert isinstance(trigger, SageMakerSpotTuningTrigger)
    return trigger.job_name


def _members(emulator: SageMakerEmulator, job_name: str) -> list[dict[str, Any]]:
    """The training jobs as SageMaker describes them."""
    sagemaker = emulator.client("sagemaker")
    listed = sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=job_name, MaxResults=100
    )
    return [
        sagemaker.describe_training_job(TrainingJobName=each["TrainingJobName"])
        for each in listed["TrainingJobSummaries"]
    ]


def test_completed_job_is_published_with_its_best_and_the_savings_of_all(
    build: Build, ti: FakeTaskInstance, hook: SageMakerSpotHook, emulator: SageMakerEmulator
) -> None:
    returned = build("interrupted-once", jobs=3).execute(ti.context)

    result = SpotTuningResult.from_json(ti.xcoms["return_value"])
    assert result.to_json() == returned
    members = _members(emulator, result.job_name)
    trained, billed = (
        sum(member[f"{kind}TimeInSeconds"] for member in members) for kind in ("Training", "Billable")
    )
    assert (result.outcome, result.jobs, result.interruptions) == ("Completed", 3, 3)
    assert ti.xcoms["savings_percent"] == result.savings_percent == savings_percent(trained, billed)
    assert (result.savings_unknown, result.managed_spot) == (0, True)
    assert result.statuses["Completed"] == result.objective_statuses["Succeeded"] == 3
    described = hook.jobs(TUNING_JOBS).get(result.job_name)
    best = described["BestTrainingJob"]
    assert result.best is not None
    assert result.best.job_name == best["TrainingJobName"] == result.table[0][0]
    assert result.best.hyperparameters == best["TunedHyperParameters"]
    assert result.best.value == best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    assert (result.best.model_artifacts or "").endswith(f"{result.best.job_name}/output/model.tar.gz")
    assert [row[2] for row in result.table] == sorted(row[2] for row in result.table if row[2] is not None)
    assert hook.jobs(TUNING_JOBS).get_tags(result.job_arn)[RELEASED] == "done max_tries=0"
    assert "hunter2" not in json.dumps(ti.xcoms)


def test_definitions_that_differ_are_all_on_spot_and_told_apart(
    build: Build, definition: dict[str, Any], ti: FakeTaskInstance, emulator: SageMakerEmulator
) -> None:
    several = [
        {
            **definition,
            "DefinitionName": name,
            "TuningObjective": OBJECTIVE,
            "HyperParameterRanges": RANGES,
            "ResourceConfig": {**definition["ResourceConfig"], "InstanceCount": count},
        }
        for name, count in (("one", 1), ("two", 2))
    ]
    operator = build(several=several, checkpoint_s3_uri="s3://integration/c")

    result = SpotTuningResult.from_json(operator.execute(ti.context))

    members = _members(emulator, result.job_name)
    assert [member["ResourceConfig"]["InstanceCount"] for member in members] == [1, 2]
    assert all(member["EnableManagedSpotTraining"] for member in members)
    assert all(member["StoppingCondition"]["MaxWaitTimeInSeconds"] == 1200 for member in members)
    assert all(member["CheckpointConfig"]["S3Uri"].startswith("s3://integration/c") for member in members)
    weighed = Savings.total(
        Savings.of_job(
            member["TrainingTimeInSeconds"],
            member["BillableTimeInSeconds"],
            member["ResourceConfig"]["InstanceCount"],
        )
        for member in members
    )
    assert result.savings == weighed
    assert result.best is not None
    assert result.best.definition in ("one", "two")


def test_training_job_without_capacity_is_told_and_has_no_savings_figure(
    build: Build, ti: FakeTaskInstance, emulator: SageMakerEmulator
) -> None:
    emulator.plan("never-launched")

    with pytest.raises(TuningMaxWaitTimeExceeded, match="raise max_wait"):
        build(parallel=1, max_wait=None, stopping=SHORT_WAIT, accept=()).execute(ti.context)

    result = SpotTuningResult.from_json(ti.xcoms["return_value"])
    assert result.outcome == "CompletedWithMaxWaitTimeExceeded"
    assert result.outcomes == {"MaxWaitTimeExceeded": 1, "Completed": 1}
    assert (result.savings_unknown, result.savings.jobs) == (1, 1)
    assert [row[1] for row in result.table] == ["Completed", "MaxWaitTimeExceeded"]
    assert result.outcome in build().accept, "by default the best training job is what counts"


def test_no_training_job_succeeded_is_published_and_raised(build: Build, ti: FakeTaskInstance) -> None:
    with pytest.raises(NoTrainingJobSucceeded, match="how they ended"):
        build("failed").execute(ti.context)

    assert ti.xcoms["return_value"]["outcome"] == "NoJobSucceeded"
    assert ti.xcoms["return_value"]["outcomes"] == {"Failed": 2}
    assert ti.xcoms["return_value"]["best"] is None


def test_search_that_ran_out_of_time_is_told_by_its_limit(build: Build, ti: FakeTaskInstance) -> None:
    with pytest.raises(TuningMaxRuntimeExceeded):
        build(jobs=50, limits={"MaxRuntimeInSeconds": 120}, accept=()).execute(ti.context)

    result = SpotTuningResult.from_json(ti.xcoms["return_value"])
    assert (result.outcome, result.status) == ("MaxRuntimeExceeded", "Completed")
    assert result.limits_reached == ("MaxRuntimeInSeconds",)
    assert result.best is not None


def test_completion_criterion_that_ended_the_search_is_named(build: Build, ti: FakeTaskInstance) -> None:
    criteria = {"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": 1.0}}
    operator = build(jobs=50, parallel=1, search=criteria)

    result = SpotTuningResult.from_json(operator.execute(ti.context))

    assert (result.outcome, result.jobs) == ("Completed", 1)
    assert result.limits_reached == ("TargetObjectiveMetricValue",)


def test_tuning_on_demand_has_no_spot_in_it(
    build: Build, ti: FakeTaskInstance, emulator: SageMakerEmulator
) -> None:
    result = build(jobs=1, parallel=1, managed_spot=False, max_wait=None).execute(ti.context)

    assert result["managed_spot"] is False
    assert not any(member["EnableManagedSpotTraining"] for member in _members(emulator, result["job_name"]))


def test_deferral_carries_every_setting_to_the_trigger(build: Build, ti: FakeTaskInstance) -> None:
    operator = build(
        jobs=1,
        parallel=1,
        region_name="eu-west-1",
        verify=False,
        botocore_config={"read_timeout": 7},
        poll_interval=3,
        cancel_on_kill=False,
    )

    path, arguments = _deferred(operator, ti).trigger.serialize()

    assert path == "airflow_spot_provider.triggers.tuning.SageMakerSpotTuningTrigger"
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
    }
    assert len(job_name) <= 32
    assert ti.xcoms["sagemaker_tuning_job"]["job_name"] == job_name
    assert ti.xcoms["spot_progress"]["job_name"] == job_name


def test_retry_adopts_the_job_that_a_crashed_try_submitted(
    build: Build, ti: FakeTaskInstance, hook: SageMakerSpotHook, emulator: SageMakerEmulator
) -> None:
    first = _job_of(_deferred(build(), ti))

    result = build().execute(ti.next_try().context)

    assert result["job_name"] == first
    assert hook.jobs(TUNING_JOBS).get_tags(result["job_arn"])[TRY] in ("1", "2")
    listed = emulator.client("sagemaker").list_hyper_parameter_tuning_jobs(NameContains=first[:-1])
    assert len(listed["HyperParameterTuningJobSummaries"]) == 1


def test_clearing_a_finished_task_tunes_anew(build: Build, ti: FakeTaskInstance) -> None:
    first = build(jobs=1, parallel=1).execute(ti.context)
    second = build(jobs=1, parallel=1).execute(ti.cleared().context)

    assert second["job_name"] == f"{first['job_name'].removesuffix('-1')}-2"
    assert second["attempts"] == [[first["job_name"], "Completed"], [second["job_name"], "Completed"]]


def test_kill_stops_the_tuning_job_and_its_training_jobs_and_the_next_try_tunes_anew(
    build: Build, ti: FakeTaskInstance, hook: SageMakerSpotHook, emulator: SageMakerEmulator
) -> None:
    deferral = _deferred(build("never-launched", max_wait=36_000), ti)
    job = _job_of(deferral)

    asyncio.run(deferral.trigger.on_kill())
    again = build(jobs=1, parallel=1).execute(ti.next_try().context)

    assert hook.jobs(TUNING_JOBS).get(job)["HyperParameterTuningJobStatus"] == "Stopped"
    assert {member["TrainingJobStatus"] for member in _members(emulator, job)} <= {"Stopped"}
    assert again["job_name"] != job
    assert again["attempts"][0] == [job, "Stopped"]


def test_kill_in_the_worker_stops_the_job(
    build: Build, ti: FakeTaskInstance, hook: SageMakerSpotHook
) -> None:
    operator = build("never-launched", max_wait=36_000)
    job = _job_of(_deferred(operator, ti))

    operator.on_kill()

    assert hook.jobs(TUNING_JOBS).get(job)["HyperParameterTuningJobStatus"] in ("Stopping", "Stopped")


def test_job_that_somebody_stopped_is_told_apart(
    build: Build, ti: FakeTaskInstance, emulator: SageMakerEmulator
) -> None:
    job = _job_of(_deferred(build("never-launched", max_wait=36_000), ti))
    emulator.client("sagemaker").stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=job)

    with pytest.raises(TuningJobStopped):
        build("never-launched", max_wait=36_000).execute(ti.next_try().context)


def test_trigger_ends_with_the_status_and_the_task_publishes(build: Build, ti: FakeTaskInstance) -> None:
    operator = build(jobs=1, parallel=1)
    deferral = _deferred(operator, ti)

    async def _events() -> list[Any]:
        return [event.payload async for event in deferral.trigger.run()]

    [event] = asyncio.run(_events())
    result = operator.execute_complete(ti.context, event, **(deferral.kwargs or {}))

    assert event == {"job_name": _job_of(deferral), "status": "Completed"}
    assert result == ti.xcoms["return_value"]


class _Publisher:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.published: list[dict[str, Any]] = []

    def publish(self, _task_instance: Any, progress: dict[str, Any]) -> None:
        self.published.append(progress)

    def forget(self, _task_instance: Any) -> None:
        """Nothing is to come."""


def test_waiting_task_publishes_the_counters_and_the_best_so_far(
    build: Build, ti: FakeTaskInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = _Publisher()
    for module in (triggers_job, triggers_tuning):
        monkeypatch.setattr(module, "publisher_of_this_loop", lambda: publisher)
    trigger = _deferred(build(jobs=3, parallel=1), ti).trigger
    trigger.task_instance = ti

    async def _ended() -> None:
        async for _ in trigger.run():
            pass

    asyncio.run(_ended())

    assert {each["status"] for each in publisher.published} == {"InProgress"}
    last = publisher.published[-1]
    assert last["statuses"]["Completed"] >= 1
    assert last["best"]["metric"] == "loss"
    assert "hunter2" not in json.dumps(publisher.published)


def test_training_job_whose_end_is_told_late_is_looked_at_again(
    build: Build, ti: FakeTaskInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = iter([True])
    described = SageMakerJobs.get

    def _get(jobs: SageMakerJobs, job_name: str, **kwargs: Any) -> Any:
        description = described(jobs, job_name, **kwargs)
        if jobs.kind is TRAINING_JOBS and next(late, False):
            return {**description, "TrainingJobStatus": "InProgress"}
        return description

    monkeypatch.setattr(SageMakerJobs, "get", _get)
    monkeypatch.setattr(reading.Backoff, "next_delay", lambda _self: 0.0)

    result = build(jobs=1, parallel=1).execute(ti.context)

    assert result["outcomes"] == {"Completed": 1}


def test_training_job_whose_end_is_never_told_counts_as_unknown(
    build: Build, ti: FakeTaskInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading.Backoff, "next_delay", lambda _self: 0.0)
    described = SageMakerJobs.get

    def _get(jobs: SageMakerJobs, job_name: str, **kwargs: Any) -> Any:
        running = {"TrainingJobStatus": "InProgress"} if jobs.kind is TRAINING_JOBS else {}
        return {**described(jobs, job_name, **kwargs), **running}

    monkeypatch.setattr(SageMakerJobs, "get", _get)

    result = build(jobs=1, parallel=1).execute(ti.context)

    assert (result["savings_percent"], result["savings_unknown"]) == (None, 1)


def test_warm_start_goes_on_from_the_result_of_an_earlier_task(
    build: Build, ti: FakeTaskInstance, hook: SageMakerSpotHook
) -> None:
    parent = build(jobs=1, parallel=1).execute(ti.context)
    child = FakeTaskInstance(ti.run_id, task_id="tune_more")

    result = build(jobs=1, parallel=1, warm_start=parent).execute(child.context)

    described = hook.jobs(TUNING_JOBS).get(result["job_name"])
    assert described["WarmStartConfig"] == {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": parent["job_name"]}],
        "WarmStartType": "IdenticalDataAndAlgorithm",
    }
    assert result["warm_start_parents"] == [parent["job_name"]]
    assert result["overall_best_job"] in (parent["best"]["job_name"], result["best"]["job_name"])


def test_nothing_is_submitted_where_one_definition_is_wrong(
    build: Build, definition: dict[str, Any], emulator: SageMakerEmulator
) -> None:
    before = emulator.calls().get("CreateHyperParameterTuningJob", 0)
    several = [
        {**definition, "DefinitionName": name, "TuningObjective": OBJECTIVE, "HyperParameterRanges": RANGES}
        for name in ("spot", "forgotten")
    ]
    several[0] |= {"EnableManagedSpotTraining": True}
    several[1] |= {"StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 700}}

    with pytest.raises(InvalidSpotRequest, match=r"TrainingJobDefinitions\[1\] \(forgotten\).*MaxWait"):
        build(several=several)

    assert emulator.calls().get("CreateHyperParameterTuningJob", 0) == before


def test_what_sagemaker_refuses_is_told_without_secrets(build: Build, ti: FakeTaskInstance) -> None:
    operator = build()
    operator.config["TrainingJobDefinition"]["AlgorithmSpecification"]["TrainingInputMode"] = "Nonsense"

    with pytest.raises(InvalidSpotRequest, match="SageMaker refuses the request") as refused:
        operator.execute(ti.context)

    assert "hunter2" not in str(refused.value)


def test_name_of_another_tasks_job_is_not_adopted(build: Build, ti: FakeTaskInstance, unique: str) -> None:
    build(jobs=1, parallel=1, name=unique).execute(ti.context)

    with pytest.raises(JobNameTaken, match="HyperParameterTuningJobName"):
        build(name=unique).execute(FakeTaskInstance(ti.run_id, task_id="other").context)


def test_reading_the_training_jobs_outlasts_throttling(
    build: Build, ti: FakeTaskInstance, emulator: SageMakerEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = build(jobs=2)
    operator._jobs.watch(_job_of(_deferred(operator, ti)), poll_interval=1)
    monkeypatch.setattr(errors.Backoff, "next_delay", lambda _self: 0.05)
    reads = ("ListTrainingJobsForHyperParameterTuningJob", "DescribeTrainingJob")
    emulator.set_faults(
        *(
            {"operation": each, "probability": 0.5, "error": {"code": "ThrottlingException"}}
            for each in reads
        ),
        seed=1,
    )
    try:
        impatient = {"retries": {"total_max_attempts": 1}}
        result = build(jobs=2, botocore_config=impatient).execute(ti.next_try().context)
    finally:
        emulator.set_faults()

    assert (result["jobs"], result["savings_unknown"]) == (2, 0)


def test_missing_permission_to_read_training_jobs_leaves_the_job_to_a_retry(
    build: Build, ti: FakeTaskInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def _denied(*_arguments: object) -> Any:
        error: Any = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
        raise ClientError(error, "ListTrainingJobsForHyperParameterTuningJob")

    with monkeypatch.context() as patch:
        patch.setattr(reading, "_summaries", _denied)
        with pytest.raises(WatchFailed, match="Grant sagemaker:ListTrainingJobsForHyperParameterTuningJob"):
            build(jobs=1, parallel=1).execute(ti.context)
    result = build(jobs=1, parallel=1).execute(ti.next_try().context)

    assert result["job_name"].endswith("-1")


def test_training_job_that_was_deleted_meanwhile_counts_as_unknown(
    build: Build, ti: FakeTaskInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    summaries = reading._summaries

    def _with_one_that_is_gone(*arguments: Any) -> Any:
        listed = summaries(*arguments)
        return [*listed, {**listed[0], "TrainingJobName": "gone", "TrainingJobStatus": "Stopped"}]

    monkeypatch.setattr(reading, "_summaries", _with_one_that_is_gone)
    result = SpotTuningResult.from_json(build(jobs=1, parallel=1).execute(ti.context))

    assert result.outcomes == {"Completed": 1, "unknown": 1}
    assert (result.savings_unknown, result.managed_spot, result.on_demand_jobs) == (1, True, 0)
    assert result.table[-1] == ("gone", None, result.table[0][2], None, None, None)


def test_rendered_templates_show_no_values_of_static_hyperparameters(build: Build) -> None:
    operator = build()

    operator.render_template_fields({"ti": None})  # type: ignore[typeddict-item]

    shown = json.dumps([operator.config, operator.warm_start])
    assert "hunter2" not in shown
    assert operator._request()["TrainingJobDefinition"]["StaticHyperParameters"] == {"secret": "hunter2"}
