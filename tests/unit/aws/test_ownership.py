"""A kill and a new try at the same moment: in every order of their steps, one of them has the job, never both, never none."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from airflow_spot_provider.aws.kinds import TRAINING_JOBS
from airflow_spot_provider.aws.ownership import (
    TASK,
    TRY,
    own_tags,
    stop_unless_taken_over,
    tags_of,
    take_over,
)
from airflow_spot_provider.training import TaskIdentity, TrainingJobNotFound
from airflow_spot_provider.training.rules import MAX_TAGS, OWN_TAGS

TASK_INSTANCE = TaskIdentity("dag", "run", "task")
ARN = "arn:aws:sagemaker:us-east-1:123456789012:training-job/j"


class _Jobs:
    """One job, in memory; ``step`` is asked before each call, so that a test chooses who goes next."""

    kind = TRAINING_JOBS

    def __init__(self, store: dict[str, Any], step: Callable[[], None] = lambda: None) -> None:
        self._store = store
        self._step = step

    def get(self, job_name: str) -> dict[str, Any]:
        self._step()
        if "status" not in self._store:
            raise TrainingJobNotFound(job_name)
        return {"TrainingJobArn": ARN, "TrainingJobStatus": self._store["status"]}

    def stop(self, job_name: str) -> bool:
        assert job_name == "j"
        self._step()
        self._store["status"] = "Stopping"
        return True

    def get_tags(self, job_arn: str) -> dict[str, str]:
        assert job_arn == ARN
        self._step()
        return dict(self._store["tags"])

    def add_tags(self, job_arn: str, tags: Mapping[str, str]) -> None:
        assert job_arn == ARN
        self._step()
        self._store["tags"].update(tags)


def _store(status: str = "InProgress") -> dict[str, Any]:
    return {"status": status, "tags": tags_of(TASK_INSTANCE, 1)}


class _Turns:
    """Lets two threads make one call each time it is their turn; out of turns, whoever comes goes on."""

    def __init__(self, order: tuple[str, ...]) -> None:
        self._order = list(order)
        self._turn = threading.Condition()
        self._done: set[str] = set()

    def take(self, who: str) -> None:
        with self._turn:
            self._turn.wait_for(lambda: self._next() in (who, None), timeout=10)
            if self._order:
                self._order.pop(0)
            self._turn.notify_all()

    def leave(self, who: str) -> None:
        with self._turn:
            self._done.add(who)
            self._turn.notify_all()

    def _next(self) -> str | None:
        while self._order and self._order[0] in self._done:
            self._order.pop(0)
        return self._order[0] if self._order else None


ORDERS = sorted(set(itertools.permutations(("kill",) * 5 + ("try",) * 2)))


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_in_every_order_the_job_is_either_taken_over_or_let_go(order: tuple[str, ...]) -> None:
    store, turns = _store(), _Turns(order)
    answers: dict[str, bool] = {}

    def _kill() -> None:
        jobs = _Jobs(store, lambda: turns.take("kill"))
        answers["stopped"] = stop_unless_taken_over(jobs, "j", try_number=1)
        turns.leave("kill")

    def _try() -> None:
        jobs = _Jobs(store, lambda: turns.take("try"))
        answers["taken over"] = take_over(jobs, {"TrainingJobArn": ARN}, try_number=2)
        turns.leave("try")

    threads = [threading.Thread(target=target) for target in (_kill, _try)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)

    # Never a job stopped under a try that waits for it. (Neither is fine: the new try then stops the job itself.)
    assert len(answers) == 2
    assert not (answers["stopped"] and answers["taken over"])


def test_kill_stops_the_job_of_its_own_try() -> None:
    store = _store()

    assert stop_unless_taken_over(_Jobs(store), "j", try_number=1)
    assert store["status"] == "Stopping"


@pytest.mark.parametrize(("status", "try_number"), [("Completed", 1), ("InProgress", 0)])
def test_kill_leaves_a_job_that_ended_or_has_a_later_try(status: str, try_number: int) -> None:
    store = _store(status)

    assert not stop_unless_taken_over(_Jobs(store), "j", try_number=try_number)
    assert store == _store(status)


def test_kill_of_a_job_that_is_gone_does_nothing() -> None:
    assert not stop_unless_taken_over(_Jobs({}), "j", try_number=1)


def test_kill_leaves_a_job_of_another_task() -> None:
    store = _store()

    assert not stop_unless_taken_over(
        _Jobs(store), "j", try_number=1, task=TaskIdentity("dag", "other run", "task")
    )
    assert store == _store()


def test_tags_hold_only_what_sagemaker_takes() -> None:
    tags = tags_of(TaskIdentity("dag", "run~(1)*", "group.task", 3), 2)

    assert tags[TASK] == TaskIdentity("dag", "run~(1)*", "group.task", 3).digest
    assert tags[TRY] == "2"
    assert tags["airflow-spot:run-id"] == "run__1__"
    assert tags["airflow-spot:map-index"] == "3"
    assert all(len(value) <= 256 for value in tags_of(TaskIdentity("d" * 250, "r" * 400, "t"), 1).values())


@pytest.mark.parametrize(("map_index", "all_fit"), [(-1, 43), (3, 42)])
def test_tags_for_people_are_left_out_where_the_users_own_leave_no_room(map_index: int, all_fit: int) -> None:
    task = TaskIdentity("dag", "run", "task", map_index)

    assert own_tags(task, 1, beside=all_fit) == tags_of(task, 1)
    assert own_tags(task, 1, beside=all_fit + 1) == {TASK: task.digest, TRY: "1"}


@pytest.mark.parametrize("given", range(MAX_TAGS - OWN_TAGS + 1))
def test_there_is_always_room_for_the_tag_that_a_result_was_published(given: int) -> None:
    assert given + len(own_tags(TaskIdentity("dag", "run", "task", 3), 1, beside=given)) < MAX_TAGS
