"""What EventBridge tells of a job."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from moto.events.models import events_backends
from moto.logs.models import logs_backends
from moto.sqs.models import sqs_backends

from airflow_spot_provider.emulator.clock import SteppedClock
from airflow_spot_provider.emulator.control.faults import EventFaults
from airflow_spot_provider.emulator.jobs.training_job import TrainingJob
from airflow_spot_provider.emulator.services.events import TrainingEvents

ACCOUNT, REGION = "123456789012", "us-east-1"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:events"
TRAINING = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Training Job State Change"]}
LIFECYCLE = ["Starting", "Downloading", "Training", "Uploading", "Completed"]


@pytest.fixture
def events(clock: SteppedClock) -> TrainingEvents:
    return TrainingEvents(clock)


@pytest.fixture
def rule(world: Any, events: TrainingEvents) -> Iterator[Callable[..., None]]:
    """Makes rules with a target, and tells them of the world's jobs; keyword arguments are the target's members."""
    object.__setattr__(world, "announce", events.training_job_changed)
    backend = events_backends[ACCOUNT][REGION]
    sqs = sqs_backends[ACCOUNT][REGION]
    sqs.create_queue("events", {})

    def _make(
        pattern: dict[str, Any] = TRAINING, name: str = "rule", arn: str = QUEUE, **target: Any
    ) -> None:
        backend.put_rule(name=name, event_pattern=json.dumps(pattern))
        backend.put_targets(name, None, [{"Id": "1", "Arn": arn, **target}])

    yield _make
    backend.event_buses["default"].rules.clear()
    sqs.queues.clear()


def _bodies() -> list[str]:
    """Every message that came, in its order."""
    return [message.body for message in sqs_backends[ACCOUNT][REGION].get_queue("events")._messages]


def _statuses() -> list[str]:
    return [json.loads(body)["detail"]["SecondaryStatus"] for body in _bodies()]


def _run(start: Callable[..., TrainingJob], clock: SteppedClock, **members: Any) -> TrainingJob:
    job = start(**members)
    clock.advance(timedelta(hours=2))
    assert job.has_ended
    return job


def test_every_transition_is_an_event_in_the_shape_of_a_description(
    rule: Any, start: Any, clock: SteppedClock
) -> None:
    rule()
    job = _run(start, clock, Tags=[{"Key": "team", "Value": "blue"}])
    assert _statuses() == LIFECYCLE
    last = json.loads(_bodies()[-1])
    description = job.describe()
    assert description is not None
    assert last["version"] == "0"
    assert last["detail-type"] == "SageMaker Training Job State Change"
    assert (last["source"], last["account"], last["region"]) == ("aws.sagemaker", ACCOUNT, REGION)
    assert last["resources"] == [job.spec.arn]
    assert last["time"] == f"{description['TrainingEndTime']:%Y-%m-%dT%H:%M:%SZ}"
    detail = last["detail"]
    assert detail.keys() == {*description, "Tags"}
    assert detail["Tags"] == {"team": "blue"}
    assert detail["CreationTime"] == description["CreationTime"].timestamp() * 1000
    first = detail["SecondaryStatusTransitions"][0]
    assert first["StartTime"] == detail["CreationTime"]
    assert detail["BillableTimeInSeconds"] == description["BillableTimeInSeconds"]


def test_ids_differ_by_event_and_by_life_of_a_job_and_are_the_same_in_every_run(
    rule: Any, start: Any, clock: SteppedClock
) -> None:
    rule()
    _run(start, clock)
    job = _run(start, clock)
    ids = [json.loads(body)["id"] for body in _bodies()]
    assert len(set(ids)) == 10
    for _ in range(2):
        TrainingEvents(clock).training_job_changed(job)
    clock.advance(timedelta(seconds=1))
    again = [json.loads(body)["id"] for body in _bodies()[10:]]
    assert again == [ids[-1]] * 2


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ({"source": ["aws.sagemaker"]}, 5),
        ({"detail": {"TrainingJobStatus": ["Completed", "Failed", "Stopped"]}}, 1),
        ({"detail": {"TrainingJobName": [{"prefix": "other"}]}}, 0),
        ({"detail-type": ["SageMaker HyperParameter Tuning Job State Change"]}, 0),
    ],
)
def test_rule_gets_what_its_pattern_matches(
    rule: Any, start: Any, clock: SteppedClock, pattern: dict[str, Any], count: int
) -> None:
    rule(pattern)
    _run(start, clock)
    assert len(_bodies()) == count


def test_rule_that_is_switched_off_gets_nothing(rule: Any, start: Any, clock: SteppedClock) -> None:
    rule()
    events_backends[ACCOUNT][REGION].disable_rule("rule", None)
    _run(start, clock)
    assert _bodies() == []


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ({"Input": '{"fixed": true}'}, '{"fixed": true}'),
        ({"InputPath": "$.detail.TrainingJobName"}, '"job"'),
        (
            {
                "InputTransformer": {
                    "InputPathsMap": {
                        "name": "$.detail.TrainingJobName",
                        "status": "$.detail.TrainingJobStatus",
                    },
                    "InputTemplate": '"The time of <name> has come: <status>, <nothing>."',
                }
            },
            '"The time of job has come: Completed, ."',
        ),
        (
            {
                "InputTransformer": {
                    "InputPathsMap": {
                        "config": "$.detail.CheckpointConfig",
                        "name": "$.detail.TrainingJobName",
                    },
                    "InputTemplate": '{"name": <name>, "config": <config>, "text": "<config>", "none": <none>}',
                }
            },
            r'{"name": "job", "config": {"S3Uri": "s3://bucket/checkpoints"}, "text": "{\"S3Uri\": \"s3://bucket/checkpoints\"}", "none": null}',
        ),
    ],
)
def test_target_gets_what_it_asks_for(
    rule: Any, start: Any, clock: SteppedClock, target: dict[str, Any], body: str
) -> None:
    rule({"detail": {"TrainingJobStatus": ["Completed"]}}, **target)
    _run(start, clock)
    assert _bodies() == [body]


def test_log_group_as_target_gets_events_at_their_emulated_time(
    rule: Any, start: Any, clock: SteppedClock
) -> None:
    logs = logs_backends[ACCOUNT][REGION]
    logs.create_log_group("/aws/events/jobs", {})
    rule(arn=f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/events/jobs:*")
    job = _run(start, clock)
    streams = logs.groups.pop("/aws/events/jobs").streams.values()
    written = [event for stream in streams for event in stream.events]
    assert [json.loads(event.message)["detail"]["SecondaryStatus"] for event in written] == LIFECYCLE
    assert written[0].timestamp == job.creation_time.timestamp() * 1000


def test_target_that_is_gone_hurts_neither_the_job_nor_the_other_targets(
    rule: Any, start: Any, clock: SteppedClock, caplog: pytest.LogCaptureFixture
) -> None:
    rule(name="broken", arn=f"arn:aws:sqs:{REGION}:{ACCOUNT}:gone")
    rule(name="strange", arn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:none")
    rule()
    with caplog.at_level(logging.ERROR):
        _run(start, clock)
    assert _statuses() == LIFECYCLE
    assert "did not reach" in caplog.text


def test_queue_of_another_region_is_a_target(rule: Any, start: Any, clock: SteppedClock) -> None:
    elsewhere = sqs_backends[ACCOUNT]["eu-west-1"]
    elsewhere.create_queue("far", {})
    rule(arn=f"arn:aws:sqs:eu-west-1:{ACCOUNT}:far")
    _run(start, clock)
    assert len(elsewhere.get_queue("far")._messages) == 5
    elsewhere.queues.clear()


def test_fifo_queue_takes_a_repeated_event_once(
    rule: Any, events: TrainingEvents, start: Any, clock: SteppedClock
) -> None:
    sqs = sqs_backends[ACCOUNT][REGION]
    sqs.create_queue("events.fifo", {}, FifoQueue="true", ContentBasedDeduplication="true")
    rule(arn=f"{QUEUE}.fifo", SqsParameters={"MessageGroupId": "jobs"})
    events.set(EventFaults(duplicate=1.0))
    _run(start, clock)
    bodies = [message.body for message in sqs.get_queue("events.fifo")._messages]
    assert [json.loads(body)["detail"]["SecondaryStatus"] for body in bodies] == LIFECYCLE


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        (EventFaults(lose=1.0), []),
        (EventFaults(duplicate=1.0), [status for status in LIFECYCLE for _ in range(2)]),
        (EventFaults(reorder=1.0), ["Completed", *LIFECYCLE[:-1]]),
    ],
)
def test_faults_lose_repeat_and_reorder_events(
    events: TrainingEvents,
    rule: Any,
    start: Any,
    clock: SteppedClock,
    faults: EventFaults,
    expected: Any,
) -> None:
    rule()
    events.set(faults)
    _run(start, clock)
    assert _statuses() == expected
    assert len({json.loads(body)["id"] for body in _bodies()}) == len(set(expected))


def test_some_events_come_twice_and_out_of_order_the_same_for_the_same_seed(
    events: TrainingEvents, rule: Any, start: Any, clock: SteppedClock
) -> None:
    rule()
    orders = []
    for _ in range(2):
        events.set(EventFaults(duplicate=0.4, reorder=0.4), seed=3)
        for number in range(5):
            _run(start, clock, TrainingJobName=f"job-{number}")
        orders.append(_statuses())
        sqs_backends[ACCOUNT][REGION].get_queue("events")._messages.clear()
    assert orders[0] == orders[1]
    counts = Counter(orders[0])
    assert all(counts[status] >= 5 for status in LIFECYCLE)
    assert sum(counts.values()) > 25


def test_delay_holds_events_back_for_emulated_seconds(
    events: TrainingEvents, rule: Any, start: Any, clock: SteppedClock
) -> None:
    rule()
    events.set(EventFaults(delay_seconds=100))
    start()
    clock.advance(timedelta(seconds=99))
    assert _bodies() == []
    clock.advance(timedelta(seconds=1))
    assert _statuses() == ["Starting"]


def test_without_rules_nothing_is_put_on_the_clock(
    events: TrainingEvents, start: Any, clock: SteppedClock
) -> None:
    job = start()
    waiting = len(clock._events)
    events.training_job_changed(job)
    assert len(clock._events) == waiting


class _TuningJob:
    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:hyper-parameter-tuning-job/tuning"
    has_ended = False
    tags: list[dict[str, str]] = []  # noqa: RUF012 - a stand-in

    def __init__(self, clock: SteppedClock) -> None:
        self._clock = clock

    def describe(self) -> dict[str, Any]:
        return {
            "HyperParameterTuningJobName": "tuning",
            "CreationTime": self._clock.now(),
            "BestTrainingJob": {"CreationTime": self._clock.now()},
        }


def test_tuning_jobs_have_events_of_their_own(events: TrainingEvents, rule: Any, clock: SteppedClock) -> None:
    rule({"detail-type": ["SageMaker HyperParameter Tuning Job State Change"]})
    events.tuning_job_changed(_TuningJob(clock))
    clock.advance(timedelta(seconds=1))
    (event,) = [json.loads(body) for body in _bodies()]
    assert event["resources"] == [_TuningJob.arn]
    assert isinstance(event["detail"]["BestTrainingJob"]["CreationTime"], int)
