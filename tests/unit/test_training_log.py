"""A job's training log while its task is deferred: what is repeated of it, and what is told to be left out."""

from __future__ import annotations

import asyncio
import json
import random
import re
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from airflow_spot_provider.aws.log_reader import LATE, MOST_PAGES, Look
from airflow_spot_provider.triggers._training_log import FEW_MINUTES, MOST_LINES, TrainingLog, values_of
from tests.unit.aws.log_service import START, Liberties, LogService, refused


class Log:
    """A task's log."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, message: str, *arguments: Any) -> None:
        self.lines.append(message % arguments)

    warning = info

    @property
    def repeated(self) -> list[str]:
        return [line.removeprefix("[job] ") for line in self.lines if line.startswith("[job] ")]

    @property
    def left_out(self) -> int:
        counts = [re.match(r"([\d,]+)(?: or more)? older lines", line) for line in self.lines]
        return sum(int(count[1].replace(",", "")) for count in counts if count)


class Watched:
    """A watcher with a line to a log service, and the training log that is read over it, a look at a time."""

    def __init__(self, service: LogService, description: Any = None) -> None:
        self.service = service
        self.log = Log()
        self.found: list[Any] = []
        self.description = description or {}
        self.training_log = TrainingLog(self, "job", pause=0)  # type: ignore[arg-type]

    def line(self, service: str) -> Watched:
        assert service == "logs"
        return self

    async def call(self, operation: str, *, patient: bool, **members: Any) -> Any:
        assert not patient
        return await self.service.call(operation, **members)

    async def look(self, *, repeats: bool) -> Look:
        """A look, by a transition or between two of them."""
        self.training_log._owes_lines |= repeats
        return await self.training_log._look(self.log)

    async def repeat(self) -> None:
        """A transition, and what comes of it."""
        self.training_log.repeat(self.log, self.description, self.found.append)
        assert self.training_log._task is not None
        await self.training_log._task


def _service(**liberties: Any) -> LogService:
    return LogService(random.Random(1), Liberties(**liberties))


@pytest.mark.parametrize("seed", range(100))
def test_each_line_is_repeated_once_or_counted_as_left_out_and_the_newest_within_two_looks(seed: int) -> None:
    rng = random.Random(seed)
    service = LogService(
        rng,
        Liberties(
            page=rng.choice([10, 20, 200]),
            short=rng.choice([0.0, 0.3]),
            empty_in_a_row=rng.randint(0, 2),
            repeated=rng.choice([0.0, 0.1]),
        ),
    )
    watched = Watched(service)
    lines = 0

    async def _looks() -> None:
        nonlocal lines
        for _ in range(25):
            for _ in range(rng.choice([0, 1, 5, 60, 400])):
                at = service.now - rng.choice([0, 0, 0, 20_000])
                service.log(str(lines), at=at, late=service.now - at)
                lines += 1
                service.now += rng.choice([0, 50, 1_000])
            service.now += rng.choice([0, 2_000, 300_000])
            before, repeated = len(service.calls), len(watched.log.repeated)
            await watched.look(repeats=rng.random() < 0.5)
            assert len(service.calls) - before <= 2 * MOST_PAGES
            assert len(watched.log.repeated) - repeated <= MOST_LINES
        for _ in range(lines):
            service.now += LATE
            look = await watched.look(repeats=False)
            if look.is_at_the_end:
                break
        await watched.look(repeats=True)
        service.log("the last line")  # what is counted is told with what is repeated
        await watched.look(repeats=True)

    asyncio.run(_looks())

    repeated = [int(line) for line in watched.log.repeated if line != "the last line"]
    assert len(set(repeated)) == len(repeated)
    assert len(repeated) + watched.log.left_out == lines
    assert watched.log.repeated[-1] == "the last line"


@pytest.mark.parametrize("seed", range(40))
def test_newest_line_of_a_job_that_goes_on_logging_is_repeated_within_two_looks(seed: int) -> None:
    rng = random.Random(seed)
    service = LogService(rng, Liberties(page=rng.choice([20, 100]), short=0.2, empty_in_a_row=1))
    watched = Watched(service)
    backlog, a_second = rng.choice([0, 300, 3_000]), rng.choice([0.2, 1, 3])
    for number in range(backlog):
        service.log(str(number), at=START - int(1_000 * (backlog - number) / a_second))

    async def _looks() -> list[bool]:
        seen = []
        for _ in range(3):
            await watched.look(repeats=True)
            newest = ""
            for number in range(int(30 * a_second) + 1):
                newest = service.log(f"new {len(service.calls)}/{number}").text
                service.now += int(1_000 / a_second)
            await watched.look(repeats=True)
            await watched.look(repeats=True)
            seen.append(newest in watched.log.repeated)
        return seen

    assert asyncio.run(_looks()) == [True] * 3


def test_of_a_long_log_the_newest_lines_are_repeated_and_the_older_ones_counted() -> None:
    service = _service()
    for number in range(1_000):
        service.log(str(number), at=START + 100 * number)
    service.now = START + 100_000
    watched = Watched(service)

    asyncio.run(watched.look(repeats=True))

    assert watched.log.repeated == list(map(str, range(950, 1_000)))
    assert watched.log.lines[0] == (
        "950 older lines of the training log are not repeated here. They are in CloudWatch Logs: group "
        "/aws/sagemaker/TrainingJobs, streams job/*."
    )


def test_chatty_jobs_oldest_lines_are_never_repeated_as_its_newest() -> None:
    service = _service(page=100)
    for number in range(20_000):
        service.log(str(number), at=START + 100 * number)
    service.now = START + 2_000_000
    watched = Watched(service)

    async def _looks() -> None:
        await watched.look(repeats=True)
        await watched.look(repeats=False)

    asyncio.run(_looks())

    assert watched.log.repeated == list(map(str, range(19_950, 20_000)))
    assert len(service.calls) <= 4 * MOST_PAGES
    assert "or more older lines" in watched.log.lines[0]


def test_what_was_passed_over_is_not_repeated_after_what_is_newer() -> None:
    service = _service(page=40)
    for number in range(1_000):
        service.log(str(number), at=START + 300 * number)
    service.now = START + 300_000
    watched = Watched(service)

    async def _looks() -> None:
        while len(watched.log.repeated) < MOST_LINES:
            await watched.look(repeats=True)
        while not (await watched.look(repeats=False)).is_at_the_end:
            service.now += 1_000
        await watched.look(repeats=True)
        service.log("the last line")
        await watched.look(repeats=True)

    asyncio.run(_looks())

    assert watched.log.repeated == [*map(str, range(950, 1_000)), "the last line"]
    assert watched.log.left_out == 950


def test_first_look_at_a_job_that_runs_for_long_repeats_the_last_minutes() -> None:
    service = _service()
    for minute in range(30):
        service.log(f"minute {minute}", at=START + 60_000 * minute)
    service.now = START + 60_000 * 29
    watched = Watched(service)

    async def _looks() -> None:
        await watched.look(repeats=True)
        service.now += 10 * FEW_MINUTES
        service.log("an hour later")
        await watched.look(repeats=True)

    asyncio.run(_looks())

    assert watched.log.repeated == [*(f"minute {minute}" for minute in range(24, 30)), "an hour later"]
    assert watched.log.left_out == 24


def test_lines_that_others_looks_found_are_repeated_with_the_next_transition() -> None:
    """A sweep's pruner looks in between."""
    service = _service()
    watched = Watched(service)

    async def _looks() -> None:
        for number in range(60):
            service.log(str(number))
            service.now += 1_000
            await watched.look(repeats=False)
        assert watched.log.lines == []
        await watched.look(repeats=True)

    asyncio.run(_looks())

    assert watched.log.repeated == list(map(str, range(10, 60)))
    assert watched.log.left_out == 10


DESCRIPTION = {
    "CreationTime": datetime.fromtimestamp(0, UTC),
    "AlgorithmSpecification": {"MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}]},
}


def test_curves_have_the_middle_of_a_log_that_takes_many_looks() -> None:
    service = _service(page=10)
    for number in range(500):
        service.log(f"loss={number}", at=START + 10_000 * number)
    service.now = START + 5_000_000
    watched = Watched(service, DESCRIPTION)

    asyncio.run(watched.repeat())

    *_, curves, end = watched.found
    values = [value for _, value in curves["loss"]]
    assert end is None
    assert (values[0], values[-1], len(values)) == (0, 499, 100)
    assert max(later - earlier for earlier, later in pairwise(values)) < 12
    assert watched.training_log.newest == {"loss": 499}


def test_log_without_metrics_is_read_no_further_than_its_newest_lines_need() -> None:
    service = _service(page=10)
    for number in range(5_000):
        service.log(str(number), at=START + 2_000 * number)
    service.now = START + 10_000_000
    watched = Watched(service)

    asyncio.run(watched.repeat())

    assert watched.log.repeated[-1] == "4999"
    assert watched.found == [None]
    assert len(service.calls) <= 2 * MOST_PAGES


def test_trouble_is_said_once_and_outlasted() -> None:
    service = _service()
    service.log("loss=1")
    answers: list[Any] = [refused("ThrottlingException")] * 3
    real = service.call

    async def _call(operation: str, **members: Any) -> Any:
        if answers:
            raise answers.pop()
        return await real(operation, **members)

    service.call = _call  # type: ignore[method-assign]
    watched = Watched(service, DESCRIPTION)

    asyncio.run(watched.repeat())

    assert watched.log.lines == [
        "The training log cannot be read just now (ThrottlingException).",
        "[job] loss=1",
    ]
    assert [*watched.found[0]] == ["loss"]


def test_missing_permission_is_named_and_asked_about_no_more_until_the_next_transition() -> None:
    service = _service()
    calls: list[str] = []

    async def _call(operation: str, **_: Any) -> Any:
        calls.append(operation)
        raise refused("AccessDeniedException")

    service.call = _call  # type: ignore[method-assign]
    watched = Watched(service, DESCRIPTION)

    async def _transitions() -> None:
        await watched.repeat()
        await watched.repeat()

    asyncio.run(_transitions())

    assert watched.log.lines == [
        "The training log cannot be read just now (AccessDeniedException; it takes logs:FilterLogEvents)."
    ]
    assert len(calls) == 2


def test_page_that_cannot_be_read_leaves_what_was_read_before() -> None:
    service = _service(page=1)
    service.log("loss=1")
    service.log("loss=2")
    real = service.call
    calls = 0

    async def _call(operation: str, **members: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise refused("AccessDeniedException")
        return await real(operation, **members)

    service.call = _call  # type: ignore[method-assign]
    watched = Watched(service, DESCRIPTION)

    async def _transitions() -> None:
        await watched.repeat()
        assert watched.log.repeated == []
        service.now += 2 * LATE
        await watched.repeat()

    asyncio.run(_transitions())

    assert watched.log.repeated == ["loss=1", "loss=2"]
    assert [[value for _, value in curves["loss"]] for curves in watched.found if curves] == [[1], [1, 2]]


def test_expression_that_was_refused_is_not_tried_again() -> None:
    service = _service()
    definitions = [{"Name": "loss", "Regex": "("}, {"Name": "acc", "Regex": "acc=(.)"}]
    watched = Watched(service, {"AlgorithmSpecification": {"MetricDefinitions": definitions}})

    async def _transitions() -> None:
        for _ in range(2):
            service.log("acc=1")
            service.now += 1_000
            await watched.repeat()

    asyncio.run(_transitions())

    assert sum("loss (missing )" in line for line in watched.log.lines) == 1
    assert [list(curves) for curves in watched.found if curves] == [["acc"], ["acc"]]


def test_curves_are_told_when_there_is_something_new_in_them_and_not_otherwise() -> None:
    service = _service()
    watched = Watched(service, DESCRIPTION)

    async def _transitions() -> None:
        for text in ("loss=1", "nothing"):
            service.log(text)
            service.now += 1_000
            await watched.repeat()

    asyncio.run(_transitions())

    first, *rest = watched.found
    assert json.dumps(first) == '{"loss": [["2026-03-01T12:00:00.000+00:00", 1.0]]}'
    assert rest == [None, None]


def test_reading_ends_when_it_is_stopped() -> None:
    service = _service()
    watched = Watched(service, DESCRIPTION)

    async def _never(*_: Any, **__: Any) -> None:
        await asyncio.get_running_loop().create_future()

    service.call = _never  # type: ignore[assignment, method-assign]

    async def _stopped() -> None:
        watched.training_log.repeat(watched.log, DESCRIPTION, watched.found.append)
        task = watched.training_log._task
        assert task is not None
        await asyncio.sleep(0)
        watched.training_log.stop()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(_stopped())

    assert watched.found == [None]


def test_objectives_values_are_one_for_each_line_and_a_diverged_one_is_among_them() -> None:
    lines = [(1, "loss=1 loss=2"), (2, "loss=nan"), (3, "loss=high"), (4, "loss=-inf"), (5, "loss=3")]

    assert str(values_of(r"loss=(\S+)", lines)) == "[1.0, nan, -inf, 3.0]"
