"""Whether a job still writes checkpoints, by the clocks of those who tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_spot_provider.training import InvalidSpotRequest
from airflow_spot_provider.training.freshness import (
    LONGEST_PAUSE,
    SHORTEST_PAUSE,
    Look,
    bucket_and_prefix,
    checked_checkpoint_interval,
    fresh_sentence,
    seconds_between_looks,
    stale_sentence,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
INTERVAL = 600.0


def _ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def _object(key: str, modified: datetime, size: int = 7) -> dict[str, Any]:
    return {"Key": key, "LastModified": modified, "Size": size}


def _page(*objects: dict[str, Any], more: bool = False) -> dict[str, Any]:
    return {"Contents": list(objects), "IsTruncated": more}


@pytest.mark.parametrize(
    ("written", "training_since", "stale"),
    [
        pytest.param(19, 300, False, id="late, and not yet stale"),
        pytest.param(21, 300, True, id="more than two intervals old"),
        pytest.param(500, 19, False, id="trains again only since a while"),
        pytest.param(500, 21, True, id="trains again, and writes nothing"),
        pytest.param(None, 19, False, id="has just begun"),
        pytest.param(None, 21, True, id="has never written anything"),
        pytest.param(-5, 300, False, id="written while it was listed"),
    ],
)
def test_checkpoint_is_stale_after_two_intervals_of_training(
    written: float | None, training_since: float, stale: bool
) -> None:
    objects = [] if written is None else [_object("c/1", _ago(written), 42)]
    look = Look(NOW).seeing(_page(*objects))

    seen = look.judged(INTERVAL, _ago(training_since))

    assert (seen.stale, seen.objects, seen.expected_every) == (stale, len(objects), INTERVAL)
    assert seen.newest_bytes == (None if written is None else 42)
    assert look.age(_ago(training_since)) >= 0


def test_answer_without_objects_is_a_whole_look() -> None:
    look = Look(NOW).seeing({"KeyCount": 0, "IsTruncated": False})

    assert look.is_whole
    assert look.judged(INTERVAL, _ago(1)).model_dump() == {
        "looked": "2026-03-01T12:00:00.000+00:00",
        "newest": None,
        "newest_bytes": None,
        "objects": 0,
        "expected_every": INTERVAL,
        "stale": False,
    }


def test_prefix_of_many_pages_is_judged_by_when_its_first_page_was_listed() -> None:
    """What was written under its keys since then has not been seen: it must not be taken for not written."""
    first = Look(NOW).seeing(_page(_object("c/1", _ago(5)), _object("c/2", _ago(15)), more=True))
    assert not first.is_whole
    assert first.after == "c/2"

    look = first.seeing(_page(_object("c/3", _ago(60), 9)))

    assert look.is_whole
    assert (look.began, look.objects, look.newest, look.newest_bytes) == (NOW, 3, _ago(5), 7)
    assert not look.judged(INTERVAL, _ago(600)).stale


def test_markers_of_folders_and_unreadable_times_are_no_checkpoints() -> None:
    odd = {"Key": "c/odd", "LastModified": "yesterday", "Size": 1}
    look = Look(NOW).seeing(_page(_object("c/", NOW), odd, _object("c/1", _ago(30))))

    assert (look.objects, look.newest) == (2, _ago(30))


def test_page_that_says_there_is_more_and_holds_nothing_ends_the_look() -> None:
    assert Look(NOW).seeing({"IsTruncated": True}).is_whole


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(None, None), (90, 90.0), (0x10, 16.0), (1.5, 1.5), (timedelta(minutes=10), 600.0)],
)
def test_interval_is_seconds_or_a_timedelta(given: Any, seconds: float | None) -> None:
    assert checked_checkpoint_interval(given) == seconds


@pytest.mark.parametrize(
    "given", [0, -1, True, "600", float("nan"), float("inf"), timedelta(0), timedelta(days=29), [600]]
)
def test_interval_that_makes_no_sense_is_refused_with_what_is_allowed(given: Any) -> None:
    with pytest.raises(InvalidSpotRequest, match="from 1 s to 28 days") as error:
        checked_checkpoint_interval(given)
    assert repr(given) in str(error.value)


@pytest.mark.parametrize(
    ("interval", "pause"),
    [(10, SHORTEST_PAUSE), (360, 180.0), (1_000, 500.0), (86_400, LONGEST_PAUSE)],
)
def test_look_is_no_more_often_than_every_three_minutes(interval: float, pause: float) -> None:
    assert seconds_between_looks(interval) == pause


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("s3://bucket/a/b", ("bucket", "a/b/")),
        ("s3://bucket/a/b/", ("bucket", "a/b/")),
        ("s3://bucket", ("bucket", "")),
        ("s3://bucket/", ("bucket", "")),
    ],
)
def test_prefix_ends_where_the_next_one_begins(uri: str, place: tuple[str, str]) -> None:
    assert bucket_and_prefix(uri) == place


def test_warning_says_what_since_when_and_what_to_do() -> None:
    look = Look(NOW).seeing(_page(_object("c/1", _ago(52))))
    said = stale_sentence(
        look, "s3://b/c", interval=INTERVAL, training_since=_ago(180), local_path="/opt/ml/checkpoints"
    )

    for part in (
        "s3://b/c",
        "52m00s old",
        "2026-03-01 11:08:00 UTC",
        "3h00m",
        "every 10m00s",
        "/opt/ml/checkpoints",
        "s3:PutObject",
    ):
        assert part in said
    assert "2026-03-01 11:08:00 UTC" in fresh_sentence(look, "s3://b/c")


def test_warning_says_that_there_never_was_a_checkpoint() -> None:
    said = stale_sentence(
        Look(NOW).seeing({}), "s3://b/c", interval=INTERVAL, training_since=_ago(30), local_path="/x"
    )
    assert said.startswith("There is no checkpoint under s3://b/c after 30m00s of training")
