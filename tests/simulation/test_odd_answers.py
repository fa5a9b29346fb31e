"""Answers of another shape, lists that never end, jobs that vanish: nobody's wait ends by them but the one it must."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.simulation.sagemaker import Liberties, Spec
from tests.simulation.world import World

Distort = Callable[[dict[str, Any], Mapping[str, Any]], dict[str, Any]]


def _forever(answer: dict[str, Any], _sent: Mapping[str, Any]) -> dict[str, Any]:
    return {**answer, "NextToken": "the same again"}


def _empty_forever(answer: dict[str, Any], _sent: Mapping[str, Any]) -> dict[str, Any]:
    return {**answer, "TrainingJobSummaries": [], "NextToken": "go on"}


def _short_pages(answer: dict[str, Any], _sent: Mapping[str, Any]) -> dict[str, Any]:
    return {**answer, "TrainingJobSummaries": answer["TrainingJobSummaries"][::2]}


def _without_times(answer: dict[str, Any], _sent: Mapping[str, Any]) -> dict[str, Any]:
    dropped = ("CreationTime", "LastModifiedTime", "SecondaryStatus")
    summaries = [
        {member: value for member, value in summary.items() if member not in dropped}
        for summary in answer["TrainingJobSummaries"]
    ]
    return {**answer, "TrainingJobSummaries": summaries}


def _without_names(answer: dict[str, Any], _sent: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **answer,
        "TrainingJobSummaries": [{}, {"TrainingJobName": None}, *answer["TrainingJobSummaries"][1:]],
    }


def _nothing(answer: dict[str, Any], _sent: Mapping[str, Any]) -> dict[str, Any]:
    return {"ResponseMetadata": answer["ResponseMetadata"]}


def _no_list(_answer: dict[str, Any], _sent: Mapping[str, Any]) -> dict[str, Any]:
    return {"TrainingJobSummaries": {"a": 5}}


def _undated(answer: dict[str, Any], _sent: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


@pytest.mark.parametrize(
    "distort",
    [_forever, _empty_forever, _short_pages, _without_times, _without_names, _nothing, _no_list, _undated],
)
def test_odd_lists_lose_no_change(distort: Distort) -> None:
    world = World(1)
    answer_of = world.sagemaker._answers["ListTrainingJobs"]
    ask = world.sagemaker.ask

    def _ask(operation: str, members: Mapping[str, Any], client: Any) -> dict[str, Any]:
        if members.get("NextToken") in ("the same again", "go on"):
            members = {name: value for name, value in members.items() if name != "NextToken"}
        answer = ask(operation, members, client)
        return distort(answer, members) if operation == "ListTrainingJobs" else answer

    world.sagemaker.ask = _ask  # type: ignore[method-assign]
    assert answer_of is not None

    async def _story(_: World) -> None:
        world.sagemaker.create_old(150)
        tasks = [
            world.defer(Spec(f"job-{n}", "interrupted-once", 60.0 + n), poll_interval=5.0) for n in range(30)
        ]
        assert await world.until(lambda: all(task.events for task in tasks), at_most=400.0)
        assert {event["outcome"] for task in tasks for _, event in task.events} == {"Completed"}
        ended = {task.job_name: world.sagemaker.history[task.job_name][-1][0] for task in tasks}
        late = [task.job_name for task in tasks if task.told[-1][0] > ended[task.job_name] + 25.0]
        assert not late
        assert world.sagemaker.calls.total() < 30 * world.now / 2

    world.run(_story)


def test_job_that_is_deleted_while_it_is_watched_ends_its_tasks_wait_alone() -> None:
    world = World(2)

    async def _story(_: World) -> None:
        tasks = [
            world.defer(Spec(f"job-{n}", "never-launched", max_wait=80_000), poll_interval=5.0)
            for n in range(10)
        ]
        await asyncio.sleep(30.0)
        world.sagemaker.delete("job-3")
        assert await world.until(lambda: bool(tasks[3].events), at_most=180.0)
        [(_, event)] = tasks[3].events
        assert event["outcome"] is None
        assert "'job-3'" in event["error"]
        await asyncio.sleep(60.0)
        assert not any(task.events for task in tasks if task is not tasks[3])

    world.run(_story)


def test_name_that_another_job_has_now_ends_the_wait() -> None:
    world = World(3)

    async def _story(_: World) -> None:
        tasks = [
            world.defer(Spec(name, "never-launched", max_wait=80_000), poll_interval=5.0) for name in "abc"
        ]
        await asyncio.sleep(30.0)
        world.sagemaker.delete("b")
        world.sagemaker.create(Spec("b"))
        assert await world.until(lambda: bool(tasks[1].events), at_most=30.0)
        [(_, event)] = tasks[1].events
        assert "another one bears its name" in event["error"]

    world.run(_story)


def test_names_that_begin_alike_are_different_jobs() -> None:
    world = World(4)

    async def _story(_: World) -> None:
        names = ["job", "job-1", "job-11", "job-1-1", "ob-1"]
        tasks = {
            name: world.defer(Spec(name, "never-launched", max_wait=80_000), poll_interval=5.0)
            for name in names
        }
        await asyncio.sleep(20.0)
        world.sagemaker.job("job-1").stop()
        await asyncio.sleep(30.0)
        assert [name for name, task in tasks.items() if task.events] == ["job-1"]

    world.run(_story)


def test_interval_of_a_day_is_not_hurried_by_one_of_five_seconds() -> None:
    world = World(5)

    async def _story(_: World) -> None:
        world.sagemaker.create(Spec("slow", "never-launched", max_wait=80_000))
        await asyncio.sleep(10.0)
        for n in range(300):
            world.sagemaker.create(Spec(f"other-{n}", "never-launched", max_wait=80_000))
        world.defer(Spec("slow"), create=False, poll_interval=86_400.0)
        await asyncio.sleep(5.0)
        world.defer(Spec("quick", "never-launched", max_wait=80_000), poll_interval=5.0)
        await asyncio.sleep(60.0)
        before = world.sagemaker.calls.total()
        await asyncio.sleep(600.0)
        assert world.sagemaker.calls.total() - before <= 1.2 * 600 / 5  # the one job's own calls

    world.run(_story)


def test_permission_to_describe_that_comes_late_is_waited_for_and_one_that_does_not_is_named() -> None:
    world = World(6, Liberties(denied_at_first=45.0))

    async def _story(_: World) -> None:
        task = world.defer(Spec("job", training_seconds=100.0), poll_interval=5.0)
        assert await world.until(lambda: bool(task.events), at_most=300.0)
        assert task.events[0][1] == {"job_name": "job", "outcome": "Completed"}

    world.run(_story)

    never = World(7, Liberties(denied_at_first=1e6))

    async def _another_story(_: World) -> None:
        task = never.defer(Spec("job", training_seconds=100.0), poll_interval=5.0)
        assert await never.until(lambda: bool(task.events), at_most=300.0)
        # Airflow fails a task that resumes before it has heard of the deferral.
        assert task.events[0][0] - task.joined >= 10.0
        assert "sagemaker:DescribeTrainingJob" in task.events[0][1]["error"]

    never.run(_another_story)
