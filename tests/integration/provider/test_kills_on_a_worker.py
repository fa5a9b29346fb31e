"""A task is killed while a worker has it, on the emulator over HTTP: the worker has seconds, and says what it could not stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_spot_provider.aws import patience
from airflow_spot_provider.aws.errors import Backoff
from airflow_spot_provider.aws.kinds import TRAINING_JOBS
from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.operators import _stopping
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.training import SpotTrainingError
from tests.airflow_versions import TaskDeferralTimeout, TaskDeferred
from tests.integration.provider.task_instance import FakeTaskInstance

pytestmark = pytest.mark.usefixtures("aws_connection")

THROTTLED = {"code": "ThrottlingException", "message": "Rate exceeded", "status": 400}
DENIED = {"code": "AccessDeniedException", "message": "not authorized to perform that", "status": 400}


@pytest.fixture(autouse=True)
def _no_faults_afterwards(emulator: SageMakerEmulator) -> Iterator[None]:
    yield
    emulator.set_faults()


@pytest.fixture(autouse=True)
def _pauses_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "next_delay", lambda _self: 0.01)


@pytest.fixture
def ti(unique: str) -> FakeTaskInstance:
    return FakeTaskInstance(f"manual__{unique}")


@pytest.fixture
def operator(job_config: dict[str, Any]) -> SageMakerSpotTrainingOperator:
    config = {
        **job_config,
        "Tags": [*job_config["Tags"], {"Key": "emulator:lifecycle", "Value": "never-launched"}],
    }
    return SageMakerSpotTrainingOperator(
        task_id="train", config=config, max_wait=36_000, poll_interval=1, region_name="us-east-1"
    )


@pytest.fixture
def job(
    operator: SageMakerSpotTrainingOperator, ti: FakeTaskInstance, emulator: SageMakerEmulator
) -> Iterator[str]:
    """The operator's, which waits for capacity."""
    with pytest.raises(TaskDeferred) as deferral:
        operator.execute(ti.context)
    name = str(deferral.value.trigger.job_name)  # type: ignore[attr-defined]  # a training trigger has one
    yield name
    emulator.set_faults()
    SageMakerSpotHook(region_name="us-east-1").jobs(TRAINING_JOBS).stop(name)


def _status(emulator: SageMakerEmulator, job: str) -> str:
    emulator.set_faults()
    description = emulator.client("sagemaker").describe_training_job(TrainingJobName=job)
    return str(description["TrainingJobStatus"])


def _jobs_of(emulator: SageMakerEmulator, ti: FakeTaskInstance) -> list[str]:
    sagemaker = emulator.client("sagemaker")
    return [
        str(job["TrainingJobStatus"])
        for page in sagemaker.get_paginator("list_training_jobs").paginate()
        for job in page["TrainingJobSummaries"]
        if {"Key": "airflow-spot:run-id", "Value": ti.run_id}
        in sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    ]


@pytest.mark.parametrize(
    "fault",
    [
        {"error": THROTTLED, "times": 4},
        {"error": {"code": "InternalFailure", "status": 500}, "times": 4},
        {"connection": "after", "times": 4},
        {"expired_credentials": True, "times": 2},
    ],
    ids=str,
)
def test_killed_worker_stops_its_job_though_sagemaker_hardly_answers(
    operator: SageMakerSpotTrainingOperator,
    job: str,
    emulator: SageMakerEmulator,
    fault: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    emulator.set_faults({"operation": "sagemaker:*", **fault})

    operator.on_kill()

    assert _status(emulator, job) in ("Stopping", "Stopped")
    # In case the worker had been ended before it came to that.
    warnings = [line for line in capsys.readouterr().out.splitlines() if "is not stopped yet" in line]
    assert len(warnings) == 1
    assert job in warnings[0]
    assert "airflow-spot jobs --stop-orphans" in warnings[0]


@pytest.mark.parametrize(
    ("error", "advice"), [(THROTTLED, ""), (DENIED, "Grant sagemaker:DescribeTrainingJob")]
)
@pytest.mark.parametrize("operation", ["DescribeTrainingJob", "ListTags", "StopTrainingJob"])
def test_killed_worker_gives_up_in_time_and_says_what_still_runs(
    operator: SageMakerSpotTrainingOperator,
    job: str,
    emulator: SageMakerEmulator,
    operation: str,
    error: dict[str, Any],
    advice: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(_stopping, "HASTE_SECONDS", 0.2)
    emulator.set_faults({"operation": operation, "error": error})

    operator.on_kill()

    told = [line for line in capsys.readouterr().out.splitlines() if "could not be stopped" in line]
    assert len(told) == 1
    for part in (job, str(error["code"]), "airflow-spot jobs --stop-orphans", advice):
        assert part in told[0]
    assert _status(emulator, job) == "InProgress"


@pytest.mark.parametrize("when", ["before", "after"])
def test_kill_in_the_middle_of_a_create_leaves_no_job(
    operator: SageMakerSpotTrainingOperator,
    ti: FakeTaskInstance,
    emulator: SageMakerEmulator,
    when: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_stopping, "HASTE_SECONDS", 0.2)
    create = operator.hook.conn.create_training_job

    def _killed_meanwhile(**members: Any) -> Any:
        if when == "before":
            operator.on_kill()  # as a signal's handler does, which then goes on with what it interrupted
            return create(**members)
        answer = create(**members)
        operator.on_kill()
        return answer

    monkeypatch.setattr(operator.hook.conn, "create_training_job", _killed_meanwhile)

    with pytest.raises(SpotTrainingError, match="was killed while it submitted"):
        operator.execute(ti.context)

    assert set(_jobs_of(emulator, ti)) <= {"Stopping", "Stopped"}
    assert len(_jobs_of(emulator, ti)) == 1


def test_task_that_was_killed_submits_nothing_more(
    operator: SageMakerSpotTrainingOperator, ti: FakeTaskInstance, emulator: SageMakerEmulator
) -> None:
    operator.on_kill()

    with pytest.raises(SpotTrainingError, match="was killed"):
        operator.execute(ti.context)
    assert _jobs_of(emulator, ti) == []


def test_task_that_waits_its_turn_has_no_job_to_stop_and_looks_for_none(
    operator: SageMakerSpotTrainingOperator,
    ti: FakeTaskInstance,
    emulator: SageMakerEmulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(_stopping, "HASTE_SECONDS", 0.2)
    emulator.set_faults({"operation": "CreateTrainingJob", "error": THROTTLED})
    with pytest.raises(TaskDeferred):
        operator.execute(ti.context)
    capsys.readouterr()

    operator.on_kill()

    assert "stop" not in capsys.readouterr().out


def test_job_that_cannot_be_stopped_hides_not_why_its_task_failed(
    operator: SageMakerSpotTrainingOperator,
    job: str,
    ti: FakeTaskInstance,
    emulator: SageMakerEmulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(patience, "lag_seconds", lambda _error: 0.0)
    emulator.set_faults({"operation": "StopTrainingJob", "error": {**DENIED, "code": "AccessDenied"}})

    with pytest.raises(TaskDeferralTimeout):
        operator.resume_execution("__fail__", {"error": "Trigger timeout"}, ti.context)

    told = [line for line in capsys.readouterr().out.splitlines() if "could not be stopped" in line]
    assert len(told) == 1
    for part in (job, "execution_timeout is over", "airflow-spot jobs --stop-orphans", "Grant"):
        assert part in told[0]
