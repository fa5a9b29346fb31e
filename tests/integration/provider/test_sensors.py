"""The sensors on the emulator, over HTTP: wait for what something else has started, publish, judge, never stop."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from airflow_spot_provider.aws import patience
from airflow_spot_provider.aws.errors import Backoff
from airflow_spot_provider.aws.kinds import TRAINING_JOBS, TUNING_JOBS, Kind
from airflow_spot_provider.aws.watch import Watch
from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.sensors.training import SageMakerSpotTrainingSensor
from airflow_spot_provider.sensors.tuning import SageMakerSpotTuningSensor
from airflow_spot_provider.training import (
    InvalidSpotRequest,
    MaxWaitTimeExceeded,
    NoTrainingJobSucceeded,
    SpotAlert,
    TrainingJobNotFound,
    WatchFailed,
    spot_request,
    spot_tuning_request,
)
from airflow_spot_provider.training.alerts import checked_alerts
from tests.airflow_versions import AirflowSkipException, TaskDeferred
from tests.integration.provider.task_instance import FakeTaskInstance

pytestmark = pytest.mark.usefixtures("aws_connection")


@pytest.fixture
def hook() -> SageMakerSpotHook:
    return SageMakerSpotHook(region_name="us-east-1")


@pytest.fixture
def ti(unique: str) -> FakeTaskInstance:
    return FakeTaskInstance(f"manual__{unique}", task_id="wait")


@pytest.fixture
def train(hook: SageMakerSpotHook, job_config: dict[str, Any], unique: str) -> Any:
    """Start a training job, as something else than Airflow does."""

    def _train(
        lifecycle: str = "interrupted-once",
        max_wait: int = 120,
        checkpoints: str | None = None,
        **algorithm: Any,
    ) -> str:
        tags = [*job_config["Tags"], {"Key": "emulator:lifecycle", "Value": lifecycle}]
        # A MaxWait of 120 s passes in two.
        stopping = {"StoppingCondition": {"MaxRuntimeInSeconds": 90}}
        config = {**job_config, **stopping, "TrainingJobName": unique, "Tags": tags}
        config["AlgorithmSpecification"] = {**job_config["AlgorithmSpecification"], **algorithm}
        request = spot_request(config, max_wait=max_wait, checkpoint_s3_uri=checkpoints)
        assert hook.jobs(TRAINING_JOBS).create(request)
        return unique

    return _train


@pytest.fixture
def tune(hook: SageMakerSpotHook, job_config: dict[str, Any], unique: str) -> Any:
    """Start a tuning job, as something else than Airflow does."""

    def _tune(lifecycle: str = "uninterrupted", training_seconds: int = 30) -> str:
        members = ("RoleArn", "OutputDataConfig", "ResourceConfig", "StoppingCondition")
        metrics = [{"Name": "loss", "Regex": "loss=(.*)"}]
        algorithm = {**job_config["AlgorithmSpecification"], "MetricDefinitions": metrics}
        ranges = [{"Name": "rate", "MinValue": "0.001", "MaxValue": "1"}]
        request = spot_tuning_request(
            {
                "HyperParameterTuningJobName": unique,
                "HyperParameterTuningJobConfig": {
                    "Strategy": "Random",
                    "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 2},
                    "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
                    "ParameterRanges": {"ContinuousParameterRanges": ranges},
                },
                "TrainingJobDefinition": {
                    **{member: job_config[member] for member in members},
                    "AlgorithmSpecification": algorithm,
                },
                "Tags": [
                    {"Key": "emulator:training-seconds", "Value": str(training_seconds)},
                    {"Key": "emulator:lifecycle", "Value": lifecycle},
                ],
            },
            max_wait=1200,
        )
        assert hook.jobs(TUNING_JOBS).create(request)
        return unique

    return _tune


def _training_sensor(job_name: str, **kwargs: Any) -> SageMakerSpotTrainingSensor:
    arguments = {"region_name": "us-east-1", "poke_interval": 0.5, "deferrable": False, **kwargs}
    return SageMakerSpotTrainingSensor(task_id="wait", job_name=job_name, **arguments)


def _tuning_sensor(job_name: str, **kwargs: Any) -> SageMakerSpotTuningSensor:
    arguments = {"region_name": "us-east-1", "poke_interval": 0.5, "deferrable": False, **kwargs}
    return SageMakerSpotTuningSensor(task_id="wait", job_name=job_name, **arguments)


def _deferred(sensor: Any, ti: FakeTaskInstance) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as deferral:
        sensor.execute(ti.context)
    return deferral.value


def _event(deferral: TaskDeferred) -> dict[str, Any]:
    async def _events() -> list[Any]:
        return [event.payload async for event in deferral.trigger.run()]

    [event] = asyncio.run(_events())
    return dict(event)


def test_training_job_is_waited_for_and_published(train: Any, ti: FakeTaskInstance) -> None:
    job = train()

    result = _training_sensor(job).execute(ti.context)

    assert result == ti.xcoms["return_value"]
    assert (result["job_name"], result["outcome"], result["interruptions"]) == (job, "Completed", 1)
    assert ti.xcoms["savings_percent"] == result["savings_percent"]
    assert ti.xcoms["sagemaker_training_job"]["job_name"] == job


def test_metric_curves_of_somebody_elses_job_are_published(train: Any, ti: FakeTaskInstance) -> None:
    job = train(
        "uninterrupted",
        ContainerEntrypoint=["python3", "-c", "print('loss=0.5')"],
        MetricDefinitions=[{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
    )

    _training_sensor(job).execute(ti.context)

    [[_, loss]] = ti.xcoms["spot_metrics"]["loss"]
    assert loss == 0.5


def test_job_of_somebody_elses_is_looked_after_as_an_own_one(
    train: Any, ti: FakeTaskInstance, hook: SageMakerSpotHook, unique: str
) -> None:
    uri = f"s3://integration/{unique}/checkpoints"
    job = train("never-launched", max_wait=36_000, checkpoints=uri)
    alert = SpotAlert("tests.alerting.note_text", interruptions=1, kwargs={"text": "{{ job_name }}"})

    deferral = _deferred(
        _training_sensor(job, deferrable=True, alerts=[alert], checkpoint_interval=timedelta(minutes=10)), ti
    )

    settings = deferral.trigger.serialize()[1]
    assert (settings["checkpoint_interval"], settings["checkpoint_s3_uri"]) == (600.0, uri)
    assert settings["alerts"] == checked_alerts([alert], looks_at_checkpoints=True)
    assert settings["max_wait"] == 36_000
    assert settings["cancel_on_kill"] is False
    hook.jobs(TRAINING_JOBS).stop(job)


def test_checkpoints_of_a_job_that_has_none_are_not_looked_after(
    train: Any, ti: FakeTaskInstance, hook: SageMakerSpotHook
) -> None:
    job = train("never-launched", max_wait=36_000)
    sensor = _training_sensor(job, deferrable=True, checkpoint_interval=600)

    with pytest.raises(InvalidSpotRequest, match="has no checkpoints"):
        sensor.execute(ti.context)
    with pytest.raises(InvalidSpotRequest, match="leave deferrable=True"):
        _training_sensor(job, checkpoint_interval=600)

    hook.jobs(TRAINING_JOBS).stop(job)


def test_training_job_is_waited_for_without_a_worker_and_has_no_tag_put_on_it(
    train: Any, ti: FakeTaskInstance, hook: SageMakerSpotHook
) -> None:
    job = train("interrupted-twice-then-max-wait", max_wait=480)
    sensor = _training_sensor(job, deferrable=True, timeout=77, botocore_config={"read_timeout": 7})
    deferral = _deferred(sensor, ti)
    settings = deferral.trigger.serialize()[1]

    event = _event(deferral)
    with pytest.raises(MaxWaitTimeExceeded):
        sensor.execute_complete(ti.context, event)

    assert deferral.timeout is not None
    assert deferral.timeout.total_seconds() == 77
    assert (settings["cancel_on_kill"], settings["botocore_config"]) == (False, {"read_timeout": 7})
    assert ti.xcoms["return_value"]["outcome"] == "MaxWaitTimeExceeded"
    described = hook.jobs(TRAINING_JOBS).get(job)
    tags = hook.jobs(TRAINING_JOBS).get_tags(described["TrainingJobArn"])
    assert not any(key.startswith("airflow-spot:") for key in tags)


def test_kill_of_the_waiting_task_leaves_the_job_alone(
    train: Any, ti: FakeTaskInstance, hook: SageMakerSpotHook
) -> None:
    job = train("never-launched", max_wait=36_000)
    sensor = _training_sensor(job, deferrable=True)
    deferral = _deferred(sensor, ti)

    asyncio.run(deferral.trigger.on_kill())
    sensor.on_kill()

    assert hook.jobs(TRAINING_JOBS).get(job)["TrainingJobStatus"] == "InProgress"
    hook.jobs(TRAINING_JOBS).stop(job)


def test_job_that_has_ended_is_not_deferred_for(train: Any, ti: FakeTaskInstance) -> None:
    job = train("uninterrupted")
    first = _training_sensor(job).execute(ti.context)

    assert _training_sensor(job, deferrable=True).execute(ti.context) == first


@pytest.mark.parametrize("how", ["soft_fail", "never_fail"])
def test_outcome_that_is_not_accepted_skips_where_the_user_asks_for_that(
    train: Any, ti: FakeTaskInstance, how: str
) -> None:
    job = train("failed")

    with pytest.raises(AirflowSkipException, match="ended as Failed"):
        _training_sensor(job, **{how: True}).execute(ti.context)

    assert ti.xcoms["return_value"]["outcome"] == "Failed"
    assert _training_sensor(job, accept=("Failed",)).execute(ti.context)["outcome"] == "Failed"


def test_tuning_job_is_waited_for_and_published(tune: Any, ti: FakeTaskInstance) -> None:
    # Long enough that it still runs when a slow machine gets to look: 400 s pass in seven.
    job = tune(training_seconds=400)
    sensor = _tuning_sensor(job, deferrable=True)
    deferral = _deferred(sensor, ti)

    result = sensor.execute_complete(ti.context, _event(deferral))

    assert result == ti.xcoms["return_value"]
    assert (result["job_name"], result["outcome"], result["jobs"]) == (job, "Completed", 2)
    assert result["best"]["job_name"].startswith(f"{job}-")
    assert ti.xcoms["sagemaker_tuning_job"]["job_name"] == job


def test_tuning_job_without_success_is_published_and_raised(tune: Any, ti: FakeTaskInstance) -> None:
    with pytest.raises(NoTrainingJobSucceeded):
        _tuning_sensor(tune("failed")).execute(ti.context)

    assert ti.xcoms["return_value"]["outcome"] == "NoJobSucceeded"


def test_job_that_does_not_exist_is_a_clear_error(
    ti: FakeTaskInstance, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "lag_seconds", lambda _error: 0.0)

    with pytest.raises(TrainingJobNotFound, match="aws_conn_id or region_name"):
        _training_sensor(unique).execute(ti.context)


@pytest.mark.parametrize("kind", [TRAINING_JOBS, TUNING_JOBS], ids=["training", "tuning"])
def test_job_that_ended_is_waited_for_though_sagemakers_answer_lags_behind_the_event(
    kind: Kind, train: Any, tune: Any, ti: FakeTaskInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = train("uninterrupted") if kind is TRAINING_JOBS else tune()
    sensor: Any = _training_sensor(job) if kind is TRAINING_JOBS else _tuning_sensor(job)
    sensor.execute(ti.context)
    ended = ti.xcoms["return_value"]
    describe, before_the_end = getattr(sensor.hook.conn, kind.describe), {kind.status: "InProgress"}
    late = [{"SecondaryStatus": "Uploading"}, {}]

    def _lagging(**members: Any) -> Any:
        answer = describe(**members)
        return {**answer, **before_the_end, **late.pop()} if late else answer

    monkeypatch.setattr(sensor.hook.conn, kind.describe, _lagging)
    monkeypatch.setattr(Watch, "next_look", lambda _self: 0.01)
    result = sensor.execute_complete(ti.context, {"job_name": job, "outcome": "Completed"})

    assert late == []
    assert result == ti.xcoms["return_value"] == ended


def test_permission_that_is_missing_is_named_once_it_can_be_no_lag(
    train: Any, ti: FakeTaskInstance, emulator: SageMakerEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "lag_seconds", lambda _error: 0.0)
    job = train("never-launched", max_wait=36_000)
    emulator.set_faults(
        {"operation": "DescribeTrainingJob", "error": {"code": "AccessDeniedException", "status": 400}}
    )
    try:
        with pytest.raises(WatchFailed, match="grant sagemaker:DescribeTrainingJob"):
            _training_sensor(job).execute(ti.context)
    finally:
        emulator.set_faults()
        emulator.client("sagemaker").stop_training_job(TrainingJobName=job)


def test_denial_of_the_first_look_is_outlasted(
    train: Any, ti: FakeTaskInstance, emulator: SageMakerEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Backoff, "next_delay", lambda _self: 0.01)
    denied = {"code": "AccessDeniedException", "status": 400}
    emulator.set_faults({"operation": "DescribeTrainingJob", "error": denied, "times": 3})
    try:
        _training_sensor(train("uninterrupted")).execute(ti.context)
    finally:
        emulator.set_faults()

    assert ti.xcoms["return_value"]["outcome"] == "Completed"


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (None, "without an event"),
        ({"job_name": "j", "outcome": None, "error": "no permission"}, "no permission"),
    ],
)
def test_watch_that_failed_is_told(ti: FakeTaskInstance, event: dict[str, Any] | None, told: str) -> None:
    with pytest.raises(WatchFailed, match=told):
        _training_sensor("j").execute_complete(ti.context, event)


def test_unknown_outcome_is_refused() -> None:
    with pytest.raises(InvalidSpotRequest, match="accept names"):
        _training_sensor("j", accept=("Done",))
    with pytest.raises(InvalidSpotRequest, match="NoJobSucceeded"):
        _tuning_sensor("j", accept="Done")
