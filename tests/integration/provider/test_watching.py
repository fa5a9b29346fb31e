"""One watcher for many jobs, on the emulator over HTTP: what it costs, what it outlasts, what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.aws.kinds import TRAINING_JOBS
from airflow_spot_provider.aws.watching import watcher as watchers
from airflow_spot_provider.aws.watching.subscription import Notice, Subscription
from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.training import outcome_of
from airflow_spot_provider.triggers._watching import Settings, watcher_for
from airflow_spot_provider.triggers.training import SageMakerSpotTrainingTrigger
from airflow_spot_provider.triggers.tuning import SageMakerSpotTuningTrigger
from tests.integration.emulator.shapes import tuning_job

REGION = "us-east-1"
SECONDS = 60
"""No assertion: how long a test that hangs may hang."""


@pytest.fixture(scope="module")
def stepped() -> Iterator[SageMakerEmulator]:
    """A local SageMaker whose time passes when a test says so, a year from now."""
    with SageMakerEmulator(clock="stepped", start=datetime.now(UTC) + timedelta(days=365)) as emulator:
        emulator.client("s3").create_bucket(Bucket="bucket")
        yield emulator


class Account:
    """An AWS account of one test's own on the emulator, and the Airflow connection to it."""

    def __init__(self, emulator: SageMakerEmulator, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.emulator = emulator
        self.id = f"{number:012}"
        self._monkeypatch = monkeypatch
        self.sagemaker = self.client("sagemaker")
        self._before = emulator.calls()
        self.connect()

    def client(self, service: str) -> Any:
        return self.emulator.client(service, aws_access_key_id=self.id, aws_secret_access_key="secret")

    def connect(self, **extra: Any) -> None:
        """Make Airflow's connection ``aws_default`` lead here."""
        connection = {
            "conn_type": "aws",
            "login": self.id,
            "password": "secret",
            "extra": {"endpoint_url": self.emulator.endpoint_url, "region_name": REGION, **extra},
        }
        self._monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))

    def submit(self, *names: str, lifecycle: str = "never-launched") -> tuple[str, ...]:
        for name in names:
            self.sagemaker.create_training_job(
                TrainingJobName=name,
                RoleArn=f"arn:aws:iam::{self.id}:role/training",
                AlgorithmSpecification={"TrainingImage": "local/image:1", "TrainingInputMode": "File"},
                OutputDataConfig={"S3OutputPath": "s3://bucket/output"},
                ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
                EnableManagedSpotTraining=True,
                StoppingCondition={"MaxRuntimeInSeconds": 3_600, "MaxWaitTimeInSeconds": 86_400},
                Tags=[
                    {"Key": "emulator:lifecycle", "Value": lifecycle},
                    {"Key": "emulator:training-seconds", "Value": "600"},
                ],
            )
        return names

    def stop(self, name: str) -> None:
        """End a job as Stopped, with a few emulated minutes."""
        self.sagemaker.stop_training_job(TrainingJobName=name)
        self.emulator.clock.advance(timedelta(minutes=5))

    def calls(self, operation: str) -> int:
        """How often the operation was called since the test began."""
        return self.emulator.calls().get(operation, 0) - self._before.get(operation, 0)


@pytest.fixture
def account(stepped: SageMakerEmulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    monkeypatch.setattr(watchers, "_LINGER_SECONDS", 0.05)
    yield Account(stepped, random.SystemRandom().randrange(10**11, 10**12), monkeypatch)
    stepped.set_faults()


class Waiting:
    """Subscriptions to jobs, and what they have heard."""

    def __init__(self, interval: float = 0.2) -> None:
        self.interval = interval
        self.heard: dict[str, list[Any]] = {}
        self.ended: dict[str, str] = {}
        self.failed: dict[str, Exception] = {}
        self.notices: list[str] = []

    @asynccontextmanager
    async def on(self, *names: str) -> AsyncIterator[Waiting]:
        async with asyncio.timeout(SECONDS):
            tasks = [asyncio.create_task(self._wait(name)) for name in names]
            await self.until(lambda: all(self.heard.get(name) or name in self.failed for name in names))
            yield self
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def until(self, condition: Callable[[], Any]) -> None:
        while not condition():  # noqa: ASYNC110 - what is asked for is in another process
            await asyncio.sleep(0.02)

    async def looks(self, account: Account, count: int = 3) -> None:
        """Wait for so many more polls."""
        before = account.calls("ListTrainingJobs")
        await self.until(lambda: account.calls("ListTrainingJobs") >= before + count)

    async def _wait(self, name: str) -> None:
        subscription = Subscription(name, poll_interval=self.interval)
        watcher = watcher_for(Settings("aws_default", REGION))
        watcher.add(TRAINING_JOBS, subscription)
        try:
            while name not in self.ended:
                news = await subscription.next()
                if isinstance(news, Notice):
                    self.notices.append(news.text)
                    continue
                self.heard.setdefault(name, []).append(news)
                if (outcome := outcome_of(news.description)) is not None:
                    self.ended[name] = str(outcome)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.failed[name] = error
        finally:
            watcher.remove(TRAINING_JOBS, subscription)


def test_a_look_costs_what_changed_and_not_what_is_watched(account: Account) -> None:
    names = account.submit(*(f"waiting-{number}" for number in range(60)))

    async def _watch() -> None:
        async with Waiting().on(*names) as waiting:
            assert account.calls("DescribeTrainingJob") == 0
            lists = account.calls("ListTrainingJobs")
            await waiting.looks(account)
            assert account.calls("DescribeTrainingJob") == 0

            await asyncio.to_thread(account.stop, names[7])
            await waiting.until(lambda: waiting.ended)
            assert waiting.ended == {names[7]: "Stopped"}
            assert 1 <= account.calls("DescribeTrainingJob") <= 2  # Stopping may have been seen, too
            assert account.calls("ListTrainingJobs") > lists

    asyncio.run(_watch())


def test_foreign_jobs_that_change_cost_nothing(account: Account) -> None:
    foreign = [f"foreign-{number}" for number in range(250)]
    account.submit(*foreign)
    ours = account.submit("ours-1", "ours-2", "ours-3")

    async def _watch() -> None:
        async with Waiting().on(*ours) as waiting:
            described = account.calls("DescribeTrainingJob")
            for name in foreign[:100]:
                account.sagemaker.stop_training_job(TrainingJobName=name)
            await waiting.looks(account)
            assert account.calls("DescribeTrainingJob") == described

            await asyncio.to_thread(account.stop, ours[1])
            await waiting.until(lambda: waiting.ended)
            assert waiting.ended == {ours[1]: "Stopped"}

    asyncio.run(_watch())


def test_storm_of_subscriptions_leaves_nothing_behind(account: Account) -> None:
    names = account.submit(*(f"storm-{number}" for number in range(20)))
    order = random.Random(5)

    async def _storm() -> None:
        before = asyncio.all_tasks()
        waiting = Waiting(interval=1)
        running: list[asyncio.Task[None]] = []
        for _ in range(5_000):
            running.append(asyncio.create_task(waiting._wait(order.choice(names))))
            if order.random() < 0.6:
                running.pop(order.randrange(len(running))).cancel()
            if order.random() < 0.02:
                await asyncio.sleep(0)
        await waiting.until(lambda: len(waiting.heard) == len(names))
        order.shuffle(running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await waiting.until(lambda: asyncio.all_tasks() <= before)
        assert len(watchers.watchers_of_this_loop()) == 0

    async def _storm_twice() -> None:
        await asyncio.wait_for(_storm(), SECONDS)
        before = _sockets()
        await asyncio.wait_for(_storm(), SECONDS)
        assert _sockets() <= before

    asyncio.run(_storm_twice())


def _sockets() -> int:
    links = Path("/proc/self/fd").iterdir()
    return sum("socket:" in str(link.readlink()) for link in links if link.is_symlink())


@pytest.mark.parametrize("code", ["AccessDeniedException", "ValidationException"])
def test_jobs_are_described_where_they_cannot_be_listed(account: Account, code: str) -> None:
    names = account.submit("one", "two")
    denied = {"code": code, "message": "no", "status": 400}
    account.emulator.set_faults({"operation": "ListTrainingJobs", "error": denied})

    async def _watch() -> None:
        async with Waiting().on(*names) as waiting:
            await asyncio.to_thread(account.stop, "two")
            await waiting.until(lambda: waiting.ended)
            assert waiting.ended == {"two": "Stopped"}
            assert account.calls("ListTrainingJobs") <= 1

    asyncio.run(_watch())


def test_end_is_told_by_the_list_when_descriptions_are_throttled(account: Account) -> None:
    names = account.submit(*(f"throttled-{number}" for number in range(30)))

    async def _watch() -> None:
        async with Waiting().on(*names) as waiting:
            throttled = {"code": "ThrottlingException", "message": "Rate exceeded", "status": 400}
            account.emulator.set_faults({"operation": "DescribeTrainingJob", "error": throttled})
            await asyncio.to_thread(account.stop, names[3])
            await waiting.until(lambda: waiting.ended)
            assert waiting.ended == {names[3]: "Stopped"}
            assert not waiting.failed

    asyncio.run(_watch())


def test_outage_is_told_once_and_its_end_once_to_each_and_loses_nothing(account: Account) -> None:
    names = account.submit("up-1", "up-2", "up-3")

    async def _watch() -> None:
        async with Waiting().on(*names) as waiting:
            account.emulator.set_faults({"operation": "sagemaker:*", "error": {"status": 503}})
            await waiting.until(lambda: len(waiting.notices) == 3)
            account.emulator.set_faults()
            await waiting.until(lambda: len(waiting.notices) == 6)
            await asyncio.to_thread(account.stop, "up-2")
            await waiting.until(lambda: waiting.ended)

            assert waiting.ended == {"up-2": "Stopped"}
            assert sum("answers again" in text for text in waiting.notices) == 3
            assert not waiting.failed

    asyncio.run(_watch())


def test_deleted_job_whose_name_another_has_now_is_not_taken_for_it(account: Account) -> None:
    account.submit("other", "third")

    async def _watch() -> None:
        async with Waiting().on("other", "third") as waiting:
            subscription = Subscription("reused", poll_interval=0.2)
            watcher = watcher_for(Settings("aws_default", REGION))
            watcher.add(TRAINING_JOBS, subscription)
            poller = watcher._pollers[TRAINING_JOBS]
            poller._jobs["reused"].created = 1  # as it was created first
            account.submit("reused")  # another job than the one that was waited for
            task = asyncio.create_task(subscription.next())
            await waiting.until(task.done)
            with pytest.raises(Exception, match="another one bears its name"):
                task.result()
            watcher.remove(TRAINING_JOBS, subscription)

    asyncio.run(_watch())


def test_push_tells_of_every_end_though_events_come_twice_and_out_of_order(account: Account) -> None:
    queue = account.client("sqs").create_queue(QueueName="events")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{account.id}:events"
    events = account.client("events")
    pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Training Job State Change"]}
    events.put_rule(Name="jobs", EventPattern=json.dumps(pattern), State="ENABLED")
    events.put_targets(Rule="jobs", Targets=[{"Id": "queue", "Arn": arn}])
    account.connect(spot_events_queue="events")
    account.emulator.set_faults(events={"duplicate": 0.5, "reorder": 0.5}, seed=3)
    names = account.submit(*(f"pushed-{number}" for number in range(25)))
    for body in ("not json", "[]", '{"detail": 5}', '{"detail": {"TrainingJobName": ["x"]}}', "{}"):
        account.client("sqs").send_message(QueueUrl=queue, MessageBody=body)

    async def _watch() -> None:
        # Polling would need hours: what is heard, is heard from the queue.
        async with Waiting(interval=3_600).on(*names) as waiting:
            account.submit("foreign")
            for name in ("foreign", *names):
                await asyncio.to_thread(account.sagemaker.stop_training_job, TrainingJobName=name)
            await asyncio.to_thread(account.emulator.clock.advance, timedelta(minutes=5))
            await waiting.until(lambda: len(waiting.ended) == len(names))
            assert set(waiting.ended.values()) == {"Stopped"}

    asyncio.run(_watch())


@pytest.mark.parametrize("queue", ["not-there", "https://sqs.eu-west-1.amazonaws.com/1/elsewhere"])
def test_polling_goes_on_when_the_queue_cannot_be_read(
    account: Account, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    account.connect(spot_events_queue=queue)
    names = account.submit("polled", "polled-too")

    async def _watch() -> None:
        async with Waiting().on(*names) as waiting:
            await waiting.until(lambda: "polling" in caplog.text)
            await asyncio.to_thread(account.stop, "polled")
            await waiting.until(lambda: waiting.ended)

    asyncio.run(_watch())
    assert "airflow-spot events setup" in caplog.text


def test_missing_permission_on_the_queue_is_named(account: Account, caplog: pytest.LogCaptureFixture) -> None:
    account.client("sqs").create_queue(QueueName="closed")
    account.connect(spot_events_queue="closed")
    denied = {"code": "AccessDenied", "message": "no", "status": 403}
    account.emulator.set_faults({"operation": "ReceiveMessage", "error": denied})
    names = account.submit("a-job", "b-job")

    async def _watch() -> None:
        async with Waiting().on(*names) as waiting:
            await waiting.until(lambda: "sqs:ReceiveMessage" in caplog.text)
            await asyncio.to_thread(account.stop, "a-job")
            await waiting.until(lambda: waiting.ended)

    asyncio.run(_watch())


def test_triggers_of_a_year_behind_the_server_miss_nothing(account: Account) -> None:
    """The emulator's clock is a year ahead of this machine's."""
    names = account.submit(*(f"skewed-{number}" for number in range(5)))

    async def _run() -> list[Any]:
        triggers = [
            SageMakerSpotTrainingTrigger(name, region_name=REGION, poll_interval=0.2) for name in names
        ]
        waiting = [asyncio.create_task(anext(aiter(trigger.run()))) for trigger in triggers]
        await Waiting().until(lambda: account.calls("ListTrainingJobs"))
        for name in names:
            await asyncio.to_thread(account.stop, name)
        return [event.payload for event in await asyncio.gather(*waiting)]

    assert asyncio.run(asyncio.wait_for(_run(), SECONDS)) == [
        {"job_name": name, "outcome": "Stopped"} for name in names
    ]


def test_tuning_job_is_watched_in_the_same_way(account: Account) -> None:
    account.client("s3").create_bucket(Bucket=f"bucket-{account.id}")
    account.client("s3").put_object(Bucket=f"bucket-{account.id}", Key="data/one", Body=b"1")
    names = [f"search-{number}" for number in range(3)]
    for name in names:
        account.sagemaker.create_hyper_parameter_tuning_job(**tuning_job(name))

    async def _run() -> list[Any]:
        triggers = [SageMakerSpotTuningTrigger(name, region_name=REGION, poll_interval=0.2) for name in names]
        waiting = [asyncio.create_task(anext(aiter(trigger.run()))) for trigger in triggers]
        await Waiting().until(lambda: account.calls("ListHyperParameterTuningJobs"))
        for name in names:
            account.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        await asyncio.to_thread(account.emulator.clock.advance, timedelta(hours=2))
        return [event.payload for event in await asyncio.gather(*waiting)]

    assert asyncio.run(asyncio.wait_for(_run(), SECONDS)) == [
        {"job_name": name, "status": "Stopped"} for name in names
    ]


@pytest.mark.parametrize(
    ("service", "operation"), [("sagemaker", "list_training_jobs"), ("sqs", "list_queues")]
)
def test_answers_bear_the_emulators_own_time(account: Account, service: str, operation: str) -> None:
    answer = getattr(account.client(service), operation)()

    told = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    assert told == account.emulator.clock.now().replace(microsecond=0)


@pytest.mark.usefixtures("aws_connection")
def test_a_watchers_client_reads_times_without_the_zone_of_the_machine(
    emulator: SageMakerEmulator, job_config: dict[str, Any], unique: str
) -> None:
    emulator.client("sagemaker").create_training_job(TrainingJobName=unique, **job_config)

    async def _described() -> Any:
        async with await SageMakerSpotHook(region_name=REGION).connect() as client:
            return await client.describe_training_job(TrainingJobName=unique)

    assert asyncio.run(_described())["CreationTime"].tzinfo is UTC
