"""Whatever SageMaker says, in whatever order: the fold over transitions holds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_spot_provider.training import Outcome, SecondaryStatus, SpotTrainingResult, Timeline, outcome_of
from airflow_spot_provider.training.narration import sentences_of, table_of
from tests.builders import CREATED

STATUSES = st.sampled_from([*map(str, SecondaryStatus)]) | st.text(max_size=30)
GARBAGE = (
    st.none() | st.booleans() | st.text(max_size=10) | st.integers() | st.floats() | st.lists(st.integers())
)
MOMENTS = st.datetimes(datetime(2017, 11, 29), datetime(2100, 1, 1))  # noqa: DTZ001 - Hypothesis takes naive bounds
TIMES = st.one_of(
    MOMENTS,
    MOMENTS.map(lambda moment: moment.replace(tzinfo=UTC)),
    MOMENTS.map(lambda moment: moment.replace(tzinfo=timezone(timedelta(hours=-7)))),
    MOMENTS.map(lambda moment: moment.replace(tzinfo=UTC).timestamp()),
    MOMENTS.map(lambda moment: int(moment.replace(tzinfo=UTC).timestamp() * 1000)),
    MOMENTS.map(datetime.isoformat),
    st.datetimes(),
    GARBAGE,
)
ENTRIES = st.one_of(
    st.fixed_dictionaries({"Status": STATUSES}, optional={"StartTime": TIMES, "EndTime": TIMES}),
    st.fixed_dictionaries({"Status": GARBAGE}, optional={"StartTime": TIMES, "EndTime": TIMES}),
    st.dictionaries(st.sampled_from(["StartTime", "EndTime", "StatusMessage"]), TIMES),
)


@st.composite
def descriptions(draw: st.DrawFn) -> dict[str, Any]:
    """Any answer of DescribeTrainingJob, some of its entries said twice."""
    entries = draw(st.lists(ENTRIES, max_size=12))
    if entries:
        entries += draw(st.lists(st.sampled_from(entries), max_size=3))
    members: dict[str, Any] = {
        "TrainingJobName": "j",
        "SecondaryStatusTransitions": draw(st.permutations(entries)),
        "CreationTime": draw(TIMES),
        "StoppingCondition": {"MaxWaitTimeInSeconds": draw(st.integers(1, 10**12))},
    }
    for member, values in (
        ("TrainingJobStatus", st.sampled_from(["InProgress", "Stopping", "Completed", "Failed", "Stopped"])),
        ("TrainingJobStatus", GARBAGE),
        ("SecondaryStatus", STATUSES),
        ("SecondaryStatus", GARBAGE),
        ("EnableManagedSpotTraining", st.booleans()),
    ):
        if draw(st.booleans()):
            members[member] = draw(values)
    return members


@given(descriptions())
def test_any_transitions_make_a_timeline_whose_times_are_never_negative(description: dict[str, Any]) -> None:
    timeline = Timeline.of(description)

    assert all(entry.seconds >= 0 for entry in timeline.transitions)
    assert all(seconds >= 0 for seconds in timeline.seconds_by_status.values())
    assert timeline.waiting_seconds >= 0
    starts = [entry.start for entry in timeline.transitions if entry.start]
    assert starts == sorted(starts)
    ends = [entry.end for entry in timeline.transitions if entry.end]
    assert all(time.tzinfo is UTC for time in (*starts, *ends))


def _has_a_status(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("Status"))


@given(descriptions())
def test_nothing_that_was_said_is_lost(description: dict[str, Any]) -> None:
    said = [entry for entry in description["SecondaryStatusTransitions"] if _has_a_status(entry)]

    timeline = Timeline.of(description)

    assert {str(entry.status) for entry in timeline.transitions} == {str(entry["Status"]) for entry in said}
    assert len(timeline.transitions) <= len(said)


@given(descriptions())
def test_ended_jobs_have_exactly_one_outcome_and_the_others_none(description: dict[str, Any]) -> None:
    ended = description.get("TrainingJobStatus") in ("Completed", "Failed", "Stopped")
    leaves_out_how = description.get("TrainingJobStatus") == "Stopped" and not description.get(
        "SecondaryStatus"
    )

    outcome = outcome_of(description)

    assert outcome is None or outcome in list(Outcome)
    if not leaves_out_how:
        assert (outcome is None) is not ended


@given(descriptions())
def test_order_of_listing_does_not_matter_to_the_outcome(description: dict[str, Any]) -> None:
    backwards = {
        **description,
        "SecondaryStatusTransitions": description["SecondaryStatusTransitions"][::-1],
    }

    assert outcome_of(backwards) is outcome_of(description)


@given(descriptions())
def test_any_job_can_be_told_and_tabled(description: dict[str, Any]) -> None:
    timeline = Timeline.of(description)

    sentences = sentences_of(description)

    assert len(sentences) == len(timeline.transitions)
    for sentence, entry in zip(sentences, timeline.transitions, strict=True):
        assert sentence.startswith(str(entry.status))
    assert table_of(description).startswith("Since (UTC)")


@given(descriptions(), st.integers(0, 5))
def test_what_was_told_is_not_told_again(description: dict[str, Any], told: int) -> None:
    assert sentences_of(description, told=told) == sentences_of(description)[told:]


@given(descriptions(), st.sampled_from(["Completed", "Failed", "Stopped"]))
def test_any_ended_job_has_a_result(description: dict[str, Any], status: str) -> None:
    description = {"SecondaryStatus": "Stopped", **description, "TrainingJobStatus": status}
    assume(outcome_of(description) is not None)

    result = SpotTrainingResult.of(description)

    assert result.interruptions == Timeline.of(description).interruptions
    assert SpotTrainingResult.from_json(result.to_json()) == result


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Transitions that began at distinct times, oldest first; ends may be missing."""
    statuses = draw(st.lists(STATUSES.filter(bool), max_size=12))
    starts = draw(
        st.lists(st.integers(0, 10**6), min_size=len(statuses), max_size=len(statuses), unique=True)
    )
    history = []
    for status, start in zip(statuses, sorted(starts), strict=True):
        entry: dict[str, Any] = {"Status": status, "StartTime": CREATED + timedelta(seconds=start)}
        if draw(st.booleans()):
            entry["EndTime"] = entry["StartTime"] + timedelta(seconds=draw(st.integers(0, 1000)))
        history.append(entry)
    return history


@given(histories(), st.data())
def test_timeline_is_the_same_whatever_the_order_listed(
    history: list[dict[str, Any]], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(history))
    repeated = data.draw(st.lists(st.sampled_from(history), max_size=4)) if history else []

    timeline = Timeline.of({"SecondaryStatusTransitions": [*shuffled, *repeated]})

    assert timeline == Timeline.of({"SecondaryStatusTransitions": history})
    assert [str(entry.status) for entry in timeline.transitions] == [entry["Status"] for entry in history]
    assert timeline.interruptions == sum(entry["Status"] == "Interrupted" for entry in history)


@given(st.lists(STATUSES.filter(bool), max_size=20))
def test_interruptions_are_counted_without_any_times(statuses: list[str]) -> None:
    timeline = Timeline.of({"SecondaryStatusTransitions": [{"Status": status} for status in statuses]})

    assert timeline.interruptions == statuses.count("Interrupted")
    assert timeline.current == (statuses[-1] if statuses else None)


@given(histories())
def test_an_event_and_an_answer_of_the_same_job_make_the_same_timeline(history: list[dict[str, Any]]) -> None:
    event = [
        {
            name: int(value.timestamp() * 1000) if isinstance(value, datetime) else value
            for name, value in entry.items()
        }
        for entry in history
    ]

    assert Timeline.of({"SecondaryStatusTransitions": event}) == Timeline.of(
        {"SecondaryStatusTransitions": history}
    )
