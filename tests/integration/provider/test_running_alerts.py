"""Alerts while a job runs: what is called, once, and that watching does not depend on it. On the emulator, over HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_spot_provider.aws.kinds import TRAINING_JOBS
from airflow_spot_provider.aws.watching.subscription import Sighting
from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.training import SpotAlert, progress_of, spot_request
from airflow_spot_provider.training.alerts import checked_alerts
from airflow_spot_provider.triggers import _alerts, _calling, _checkpoints
from airflow_spot_provider.triggers import _job as triggers_job
from airflow_spot_provider.triggers.training import SageMakerSpotTrainingTrigger
from tests import alerting
from tests.builders import a_training_job
from tests.integration.conftest import BUCKET
from tests.integration.provider.supervisor import Supervisor, serve_triggers
from tests.integration.provider.task_instance import FakeTaskInstance

pytestmark = pytest.mark.usefixtures("aws_connection", "nothing_told")

PATIENCE = 30.0
TEXT = "{{ job_name }}: {{ interruptions }} of {{ dag_id }}.{{ task_id }}"


@pytest.fixture
def nothing_told() -> Iterator[None]:
    alerting.told.clear()
    alerting.release.clear()
    yield
    alerting.release.set()


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    monkeypatch.setattr(triggers_job, "shortest_deferral", lambda: 0.0)
    return serve_triggers(monkeypatch)


@pytest.fixture
def submit(job_config: dict[str, Any], unique: str) -> Iterator[Callable[..., str]]:
    jobs = SageMakerSpotHook(region_name="us-east-1").jobs(TRAINING_JOBS)

    def _submit(lifecycle: str = "interrupted-once", max_wait: int = 1_200) -> str:
        tags = [*job_config["Tags"], {"Key": "emulator:lifecycle", "Value": lifecycle}]
        stopping = {"MaxRuntimeInSeconds": min(600, max_wait)}
        config = {**job_config, "TrainingJobName": unique, "Tags": tags, "StoppingCondition": stopping}
        uri = f"s3://{BUCKET}/{unique}/checkpoints"
        assert jobs.create(spot_request(config, max_wait=max_wait, checkpoint_s3_uri=uri))
        return unique

    yield _submit
    jobs.stop(unique)


def _trigger(job_name: str, *alerts: SpotAlert, **arguments: Any) -> SageMakerSpotTrainingTrigger:
    """As a triggerer makes it: from its serialized arguments."""
    made = SageMakerSpotTrainingTrigger(
        job_name,
        region_name="us-east-1",
        poll_interval=0.2,
        alerts=checked_alerts(alerts, looks_at_checkpoints=True),
        **arguments,
    )
    trigger = SageMakerSpotTrainingTrigger(**made.serialize()[1])
    trigger.task_instance = FakeTaskInstance(f"manual__{job_name}")
    return trigger


def _interrupted(notify: Any, **kwargs: Any) -> SpotAlert:
    return SpotAlert(notify, interruptions=1, kwargs=kwargs)


async def _until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - it is looked at from outside
            await asyncio.sleep(0.02)


async def _ended(trigger: SageMakerSpotTrainingTrigger, told: int | None = None) -> list[Any]:
    """Wait for the job's end, and for what its alerts have told."""
    events = [event.payload async for event in trigger.run()]
    if told is not None:
        await _until(lambda: len(alerting.told) >= told)
    return events


def test_whatever_can_be_called_is_called_once_with_what_is_known(
    submit: Any, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/")
    job = submit()
    trigger = _trigger(
        job,
        _interrupted(alerting.note, text=TEXT, more=[{"said": "{{ status }}"}, 1, "hunter2"]),
        _interrupted(alerting.note_text, text=TEXT),
        _interrupted("tests.alerting.anote", text=TEXT),
        _interrupted(alerting.NoteNotifier, text=TEXT, channel="#{{ alert }}"),
        _interrupted(alerting.AsyncNoteNotifier, text=TEXT),
    )

    assert asyncio.run(_ended(trigger, told=5)) == [{"job_name": job, "outcome": "Completed"}]

    assert [each["text"] for each in alerting.told] == [f"{job}: 1 of integration.train"] * 5
    note, text, anote, notifier, async_notifier = alerting.told
    context = note["context"]
    assert (context["job_name"], context["interruptions"], context["alert"]) == (job, 1, "interruptions")
    assert context["message"].startswith(
        f"Training job {job} (integration/train, run manual__{job}) was interrupted 1 time"
    )
    assert context["task_url"] == f"https://airflow.example/dags/integration/runs/manual__{job}/tasks/train"
    assert context["max_wait_left"] != "an unknown part"
    assert note["more"] == [{"said": "Interrupted"}, 1, "hunter2"]
    assert note["thread"] == "spot-alert"
    assert text.keys() == {"text"}
    assert anote["thread"] == "MainThread"
    assert notifier["channel"] == "#interruptions"
    assert async_notifier["awaited"] is True
    assert async_notifier["context"]["job_name"] == notifier["context"]["job_name"] == job
    told = supervisor.xcoms["spot_alerts"]
    assert (told["job_name"], len(told["told"])) == (job, 5)
    assert "hunter2" not in capsys.readouterr().out + str(
        supervisor.written
    )  # arguments are nobody's business


def test_alert_that_fails_or_hangs_touches_neither_watching_nor_the_next_one(
    submit: Any, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_alerts, "SECONDS_FOR_ONE", 0.2)
    job = submit()
    trigger = _trigger(
        job,
        _interrupted(alerting.refuse),
        _interrupted(alerting.hang),
        _interrupted(alerting.note_text, text="after them"),
    )

    assert asyncio.run(_ended(trigger, told=3)) == [{"job_name": job, "outcome": "Completed"}]

    assert [each["text"] for each in alerting.told] == ["refused", "hanging", "after them"]
    said = capsys.readouterr().out
    assert "tests.alerting.refuse raised RuntimeError: the pager is out of order" in said
    assert "tests.alerting.hang raised TimeoutError: it took more than 0 s" in said
    assert len(supervisor.xcoms["spot_alerts"]["told"]) == 3


def test_alert_that_would_end_the_process_ends_no_triggerer(caplog: pytest.LogCaptureFixture) -> None:
    then = _interrupted(alerting.note_text, text="after them")
    conditions = checked_alerts(
        [_interrupted(alerting.leave), _interrupted(alerting.aleave), then], looks_at_checkpoints=False
    )
    alerts = _alerts.JobAlerts(conditions, "j", task_instance=None, log=logging.getLogger("alerts"))

    async def _told() -> None:
        alerts.saw(progress_of(a_training_job("j").interrupted(1).described()), datetime.now(UTC))
        await _until(lambda: len(alerting.told) == 3)

    asyncio.run(_told())
    assert [each["text"] for each in alerting.told] == ["leaving", "leaving", "after them"]
    assert "tests.alerting.leave raised SystemExit: 1. It is not tried again" in caplog.text


def test_trigger_that_is_started_again_does_not_repeat_what_was_told(
    submit: Any, supervisor: Supervisor
) -> None:
    job = submit("interrupted-twice-then-max-wait", max_wait=240)
    alerts = (
        _interrupted(alerting.note_text, text="first"),
        SpotAlert(alerting.note_text, interruptions=2, kwargs={"text": "second"}),
    )

    async def _restarted() -> list[Any]:
        first = asyncio.create_task(_ended(_trigger(job, *alerts)))
        await _until(lambda: supervisor.xcoms.get("spot_alerts"))
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        return await _ended(_trigger(job, *alerts), told=2)

    [event] = asyncio.run(_restarted())

    assert event["outcome"] == "MaxWaitTimeExceeded"
    assert [each["text"] for each in alerting.told] == ["first", "second"]


def test_next_job_of_a_task_has_its_own_alerts(supervisor: Supervisor, unique: str) -> None:
    [condition] = checked_alerts([_interrupted(alerting.note_text, text="told")], looks_at_checkpoints=False)
    told_before = {"job_name": "the-one-before", "told": {_alerts.key_of(condition): None}}
    supervisor.written.append(("spot_alerts", told_before))
    ti = FakeTaskInstance(f"manual__{unique}")

    async def _told() -> None:
        alerts = _alerts.JobAlerts([condition], unique, task_instance=ti, log=logging.getLogger(__name__))
        progress = progress_of(a_training_job(unique).interrupted(1).described())
        for _ in range(3):
            alerts.saw(progress, None)
        await _until(lambda: supervisor.xcoms["spot_alerts"]["job_name"] == unique)

    asyncio.run(_told())

    assert [each["text"] for each in alerting.told] == ["told"]


def test_share_of_max_wait_that_is_used_when_the_job_is_first_seen_is_told(
    submit: Any, supervisor: Supervisor
) -> None:
    job = submit("never-launched", max_wait=120)
    alert = SpotAlert(alerting.note_text, max_wait_share=1e-6, kwargs={"text": "{{ max_wait_left }}"})

    asyncio.run(_ended(_trigger(job, alert), told=1))

    [told] = alerting.told
    assert told["text"] != "an unknown part"
    assert [key.split()[0] for key in supervisor.xcoms["spot_alerts"]["told"]] == ["max_wait_share=1e-06"]


def test_share_is_told_when_time_alone_has_used_it(unique: str) -> None:
    """No transition comes while a job waits for capacity; and in a list it is only told when it was created."""
    trigger = _trigger(
        unique,
        SpotAlert(
            alerting.note_text, max_wait_share=0.5, kwargs={"text": "{{ status }}, {{ max_wait_left }}"}
        ),
        max_wait=20,
    )
    now = datetime.now(UTC)
    summary = {
        "TrainingJobName": unique,
        "CreationTime": now - timedelta(seconds=9.9),
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Starting",
    }

    async def _told() -> None:
        trigger.watcher().line("sagemaker").told_at = now
        trigger.tell(Sighting(summary, whole=False), 0)
        assert alerting.told == []
        await _until(lambda: alerting.told)
        trigger.stopped()

    asyncio.run(_told())

    assert [each["text"] for each in alerting.told] == ["Starting, 10s"]


def test_stopped_trigger_waits_for_no_share_any_more(unique: str) -> None:
    trigger = _trigger(
        unique, SpotAlert(alerting.note_text, max_wait_share=0.5, kwargs={"text": "x"}), max_wait=20
    )
    now = datetime.now(UTC)
    summary = {"CreationTime": now - timedelta(seconds=9.9), "TrainingJobStatus": "InProgress"}

    async def _stopped() -> None:
        loop = asyncio.get_running_loop()
        trigger.watcher().line("sagemaker").told_at = now
        trigger.tell(Sighting({**summary, "SecondaryStatus": "Starting"}, whole=False), 0)
        assert [timer for timer in loop._scheduled if not timer.cancelled() and "_time_is_up" in repr(timer)]  # type: ignore[attr-defined]
        trigger.stopped()
        assert not [
            timer for timer in loop._scheduled if not timer.cancelled() and "_time_is_up" in repr(timer)
        ]  # type: ignore[attr-defined]

    asyncio.run(_stopped())


def test_stale_checkpoint_is_told_once(
    submit: Any, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, job_config: dict[str, Any]
) -> None:
    monkeypatch.setattr(_checkpoints, "seconds_between_looks", lambda _interval: 0.05)
    job_config["Tags"] = [{"Key": "emulator:training-seconds", "Value": "180"}]
    job = submit("uninterrupted")
    alert = SpotAlert(alerting.note_text, stale_checkpoint=True, kwargs={"text": "{{ message }}"})

    asyncio.run(_ended(_trigger(job, alert, checkpoint_interval=10.0), told=1))

    [told] = alerting.told
    assert (
        f"writes no checkpoints to s3://{BUCKET}/{job}/checkpoints: one is expected every 10s, and there is none"
        in told["text"]
    )
    assert supervisor.xcoms["spot_progress"]["checkpoints"]["stale"] is True


def test_job_that_is_being_stopped_has_no_alerts(supervisor: Supervisor, unique: str) -> None:
    conditions = checked_alerts([_interrupted(alerting.note_text, text="told")], looks_at_checkpoints=False)
    job = a_training_job(unique).interrupted(1)

    async def _told() -> None:
        alerts = _alerts.JobAlerts(conditions, unique, task_instance=None, log=logging.getLogger(__name__))
        alerts.saw(progress_of(job.goes_through("Stopping").described()), None)
        await asyncio.sleep(0)
        assert not _alerts._under_way
        alerts.saw(progress_of(job.goes_through("Training").described()), None)
        await _until(lambda: alerting.told)

    asyncio.run(_told())

    assert supervisor.written == []


def test_alerts_of_a_crowd_are_called_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_calling, "AT_ONCE", 2)

    async def _crowd() -> int:
        calls = [
            asyncio.create_task(_calling.call("tests.alerting.hang", {}, {}, seconds=PATIENCE))
            for _ in range(6)
        ]
        await _until(lambda: len(alerting.told) == 2)
        await asyncio.sleep(0)
        under_way = len(alerting.told)
        alerting.release.set()
        await asyncio.gather(*calls)
        return under_way

    assert asyncio.run(_crowd()) == 2
    assert len(alerting.told) == 6


def test_task_goes_on_while_its_alert_is_still_under_way(submit: Any, supervisor: Supervisor) -> None:
    job = submit()
    trigger = _trigger(job, _interrupted(alerting.hang))

    async def _both() -> list[Any]:
        events = await _ended(trigger, told=1)
        assert supervisor.xcoms.get("spot_alerts") is None
        alerting.release.set()
        await _until(lambda: supervisor.xcoms.get("spot_alerts"))
        return events

    assert asyncio.run(_both()) == [{"job_name": job, "outcome": "Completed"}]


def test_alert_goes_to_sns_by_airflows_own_notifier(
    submit: Any, supervisor: Supervisor, emulator: SageMakerEmulator, unique: str
) -> None:
    from airflow.providers.amazon.aws.notifications.sns import SnsNotifier

    sns, sqs = emulator.client("sns"), emulator.client("sqs")
    topic = sns.create_topic(Name=unique)["TopicArn"]
    queue = sqs.create_queue(QueueName=unique)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    job = submit()
    alert = _interrupted(SnsNotifier, target_arn=topic, message="{{ message }}", region_name="us-east-1")

    async def _sent() -> None:
        await _ended(_trigger(job, alert))
        await _until(lambda: supervisor.xcoms.get("spot_alerts"))

    asyncio.run(_sent())

    [message] = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert message["Body"].startswith(
        f"Training job {job} (integration/train, run manual__{job}) was interrupted 1 time"
    )


def test_job_without_alerts_holds_nothing_for_them(unique: str) -> None:
    trigger = SageMakerSpotTrainingTrigger(unique, region_name="us-east-1")

    assert not {"alerts", "max_wait", "checkpoint_interval", "checkpoint_s3_uri"} & vars(trigger).keys()
    assert (
        not {"alerts", "max_wait", "checkpoint_interval", "checkpoint_s3_uri"} & trigger.serialize()[1].keys()
    )
