"""The documented lifecycles of a training job as tables: what it went through, and how it ended."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import product
from typing import Any

import pytest

from airflow_spot_provider.training import Outcome, SecondaryStatus, Timeline, Transition, outcome_of
from airflow_spot_provider.training.lifecycle import WAITING_STATUSES, instant
from tests.builders import CREATED, DescribedJob, a_training_job

RUN = ["Starting", "Downloading", "Training"]

LIFECYCLES: dict[str, tuple[DescribedJob, list[str], Outcome, int, float]] = {
    "no interruption": (
        a_training_job().completed(),
        [*RUN, "Uploading", "Completed"],
        Outcome.COMPLETED,
        0,
        60,
    ),
    "interrupted once": (
        a_training_job().interrupted().completed(),
        [*RUN, "Interrupted", *RUN, "Uploading", "Completed"],
        Outcome.COMPLETED,
        1,
        60 + 120 + 60,
    ),
    "interrupted twice, then MaxWait": (
        a_training_job().interrupted(2).max_wait_exceeded(),
        [
            *RUN,
            "Interrupted",
            *RUN,
            "Interrupted",
            "Downloading",
            "Training",
            "Stopping",
            "MaxWaitTimeExceeded",
        ],
        Outcome.MAX_WAIT_TIME_EXCEEDED,
        2,
        60 + 120 + 60 + 120,
    ),
    "never launched": (
        a_training_job().max_wait_exceeded(),
        ["Starting", "Stopping", "MaxWaitTimeExceeded"],
        Outcome.MAX_WAIT_TIME_EXCEEDED,
        0,
        60,
    ),
    "failed": (a_training_job().failed(), [*RUN, "Failed"], Outcome.FAILED, 0, 60),
    "MaxRuntime": (
        a_training_job().max_runtime_exceeded(),
        [*RUN, "Stopping", "MaxRuntimeExceeded"],
        Outcome.MAX_RUNTIME_EXCEEDED,
        0,
        60,
    ),
    "StopTrainingJob": (
        a_training_job().stopped(),
        [*RUN, "Stopping", "Stopped"],
        Outcome.STOPPED,
        0,
        60,
    ),
}


@pytest.mark.parametrize(
    ("job", "statuses", "outcome", "interruptions", "waiting"), LIFECYCLES.values(), ids=LIFECYCLES
)
def test_documented_lifecycle_is_read_transition_for_transition(
    job: DescribedJob, statuses: list[str], outcome: Outcome, interruptions: int, waiting: float
) -> None:
    description = job.described()

    timeline = Timeline.of(description)

    assert [str(entry.status) for entry in timeline.transitions] == statuses
    assert timeline.current == statuses[-1]
    assert timeline.interruptions == interruptions
    assert timeline.waiting_seconds == waiting
    assert outcome_of(description) is outcome


@pytest.mark.parametrize(
    "job",
    [
        a_training_job(),
        a_training_job().goes_through("Starting"),
        a_training_job().interrupted(),
        a_training_job().goes_through("Stopping").having(TrainingJobStatus="Stopping"),
    ],
    ids=["created", "starting", "interrupted", "stopping"],
)
def test_a_job_that_goes_on_has_no_outcome(job: DescribedJob) -> None:
    assert outcome_of(job.described()) is None


def _expected(job_status: object, secondary_status: object) -> Outcome | None:
    if job_status == "Stopped" and secondary_status in ("MaxWaitTimeExceeded", "MaxRuntimeExceeded"):
        return Outcome(secondary_status)
    if job_status == "Stopped" and secondary_status is None:
        return None
    return {"Completed": Outcome.COMPLETED, "Failed": Outcome.FAILED, "Stopped": Outcome.STOPPED}.get(
        str(job_status)
    )


@pytest.mark.parametrize(
    ("job_status", "secondary_status"),
    list(
        product(
            ["InProgress", "Completed", "Failed", "Stopping", "Stopped", "Deleting", "Melted", None],
            [*map(str, SecondaryStatus), "Hibernating", None],
        )
    ),
)
def test_outcome_of_every_pair_of_statuses(job_status: str | None, secondary_status: str | None) -> None:
    description = {
        "TrainingJobStatus": job_status,
        "SecondaryStatus": secondary_status,
        # Messages lie here on purpose: nothing may be read from them.
        "FailureReason": "MaxWaitTimeExceeded",
        "SecondaryStatusTransitions": [{"Status": "Training", "StatusMessage": "MaxRuntimeExceeded"}],
    }

    assert outcome_of(description) is _expected(job_status, secondary_status)


def test_outcome_of_an_empty_description_is_none() -> None:
    assert outcome_of({}) is None


@pytest.mark.parametrize("secondary_status", [None, ""])
@pytest.mark.parametrize(
    ("newest", "outcome"),
    [
        ("MaxWaitTimeExceeded", Outcome.MAX_WAIT_TIME_EXCEEDED),
        ("MaxRuntimeExceeded", Outcome.MAX_RUNTIME_EXCEEDED),
        ("Stopped", Outcome.STOPPED),
        ("Stopping", None),
        ("Hibernating", None),
    ],
)
def test_why_a_job_stopped_is_read_from_its_transitions_and_never_guessed(
    secondary_status: str | None, newest: str, outcome: Outcome | None
) -> None:
    description = {
        "TrainingJobStatus": "Stopped",
        "SecondaryStatus": secondary_status,
        "SecondaryStatusTransitions": [{"Status": "Training"}, {"Status": newest}],
    }

    assert outcome_of(description) is outcome


def test_outcome_is_read_from_a_list_summary_too() -> None:
    summary = {
        "TrainingJobName": "j",
        "TrainingJobStatus": "Stopped",
        "SecondaryStatus": "MaxWaitTimeExceeded",
    }

    assert outcome_of(summary) is Outcome.MAX_WAIT_TIME_EXCEEDED


@pytest.mark.parametrize("value", ["Hibernating", "PENDING", "interrupted", "", "name", "__class__"])
def test_unknown_status_is_kept_as_it_is(value: str) -> None:
    status = SecondaryStatus(value)

    assert str(status) == value
    assert status == value
    assert not status.is_known
    assert status == SecondaryStatus(value)
    assert len({status, SecondaryStatus(value)}) == 1
    assert pickle.loads(pickle.dumps(status)) == status  # noqa: S301 - our own bytes
    assert value not in map(str, SecondaryStatus)


@pytest.mark.parametrize("status", SecondaryStatus)
def test_documented_status_is_known(status: SecondaryStatus) -> None:
    assert status.is_known
    assert SecondaryStatus(str(status)) is status


@pytest.mark.parametrize("value", [None, 3, 2.5, ["Starting"]])
def test_a_status_is_a_string(value: object) -> None:
    with pytest.raises(ValueError, match="is not a valid SecondaryStatus"):
        SecondaryStatus(value)


def test_statuses_without_an_instance_are_the_waiting_ones() -> None:
    assert {str(status) for status in WAITING_STATUSES} == {
        "Pending",
        "Starting",
        "LaunchingMLInstances",
        "PreparingTrainingStack",
        "Interrupted",
        "Restarting",
    }


def test_time_in_each_status_is_summed_over_its_visits() -> None:
    timeline = Timeline.of(a_training_job().interrupted().completed().described())

    assert timeline.seconds_by_status == {
        SecondaryStatus.STARTING: 120,
        SecondaryStatus.DOWNLOADING: 60,
        SecondaryStatus.TRAINING: 1690,
        SecondaryStatus.INTERRUPTED: 120,
        SecondaryStatus.UPLOADING: 15,
        SecondaryStatus.COMPLETED: 0,
    }
    assert list(timeline.seconds_by_status) == [*RUN, "Interrupted", "Uploading", "Completed"]


@pytest.mark.parametrize(
    "description",
    [
        {},
        {"SecondaryStatusTransitions": None},
        {"SecondaryStatusTransitions": []},
        {"SecondaryStatusTransitions": [{}, {"Status": ""}, {"Status": None}, None, "Starting", 7]},
    ],
    ids=["absent", "null", "empty", "no statuses"],
)
def test_a_job_of_which_nothing_is_reported_has_an_empty_timeline(description: dict[str, Any]) -> None:
    timeline = Timeline.of(description)

    assert timeline == Timeline()
    assert timeline.current is None
    assert timeline.interruptions == 0
    assert timeline.waiting_seconds == 0
    assert timeline.seconds_by_status == {}


def _at(seconds: float) -> datetime:
    return CREATED + timedelta(seconds=seconds)


def _timeline(*entries: tuple[str, float | None, float | None]) -> Timeline:
    return Timeline.of(
        {
            "SecondaryStatusTransitions": [
                {
                    "Status": status,
                    **({} if start is None else {"StartTime": _at(start)}),
                    **({} if end is None else {"EndTime": _at(end)}),
                }
                for status, start, end in entries
            ]
        }
    )


def _rows(timeline: Timeline) -> list[tuple[str, float | None, float | None]]:
    return [
        (
            str(entry.status),
            None if entry.start is None else (entry.start - CREATED).total_seconds(),
            None if entry.end is None else (entry.end - CREATED).total_seconds(),
        )
        for entry in timeline.transitions
    ]


def test_missing_end_is_the_start_of_what_follows() -> None:
    timeline = _timeline(("Starting", 0, None), ("Training", 60, None))

    assert _rows(timeline) == [("Starting", 0, 60), ("Training", 60, None)]


def test_entries_out_of_order_are_put_in_order() -> None:
    timeline = _timeline(("Training", 60, 90), ("Completed", 90, None), ("Starting", 0, 60))

    assert [row[0] for row in _rows(timeline)] == ["Starting", "Training", "Completed"]


def test_entry_without_times_stays_behind_the_one_it_was_listed_after() -> None:
    timeline = _timeline(
        ("Pending", None, None),
        ("Training", 60, None),
        ("Interrupted", None, None),
        ("Starting", 0, None),
    )

    assert _rows(timeline) == [
        ("Pending", None, 0),
        ("Starting", 0, 60),
        ("Training", 60, None),
        ("Interrupted", None, None),
    ]


def test_entry_listed_twice_counts_once_and_keeps_its_end() -> None:
    timeline = _timeline(
        ("Interrupted", 10, None), ("Starting", 30, None), ("Interrupted", 10, 20), ("Interrupted", 10, 25)
    )

    assert _rows(timeline) == [("Interrupted", 10, 20), ("Starting", 30, None)]
    assert timeline.interruptions == 1


def test_two_visits_without_times_are_two_visits() -> None:
    timeline = _timeline(*((status, None, None) for status in [*RUN, "Interrupted"] * 2))

    assert timeline.interruptions == 2


def test_an_end_before_its_start_takes_no_time() -> None:
    timeline = _timeline(("Starting", 60, 0), ("Training", 70, 80))

    assert timeline.waiting_seconds == 0
    assert timeline.transitions[0].seconds == 0


@pytest.mark.parametrize(
    ("start", "end", "seconds"),
    [
        (_at(0), _at(5), 5),
        (_at(5), _at(0), 0),
        (None, _at(5), 0),
        (_at(0), None, 0),
        (None, None, 0),
    ],
)
def test_seconds_of_a_transition(start: datetime | None, end: datetime | None, seconds: float) -> None:
    entry = Transition(SecondaryStatus.TRAINING, start, end)

    assert entry.seconds == seconds
    assert entry.is_timed is (start is not None and end is not None)


NOON_UTC = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        NOON_UTC,
        datetime(2026, 3, 1, 12),  # noqa: DTZ001 - SageMaker's times are UTC, said or not
        NOON_UTC.astimezone(timezone(timedelta(hours=9, minutes=30))),
        NOON_UTC.timestamp(),
        int(NOON_UTC.timestamp()),
        int(NOON_UTC.timestamp() * 1000),
        "2026-03-01T12:00:00+00:00",
        "2026-03-01T12:00:00Z",
        "2026-03-01T12:00:00",
        "2026-03-01T14:00:00.000+02:00",
        "20260301T120000Z",
        str(int(NOON_UTC.timestamp())),
        str(NOON_UTC.timestamp()),
        str(int(NOON_UTC.timestamp() * 1000)),
        f"{NOON_UTC.timestamp() * 1000:.12E}",
    ],
    ids=str,
)
def test_a_time_is_read_however_it_is_written(value: object) -> None:
    assert instant(value) == NOON_UTC
    assert instant(value).tzinfo is UTC  # type: ignore[union-attr]  # the line before says that it is one


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "yesterday",
        True,
        float("nan"),
        float("inf"),
        -1e300,
        "nan",
        "inf",
        "17",
        "1e999",
        pytest.param(10**400, id="huge"),
        [],
        {},
        date(2026, 3, 1),
        b"2026-03-01",
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
    ],
    ids=repr,
)
def test_an_unreadable_time_is_none(value: object) -> None:
    assert instant(value) is None
