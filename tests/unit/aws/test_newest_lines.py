"""The newest lines of a training log that is read backwards, whatever the service does with its pages."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from airflow_spot_provider.aws.training_log import MOST_CALLS_FOR_A_STREAM, NewestLines, newest_lines
from airflow_spot_provider.hooks._logs import PatientLogs
from tests.unit.aws.log_service import START, refused


class Logs:
    """A client of CloudWatch Logs: streams of lines, read backwards by tokens.

    :param streams: lines of each stream, oldest first.
    :param random_: draws short and empty pages.
    :param page: how many lines a page holds at most.
    :param empty_in_a_row: how many empty pages there may be one after the other.
    """

    def __init__(
        self,
        streams: dict[str, list[tuple[int, str]]],
        random_: random.Random | None = None,
        *,
        page: int = 10_000,
        empty_in_a_row: int = 0,
    ) -> None:
        self.streams = streams
        self.random = random_ or random.Random(1)
        self.page = page
        self.empty_in_a_row = empty_in_a_row
        self.calls = 0
        self.errors: dict[int, Exception] = {}

    def get_paginator(self, operation: str) -> Logs:
        assert operation == "describe_log_streams"
        return self

    def paginate(self, *, logGroupName: str, logStreamNamePrefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        assert logGroupName == "/aws/sagemaker/TrainingJobs"
        for name, lines in self.streams.items():
            if name.startswith(logStreamNamePrefix):
                yield {"logStreams": [{"logStreamName": name, "creationTime": lines[0][0] if lines else 0}]}

    def get_log_events(
        self,
        *,
        logStreamName: str,  # noqa: N803
        limit: int,
        nextToken: str = "",  # noqa: N803
        **members: Any,
    ) -> dict[str, Any]:
        assert members == {"logGroupName": "/aws/sagemaker/TrainingJobs", "startFromHead": False}
        self.calls += 1
        if error := self.errors.pop(self.calls, None):
            raise error
        lines = self.streams[logStreamName]
        end, empty = map(int, nextToken.split("/")[1:]) if nextToken else (len(lines), 0)
        size = self.random.randint(0 if empty < self.empty_in_a_row else 1, min(limit, self.page))
        begin = max(0, end - size)
        token = f"b/{begin}/{empty + 1 if begin == end else 0}"
        if end == 0:
            token = nextToken or "b/0/0"
        return {
            "events": [{"timestamp": at, "message": text} for at, text in lines[begin:end]],
            "nextBackwardToken": token,
            "nextForwardToken": f"f/{end}",
        }


def _ask(logs: Logs) -> Callable[[Any], Any]:
    return lambda call: call(logs)


@pytest.mark.parametrize("seed", range(60))
def test_newest_lines_of_all_streams_are_found_whatever_the_pages_are_like(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_spot_provider.aws.training_log.MOST_CALLS_FOR_A_STREAM", 10_000)
    rng = random.Random(seed)
    streams = {
        f"job/algo-{number}-1": sorted(
            (START + rng.randint(0, 50), f"{number}: {line}") for line in range(rng.choice([0, 1, 20, 60]))
        )
        for number in range(rng.randint(0, 4))
    }
    streams["job-2/algo-1-1"] = [(START + 60, "another job's")]
    logs = Logs(streams, rng, page=rng.choice([1, 7, 100]), empty_in_a_row=rng.randint(0, 5))
    limit = rng.choice([1, 10, 30, 1_000])
    everything = sorted(at for name, lines in streams.items() if name.startswith("job/") for at, _ in lines)

    newest = newest_lines(_ask(logs), "job", limit, most_calls=10_000)

    assert [at for at, _ in newest.lines] == everything[-limit:]
    assert {text for _, text in newest.lines} <= {text for name in streams for _, text in streams[name]}
    assert len(set(newest.lines)) == len(newest.lines)
    assert newest.cut or len(everything) <= limit


def test_lines_of_one_moment_stay_in_the_order_of_their_stream() -> None:
    logs = Logs({"job/algo-1-1": [(START, str(number)) for number in range(9)]}, page=2)

    assert [text for _, text in newest_lines(_ask(logs), "job", 9).lines] == [
        str(number) for number in range(9)
    ]


def test_job_without_streams_or_without_lines_wrote_no_log() -> None:
    nothing = NewestLines([], cut=False)

    assert newest_lines(_ask(Logs({})), "job", 10) == nothing
    assert newest_lines(_ask(Logs({"job/algo-1-1": []}, empty_in_a_row=4)), "job", 10) == nothing


def test_log_group_that_is_not_there_has_no_lines() -> None:
    def _refuse(_: Any) -> Any:
        raise refused("ResourceNotFoundException")

    assert newest_lines(_refuse, "job", 10) == NewestLines([], cut=False)


def test_stream_whose_pages_never_end_is_given_up_and_not_told_to_be_empty() -> None:
    """https://github.com/boto/boto3/issues/3718: an empty page does not say that there is nothing."""
    logs = Logs({"job/algo-1-1": [(START, "only")]}, page=0, empty_in_a_row=10**9)

    newest = newest_lines(_ask(logs), "job", 10)

    assert (newest.lines, newest.cut) == ([], True)
    assert logs.calls == MOST_CALLS_FOR_A_STREAM


def test_calls_are_bounded_and_the_streams_that_were_made_last_come_first() -> None:
    streams = {f"job/algo-1-{number}": [(START + number, str(number))] for number in range(50)}
    logs = Logs(streams)

    newest = newest_lines(_ask(logs), "job", 100, most_calls=10)

    assert logs.calls == 10
    assert newest.cut
    assert newest.lines[-1] == (START + 49, "49")


def test_no_older_pages_of_a_stream_are_asked_for_when_they_cannot_be_among_the_newest() -> None:
    early = [(START + number, f"early {number}") for number in range(1_000)]
    late = [(START + 5_000 + number, f"late {number}") for number in range(20)]
    logs = Logs({"job/algo-1-1": early, "job/algo-1-2": late}, random.Random(1), page=10)
    logs.random.randint = lambda _least, most: most  # type: ignore[method-assign]

    newest = newest_lines(_ask(logs), "job", 20)

    assert newest.lines == late
    assert logs.calls <= 5


def test_trouble_on_the_way_leaves_what_was_read() -> None:
    logs = Logs({"job/algo-1-1": [(START, "first")], "job/algo-1-2": [(START + 1, "second")]})
    logs.errors = {3: EndpointConnectionError(endpoint_url="https://logs")}

    newest = newest_lines(_ask(logs), "job", 10)

    assert newest.lines == [(START + 1, "second")]
    assert newest.cut
    assert isinstance(newest.trouble, EndpointConnectionError)


def test_trouble_before_anything_is_read_is_raised() -> None:
    logs = Logs({"job/algo-1-1": [(START, "first")]})
    logs.errors = {1: refused("AccessDeniedException")}

    with pytest.raises(ClientError):
        newest_lines(_ask(logs), "job", 10)


def test_stream_that_is_deleted_meanwhile_is_passed_over() -> None:
    logs = Logs({"job/algo-1-1": [(START, "first")], "job/algo-1-2": [(START + 1, "second")]})
    logs.errors = {1: refused("ResourceNotFoundException")}

    assert newest_lines(_ask(logs), "job", 10) == NewestLines([(START, "first")], cut=False)


class _Time:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def _patient(time: _Time, *clients: Logs, seconds: float = 60.0) -> PatientLogs:
    left = list(clients)
    return PatientLogs(
        lambda: left.pop(0),
        seconds=seconds,
        say=lambda *_: None,
        jitter=random.Random(1),
        clock=lambda: time.now,
        sleep=time.sleep,
    )


def test_trouble_that_passes_is_outlasted_within_one_patience_for_all_calls() -> None:
    time = _Time()
    logs = Logs({f"job/algo-1-{number}": [(START + number, str(number))] for number in range(40)})
    logs.errors = {call: refused("ThrottlingException") for call in range(1, 200, 2)}

    newest = newest_lines(_patient(time, logs, seconds=10.0).ask, "job", 100)

    assert newest.lines
    assert newest.trouble is not None
    assert sum(time.slept) == pytest.approx(10.0)


def test_without_patience_trouble_is_told_at_once() -> None:
    time = _Time()
    logs = Logs({"job/algo-1-1": [(START, "first")]})
    logs.errors = {1: refused("ThrottlingException")}

    with pytest.raises(ClientError):
        newest_lines(_patient(time, logs, seconds=0).ask, "job", 10)
    assert time.slept == []


def test_expired_credentials_are_followed_by_a_new_client() -> None:
    streams = {"job/algo-1-1": [(START, "first")]}
    first, second = Logs(streams), Logs(streams)
    first.errors = {1: refused("ExpiredTokenException")}

    newest = newest_lines(_patient(_Time(), first, second).ask, "job", 10)

    assert newest == NewestLines([(START, "first")], cut=False)
    assert second.calls
