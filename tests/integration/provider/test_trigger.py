"""The trigger on the emulator, over HTTP: it waits, tells, outlasts trouble, stops only when a user says so."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.jobs import triggerer_job_runner
from botocore.exceptions import ClientError, EndpointConnectionError

from airflow_spot_provider._compat import supervisor
from airflow_spot_provider.aws import errors, lag
from airflow_spot_provider.aws.kinds import TRAINING_JOBS
from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.training import spot_request
from airflow_spot_provider.triggers.training import SageMakerSpotTrainingTrigger
from tests.integration.provider.supervisor import serve_triggers

pytestmark = pytest.mark.usefixtures("aws_connection")


@pytest.fixture
def hook() -> SageMakerSpotHook:
    return SageMakerSpotHook(region_name="us-east-1")


@pytest.fixture
def submit(hook: SageMakerSpotHook, job_config: dict[str, Any], unique: str) -> Any:
    def _submit(lifecycle: str, max_wait: int = 600) -> str:
        tags = [*job_config["Tags"], {"Key": "emulator:lifecycle", "Value": lifecycle}]
        request = spot_request({**job_config, "TrainingJobName": unique, "Tags": tags}, max_wait=max_wait)
        assert hook.jobs(TRAINING_JOBS).create(request)
        return unique

    return _submit


def _trigger(job_name: str, **kwargs: Any) -> SageMakerSpotTrainingTrigger:
    return SageMakerSpotTrainingTrigger(
        job_name, **{"region_name": "us-east-1", "poll_interval": 0.2, **kwargs}
    )


async def _events(trigger: SageMakerSpotTrainingTrigger) -> list[Any]:
    return [event.payload async for event in trigger.run()]


async def _next_event(trigger: SageMakerSpotTrainingTrigger) -> Any:
    return await anext(aiter(trigger.run()))


def _said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What the trigger logged; Airflow's structlog writes to standard output here."""
    pattern = re.compile(r"\[\w+ *\] (?P<message>.*?) \[airflow_spot_provider\.triggers")
    return [match["message"] for match in pattern.finditer(capsys.readouterr().out)]


@pytest.mark.parametrize(
    ("lifecycle", "outcome"),
    [
        ("uninterrupted", "Completed"),
        ("interrupted-once", "Completed"),
        ("interrupted-twice-then-max-wait", "MaxWaitTimeExceeded"),
        ("never-launched", "MaxWaitTimeExceeded"),
        ("failed", "Failed"),
    ],
)
def test_trigger_ends_with_one_event_that_tells_the_outcome(
    submit: Any, lifecycle: str, outcome: str
) -> None:
    job = submit(lifecycle)

    assert asyncio.run(_events(_trigger(job))) == [{"job_name": job, "outcome": outcome}]


def test_trigger_says_each_transition_once_in_words(submit: Any, capsys: pytest.CaptureFixture[str]) -> None:
    job = submit("interrupted-once")

    asyncio.run(_events(_trigger(job)))

    lines = _said(capsys)
    assert [re.split(r"[; ]", line)[0] for line in lines] == [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ]
    assert re.fullmatch(
        r"Interrupted after \w+ of training; SageMaker is waiting for spot capacity; \w+ of MaxWait left",
        lines[3],
    )


def test_restarted_trigger_goes_on_from_its_serialized_arguments(submit: Any) -> None:
    job = submit("interrupted-once")
    path, arguments = _trigger(job).serialize()
    assert path.endswith(".SageMakerSpotTrainingTrigger")

    async def _cancelled_and_started_again() -> Any:
        first = asyncio.create_task(_next_event(SageMakerSpotTrainingTrigger(**arguments)))
        await asyncio.sleep(0.3)  # in the middle of its wait, as a shutdown finds it
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await _events(SageMakerSpotTrainingTrigger(**arguments))

    assert asyncio.run(_cancelled_and_started_again()) == [{"job_name": job, "outcome": "Completed"}]


def test_kill_by_a_user_stops_the_job(submit: Any, hook: SageMakerSpotHook) -> None:
    job = submit("never-launched", max_wait=36_000)

    asyncio.run(_trigger(job).on_kill())

    assert hook.jobs(TRAINING_JOBS).get(job)["TrainingJobStatus"] in ("Stopping", "Stopped")


def test_kill_leaves_the_job_alone_when_told_so(submit: Any, hook: SageMakerSpotHook) -> None:
    job = submit("never-launched", max_wait=36_000)

    asyncio.run(_trigger(job, cancel_on_kill=False).on_kill())

    assert hook.jobs(TRAINING_JOBS).get(job)["TrainingJobStatus"] == "InProgress"
    hook.jobs(TRAINING_JOBS).stop(job)


@pytest.mark.parametrize(
    ("states", "statuses"),
    [
        ({"run": {"train": "failed"}}, {"Stopping", "Stopped"}),
        ({}, {"Stopping", "Stopped"}),
        ({"run": {"train": "deferred"}}, {"InProgress"}),
        (None, {"InProgress"}),
    ],
    ids=["marked failed", "deleted", "handed over", "nobody knows"],
)
@pytest.mark.parametrize("says_why", [True, False], ids=["Airflow 3.3", "before"])
def test_tasks_state_tells_a_kill_from_everything_else_that_ends_a_trigger(
    submit: Any,
    hook: SageMakerSpotHook,
    monkeypatch: pytest.MonkeyPatch,
    states: dict[str, dict[str, str | None]] | None,
    statuses: set[str],
    says_why: bool,
) -> None:
    def _states() -> dict[str, dict[str, str | None]]:
        if states is None:
            raise ConnectionResetError
        return states

    supervisor = serve_triggers(monkeypatch)
    supervisor.states = _states
    job = submit("never-launched", max_wait=36_000)
    trigger = _trigger(job)
    trigger.task_instance = SimpleNamespace(  # type: ignore[assignment]
        dag_id="dag", run_id="run", task_id="train", map_index=-1, try_number=1
    )

    async def _cancel() -> None:
        waiting = asyncio.create_task(_next_event(trigger))
        while not supervisor.written:  # noqa: ASYNC110 - until it is seen and published
            await asyncio.sleep(0.02)
        waiting.cancel(*(["__airflow_user_action__"] if says_why else []))
        with pytest.raises(asyncio.CancelledError):
            await waiting
        watcher = trigger.watcher()
        assert len(watcher) == 1
        if states is not None:
            while len(watcher):  # noqa: ASYNC110 - until the watcher has dealt with it
                await asyncio.sleep(0.02)

    asyncio.run(asyncio.wait_for(_cancel(), 30))
    assert hook.jobs(TRAINING_JOBS).get(job)["TrainingJobStatus"] in statuses
    hook.jobs(TRAINING_JOBS).stop(job)


def test_job_that_does_not_exist_is_reported_after_its_grace(
    monkeypatch: pytest.MonkeyPatch, unique: str
) -> None:
    monkeypatch.setattr(lag, "NOT_FOUND_GRACE_SECONDS", 0.3)

    [event] = asyncio.run(_events(_trigger(unique)))

    assert event["outcome"] is None
    assert unique in event["error"]
    assert "region_name" in event["error"]


class _Troubled:
    """A client whose first calls fail, and then are the real one's."""

    def __init__(self, client: Any, troubles: list[Exception]) -> None:
        self._client = client
        self._troubles = troubles

    async def describe_training_job(self, **kwargs: Any) -> Any:
        if self._troubles:
            raise self._troubles.pop(0)
        return await self._client.describe_training_job(**kwargs)


def _client_error(code: str, status: int) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "DescribeTrainingJob")


def test_trigger_outlasts_throttling_outages_dropped_connections_and_expired_credentials(
    submit: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = submit("uninterrupted")
    troubles: list[Exception] = [
        _client_error("ThrottlingException", 400),
        _client_error("502", 502),
        EndpointConnectionError(endpoint_url="http://localhost"),
        _client_error("ExpiredTokenException", 400),
        ConnectionResetError(),
    ]
    connections = 0
    connect = SageMakerSpotHook.connect

    @asynccontextmanager
    async def _troubled(client_context: Any) -> AsyncIterator[Any]:
        async with client_context as client:
            yield _Troubled(client, troubles)

    async def _connect(hook: SageMakerSpotHook, service: str = "sagemaker") -> Any:
        nonlocal connections
        connections += 1
        return _troubled(await connect(hook, service))

    monkeypatch.setattr(SageMakerSpotHook, "connect", _connect)
    monkeypatch.setattr(errors.Backoff, "next_delay", lambda _self: 0.2)
    events = asyncio.run(_events(_trigger(job)))

    assert events == [{"job_name": job, "outcome": "Completed"}]
    assert connections == 2  # expired credentials need a new client, nothing else does
    lines = _said(capsys)
    assert sum("cannot be asked just now" in line for line in lines) == 1
    assert sum("answers again" in line for line in lines) == 1


def test_missing_permission_ends_the_watch_and_names_what_to_grant(
    submit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lag, "DENIED_GRACE_SECONDS", 0.3)
    job = submit("uninterrupted")
    connect = SageMakerSpotHook.connect

    @asynccontextmanager
    async def _denied(client_context: Any) -> AsyncIterator[Any]:
        async with client_context as client:
            yield _Troubled(client, [_client_error("AccessDeniedException", 400)] * 1_000)

    async def _connect(hook: SageMakerSpotHook, service: str = "sagemaker") -> Any:
        return _denied(await connect(hook, service))

    monkeypatch.setattr(SageMakerSpotHook, "connect", _connect)
    [event] = asyncio.run(_events(_trigger(job)))

    assert event["outcome"] is None
    assert "sagemaker:DescribeTrainingJob" in event["error"]


def test_this_airflow_says_that_a_user_acted() -> None:
    """If a later Airflow says it in other words, what a triggerer logs as it ends has to be told by those: see _compat/."""
    assert triggerer_job_runner._USER_ACTION_CANCEL_MSG == supervisor.USER_ACTION


def test_emulator_counts_one_call_a_look(submit: Any, emulator: SageMakerEmulator) -> None:
    before = emulator.calls().get("DescribeTrainingJob", 0)
    job = submit("uninterrupted")

    asyncio.run(_events(_trigger(job, poll_interval=0.5)))

    assert emulator.calls()["DescribeTrainingJob"] > before
