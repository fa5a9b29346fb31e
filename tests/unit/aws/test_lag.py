"""What may be only a lag after a job's creation, and for how long it is asked again."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from airflow_spot_provider.aws.errors import NOT_FOUND_GRACE_SECONDS, Backoff
from airflow_spot_provider.aws.lag import (
    DENIED_GRACE_SECONDS,
    TAGS_GRACE_SECONDS,
    TagsNotKnown,
    is_young,
    lag_seconds,
    told_at,
)
from airflow_spot_provider.aws.patience import repeated

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def _error(code: str, message: str = "m") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "DescribeTrainingJob")


NOT_FOUND = _error("ValidationException", "Requested resource not found.")
DENIED = _error("AccessDeniedException", "not authorized to perform: sagemaker:DescribeTrainingJob")
THROTTLED = _error("ThrottlingException", "Rate exceeded")


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (NOT_FOUND, NOT_FOUND_GRACE_SECONDS),
        (_error("ResourceNotFound"), NOT_FOUND_GRACE_SECONDS),
        (DENIED, DENIED_GRACE_SECONDS),
        (_error("AccessDenied"), DENIED_GRACE_SECONDS),
        (TagsNotKnown("arn"), TAGS_GRACE_SECONDS),
        (THROTTLED, 0),
        (_error("ValidationException", "1 validation error detected"), 0),
        (_error("ResourceInUse"), 0),
        (KeyError("not found"), 0),
    ],
    ids=repr,
)
def test_what_may_be_a_lag_may_be_one_for_a_bounded_time(error: Exception, seconds: float) -> None:
    assert lag_seconds(error) == seconds


@pytest.mark.parametrize(
    ("created", "now", "young"),
    [
        (NOW - timedelta(seconds=1), NOW, True),
        (NOW - timedelta(seconds=119), NOW, True),
        (NOW + timedelta(milliseconds=900), NOW, True),  # a Date header has whole seconds
        (NOW - timedelta(seconds=121), NOW, False),
        (NOW.timestamp(), NOW + timedelta(days=1), False),
        (None, NOW, False),
        (NOW, None, False),
        ("yesterday", NOW, False),
    ],
)
def test_a_job_is_young_by_aws_own_clock(created: object, now: datetime | None, *, young: bool) -> None:
    assert is_young({"CreationTime": created}, now) is young


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"ResponseMetadata": {"HTTPHeaders": {"date": "Thu, 01 Jan 2026 12:00:00 GMT"}}}, NOW),
        ({"ResponseMetadata": {"HTTPHeaders": {"date": "soon"}}}, None),
        ({"ResponseMetadata": {"HTTPHeaders": {"date": None}}}, None),
        ({"ResponseMetadata": {"HTTPHeaders": None}}, None),
        ({"ResponseMetadata": None}, None),
        ({}, None),
    ],
)
def test_an_answer_tells_when_aws_gave_it(answer: dict[str, Any], told: datetime | None) -> None:
    assert told_at(answer) == told


class _Service:
    """Answers, or raises, by a clock that only sleeping moves."""

    def __init__(self, error_at: Callable[[float], Exception | None]) -> None:
        self.now = 0.0
        self.asked: list[float] = []
        self._error_at = error_at

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def call(self) -> str:
        self.asked.append(self.now)
        if error := self._error_at(self.now):
            raise error
        return "answer"

    def asked_patiently(self, *, lagging: bool = True, seconds: float = 600) -> str:
        return repeated(
            self.call,
            seconds=seconds,
            backoff=Backoff(random.Random(1)),
            lagging=lagging,
            say=lambda _error, _delay: None,
            clock=lambda: self.now,
            sleep=self.sleep,
        )


@pytest.mark.parametrize("error", [NOT_FOUND, DENIED, TagsNotKnown("arn")], ids=repr)
def test_a_lag_is_outlasted(error: Exception) -> None:
    service = _Service(lambda now: error if now < 50 else None)

    assert service.asked_patiently() == "answer"
    assert service.now <= 55  # asked again soon: what is pending is another's turn to act


@pytest.mark.parametrize(
    ("error", "grace"),
    [(NOT_FOUND, NOT_FOUND_GRACE_SECONDS), (DENIED, DENIED_GRACE_SECONDS), (TagsNotKnown("arn"), TAGS_GRACE_SECONDS)],
    ids=repr,
)  # fmt: skip
def test_what_lasts_longer_than_a_lag_is_raised(error: Exception, grace: float) -> None:
    service = _Service(lambda _now: error)

    with pytest.raises(type(error)):
        service.asked_patiently()
    assert grace <= service.now <= grace + 5


def test_a_lag_is_counted_from_its_first_error_not_from_the_trouble_before_it() -> None:
    service = _Service(lambda now: THROTTLED if now < 300 else DENIED if now < 390 else None)

    assert service.asked_patiently() == "answer"


@pytest.mark.parametrize("error", [NOT_FOUND, DENIED], ids=repr)
def test_of_a_job_that_is_not_new_the_same_errors_mean_what_they_say(error: Exception) -> None:
    service = _Service(lambda _now: error)

    with pytest.raises(ClientError):
        service.asked_patiently(lagging=False)
    assert service.asked == [0]


@given(
    seconds=st.floats(0, 700),
    errors=st.lists(st.sampled_from([NOT_FOUND, DENIED, THROTTLED, TagsNotKnown("arn"), None]), max_size=40),
    lagging=st.booleans(),
)
def test_patience_is_never_longer_than_it_was_given(
    seconds: float, errors: list[Exception | None], *, lagging: bool
) -> None:
    left = list(errors)
    service = _Service(lambda _now: left.pop(0) if left else THROTTLED)

    with contextlib.suppress(ClientError, TagsNotKnown):
        service.asked_patiently(lagging=lagging, seconds=seconds)
    assert service.now <= seconds + 0.001
    assert service.asked
