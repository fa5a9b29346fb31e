"""Metric curves: read from the training log while the job runs and when it has ended, by expressions that may be bad ones."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_spot_provider.operators._while_waiting import publish_curves
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.triggers import _job as triggers_job
from airflow_spot_provider.triggers import _matching
from airflow_spot_provider.triggers._curves import match_lines
from airflow_spot_provider.triggers._progress import METRICS_KEY, publisher_of_this_loop
from tests.airflow_versions import TaskDeferred
from tests.integration.conftest import BUCKET
from tests.integration.provider.supervisor import Supervisor, serve_triggers
from tests.integration.provider.task_instance import FakeTaskInstance

DISASTROUS = r"(x+x+)+y"
"""Takes for ever on a line of these."""
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
    monkeypatch.setattr(_matching, "SECONDS", 0.3)
    definitions = {"evil": DISASTROUS, "none": "(", "loss": r"loss=([0-9.]+)"}

    matched = match_lines(definitions, _lines("x" * 2_000, "loss=0.5"))

    assert [value for _, value in matched.curves["loss"]] == [0.5]
    assert matched.refused == {
        "evil": "it takes more than 0.3 s",
        "none": "missing ), unterminated subpattern at position 0",
    }


class _Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, message: str, *arguments: Any) -> None:
        self.lines.append(message % arguments)

    warning = info


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
