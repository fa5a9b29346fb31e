"""A log that grows is read on and on: every line once, whatever the service does with its pages."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from airflow_spot_provider.aws.log_reader import LATE, MOST_PAGES, MOST_REMEMBERED, LogReader, Look
from tests.unit.aws.log_service import START, Liberties, LogService, Stored, refused


def _look(reader: LogReader, *, ahead: bool = False) -> Look:
    return asyncio.run(reader.look(ahead=ahead))


def _service(**liberties: Any) -> LogService:
    return LogService(random.Random(1), Liberties(**liberties))


def _texts(lines: Any) -> list[str]:
    return [line.text for line in lines]


@pytest.mark.parametrize("seed", range(150))
def test_every_line_is_handed_out_once_and_becomes_final_once_and_in_order(seed: int) -> None:
    rng = random.Random(seed)
    liberties = Liberties(
        page=rng.choice([2, 5, 30]),
        short=rng.choice([0.0, 0.3, 0.6]),
        empty_in_a_row=rng.randint(0, 4),
        repeated=rng.choice([0.0, 0.2]),
        errors=rng.choice([0.0, 0.2]),
        expires=rng.choice([0.0, 0.1]),
    )
    service = LogService(rng, liberties)
    reader = LogReader(service.call, "job")
    logged: list[Stored] = []
    new: list[Any] = []
    final: list[Any] = []
    busy = rng.choice([0, 3, 12])

    def _one(*, ahead: bool = False) -> Look:
        before = len(service.calls)
        look = _look(reader, ahead=ahead)
        assert len(service.calls) - before <= 2 * MOST_PAGES
        new.extend(look.new)
        final.extend(look.final)
        return look

    for _ in range(40):
        service.now += rng.choice([0, 1, 500, 5_000, 40_000, 3_600_000])
        for _ in range(rng.randint(0, busy)):
            at = service.now - rng.choice([0, 0, 0, 1, 900, 30_000])
            late = rng.choice([service.now - at, rng.randint(service.now - at, LATE - 1_000)])
            stream = rng.choice(["job/algo-1-1", "job/algo-2-1", "job/algo-1-2"])
            logged.append(service.log(f"line {len(logged)}", at=at, late=late, stream=stream))
            service.log("not ours", at=at, stream="job-2/algo-1-1")
        _one(ahead=rng.random() < 0.5)
    service.now += 3 * LATE
    liberties.errors = liberties.expires = liberties.repeated = 0.0
    for _ in range(len(logged) // MOST_PAGES + 30):
        _one()
        service.now += LATE

    expected = {line.id for line in logged}
    assert sorted(line.id for line in new) == sorted(expected)
    assert sorted(line.id for line in final) == sorted(expected)
    assert [line.at for line in final] == sorted(line.at for line in final)


def test_empty_pages_are_gone_past_over_several_looks() -> None:
    """https://github.com/boto/boto3/issues/4258: many empty pages, each with a token."""
    asked: list[int] = []

    async def _call(_operation: str, **members: Any) -> dict[str, Any]:
        page = int(members.get("nextToken", 0))
        asked.append(page)
        if page < 12:
            return {"events": [], "nextToken": str(page + 1)}
        return {"events": [{"timestamp": 1_000, "message": "epoch 1"}]}

    reader = LogReader(_call, "job")

    found = [_texts(_look(reader).new) for _ in range(4)]

    assert found == [[], [], ["epoch 1"], []]
    assert asked[:13] == list(range(13))


def test_lines_of_one_millisecond_are_all_read() -> None:
    service = _service(page=3)
    service.now += 10
    for number in range(50):
        service.log(str(number), at=START)
    reader = LogReader(service.call, "job")
    service.now += 2 * LATE

    found = [text for _ in range(5) for text in _texts(_look(reader).new)]

    assert found == list(map(str, range(50)))


def test_line_that_comes_late_is_new_and_takes_its_place_before_those_that_were_read() -> None:
    service = _service()
    service.log("first")
    service.log("third", at=START + 2_000)
    late = service.log("second", at=START + 1_000, late=50_000)
    reader = LogReader(service.call, "job")
    service.now = START + 3_000
    assert _texts(_look(reader).new) == ["first", "third"]
    service.now = late.came

    look = _look(reader)

    assert (_texts(look.new), look.final) == (["second"], [])
    service.now += LATE
    assert _texts(_look(reader).final) == ["first", "second", "third"]


def test_job_whose_name_begins_like_another_ones_has_its_own_lines() -> None:
    service = _service()
    service.log("ours")
    service.log("another job's", stream="job-2/algo-1-1")

    assert _texts(_look(LogReader(service.call, "job")).new) == ["ours"]


def test_newest_lines_of_a_long_log_are_told_ahead_and_read_again_in_their_turn() -> None:
    service = _service(page=10)
    for second in range(3_600):
        service.log(str(second), at=START + 1_000 * second)
    service.now = START + 3_600_000
    reader = LogReader(service.call, "job")

    look = _look(reader, ahead=True)

    assert not look.is_at_the_end
    assert _texts(look.new) == list(map(str, range(50)))
    assert look.ahead is None, "a minute is sixty lines, and a look reads fifty"
    look = _look(reader, ahead=True)
    assert look.ahead is not None
    assert _texts(look.ahead)[-1] == "3599"
    rest = _texts(look.new)
    while not look.is_at_the_end:
        service.now += 5_000
        look = _look(reader)
        rest += _texts(look.new)
    assert rest == list(map(str, range(50, 3_600)))


def test_page_whose_token_repeats_does_not_hold_up_what_comes_later() -> None:
    service = _service()
    stuck = [True]

    async def _call(operation: str, **members: Any) -> dict[str, Any]:
        answer = await service.call(
            operation, **{**members, "nextToken": None} if "nextToken" in members else members
        )
        return {**answer, "nextToken": "again"} if stuck[0] else answer

    service.log("first")
    reader = LogReader(_call, "job")

    look = _look(reader)

    assert (_texts(look.new), look.is_at_the_end) == (["first"], False)
    assert len(service.calls) == MOST_PAGES
    stuck[0] = False
    service.log("second", at=START + 1)
    service.now += 1
    assert _texts(_look(reader).new) == ["second"]


@pytest.mark.parametrize("hours", [-5, 5])
def test_clocks_that_differ_by_hours_lose_no_line(hours: int) -> None:
    service = _service(page=10, clock_is_off=hours * 3_600_000)
    reader = LogReader(service.call, "job")
    found: list[str] = []
    for number in range(200):
        service.log(str(number))
        found += _texts(_look(reader).new)
        service.now += 5_000
    for _ in range(20):
        found += _texts(_look(reader).new)

    assert found == list(map(str, range(200)))


def test_without_a_date_the_newest_line_tells_the_time() -> None:
    service = _service(dated=False)
    reader = LogReader(service.call, "job")
    service.log("first")
    assert _look(reader).final == []
    service.now += LATE
    service.log("second")

    assert _texts(_look(reader).final) == ["first"]


def test_what_is_remembered_is_bounded_and_no_line_comes_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_spot_provider.aws.log_reader.MOST_REMEMBERED", 40)
    service = _service(page=10)
    reader = LogReader(service.call, "job")
    found: list[str] = []
    final: list[str] = []
    remembered = 0
    logged = 0
    for number in range(60):  # ten lines a second and more, where forty are remembered for a minute
        for _ in range(200 if number == 30 else 20):
            service.log(str(logged), at=service.now)
            logged += 1
            service.now += 100
        look = _look(reader)
        found += _texts(look.new)
        final += _texts(look.final)
        remembered = max(remembered, len(reader._handed))
    for _ in range(100):
        service.now += LATE
        look = _look(reader)
        found += _texts(look.new)
        final += _texts(look.final)

    assert found == final == list(map(str, range(logged)))
    assert remembered <= 50


def test_trouble_is_told_and_the_next_look_goes_on() -> None:
    service = _service(page=2)
    for number in range(6):
        service.log(str(number))
    service.now += 2 * LATE
    answers: list[Any] = [None, refused("ThrottlingException"), None, None, None]

    async def _call(operation: str, **members: Any) -> dict[str, Any]:
        if (error := answers.pop(0)) is not None:
            raise error
        return await service.call(operation, **members)

    reader = LogReader(_call, "job")

    look = _look(reader, ahead=True)

    assert (_texts(look.new), look.ahead) == (["0", "1"], None)
    assert look.trouble is not None
    assert not look.is_at_the_end
    look = _look(reader)
    assert (_texts(look.new), look.is_at_the_end) == (["2", "3", "4", "5"], True)
    assert service.calls[1]["nextToken"]


def test_job_that_has_not_logged_has_no_lines_and_no_trouble() -> None:
    async def _call(*_: Any, **__: Any) -> dict[str, Any]:
        raise refused("ResourceNotFoundException")

    look = _look(LogReader(_call, "job"), ahead=True)

    assert (look.new, look.is_at_the_end, look.trouble) == ([], True, None)


def test_only_so_much_is_remembered() -> None:
    assert MOST_REMEMBERED <= 20_000
