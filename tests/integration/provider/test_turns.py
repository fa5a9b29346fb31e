"""Waiting one's turn, on the emulator over HTTP: a quota that is used up, a rate that is exceeded, a kill meanwhile."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_spot_provider.aws.errors import Backoff
from airflow_spot_provider.aws.kinds import TRAINING_JOBS
from airflow_spot_provider.aws.limits import NOT_UNDERSTOOD_SECONDS
from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.operators import _turn as turn
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.operators.tuning import SageMakerSpotTuningOperator
from airflow_spot_provider.training import InstanceTypeNotAvailable, QuotaTooSmall, WaitedInVain
from airflow_spot_provider.triggers.training import SageMakerSpotTrainingTrigger
from airflow_spot_provider.triggers.turn import SageMakerSpotTurnTrigger
from tests.airflow_versions import TaskDeferred
from tests.integration.provider.task_instance import FakeTaskInstance

pytestmark = pytest.mark.usefixtures("aws_connection")

TYPE = "ml.c5.4xlarge"
QUOTA = f"{TYPE} for spot training job usage"
Build = Callable[..., SageMakerSpotTrainingOperator]
SECONDS = 60
"""No assertion: how long a test that hangs may hang."""


@pytest.fixture
def quota(emulator: SageMakerEmulator) -> Iterator[Callable[[int], None]]:
    """Set the quota of the instance type that only these tests use."""
    yield lambda limit: emulator.set_quota(QUOTA, limit)
    emulator.set_quota(QUOTA, 100_000)


@pytest.fixture
def build(job_config: dict[str, Any]) -> Build:
    def _build(lifecycle: str = "never-launched", **kwargs: Any) -> SageMakerSpotTrainingOperator:
        config = {**job_config, "Environment": {"SECRET": "hunter2-is-not-a-password"}}
        config["Tags"] = [*config["Tags"], {"Key": "emulator:lifecycle", "Value": lifecycle}]
        arguments: dict[str, Any] = {
            "instance_type": TYPE,
            "max_wait": 36_000,
            "poll_interval": 1,
            "region_name": "us-east-1",
            **kwargs,
        }
        return SageMakerSpotTrainingOperator(task_id="train", config=config, **arguments)

    return _build


@pytest.fixture(autouse=True)
def _no_faults_afterwards(emulator: SageMakerEmulator) -> Iterator[None]:
    yield
    emulator.set_faults()


@pytest.fixture
def others_job(
    build: Build,
    unique: str,
    quota: Callable[[int], None],
    aws_connection: None,  # noqa: ARG001 - needed before it submits
) -> Iterator[str]:
    """Another task's job, which takes up all of a quota of one instance."""
    quota(1)
    deferral = _deferred(build().execute, FakeTaskInstance(f"other__{unique}"))
    assert isinstance(deferral.trigger, SageMakerSpotTrainingTrigger)
    yield deferral.trigger.job_name
    SageMakerSpotHook(region_name="us-east-1").jobs(TRAINING_JOBS).stop(deferral.trigger.job_name)


@pytest.fixture
def ti(unique: str) -> FakeTaskInstance:
    return FakeTaskInstance(f"manual__{unique}")


def _deferred(
    step: Callable[..., Any], ti: FakeTaskInstance, event: dict[str, Any] | None = None
) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as deferral:
        step(ti.context, *([event] if event is not None else []))
    return deferral.value


def _turn_of(deferral: TaskDeferred) -> SageMakerSpotTurnTrigger:
    assert isinstance(deferral.trigger, SageMakerSpotTurnTrigger)
    assert deferral.method_name == "take_turn"
    return deferral.trigger


def _used_up(name: str, *, limit: int) -> dict[str, Any]:
    """SageMaker's refusal, for the emulator to give."""
    message = (
        f"The account-level service limit '{name}' is {limit} Jobs, with current utilization of {limit} Jobs and a "
        "request delta of 1 Jobs."
    )
    return {"code": "ResourceLimitExceeded", "message": message, "status": 400}


def _jobs_of(emulator: SageMakerEmulator, ti: FakeTaskInstance) -> list[str]:
    sagemaker = emulator.client("sagemaker")
    return [
        job["TrainingJobName"]
        for page in sagemaker.get_paginator("list_training_jobs").paginate()
        for job in page["TrainingJobSummaries"]
        if {"Key": "airflow-spot:run-id", "Value": ti.run_id}
        in sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    ]


@pytest.mark.usefixtures("others_job")
def test_task_that_a_quota_refuses_is_deferred_and_says_what_for(
    build: Build, ti: FakeTaskInstance, emulator: SageMakerEmulator
) -> None:
    trigger = _turn_of(_deferred(build(verify=False, poll_interval=7).execute, ti))

    assert _jobs_of(emulator, ti) == []
    path, arguments = trigger.serialize()
    assert path == "airflow_spot_provider.triggers.turn.SageMakerSpotTurnTrigger"
    assert arguments == {
        "waits_for": QUOTA,
        "since": trigger.since,
        "again": False,
        "aws_conn_id": "aws_default",
        "region_name": "us-east-1",
        "verify": False,
        "botocore_config": None,
        "poll_interval": 7,
    }
    progress = ti.xcoms["spot_progress"]
    assert (progress["status"], progress["waits_for"], progress["timeline"]) == ("WaitingForTurn", QUOTA, [])
    assert "hunter2" not in json.dumps([arguments, progress])


@pytest.mark.usefixtures("others_job")
def test_task_keeps_its_place_when_it_is_refused_again_and_submits_once_there_is_room(
    build: Build,
    ti: FakeTaskInstance,
    quota: Callable[[int], None],
    emulator: SageMakerEmulator,
) -> None:
    first = _turn_of(_deferred(build().execute, ti))
    event = {"waited_since": first.since, "ahead": 0}

    second = _turn_of(_deferred(build().take_turn, ti, event))
    assert (second.since, second.again) == (first.since, True)

    quota(2)
    job = _deferred(build().take_turn, ti, event).trigger
    assert isinstance(job, SageMakerSpotTrainingTrigger)
    assert _jobs_of(emulator, ti) == [job.job_name]
    assert (job.try_number, ti.try_number) == (1, 1)
    emulator.client("sagemaker").stop_training_job(TrainingJobName=job.job_name)


@pytest.mark.usefixtures("others_job")
def test_execution_timeout_holds_over_the_whole_wait(
    build: Build,
    ti: FakeTaskInstance,
    quota: Callable[[int], None],
    emulator: SageMakerEmulator,
) -> None:
    hour = timedelta(hours=1)
    first = _deferred(build(execution_timeout=hour).execute, ti)
    assert first.timeout is not None
    assert timedelta(minutes=59) < first.timeout <= hour

    began = {"waited_since": _turn_of(first).since - 3000, "ahead": 2}
    again = _deferred(build(execution_timeout=hour).take_turn, ti, began)
    assert again.timeout is not None
    assert timedelta(minutes=9) < again.timeout <= timedelta(minutes=10)

    quota(2)
    submitted = _deferred(build(execution_timeout=hour).take_turn, ti, began)
    assert submitted.timeout is not None
    assert timedelta(minutes=9) < submitted.timeout <= timedelta(minutes=10)
    emulator.client("sagemaker").stop_training_job(TrainingJobName=_jobs_of(emulator, ti)[0])


def test_quota_that_can_never_admit_the_job_fails_at_once_and_names_what_to_raise(
    build: Build, ti: FakeTaskInstance, quota: Callable[[int], None]
) -> None:
    quota(0)

    with pytest.raises(
        QuotaTooSmall, match=r"is 0 instances and the job asks for 1.*Service Quotas"
    ) as error:
        build().execute(ti.context)
    assert QUOTA in str(error.value)


def test_instance_type_that_the_region_does_not_have_is_said_at_once_and_not_queued_for(
    build: Build, ti: FakeTaskInstance, emulator: SageMakerEmulator
) -> None:
    message = f"The requested resource training-job/{TYPE} is not available in this region"
    refusal = {"code": "ResourceLimitExceeded", "message": message, "status": 400}
    emulator.set_faults({"operation": "CreateTrainingJob", "error": refusal})

    with pytest.raises(
        InstanceTypeNotAvailable, match=rf"no {TYPE} for training jobs in us-east-1.*Choose an instance type"
    ):
        build().execute(ti.context)

    assert ti.xcoms == {}
    assert _jobs_of(emulator, ti) == []


@pytest.mark.parametrize("deferrable", [True, False])
def test_limit_in_unknown_words_is_waited_for_for_a_day_and_quoted_at_each_try(
    build: Build,
    ti: FakeTaskInstance,
    emulator: SageMakerEmulator,
    deferrable: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    refusal = {"code": "ResourceLimitExceeded", "message": "The moon is full.", "status": 400}
    emulator.set_faults({"operation": "CreateTrainingJob", "error": refusal})
    for try_ in range(2):
        since = datetime.now(UTC).timestamp() - 3600 * try_
        first = _turn_of(_deferred(build().take_turn, ti, {"waited_since": since, "ahead": 0}))
        assert first.waits_for == "a quota of SageMaker"
        assert "The moon is full." in capsys.readouterr().out

    began = {"waited_since": datetime.now(UTC).timestamp() - NOT_UNDERSTOOD_SECONDS, "ahead": 0}
    monkeypatch.setattr(turn, "time", SimpleNamespace(sleep=lambda _seconds: pytest.fail("it waits on")))
    with pytest.raises(WaitedInVain, match=r"The moon is full\..*has waited for 1d00h"):
        build(deferrable=deferrable).take_turn(ti.context, began)


def test_job_that_is_there_already_is_taken_up_though_the_quota_is_used_up(
    build: Build, ti: FakeTaskInstance, quota: Callable[[int], None], emulator: SageMakerEmulator
) -> None:
    quota(1)
    first = _deferred(build().execute, ti).trigger
    assert isinstance(first, SageMakerSpotTrainingTrigger)
    refusal = _used_up(QUOTA, limit=1)
    emulator.set_faults({"operation": "CreateTrainingJob", "times": 1, "error": refusal})

    second = _deferred(build().execute, ti.next_try()).trigger

    assert isinstance(second, SageMakerSpotTrainingTrigger)
    assert (second.job_name, second.try_number) == (first.job_name, 2)
    emulator.client("sagemaker").stop_training_job(TrainingJobName=first.job_name)


def test_throttled_submit_waits_its_turn_and_holds_no_worker(
    build: Build, ti: FakeTaskInstance, emulator: SageMakerEmulator
) -> None:
    throttled = {"code": "ThrottlingException", "message": "Rate exceeded", "status": 400}
    emulator.set_faults({"operation": "CreateTrainingJob", "error": throttled})

    trigger = _turn_of(_deferred(build(botocore_config={"retries": {"total_max_attempts": 1}}).execute, ti))

    assert trigger.waits_for == "the rate of CreateTrainingJob"


def test_tuning_job_waits_its_turn_in_the_same_way(
    emulator: SageMakerEmulator, job_config: dict[str, Any], ti: FakeTaskInstance
) -> None:
    name = "Number of running tuning jobs"
    refusal = _used_up(name, limit=100)
    emulator.set_faults({"operation": "CreateHyperParameterTuningJob", "error": refusal})
    definition = {member: job_config[member] for member in ("RoleArn", "OutputDataConfig", "ResourceConfig")}
    metrics = [{"Name": "loss", "Regex": "loss=(.*)"}]
    ranges = {"ContinuousParameterRanges": [{"Name": "rate", "MinValue": "0.001", "MaxValue": "1"}]}
    operator = SageMakerSpotTuningOperator(
        task_id="tune",
        config={
            "HyperParameterTuningJobConfig": {
                "Strategy": "Random",
                "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1},
                "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
                "ParameterRanges": ranges,
            },
            "TrainingJobDefinition": {
                **definition,
                "AlgorithmSpecification": {
                    **job_config["AlgorithmSpecification"],
                    "MetricDefinitions": metrics,
                },
                "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 600},
            },
        },
        region_name="us-east-1",
    )

    trigger = _turn_of(_deferred(operator.execute, ti))

    assert trigger.waits_for == name
    assert ti.xcoms["spot_progress"]["status"] == "WaitingForTurn"


@pytest.mark.usefixtures("others_job")
def test_task_that_is_not_deferrable_waits_in_its_worker(
    build: Build, ti: FakeTaskInstance, quota: Callable[[int], None]
) -> None:
    operator = build("uninterrupted", deferrable=False)
    pauses: list[float] = []

    class _Pauses(Backoff):
        def next_delay(self) -> float:
            pauses.append(super().next_delay())
            if len(pauses) == 2:
                quota(2)
            return 0.0

    operator._pauses = _Pauses(random.Random(1), base=5.0, cap=300.0)

    assert operator.execute(ti.context)["outcome"] == "Completed"
    assert 2.5 <= pauses[0] <= 5 <= pauses[1] <= 10


@pytest.mark.usefixtures("others_job")
def test_kill_while_waiting_submits_and_leaves_nothing(
    build: Build, ti: FakeTaskInstance, emulator: SageMakerEmulator
) -> None:
    operator = build()
    trigger = _turn_of(_deferred(operator.execute, ti))

    async def _killed() -> int:
        waiting = asyncio.create_task(_events(trigger))
        watcher = trigger.watcher()
        await _until(lambda: len(watcher.turns) == 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return len(watcher.turns)

    assert asyncio.run(_killed()) == 0
    operator.on_kill()
    assert _jobs_of(emulator, ti) == []


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 - what is asked for has no event to wait for
            await asyncio.sleep(0)


async def _events(trigger: Any) -> list[Any]:
    return [event.payload async for event in trigger.run()]


def test_end_of_a_watched_job_gives_the_oldest_its_turn_at_once(
    build: Build,
    ti: FakeTaskInstance,
    others_job: str,
    emulator: SageMakerEmulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0.1")
    trigger = _turn_of(_deferred(build().execute, ti))
    # Whoever has waited for an hour is let try every five minutes.
    settings: dict[str, Any] = {**trigger.serialize()[1], "again": True}
    older = SageMakerSpotTurnTrigger(**{**settings, "since": trigger.since - 3601})
    younger = SageMakerSpotTurnTrigger(**{**settings, "since": trigger.since - 3600})
    watching = SageMakerSpotTrainingTrigger(others_job, region_name="us-east-1", poll_interval=0.2)

    async def _test() -> None:
        async with asyncio.timeout(SECONDS):
            waiting = [asyncio.create_task(_events(each)) for each in (younger, older)]
            watched = asyncio.create_task(_events(watching))
            await _until(lambda: len(older.watcher()) == 3)
            emulator.client("sagemaker").stop_training_job(TrainingJobName=others_job)
            assert await waiting[1] == [{"waited_since": older.since, "ahead": 0}]
            assert (await watched)[0]["outcome"] == "Stopped"
            assert not waiting[0].done()
            waiting[0].cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(_test())
