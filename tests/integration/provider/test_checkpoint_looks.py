"""A training job's checkpoints are looked at while it trains: on the emulator, over HTTP."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_spot_provider.aws.kinds import TRAINING_JOBS
from airflow_spot_provider.aws.watching.subscription import Sighting
from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.training import SpotProgress, progress_of, spot_request
from airflow_spot_provider.training.progress import Facts
from airflow_spot_provider.triggers import _checkpoints
from airflow_spot_provider.triggers import _job as triggers_job
from airflow_spot_provider.triggers.training import SageMakerSpotTrainingTrigger
from tests.integration.conftest import BUCKET
from tests.integration.provider.supervisor import Supervisor, serve_triggers
from tests.integration.provider.task_instance import FakeTaskInstance

pytestmark = pytest.mark.usefixtures("aws_connection")

PATIENCE = 30.0
"""Real seconds until a condition has to be true."""


class Seen:
    """What was asked of S3, what was logged, and what was measured."""

    def __init__(self) -> None:
        self.lists: list[dict[str, Any]] = []
        self.troubles: list[Exception] = []
        self.pages_of = 1_000
        self.metrics: list[tuple[str, float, dict[str, str]]] = []


class _Client:
    def __init__(self, client: Any, seen: Seen) -> None:
        self._client = client
        self._seen = seen

    async def list_objects_v2(self, **members: Any) -> Any:
        self._seen.lists.append(members)
        if self._seen.troubles:
            raise self._seen.troubles.pop(0)
        return await self._client.list_objects_v2(**members, MaxKeys=self._seen.pages_of)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """S3 by the real client, with what is asked noted; looks every 0.1 real seconds."""
    seen = Seen()
    connect = SageMakerSpotHook.connect

    @asynccontextmanager
    async def _noted(client_context: Any) -> AsyncIterator[Any]:
        async with client_context as client:
            yield _Client(client, seen)

    async def _connect(hook: SageMakerSpotHook, service: str = "sagemaker") -> Any:
        context = await connect(hook, service)
        return _noted(context) if service == "s3" else context

    def _measure(name: str, value: float = 1, *, tags: dict[str, str]) -> None:
        if name.startswith("airflow_spot.checkpoint."):
            seen.metrics.append((name, value, tags))

    monkeypatch.setattr(SageMakerSpotHook, "connect", _connect)
    monkeypatch.setattr(_checkpoints, "seconds_between_looks", lambda _interval: 0.1)
    monkeypatch.setattr(_checkpoints.Stats, "gauge", _measure)
    monkeypatch.setattr(_checkpoints.Stats, "incr", _measure)
    return seen


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    monkeypatch.setattr(triggers_job, "shortest_deferral", lambda: 0.0)
    return serve_triggers(monkeypatch)


@pytest.fixture
def hook() -> SageMakerSpotHook:
    return SageMakerSpotHook(region_name="us-east-1")


@pytest.fixture
def write(emulator: SageMakerEmulator, unique: str) -> Callable[..., None]:
    """Write an object below the checkpoint prefix, as SageMaker does for a script."""
    s3 = emulator.client("s3")

    def _write(name: str = "model.pt", body: bytes = b"weights") -> None:
        s3.put_object(Bucket=BUCKET, Key=f"{unique}/checkpoints/{name}", Body=body)

    return _write


@pytest.fixture
def submit(hook: SageMakerSpotHook, job_config: dict[str, Any], unique: str) -> Iterator[Callable[..., str]]:
    def _submit(lifecycle: str = "uninterrupted", training_seconds: int = 30_000) -> str:
        request = spot_request(
            {
                **job_config,
                "TrainingJobName": unique,
                "StoppingCondition": {"MaxRuntimeInSeconds": 40_000},
                "Tags": [
                    {"Key": "emulator:lifecycle", "Value": lifecycle},
                    {"Key": "emulator:training-seconds", "Value": str(training_seconds)},
                ],
            },
            max_wait=80_000,
            checkpoint_s3_uri=f"s3://{BUCKET}/{unique}/checkpoints",
        )
        assert hook.jobs(TRAINING_JOBS).create(request)
        return unique

    yield _submit
    hook.jobs(TRAINING_JOBS).stop(unique)


@pytest.fixture
def trigger(unique: str) -> SageMakerSpotTrainingTrigger:
    """Of a task whose script is expected to write a checkpoint every emulated minute, a real second."""
    trigger = SageMakerSpotTrainingTrigger(
        unique, region_name="us-east-1", poll_interval=0.2, checkpoint_interval=60.0
    )
    trigger.task_instance = FakeTaskInstance(f"manual__{unique}")
    return trigger


async def _until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - it is looked at from outside
            await asyncio.sleep(0.02)


async def _run_until(trigger: SageMakerSpotTrainingTrigger, *conditions: Callable[[], Any]) -> None:
    """Run the trigger until the conditions have come true one after the other; then cancel it, as a shutdown does."""

    async def _events() -> list[Any]:
        return [event async for event in trigger.run()]

    running = asyncio.create_task(_events())
    try:
        for condition in conditions:
            await _until(lambda true=condition: running.done() or true())
            assert not running.done(), running.result()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    pattern = re.compile(r"\[\w+ *\] (?P<message>.*?) \[airflow_spot_provider\.triggers")
    return [match["message"] for match in pattern.finditer(capsys.readouterr().out)]


def _published(supervisor: Supervisor) -> list[dict[str, Any]]:
    """The checkpoints of each progress that has some."""
    return [each["checkpoints"] for each in supervisor.all_of("spot_progress") if each["checkpoints"]]


def test_checkpoints_that_are_no_longer_written_are_told_once_and_again_when_they_are(
    submit: Any,
    trigger: SageMakerSpotTrainingTrigger,
    seen: Seen,
    supervisor: Supervisor,
    write: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    job = submit()
    write()

    def _is(stale: bool, looks: int = 1) -> Callable[[], bool]:
        return lambda: [each["stale"] for each in _published(supervisor)[-looks:]] == [stale] * looks

    def _written() -> bool:
        write("model-2.pt", b"newer weights")
        return True

    asyncio.run(_run_until(trigger, _is(False), _is(True, looks=4), _written, _is(False)))

    lines = _said(capsys)
    [warning] = [line for line in lines if "newest checkpoint" in line]
    assert f"s3://{BUCKET}/{job}/checkpoints" in warning
    assert "expected every 1m00s" in warning
    assert sum("written again" in line for line in lines) == 1
    newest = _published(supervisor)[-1]
    assert (newest["objects"], newest["newest_bytes"], newest["expected_every"]) == (2, 13, 60.0)
    assert all(
        SpotProgress.from_json(each).phase == "training" for each in supervisor.all_of("spot_progress")[-4:]
    )
    assert {(name, *tags.values()) for name, _, tags in seen.metrics} == {
        ("airflow_spot.checkpoint.age", "integration", "train"),
        ("airflow_spot.checkpoint.stale", "integration", "train"),
    }
    assert sum(name.endswith(".stale") for name, _, _ in seen.metrics) == 1
    assert max(age for name, age, _ in seen.metrics if name.endswith(".age")) > 120


def test_nobody_looks_without_an_interval(
    submit: Any, unique: str, seen: Seen, supervisor: Supervisor
) -> None:
    submit(training_seconds=60)
    trigger = SageMakerSpotTrainingTrigger(unique, region_name="us-east-1", poll_interval=0.2)
    trigger.task_instance = FakeTaskInstance(f"manual__{unique}")

    async def _events() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    assert asyncio.run(_events()) == [{"job_name": unique, "outcome": "Completed"}]
    assert seen.lists == []
    assert _published(supervisor) == []


def test_nobody_looks_while_the_job_waits(
    submit: Any, trigger: SageMakerSpotTrainingTrigger, seen: Seen, supervisor: Supervisor
) -> None:
    """Waiting does not count: a job that trains again after an interruption is given its time."""
    submit("interrupted-once", training_seconds=240)

    def _status() -> str:
        progress = supervisor.xcoms.get("spot_progress")
        return progress["status"] if progress else ""

    looks: dict[str, int] = {}

    def _note(status: str) -> Callable[[], bool]:
        def _noted() -> bool:
            looks.setdefault(_status(), len(seen.lists))
            return _status() == status

        return _noted

    asyncio.run(_run_until(trigger, _note("Training"), _note("Interrupted"), _note("Starting"), _note("Training"),
                           lambda: len(seen.lists) > looks["Starting"]))  # fmt: skip

    assert looks["Training"] == 0
    assert looks["Interrupted"] > 0
    assert looks["Starting"] <= looks["Interrupted"] + 1  # at the most one that was under way


def test_missing_permission_is_said_once_and_nobody_looks_again(
    submit: Any,
    trigger: SageMakerSpotTrainingTrigger,
    seen: Seen,
    supervisor: Supervisor,
    capsys: pytest.CaptureFixture[str],
) -> None:
    submit(training_seconds=90)
    denied: Any = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    seen.troubles = [ClientError(denied, "ListObjectsV2")] * 100

    async def _events() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    assert asyncio.run(_events()) == [{"job_name": trigger.job_name, "outcome": "Completed"}]
    assert len(seen.lists) == 1
    [said] = [line for line in _said(capsys) if "s3:ListBucket" in line]
    assert f"arn:aws:s3:::{BUCKET}" in said
    assert _published(supervisor) == []


def test_trouble_at_s3_ends_no_look_and_no_task(
    submit: Any,
    trigger: SageMakerSpotTrainingTrigger,
    seen: Seen,
    supervisor: Supervisor,
    capsys: pytest.CaptureFixture[str],
) -> None:
    submit()
    for code, status in (("SlowDown", 503), ("NoSuchBucket", 404), ("NoSuchBucket", 404)):
        answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
        seen.troubles.append(ClientError(answer, "ListObjectsV2"))
    seen.troubles.append(ConnectionResetError())

    asyncio.run(_run_until(trigger, lambda: _published(supervisor)))

    assert len(seen.lists) >= 5
    lines = _said(capsys)
    assert [line for line in lines if "SlowDown" in line or "ConnectionReset" in line] == []
    assert sum("NoSuchBucket" in line for line in lines) == 1


def test_many_objects_take_one_call_a_look_and_are_judged_when_all_are_known(
    submit: Any, trigger: SageMakerSpotTrainingTrigger, seen: Seen, supervisor: Supervisor, write: Any
) -> None:
    submit()
    seen.pages_of = 2
    for number in range(5):
        write(f"step-{number}", b"x" * number)

    asyncio.run(_run_until(trigger, lambda: len(_published(supervisor)) >= 2))

    prefix = f"{trigger.job_name}/checkpoints/"
    assert [asked.get("StartAfter") for asked in seen.lists[:4]] == [
        None,
        f"{prefix}step-1",
        f"{prefix}step-3",
        None,
    ]
    assert {asked["Prefix"] for asked in seen.lists} == {prefix}
    assert [each["objects"] for each in _published(supervisor)[:2]] == [5, 5]


@pytest.mark.usefixtures("seen")
def test_job_that_was_only_seen_in_a_list_adds_to_what_was_published_of_it_before(
    submit: Any, trigger: SageMakerSpotTrainingTrigger, supervisor: Supervisor, hook: SageMakerSpotHook
) -> None:
    """A triggerer that takes over many jobs describes none of them until it changes: what was published says more."""
    job = submit()
    jobs = hook.jobs(TRAINING_JOBS)
    trigger.checkpoint_s3_uri = f"s3://{BUCKET}/{job}/checkpoints"

    async def _told() -> None:
        await _until(lambda: jobs.get(job)["SecondaryStatus"] == "Training")
        description = jobs.get(job)
        supervisor.written = [("spot_progress", progress_of(description, facts=Facts(note="told before")))]
        members = ("TrainingJobName", "TrainingJobArn", "CreationTime", "LastModifiedTime",
                   "TrainingJobStatus", "SecondaryStatus")  # fmt: skip
        trigger.tell(Sighting({name: description[name] for name in members}, whole=False), 0)
        await _until(lambda: _published(supervisor))
        trigger.stopped()

    asyncio.run(_told())

    progress = SpotProgress.from_json(supervisor.xcoms["spot_progress"])
    assert progress.note == "told before"
    assert len(progress.timeline) == 3
    assert progress.checkpoints is not None
