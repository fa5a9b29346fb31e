"""Descriptions, summaries and events as they may come: members that are null, left out or of another shape, times as text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_spot_provider.training import SpotProgress, Timeline, outcome_of, progress_of
from airflow_spot_provider.training.narration import sentences_of, sentences_of_summary, table_of
from tests.builders import a_training_job

JOB = a_training_job().with_checkpoints().interrupted().completed().billed(500, 100).described()
MEMBERS = sorted(
    {*JOB, "FailureReason", "FinalMetricDataList", "ModelArtifacts", "TrainingEndTime", "LastModifiedTime"}
)


def _in_other_words(value: Any, of_time: Callable[[datetime], Any]) -> Any:
    if isinstance(value, datetime):
        return of_time(value)
    if isinstance(value, dict):
        return {name: _in_other_words(each, of_time) for name, each in value.items()}
    return [_in_other_words(each, of_time) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    "of_time",
    [
        lambda time: time,
        lambda time: time.timestamp(),
        lambda time: int(time.timestamp() * 1000),
        lambda time: str(int(time.timestamp() * 1000)),
        lambda time: str(time.timestamp()),
        lambda time: f"{time:%Y-%m-%dT%H:%M:%SZ}",
        lambda time: time.isoformat(),
    ],
    ids=["datetime", "epoch s", "epoch ms", "epoch ms as text", "epoch s as text", "ISO with Z", "ISO"],
)
def test_a_job_is_told_the_same_however_its_times_are_written(of_time: Callable[[datetime], Any]) -> None:
    told = _in_other_words(JOB, of_time)

    assert Timeline.of(told) == Timeline.of(JOB)
    assert progress_of(told) == progress_of(JOB)
    assert sentences_of(told) == sentences_of(JOB)


@pytest.mark.parametrize("member", MEMBERS)
def test_a_member_that_is_null_is_the_same_as_one_that_is_left_out(member: str) -> None:
    without = {name: value for name, value in JOB.items() if name != member}
    null = {**JOB, member: None}

    assert outcome_of(null) is outcome_of(without)
    assert progress_of(null) == progress_of(without)
    assert sentences_of(null) == sentences_of(without)


ODD = (
    st.none()
    | st.text(max_size=8)
    | st.integers()
    | st.booleans()
    | st.lists(st.text(max_size=3), max_size=2)
)


@given(st.fixed_dictionaries({}, optional={
    **dict.fromkeys(("TrainingJobStatus", "SecondaryStatus", "CreationTime", "LastModifiedTime", "FailureReason"), ODD),
    "SecondaryStatusTransitions": ODD | st.lists(ODD | st.dictionaries(st.sampled_from(["Status", "StartTime"]), ODD)),
    "StoppingCondition": st.none() | st.dictionaries(st.just("MaxWaitTimeInSeconds"), ODD),
    "CheckpointConfig": st.none() | st.dictionaries(st.just("S3Uri"), st.none() | st.text(max_size=5)),
    "ResourceConfig": st.none() | st.just({}) | st.just({"InstanceType": None, "InstanceCount": None}),
    "EnableManagedSpotTraining": st.none() | st.booleans(),
}))  # fmt: skip
def test_whatever_comes_is_told_as_far_as_it_can_be_read_and_has_an_outcome_only_if_it_says_so(
    answer: dict[str, Any],
) -> None:
    answer["TrainingJobName"] = "j"

    assert sentences_of(answer) is not None
    assert len(sentences_of_summary(answer)) <= 1
    assert table_of(answer).startswith("Since (UTC)")
    progress = SpotProgress.from_json(progress_of(answer))
    assert progress.outcome is None
    if answer.get("TrainingJobStatus") not in ("Completed", "Failed", "Stopped"):
        assert outcome_of(answer) is None


@pytest.mark.parametrize("secondary_status", [None, "", "left out"])
def test_summary_without_secondary_status_tells_nothing_and_ends_nothing_by_itself(
    secondary_status: str | None,
) -> None:
    summary = {"TrainingJobName": "j", "TrainingJobStatus": "Stopped", "SecondaryStatus": secondary_status}
    if secondary_status == "left out":
        del summary["SecondaryStatus"]

    assert sentences_of_summary(summary) == []
    assert outcome_of(summary) is None
