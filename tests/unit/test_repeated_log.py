"""What a task's log says of its job's training log at the end."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from airflow_spot_provider.aws.training_log import NewestLines
from airflow_spot_provider.operators._account import LOG_LINES, repeat_training_log
from tests.unit.aws.log_service import refused
from tests.unit.test_training_log import Log

LINES = [(number, f"line {number}") for number in range(LOG_LINES + 50)]


class _Hook:
    def __init__(self, answer: NewestLines | Exception) -> None:
        self.answer = answer

    def newest_log_events(self, job_name: str, limit: int) -> NewestLines:
        assert (job_name, limit) == ("job", 10_000)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def _told(answer: NewestLines | Exception) -> tuple[list[str], list[Any]]:
    log, hook = Log(), _Hook(answer)
    read = repeat_training_log(log, hook, "job", read=10_000)  # type: ignore[arg-type]
    return log.lines, read


def test_newest_lines_are_repeated_newest_last_and_all_that_were_read_are_returned() -> None:
    told, read = _told(NewestLines(LINES, cut=False))

    assert read == LINES
    assert told[0] == f"::group::Training log, newest {LOG_LINES} lines"
    assert told[1:-2] == [text for _, text in LINES[-LOG_LINES:]]
    assert told[-1] == "Older lines are in CloudWatch Logs: group /aws/sagemaker/TrainingJobs, streams job/*."


def test_whole_log_is_not_told_to_have_older_lines() -> None:
    told, _ = _told(NewestLines(LINES[:2], cut=False))

    assert told == ["::group::Training log, 2 lines", "line 0", "line 1", "::endgroup::"]


def test_no_log_is_said_only_where_there_is_none() -> None:
    assert _told(NewestLines([], cut=False)) == (["The job wrote no training log."], [])

    told, read = _told(NewestLines([], cut=True))
    assert read == []
    assert "wrote no" not in told[0]
    assert "streams job/*" in told[0]


def test_what_was_read_before_trouble_is_repeated_with_the_trouble() -> None:
    told, read = _told(NewestLines(LINES[:1], True, EndpointConnectionError(endpoint_url="https://logs")))

    assert read == LINES[:1]
    assert "line 0" in told
    assert told[-2].startswith("The training log could not be read to its end (Could not connect")


@pytest.mark.parametrize(
    "error", [refused("AccessDeniedException"), EndpointConnectionError(endpoint_url="https://logs")]
)
def test_log_that_cannot_be_read_is_said_with_what_it_takes(error: Exception) -> None:
    [told], read = _told(error)

    assert read == []
    assert "logs:DescribeLogStreams and logs:GetLogEvents" in told
