"""A training job as a state machine, on a stepped clock: to the second, and the same each time."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_spot_provider.emulator.jobs.lifecycles import LIFECYCLES
from airflow_spot_provider.emulator.state.jobs import job_from_json, job_to_json

GUIDE = {
    "uninterrupted": ["Starting", "Downloading", "Training", "Uploading", "Completed"],
    "interrupted-once": [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ],
    "interrupted-twice-then-max-wait": [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Downloading", "Training", "Stopping", "MaxWaitTimeExceeded"),
    ],
    "never-launched": ["Starting", "Stopping", "MaxWaitTimeExceeded"],
    "failed": ["Starting", "Downloading", "Training", "Failed"],
}
STATUS = {
    "uninterrupted": "Completed",
    "interrupted-once": "Completed",
    "interrupted-twice-then-max-wait": "Stopped",
    "never-launched": "Stopped",
    "failed": "Failed",
}
ON_INSTANCE = {"Downloading", "Training", "Uploading"}
Start = Any


def _statuses(job: Any) -> list[str]:
    return [entry["Status"] for entry in job.describe()["SecondaryStatusTransitions"]]


def _seconds(job: Any) -> list[float]:
    """How long each transition took."""
    entries = job.describe()["SecondaryStatusTransitions"]
    return [(entry["EndTime"] - entry["StartTime"]).total_seconds() for entry in entries]


@pytest.mark.parametrize("lifecycle", GUIDE)
def test_lifecycle_goes_as_the_guide_lists_it(start: Start, pass_time: Any, lifecycle: str) -> None:
    job = start(lifecycle)
    pass_time(4000)
    assert _statuses(job) == GUIDE[lifecycle]
    assert job.training_job_status == STATUS[lifecycle]


@pytest.mark.parametrize("lifecycle", ["interrupted-once", "interrupted-twice-then-max-wait"])
@pytest.mark.parametrize("max_wait", [20, 90, 300, 7200, 86_400])
@pytest.mark.parametrize("share", [0.01, 0.25, 0.6])
def test_plan_fits_into_any_max_wait_that_the_training_fits_into(
    start: Start, pass_time: Any, lifecycle: str, max_wait: int, share: float
) -> None:
    job = start(
        lifecycle,
        Tags=[{"Key": "emulator:training-seconds", "Value": str(max_wait * share)}],
        StoppingCondition={"MaxRuntimeInSeconds": max_wait, "MaxWaitTimeInSeconds": max_wait},
    )
    pass_time(max_wait + 10)
    assert _statuses(job) == GUIDE[lifecycle]


@pytest.mark.parametrize("lifecycle", [name for name in GUIDE if name != "failed"])
def test_spot_lifecycles_are_nothing_to_a_job_on_demand(start: Start, pass_time: Any, lifecycle: str) -> None:
    job = start(lifecycle, EnableManagedSpotTraining=False, StoppingCondition={"MaxRuntimeInSeconds": 600})
    pass_time(4000)
    assert _statuses(job) == GUIDE["uninterrupted"]
    description = job.describe()
    assert description["BillableTimeInSeconds"] == description["TrainingTimeInSeconds"]


def test_job_on_demand_can_still_fail(start: Start, pass_time: Any) -> None:
    job = start("failed", EnableManagedSpotTraining=False, StoppingCondition={"MaxRuntimeInSeconds": 600})
    pass_time(4000)
    assert _statuses(job) == GUIDE["failed"]
    assert job.describe()["FailureReason"].startswith("InternalServerError: We encountered an internal error")


@pytest.mark.parametrize("lifecycle", GUIDE)
def test_transitions_follow_one_another_without_gaps(start: Start, pass_time: Any, lifecycle: str) -> None:
    job = start(lifecycle)
    pass_time(10)
    assert "EndTime" not in job.describe()["SecondaryStatusTransitions"][-1]
    pass_time(4000)
    entries = job.describe()["SecondaryStatusTransitions"]
    assert entries[0]["StartTime"] == job.creation_time
    for entry, following in itertools.pairwise(entries):
        assert entry["EndTime"] == following["StartTime"]
    assert entries[-1]["StartTime"] == entries[-1]["EndTime"] == job.describe()["LastModifiedTime"]
    assert all(entry["StatusMessage"] for entry in entries)


@pytest.mark.parametrize(
    "lifecycle", ["uninterrupted", "interrupted-once", "interrupted-twice-then-max-wait"]
)
def test_training_time_is_the_time_on_instances_and_spot_bills_its_share(
    start: Start, pass_time: Any, lifecycle: str
) -> None:
    job = start(lifecycle)
    pass_time(4000)
    description = job.describe()
    on_instance = sum(
        seconds
        for status, seconds in zip(_statuses(job), _seconds(job), strict=True)
        if status in ON_INSTANCE
    )
    assert description["TrainingTimeInSeconds"] == round(on_instance)
    share = description["BillableTimeInSeconds"] / description["TrainingTimeInSeconds"]
    assert 0.19 < share < 0.41


def test_figures_are_absent_until_the_end_and_where_nothing_trained(start: Start, pass_time: Any) -> None:
    figures = {"TrainingTimeInSeconds", "BillableTimeInSeconds", "TrainingEndTime"}
    job, never = start(), start("never-launched")
    pass_time(30)
    assert job.secondary_status == "Training"
    assert not figures & set(job.describe())
    pass_time(4000)
    assert figures <= set(job.describe())
    assert not (figures | {"TrainingStartTime"}) & set(never.describe())


def test_max_wait_ends_a_job_exactly_when_it_is_over(start: Start, pass_time: Any) -> None:
    job = start("interrupted-twice-then-max-wait")
    pass_time(3599)
    assert job.training_job_status == "InProgress"
    pass_time(1)
    assert job.training_job_status == "Stopped"
    stopping = job.describe()["SecondaryStatusTransitions"][-2]
    assert stopping["StartTime"] - job.creation_time == timedelta(seconds=3600)


def test_max_wait_ends_a_job_whatever_its_plan(start: Start, pass_time: Any) -> None:
    job = start(StoppingCondition={"MaxRuntimeInSeconds": 40, "MaxWaitTimeInSeconds": 40})
    pass_time(60)
    assert _statuses(job) == ["Starting", "Downloading", "Training", "Stopping", "MaxWaitTimeExceeded"]


def test_max_runtime_counts_the_training_of_all_stays(start: Start, pass_time: Any) -> None:
    tags = [{"Key": "emulator:training-seconds", "Value": "400"}]
    limits = {"MaxRuntimeInSeconds": 350, "MaxWaitTimeInSeconds": 3600}
    job = start("interrupted-once", Tags=tags, StoppingCondition=limits)
    pass_time(4000)
    assert _statuses(job)[-3:] == ["Training", "Stopping", "MaxRuntimeExceeded"]
    trained = sum(s for name, s in zip(_statuses(job), _seconds(job), strict=True) if name == "Training")
    assert trained == pytest.approx(350)


def test_checkpoints_save_what_was_trained_before_an_interruption(start: Start, pass_time: Any) -> None:
    def _last_training(**members: Any) -> float:
        job = start("interrupted-once", **members)
        pass_time(4000)
        return _seconds(job)[-3]

    assert _last_training() == pytest.approx(30)
    assert _last_training(CheckpointConfig=None) == pytest.approx(60)


def test_interruption_from_outside_is_one_more(start: Start, pass_time: Any) -> None:
    job = start()
    assert not job.interrupt()
    pass_time(30)
    assert job.interrupt()
    assert not job.interrupt()
    pass_time(4000)
    assert _statuses(job) == GUIDE["interrupted-once"]


def test_job_on_demand_cannot_be_interrupted(start: Start, pass_time: Any) -> None:
    job = start(EnableManagedSpotTraining=False, StoppingCondition={"MaxRuntimeInSeconds": 600})
    pass_time(30)
    assert job.secondary_status == "Training"
    assert not job.interrupt()


@pytest.mark.parametrize("seconds", [0, 17, 30, 60, 82, 4000])
def test_stopped_job_is_stopped_in_every_status(start: Start, pass_time: Any, seconds: float) -> None:
    job = start("interrupted-once")
    pass_time(seconds)
    before = _statuses(job)
    assert job.stop() is (seconds < 4000)
    pass_time(10)
    ended = GUIDE["interrupted-once"] if seconds == 4000 else [*before, "Stopping", "Stopped"]
    assert _statuses(job) == ended
    assert not job.stop()


def test_missing_output_bucket_fails_the_job_with_a_reason(start: Start, pass_time: Any) -> None:
    job = start(OutputDataConfig={"S3OutputPath": "s3://nowhere/output"})
    pass_time(4000)
    assert _statuses(job) == ["Starting", "Downloading", "Training", "Uploading", "Failed"]
    assert job.describe()["FailureReason"].startswith("ClientError: s3://nowhere")


def test_empty_channel_fails_the_job_with_sagemakers_reason(start: Start, pass_time: Any) -> None:
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/nothing"}
    job = start(InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}])
    pass_time(4000)
    assert _statuses(job) == ["Starting", "Downloading", "Failed"]
    assert job.describe()["FailureReason"].startswith(
        "ClientError: Data download failed: No S3 objects found under S3 URL"
    )


def test_description_gives_the_request_back_without_its_tags(start: Start, request_of: Any) -> None:
    members = {
        "HyperParameters": {"epochs": "3"},
        "Environment": {"A": "b"},
        "Tags": [{"Key": "a", "Value": "b"}],
    }
    job = start(**members)
    description = job.describe()
    given = request_of(**members)
    for name, value in given.items():
        assert name in ("Tags", "OutputDataConfig") or description[name] == value
    assert "Tags" not in description
    # As SageMaker tells it; its Python SDK reads the key.
    assert description["OutputDataConfig"] == {"KmsKeyId": "", **given["OutputDataConfig"]}


def test_description_tells_what_was_taken_for_granted(start: Start) -> None:
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/data"}
    job = start(
        StoppingCondition={"MaxWaitTimeInSeconds": 90_000},
        InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
    )
    description = job.describe()
    assert description["StoppingCondition"]["MaxRuntimeInSeconds"] == 86_400
    assert description["InputDataConfig"][0]["CompressionType"] == "None"


moves = st.lists(
    st.one_of(st.just("stop"), st.just("interrupt"), st.floats(min_value=0, max_value=1500, allow_nan=False)),
    max_size=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(lifecycle=st.sampled_from(sorted(LIFECYCLES)), moves=moves, spot=st.booleans())
def test_whatever_happens_a_job_ends_once_and_its_times_add_up(
    start: Start, pass_time: Any, lifecycle: str, moves: list[Any], spot: bool
) -> None:
    limits = {"MaxRuntimeInSeconds": 1800} | ({"MaxWaitTimeInSeconds": 3600} if spot else {})
    job = start(lifecycle, EnableManagedSpotTraining=spot, StoppingCondition=limits)
    for move in moves:
        if isinstance(move, float):
            pass_time(move)
        else:
            getattr(job, move)()
    pass_time(4000)
    assert job.has_ended
    statuses = _statuses(job)
    ends = {"Completed", "Failed", "Stopped", "MaxWaitTimeExceeded", "MaxRuntimeExceeded"}
    assert statuses[-1] in ends
    assert not ends & set(statuses[:-1])
    assert all(seconds >= 0 for seconds in _seconds(job))
    description = job.describe()
    if "TrainingTimeInSeconds" in description:
        assert 0 <= description["BillableTimeInSeconds"] <= description["TrainingTimeInSeconds"]
        assert spot or description["BillableTimeInSeconds"] == description["TrainingTimeInSeconds"]


def test_internal_error_is_retried_as_often_as_the_retry_strategy_says(start: Start, pass_time: Any) -> None:
    job = start("failed", RetryStrategy={"MaximumRetryAttempts": 2})
    pass_time(3000)
    assert _statuses(job) == [
        *("Starting", "Downloading", "Training", "Restarting") * 2,
        *("Starting", "Downloading", "Training", "Failed"),
    ]
    assert job.describe()["FailureReason"].startswith("InternalServerError")


@pytest.mark.parametrize(
    ("tags", "checkpoints", "trained"),
    [
        ({"emulator:checkpoint-seconds": "40"}, True, 100 + 20),
        ({"emulator:checkpoint-seconds": "1000"}, True, 100 + 60),
        ({}, True, 100),
        ({"emulator:checkpoint-seconds": "40"}, False, 100 + 60),
    ],
)
def test_work_since_the_last_checkpoint_is_lost_with_the_instance(
    start: Start, pass_time: Any, tags: dict[str, str], checkpoints: bool, trained: float
) -> None:
    tags = {"emulator:training-seconds": "100", **tags}
    job = start(
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        CheckpointConfig={"S3Uri": "s3://bucket/checkpoints"} if checkpoints else None,
    )
    pass_time(20 + 60)
    assert job.interrupt()
    pass_time(1000)
    assert job.training_job_status == "Completed"
    entries = job.describe()["SecondaryStatusTransitions"]
    seconds = [
        (entry["EndTime"] - entry["StartTime"]).total_seconds()
        for entry in entries
        if entry["Status"] == "Training"
    ]
    assert sum(seconds) == pytest.approx(trained)


def test_job_is_announced_at_each_of_its_transitions(
    start: Start, pass_time: Any, announced: list[tuple[str, str]]
) -> None:
    start("interrupted-once")
    pass_time(3000)
    assert [status for _, status in announced] == GUIDE["interrupted-once"]


@pytest.mark.parametrize("seconds", [5, 17, 30, 60, 120])
def test_job_goes_on_after_the_server_was_lost(
    start: Start, pass_time: Any, world: Any, seconds: int
) -> None:
    lost = start("interrupted-once")
    pass_time(seconds)
    kept = json.loads(json.dumps(job_to_json(lost)))
    lost.shut_down()
    job = job_from_json(kept, world)
    before = _statuses(job)
    job.take_up()
    pass_time(3000)
    assert job.training_job_status == "Completed"
    assert _statuses(job)[: len(before)] == before
    assert _statuses(lost) == before
    if before[-1] in ("Downloading", "Training"):
        assert _statuses(job)[len(before)] == "Interrupted"
    after = _statuses(job)
    assert all(
        pair in {("Starting", "Downloading"), ("Downloading", "Training"), ("Interrupted", "Starting")}
        or pair[0] in ("Training", "Downloading", "Uploading")
        for pair in itertools.pairwise(after)
    )
