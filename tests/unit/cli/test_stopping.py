"""Stopping orphans: who is asked, and what is told when one of several cannot be judged any more."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_spot_provider.aws.kinds import TRAINING_JOBS
from airflow_spot_provider.aws.ownership import tags_of
from airflow_spot_provider.cli.database import NoDatabase
from airflow_spot_provider.cli.jobs import stopping
from airflow_spot_provider.cli.jobs.looking import Seen
from airflow_spot_provider.cli.jobs.standing import JudgedJob, judged
from airflow_spot_provider.cli.jobs.waiting import TaskOfJob
from airflow_spot_provider.hooks._tagged import TaggedJob
from airflow_spot_provider.training import TaskIdentity


def _orphan(name: str) -> JudgedJob:
    task = TaskIdentity("churn", "r1", name)
    description = {
        "TrainingJobName": name,
        "TrainingJobArn": f"arn:aws:sagemaker:us-east-1:1:training-job/{name}",
        "TrainingJobStatus": "InProgress",
    }
    job = TaggedJob(TRAINING_JOBS, description, tags_of(task, 1))
    return judged(job, TaskOfJob(task, "failed", "failed"), airflow_is_known=True)


class _Looks:
    """An Airflow whose database is away when the second job is looked at again."""

    def all(self) -> Seen:
        return Seen((_orphan("one"), _orphan("two"), _orphan("three")), datetime.now(UTC), None)

    def again(self, before: JudgedJob) -> JudgedJob:
        if before.job.name == "two":
            raise NoDatabase("The database is away.")
        return before


class _Hook:
    def jobs(self, _kind: Any) -> None:
        return None


@pytest.mark.parametrize("stdin", [None, io.StringIO("yes\n")])
def test_without_a_terminal_to_ask_at_nothing_is_stopped(
    stdin: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", stdin)
    monkeypatch.setattr(stopping, "stop_unless_taken_over", None)
    assert stopping.stop_orphans(_Looks(), _Hook(), sure=False, as_json=False, warn=print) == 2  # type: ignore[arg-type]
    assert "Nothing was stopped." in capsys.readouterr().out


@pytest.mark.parametrize(("answer", "status"), [(None, 2), ("no\n", 0)])
def test_the_list_is_json_too_where_nothing_is_stopped(
    answer: str | None, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stdin = io.StringIO(answer or "")
    monkeypatch.setattr(stdin, "isatty", lambda: answer is not None)
    monkeypatch.setattr("sys.stdin", stdin)
    monkeypatch.setattr(stopping, "stop_unless_taken_over", None)
    warned: list[str] = []
    assert stopping.stop_orphans(_Looks(), _Hook(), sure=False, as_json=True, warn=warned.append) == status  # type: ignore[arg-type]
    told = json.loads(capsys.readouterr().out)
    assert [(each["job_name"], each["standing"]) for each in told] == [
        ("one", "orphan"), ("two", "orphan"), ("three", "orphan"),
    ]  # fmt: skip
    assert warned[0].endswith("Nothing was stopped.")


def test_database_that_goes_away_meanwhile_leaves_nothing_untold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped = []
    monkeypatch.setattr(
        stopping, "stop_unless_taken_over", lambda _jobs, name, **_: stopped.append(name) or True
    )
    status = stopping.stop_orphans(_Looks(), _Hook(), sure=True, as_json=False, warn=print)  # type: ignore[arg-type]

    said = capsys.readouterr().out.splitlines()[-3:]
    assert status == 1
    assert stopped == ["one", "three"]
    assert said[0] == "one is being stopped; its checkpoints stay."
    assert said[1].startswith("two is not stopped, since nobody can tell")
    assert said[1].endswith("The database is away.")
    assert said[2] == "three is being stopped; its checkpoints stay."
