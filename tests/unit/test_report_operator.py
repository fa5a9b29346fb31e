"""SpotSavingsReportOperator: what it reads, what it publishes first, and when it fails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, TaskGroup
from airflow.sdk.exceptions import AirflowSkipException

from airflow_spot_provider.operators import _reported
from airflow_spot_provider.operators.report import SavingsReportBreached, SpotSavingsReportOperator
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.training import InvalidSpotRequest, Outcome, SpotTrainingError, SpotTrainingResult

CONFIG = {
    "RoleArn": "arn:aws:iam::123456789012:role/training",
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
    "StoppingCondition": {"MaxRuntimeInSeconds": 600},
}
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def _json(billed: int = 100, **fields: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "job_name": "j",
        "job_arn": "a",
        "outcome": Outcome.COMPLETED,
        "training_seconds": 500,
    }
    return SpotTrainingResult(**{**told, "billable_seconds": billed, **fields}).to_json()


class _Runs:
    """The DAG runs of an Airflow: what their tasks published, and in which states they are."""

    dag_id = "d"

    def __init__(self, *runs: dict[str, Any]) -> None:
        self._runs = {f"run-{number}": run for number, run in enumerate(runs)}
        self.pushed: dict[str, Any] = {}

    def earlier(self, _ti: Any, _run: Any) -> Any:
        for number, run_id in enumerate(list(self._runs)[1:], start=1):
            yield SimpleNamespace(run_id=run_id, run_after=NOON - timedelta(days=number), logical_date=NOON)

    def get_task_states(self, *, run_ids: list[str], **_which: Any) -> Any:
        def _key(key: str) -> str:
            task, _, index = key.partition("#")
            return f"{task}_{index}" if index else task

        return {
            run_id: {
                _key(key): "failed" if value is None else "success"
                for key, value in self._runs[run_id].items()
            }
            for run_id in run_ids
        }

    def xcom_pull(
        self, task_ids: str, run_id: str, map_indexes: int | None = None, key: str = "return_value"
    ) -> Any:
        published = self._runs[run_id].get(
            task_ids if map_indexes in (None, -1) else f"{task_ids}#{map_indexes}"
        )
        if key != "return_value":
            return published["published"].get(key)
        return published

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def _execute(
    operator: SpotSavingsReportOperator, runs: _Runs, monkeypatch: pytest.MonkeyPatch, **context: Any
) -> Any:
    monkeypatch.setattr(_reported, "earlier_runs", runs.earlier)
    this = SimpleNamespace(run_id="run-0", run_after=NOON, logical_date=NOON)
    operator.title = "t"
    return operator.execute({"ti": runs, "dag_run": this, "task": operator, "dag": operator.dag, **context})  # type: ignore[typeddict-item]


def _report(**arguments: Any) -> SpotSavingsReportOperator:
    with DAG("d", schedule=None):
        return SpotSavingsReportOperator(task_id="report", **{"training_task_ids": ["train"], **arguments})


def test_report_tells_the_trend_against_the_run_before(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = _Runs({"train": _json(100)}, {"train": _json(200)}, {"train": _json(300)})
    report = _execute(_report(last_n_runs=2), runs, monkeypatch)

    assert report["trend"]["against"] == "run-1"
    assert report["trend"]["savings_percent"] == pytest.approx(20)
    assert report["jobs"] == 2
    assert runs.pushed["return_value"] == report


def test_report_since_reads_runs_as_far_back_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = _Runs(*[{"train": _json()}] * 6)
    report = _execute(_report(since=timedelta(days=3)), runs, monkeypatch)
    assert [run["run_id"] for run in report["runs"]] == ["run-0", "run-1", "run-2", "run-3"]


def test_mapped_members_without_a_result_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = _Runs({"train#0": _json(), "train#1": None, "train#2": {"something": "else"}, "trainer": _json()})
    report = _execute(_report(), runs, monkeypatch)

    assert report["jobs"] == 1
    assert report["missing"] == [
        "train[1] of run-0: no result; the task is failed",
        "train[2] of run-0: what it published is no training result",
    ]


def test_trials_of_a_sweep_are_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    slot = {"slot": 0, "trials": [0, 1], "published": {"trial_0": _json(), "trial_1": _json()}}
    report = _execute(_report(training_task_ids=["trials"]), _Runs({"trials#0": slot}), monkeypatch)
    assert report["jobs"] == 2


def test_task_that_is_not_there_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    report = _execute(_report(), _Runs({}), monkeypatch)
    assert report["missing"] == ["train of run-0: no result; the task is not there"]
    assert report["savings_percent"] is None


def _dag_of_trainings() -> SpotSavingsReportOperator:
    def _train(task_id: str) -> SageMakerSpotTrainingOperator:
        return SageMakerSpotTrainingOperator(task_id=task_id, config=CONFIG, max_wait=1200)

    with DAG("d", schedule=None):
        with TaskGroup("g"):
            one, two = _train("one"), _train("two")
        report = SpotSavingsReportOperator(task_id="report")
        one >> two >> report
        _train("elsewhere")
    return report


def test_report_is_of_all_spot_tasks_upstream_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = _Runs({"g.one": _json(), "g.two": _json(), "elsewhere": _json()})
    operator = _dag_of_trainings()
    assert set(_execute(operator, runs, monkeypatch)["by_task"]) == {"g.one", "g.two"}

    operator.task_group_id = "g"
    assert set(_execute(operator, runs, monkeypatch)["by_task"]) == {"g.one", "g.two"}


def test_report_of_nothing_says_how_to_name_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpotTrainingError, match="training_task_ids="):
        _execute(_report(training_task_ids=None), _Runs({}), monkeypatch)


def test_report_of_asset_events(monkeypatch: pytest.MonkeyPatch) -> None:
    asset = Asset("model", uri="s3://bucket/model")

    def _event(day: int, extra: Any) -> Any:
        return SimpleNamespace(
            timestamp=NOON + timedelta(days=day), extra=extra, source_run_id=f"r{day}", source_task_id="train"
        )

    told = {key: value for key, value in _json().items() if key != "job_arn"}
    events = {
        asset: [
            _event(0, {"airflow_spot": told}),
            _event(1, {"airflow_spot": told}),
            _event(2, {"by": "hand"}),
        ]
    }
    report = _execute(
        _report(training_task_ids=None, assets=[asset], last_n_runs=2),
        _Runs({}),
        monkeypatch,
        inlet_events=events,
    )

    assert [run["run_id"] for run in report["runs"]] == ["r2", "r1"]
    assert report["missing"] == ["train of r2: the event does not tell of a spot training"]


BREACHED = {"min_savings_percent": 90}


def test_breach_fails_after_the_report_is_published_and_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs = _Runs({"train": _json()})
    operator = _report(path=str(tmp_path), formats=["json"], **BREACHED)
    with pytest.raises(SavingsReportBreached, match=r"80\.0%, less than min_savings_percent=90"):
        _execute(operator, runs, monkeypatch)

    assert runs.pushed["return_value"]["breaches"]
    assert (tmp_path / "report.json").exists()


def test_breach_skips_or_warns_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = _Runs({"train": _json()})
    with pytest.raises(AirflowSkipException):
        _execute(_report(on_breach="skip", **BREACHED), runs, monkeypatch)
    assert _execute(_report(on_breach="warn", **BREACHED), runs, monkeypatch)["breaches"]


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"task_group_id": "g"}, "one of them"),
        ({"training_task_ids": []}, "empty"),
        ({"last_n_runs": 0}, "1 to 200"),
        ({"last_n_runs": True}, "1 to 200"),
        ({"since": "yesterday"}, "timedelta"),
        ({"since": datetime(2026, 1, 1)}, "timezone"),  # noqa: DTZ001 - that is what is wrong with it
        ({"since": timedelta(1), "last_n_runs": 2}, "one of them"),
        ({"on_breach": "explode"}, "'fail', 'skip', 'warn'"),
        ({"formats": ["pdf"]}, "pdf"),
        ({"min_savings_percent": 200}, "100 at the most"),
    ],
)
def test_bad_arguments_fail_when_the_dag_is_parsed(wrong: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidSpotRequest, match=word):
        _report(**wrong)
