"""Answers come in any order, from lists, descriptions and events: which of them are news."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_spot_provider.aws.kinds import TRAINING_JOBS, TUNING_JOBS, Kind
from airflow_spot_provider.aws.standing import Standing

NEWS, SAME, OLDER = Standing.NEWS, Standing.SAME, Standing.OLDER
START = datetime(2026, 1, 1, tzinfo=UTC)


def _job(status: str, secondary_status: str | None, modified: float | None = 10.0) -> dict[str, Any]:
    """An answer; None leaves the member out, as summaries may."""
    members = {
        "TrainingJobStatus": status,
        "SecondaryStatus": secondary_status,
        "LastModifiedTime": None if modified is None else START + timedelta(seconds=modified),
    }
    return {name: value for name, value in members.items() if value is not None}


def _tuning(status: str, modified: float | None = 10.0, **counters: int) -> dict[str, Any]:
    members: dict[str, Any] = {
        "HyperParameterTuningJobStatus": status,
        "TrainingJobStatusCounters": counters or None,
        "LastModifiedTime": None if modified is None else START + timedelta(seconds=modified),
    }
    return {name: value for name, value in members.items() if value is not None}


def _compared(kind: Kind, known: dict[str, Any] | None, answer: dict[str, Any]) -> Standing:
    return kind.compare(None if known is None else kind.seen(known), kind.seen(answer))


TRAINING = _job("InProgress", "Training")


@pytest.mark.parametrize(
    ("known", "answer", "standing"),
    [
        pytest.param(None, TRAINING, NEWS, id="first answer"),
        pytest.param(TRAINING, TRAINING, SAME, id="the same twice"),
        pytest.param(TRAINING, _job("InProgress", "Training", 10.9), SAME, id="fractions that differ"),
        pytest.param(TRAINING, _job("InProgress", None), SAME, id="summary that abbreviates"),
        pytest.param(_job("InProgress", None), TRAINING, NEWS, id="description that tells what a summary left out"),
        pytest.param(_job("InProgress", None), _job("InProgress", None), SAME, id="the same summary twice"),
        pytest.param(TRAINING, _job("InProgress", None, 11), NEWS, id="newer summary without SecondaryStatus"),
        pytest.param(TRAINING, _job("InProgress", "Training", 11), NEWS, id="same status, gone through others since"),
        pytest.param(TRAINING, _job("InProgress", "Interrupted", 11), NEWS, id="newer status"),
        pytest.param(TRAINING, _job("InProgress", "Downloading", 9), OLDER, id="older status"),
        pytest.param(TRAINING, _job("InProgress", "Training", 9), OLDER, id="same status of an earlier visit"),
        pytest.param(TRAINING, _job("InProgress", "Hibernating", 11), NEWS, id="status that is not known"),
        pytest.param(TRAINING, _job("Hibernating", "Training", 11), NEWS, id="job status that is not known"),
        # Within one second
        pytest.param(TRAINING, _job("InProgress", "Uploading"), NEWS, id="another status of the same second"),
        pytest.param(TRAINING, _job("InProgress", "Uploading", 10.1), NEWS, id="one fraction tells no order"),
        pytest.param(
            _job("InProgress", "Training", 10.4), _job("InProgress", "Downloading", 10.2), OLDER, id="both fractions do"
        ),
        pytest.param(TRAINING, _job("Stopping", "Training"), NEWS, id="stopping, its SecondaryStatus as before"),
        pytest.param(_job("Stopping", "Training"), TRAINING, OLDER, id="not stopping any more"),
        pytest.param(_job("Stopping", "Stopping"), _job("InProgress", None), OLDER, id="summary from before the stop"),
        # Without times
        pytest.param(TRAINING, _job("InProgress", "Training", None), SAME, id="the same without a time"),
        pytest.param(TRAINING, _job("InProgress", "Downloading", None), NEWS, id="nothing tells the order"),
        # Ends
        pytest.param(TRAINING, _job("Completed", "Completed", 11), NEWS, id="end"),
        pytest.param(TRAINING, _job("Completed", "Completed", 9), NEWS, id="end with an earlier time"),
        pytest.param(TRAINING, _job("Stopped", None, 9), NEWS, id="over, and not told why"),
        pytest.param(_job("Stopped", None), _job("Stopped", None, 12), SAME, id="over, as known"),
        pytest.param(_job("Stopped", None), _job("Stopped", "MaxWaitTimeExceeded"), NEWS, id="why it stopped"),
        pytest.param(_job("Stopped", "MaxWaitTimeExceeded"), _job("Stopped", None, 12), SAME, id="end, abbreviated"),
        pytest.param(_job("Completed", "Completed"), _job("Completed", "Completed", 12), SAME, id="end, touched later"),
        pytest.param(_job("Completed", None), _job("Completed", "Completed"), SAME, id="the same end in more words"),
        pytest.param(_job("Completed", "Completed"), _job("InProgress", "Uploading", 9), OLDER, id="lagging answer"),
        pytest.param(_job("Completed", "Completed"), _job("InProgress", "Training", 99), OLDER, id="end taken back"),
        pytest.param(_job("Completed", "Completed"), _job("Failed", "Failed", 99), OLDER, id="another end"),
        pytest.param(_job("Completed", "Completed"), _job("Deleting", None, 99), OLDER, id="deleted after its end"),
        pytest.param(_job("Stopped", None), _job("Stopping", "Stopping", 99), OLDER, id="not over any more"),
    ],
)  # fmt: skip
def test_what_an_answer_is_beside_what_is_known(
    known: dict[str, Any] | None, answer: dict[str, Any], standing: Standing
) -> None:
    assert _compared(TRAINING_JOBS, known, answer) is standing


@pytest.mark.parametrize(
    ("known", "answer", "standing"),
    [
        (_tuning("InProgress", Completed=1, InProgress=2), _tuning("InProgress", Completed=2, InProgress=1), NEWS),
        (_tuning("InProgress", Completed=2, InProgress=1), _tuning("InProgress", Completed=1, InProgress=2), OLDER),
        (_tuning("InProgress", Completed=1), _tuning("InProgress", Completed=1, InProgress=1), NEWS),
        (_tuning("InProgress", Completed=1), _tuning("InProgress", Completed=1), SAME),
        (_tuning("InProgress", Completed=1), _tuning("InProgress"), SAME),
        (_tuning("InProgress", Completed=1, Stopped=1), _tuning("InProgress", Completed=2), NEWS),
        (_tuning("Stopping", Completed=1), _tuning("InProgress", Completed=2), OLDER),
        (_tuning("InProgress", 10, Completed=1), _tuning("InProgress", 11, Completed=1), NEWS),
        (_tuning("Completed", Completed=2), _tuning("InProgress", 99, Completed=2), OLDER),
        (_tuning("Completed", Completed=2), _tuning("Completed", Completed=3), OLDER),
        (_tuning("Stopping", Completed=2), _tuning("DeleteFailed", 9), NEWS),
    ],
)  # fmt: skip
def test_counters_of_a_tuning_job_never_go_back(
    known: dict[str, Any], answer: dict[str, Any], standing: Standing
) -> None:
    # SageMaker moves a tuning job's LastModifiedTime with its status alone.
    assert _compared(TUNING_JOBS, known, answer) is standing


GARBAGE = (
    st.none() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2) | st.just({"a": 1})
)
STATUSES = st.sampled_from(
    ["InProgress", "Stopping", "Completed", "Failed", "Stopped", "Deleting", "Hibernating"]
)
SECONDARY = st.sampled_from(
    ["Starting", "Training", "Interrupted", "Uploading", "Stopping", "Stopped", "Frozen", None]
)
TIMES = st.none() | st.floats(0, 5) | st.integers(0, 5)
JOBS = st.builds(_job, STATUSES, SECONDARY, TIMES)
TUNINGS = st.builds(
    _tuning,
    STATUSES,
    TIMES,
    Completed=st.integers(0, 2),
    InProgress=st.integers(0, 2),
    NonRetryableError=st.integers(0, 2),
)  # fmt: skip
ODD = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        (
            "TrainingJobStatus", "SecondaryStatus", "LastModifiedTime", "HyperParameterTuningJobStatus",
            "TrainingJobStatusCounters", "SecondaryStatusTransitions",
        ),
        GARBAGE,
    ),
)  # fmt: skip
ANSWERS = st.one_of(
    st.tuples(st.just(TRAINING_JOBS), JOBS, JOBS),
    st.tuples(st.just(TUNING_JOBS), TUNINGS, TUNINGS),
    st.tuples(st.sampled_from([TRAINING_JOBS, TUNING_JOBS]), ODD, ODD),
)


@given(ANSWERS)
def test_the_same_told_twice_is_no_news(answers: tuple[Kind, dict[str, Any], dict[str, Any]]) -> None:
    kind, answer, _ = answers

    assert _compared(kind, answer, answer) is SAME


@given(ANSWERS)
def test_of_two_answers_that_times_or_ends_put_in_order_one_at_most_is_news(
    answers: tuple[Kind, dict[str, Any], dict[str, Any]],
) -> None:
    kind, first, second = answers
    one, other = kind.seen(first), kind.seen(second)
    by_time = (
        one.modified is not None and other.modified is not None and int(one.modified) != int(other.modified)
    )

    if by_time or one.stage != other.stage:
        assert [kind.compare(one, other), kind.compare(other, one)].count(NEWS) <= 1


@given(ANSWERS)
def test_an_end_is_never_taken_back(answers: tuple[Kind, dict[str, Any], dict[str, Any]]) -> None:
    kind, known, answer = answers

    if kind.has_ended(known):
        assert _compared(kind, known, answer) is not NEWS
    elif kind.has_ended(answer):
        assert _compared(kind, known, answer) is NEWS


@given(ANSWERS)
def test_never_is_older_news_told(answers: tuple[Kind, dict[str, Any], dict[str, Any]]) -> None:
    kind, known, answer = answers
    before, after = kind.seen(known).modified, kind.seen(answer).modified

    if not kind.has_ended(answer) and before is not None and after is not None and int(after) < int(before):
        over = kind.seen(answer).stage > kind.seen(known).stage
        assert _compared(kind, known, answer) is not NEWS or over


@given(JOBS)
def test_summary_without_secondary_status_is_the_same_as_what_it_abbreviates(
    description: dict[str, Any],
) -> None:
    summary = {name: value for name, value in description.items() if name != "SecondaryStatus"}

    assert _compared(TRAINING_JOBS, description, summary) is SAME


@given(st.lists(JOBS, max_size=12))
def test_whoever_follows_the_rule_tells_each_end_once_and_no_time_twice_backwards(
    answers: list[dict[str, Any]],
) -> None:
    known, told = None, []
    for answer in map(TRAINING_JOBS.seen, answers):
        if TRAINING_JOBS.compare(known, answer) is NEWS:
            known = answer
            told.append(answer)

    stages = [each.stage for each in told]
    assert stages == sorted(stages)
    assert sum(stage == 2 for stage in stages) <= 1


@pytest.mark.parametrize(
    ("answer", "over", "ended"),
    [
        (_job("Completed", None), True, True),
        (_job("Failed", "Failed"), True, True),
        (_job("Stopped", "MaxRuntimeExceeded"), True, True),
        (_job("Stopped", None), True, False),
        (_job("Stopping", "Stopping"), False, False),
        (_job("InProgress", None), False, False),
    ],
)
def test_a_job_may_be_over_before_it_is_told_how_it_ended(
    answer: dict[str, Any], *, over: bool, ended: bool
) -> None:
    assert (TRAINING_JOBS.is_over(answer), TRAINING_JOBS.has_ended(answer)) == (over, ended)
