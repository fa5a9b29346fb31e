"""Metric curves: read from the training log while the job runs and when it has ended, by expressions that may be bad ones."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_spot_provider.operators._while_waiting import publish_curves
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.triggers import _curves, _training_log
from airflow_spot_provider.triggers import _job as triggers_job
from airflow_spot_provider.triggers._curves import match_lines
from airflow_spot_provider.triggers._progress import METRICS_KEY, publisher_of_this_loop
from tests.integration.conftest import BUCKET
from tests.integration.provider.supervisor import Supervisor, serve_triggers
from tests.integration.provider.task_instance import FakeTaskInstance

DISASTROUS = r"^(\w+\s?)+$!"
"""Takes for ever on a line of words."""
SCRIPT = """
import os,time
p="/opt/ml/checkpoints/"
for i in range(len(os.listdir(p)),8):
    print(f"step {i} loss={1/(i+1):.4f} acc: {i}",flush=True)
    open(p+str(i),"w").close()
    time.sleep(.25)
"""


def _config(job_config: dict[str, Any]) -> dict[str, Any]:
    return {
        **job_config,
        "AlgorithmSpecification": {
            **job_config["AlgorithmSpecification"],
            "ContainerEntrypoint": ["python3", "-c", SCRIPT],
            "MetricDefinitions": [
                {"Name": "loss", "Regex": r"loss=([0-9.]+)"},
                {"Name": "acc", "Regex": r"acc: (\d+)"},
            ],
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 1_200},
        "Tags": [{"Key": "emulator:lifecycle", "Value": "interrupted-once"}],
    }


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    monkeypatch.setattr(triggers_job, "shortest_deferral", lambda: 0.0)
    return serve_triggers(monkeypatch)


@pytest.mark.usefixtures("aws_connection")
def test_points_of_both_stretches_are_published_while_it_waits_and_when_it_has_ended(
    job_config: dict[str, Any],
    unique: str,
    supervisor: Supervisor,
) -> None:
    ti = FakeTaskInstance(f"manual__{unique}")
    operator = SageMakerSpotTrainingOperator(
        task_id="train",
        config=_config(job_config),
        max_wait=2_400,
        checkpoint_s3_uri=f"s3://{BUCKET}/{unique}/checkpoints",
        poll_interval=1,
        region_name="us-east-1",
    )
    with pytest.raises(TaskDeferred) as deferral:
        operator.execute(ti.context)
    trigger: Any = deferral.value.trigger
    trigger.task_instance = ti

    async def _events() -> list[Any]:
        events = [event.payload async for event in trigger.run()]
        log: Any = trigger._training_log
        if log._task is not None:
            await asyncio.gather(log._task, return_exceptions=True)
        return events

    [event] = asyncio.run(_events())
    [*_, while_waiting] = supervisor.all_of("spot_metrics")
    told_metrics = [each["metrics"] for each in supervisor.all_of("spot_progress") if each["metrics"]]
    ti.xcoms["spot_metrics"] = while_waiting
    operator.execute_complete(ti.context, event, **(deferral.value.kwargs or {}))

    curves = ti.xcoms["spot_metrics"]
    assert list(curves) == ["loss", "acc"]
    assert [value for _, value in curves["acc"]][-1] == 7
    assert {value for _, value in curves["acc"]} == set(range(8))
    for points in (*curves.values(), *while_waiting.values()):
        assert points == sorted(points)
    assert 0 < len(while_waiting["loss"]) <= len(curves["loss"])
    assert told_metrics[-1]["acc"] == while_waiting["acc"][-1][1]
    timeline = ti.xcoms["return_value"]["timeline"]
    [(_, _, first_ended), (_, second_began, _)] = [entry for entry in timeline if entry[0] == "Training"]
    assert [at for at, _ in curves["loss"] if at <= first_ended]
    assert [at for at, _ in curves["loss"] if at >= second_began]


def _lines(*texts: str) -> list[tuple[int, str]]:
    return [(1_772_366_400_000 + 1_000 * number, text) for number, text in enumerate(texts)]


def test_bad_expressions_do_not_keep_good_ones_from_being_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_curves, "SECONDS_FOR_ONE", 0.3)
    definitions = {"evil": DISASTROUS, "none": "(", "loss": r"loss=([0-9.]+)"}

    matched = match_lines(definitions, _lines("word " * 40, "loss=0.5"))

    assert [value for _, value in matched.curves["loss"]] == [0.5]
    assert matched.refused == {
        "evil": "it takes more than 0.3 s",
        "none": "missing ), unterminated subpattern at position 0",
    }


def test_process_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "sleeps.py"
    script.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(_curves, "_SECONDS_FOR_ALL", 0.5)
    monkeypatch.setattr(_curves._matching, "__file__", str(script))

    with pytest.raises(_curves.subprocess.TimeoutExpired):
        match_lines({"loss": "x"}, _lines("x"))


def test_process_inherits_no_secret_and_no_site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "tells.py"
    script.write_text(
        "import json, os, sys; print(json.dumps({'curves': {}, 'refused': {**os.environ, 'path': str(sys.path)}}))"
    )
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setattr(_curves._matching, "__file__", str(script))

    told = match_lines({"loss": "x"}, _lines("x")).refused

    assert told.keys() - {"path", "PATH", "LD_LIBRARY_PATH", "LC_CTYPE"} == set()
    assert "site-packages" not in told["path"]


class _Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, message: str, *arguments: Any) -> None:
        self.lines.append(message % arguments)

    warning = info


class _Logs:
    """A line to CloudWatch Logs that answers page by page."""

    def __init__(self, *pages: Any) -> None:
        self.pages = list(pages)
        self.asked: list[dict[str, Any]] = []

    def line(self, _service: str) -> _Logs:
        return self

    async def call(self, _operation: str, *, patient: bool, **members: Any) -> Any:
        assert not patient
        self.asked.append(members)
        page = self.pages.pop(0)
        if isinstance(page, Exception):
            raise page
        return page


def _page(*events: tuple[int, str], more: bool = False) -> dict[str, Any]:
    listed = [{"timestamp": at, "message": text} for at, text in events]
    return {"events": listed, **({"nextToken": "token"} if more else {})}


def _read(logs: _Logs, log: _Log, reads: int = 1, regex: str = "loss=(.*)") -> list[Any]:
    description = {
        "CreationTime": datetime.fromtimestamp(0, UTC),
        "AlgorithmSpecification": {"MetricDefinitions": [{"Name": "loss", "Regex": regex}]},
    }
    found: list[Any] = []

    async def _all() -> None:
        reading = _training_log.NewLogLines(logs, "job")  # type: ignore[arg-type]
        for _ in range(reads):
            reading.repeat(log, description, found.append)
            assert reading._task is not None
            await reading._task

    asyncio.run(_all())
    return found


def test_long_log_is_read_page_by_page_and_gone_on_with_the_next_time() -> None:
    pages = [_page((number, f"loss={number}"), more=True) for number in range(_training_log.MOST_PAGES)]
    logs, log = _Logs(*pages, _page((50, "loss=50"))), _Log()

    first, second = _read(logs, log, reads=2)

    assert [value for _, value in first["loss"]] == [0, 1, 2, 3, 4]
    assert [value for _, value in second["loss"]] == [0, 1, 2, 3, 4, 50]
    assert [asked.get("nextToken") for asked in logs.asked] == [None, *["token"] * 4, None]
    assert logs.asked[-1]["startTime"] == 5
    assert log.lines[-1] == "[job] loss=50"


def test_page_that_cannot_be_read_leaves_what_was_read_before() -> None:
    log = _Log()

    [found] = _read(_Logs(_page((1, "loss=1"), more=True), ConnectionResetError()), log)

    assert [value for _, value in found["loss"]] == [1]
    assert log.lines == ["The training log cannot be read just now (ConnectionResetError).", "[job] loss=1"]


def test_expression_that_was_refused_is_not_tried_again() -> None:
    log = _Log()

    assert _read(_Logs(_page((1, "x")), _page((2, "y"))), log, reads=2, regex="(") == [None, None]

    assert sum("loss (missing )" in line for line in log.lines) == 1


def test_machine_that_starts_no_process_is_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_curves.sys, "executable", os.devnull)
    log = _Log()

    assert _read(_Logs(_page((1, "loss=1")), _page((2, "loss=2"))), log, reads=2) == [None, None]

    assert sum("cannot be told (PermissionError" in line for line in log.lines) == 1
    assert log.lines[-1] == "[job] loss=2"


def test_same_lines_once_more_are_no_news() -> None:
    first, second = _read(_Logs(_page((1, "loss=1")), _page((1, "loss=1"))), _Log(), reads=2)

    assert json.dumps(first).startswith('{"loss": [["1970-01-01T00:00:00.001+00:00", 1.0]]')
    assert second is None


DESCRIBED = {
    "CreationTime": datetime.fromtimestamp(1, UTC),
    "AlgorithmSpecification": {"MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}]},
}


def _at_the_end(ti: FakeTaskInstance, *lines: tuple[int, str], description: Any = DESCRIBED) -> Any:
    publish_curves(ti.context, _Log(), description, lines)
    return ti.xcoms.get("spot_metrics")


def test_what_was_published_while_it_waited_is_kept_at_the_end_but_not_an_earlier_jobs() -> None:
    ti = FakeTaskInstance("r")
    earlier, waiting = ["1970-01-01T00:00:00.500+00:00", 9.0], ["1970-01-01T00:00:02.000+00:00", 1.0]
    ti.xcoms["spot_metrics"] = {"loss": [earlier, waiting]}

    assert _at_the_end(ti, (3_000, "loss=0.5")) == {"loss": [waiting, ["1970-01-01T00:00:03.000+00:00", 0.5]]}


def test_nothing_is_published_where_there_is_no_metric_or_no_line() -> None:
    assert _at_the_end(FakeTaskInstance("r"), (1, "nothing")) is None
    assert _at_the_end(FakeTaskInstance("r")) is None
    assert _at_the_end(FakeTaskInstance("r"), (1, "loss=1"), description={}) is None


def test_xcom_that_cannot_be_read_takes_no_curve_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def _gone(*_: Any, **__: Any) -> Any:
        raise ConnectionError

    monkeypatch.setattr(FakeTaskInstance, "xcom_pull", _gone)

    assert list(_at_the_end(FakeTaskInstance("r"), (3_000, "loss=0.5"))) == ["loss"]


def test_task_that_goes_on_has_nothing_written_over_by_what_its_trigger_had_to_say(
    supervisor: Supervisor,
) -> None:
    ti, other = FakeTaskInstance("r"), FakeTaskInstance("another")

    async def _published() -> None:
        publisher = publisher_of_this_loop()
        for task_instance in (ti, other):
            publisher.publish(task_instance, {"of": task_instance.run_id})
            publisher.publish(task_instance, {"curves of": task_instance.run_id}, METRICS_KEY)
        publisher.forget(ti)
        assert publisher._task is not None
        await publisher._task

    asyncio.run(_published())

    assert supervisor.written == [
        ("spot_progress", {"of": "another"}),
        ("spot_metrics", {"curves of": "another"}),
    ]
