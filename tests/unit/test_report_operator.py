"""SpotSavingsReportOperator: what it reads, what it publishes first, and when it fails."""

from __future__ import annotations

import itertools
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, AssetAlias, TaskGroup, task, task_group

from airflow_spot_provider._compat.runs import NotInThisAirflow
from airflow_spot_provider.operators import _reported, _reported_events
from airflow_spot_provider.operators import report as report_module
from airflow_spot_provider.operators.report import SavingsReportBreached, SpotSavingsReportOperator
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.reports.sentences import log_table
from airflow_spot_provider.training import InvalidSpotRequest, Outcome, SpotTrainingError, SpotTrainingResult
from tests.airflow_versions import AirflowSkipException, ByAsset

CONFIG = {
    "RoleArn": "arn:aws:iam::123456789012:role/training",
    "AlgorithmSpecification": {"TrainingImage": "local/image:1", "TrainingInputMode": "File"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
    "StoppingCondition": {"MaxRuntimeInSeconds": 600},
}
_NUMBERS = itertools.count()
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def _json(billed: int = 100, **fields: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "job_name": "j",
        "job_arn": f"arn:{next(_NUMBERS)}",
        "outcome": Outcome.COMPLETED,
        "training_seconds": 500,
    }
    return SpotTrainingResult(**{**told, "billable_seconds": billed, **fields}).to_json()


class _Runs:
    """The DAG runs of an Airflow: what their tasks published (``task#index`` if mapped), and in which states they are.

    A state instead of a result is a task that published nothing; an exception is raised by whoever pulls it.
    """

    dag_id = "d"

    def __init__(self, *runs: dict[str, Any], map_index: int = -1) -> None:
        self._runs = {f"run-{number}": run for number, run in enumerate(runs)}
        self.map_index = map_index
        self.pushed: dict[str, Any] = {}
        self.pulls = 0

    def earlier(self, _ti: Any, _run: Any) -> Any:
        for number, run_id in enumerate(list(self._runs)[1:], start=1):
            yield SimpleNamespace(run_id=run_id, run_after=NOON - timedelta(days=number), logical_date=NOON)

    def get_task_states(self, *, run_ids: list[str], task_ids: list[str], dag_id: str) -> Any:
        assert dag_id == self.dag_id
        return {
            run_id: {
                key.replace("#", "_"): value if isinstance(value, str) else "success"
                for key, value in self._runs[run_id].items()
                if key.partition("#")[0] in task_ids
            }
            for run_id in run_ids
        }

    def xcom_pull(
        self, task_ids: str, run_id: str, map_indexes: int | None = None, key: str = "return_value"
    ) -> Any:
        self.pulls += 1
        run = {name: value for name, value in self._runs[run_id].items() if not isinstance(value, str)}
        if map_indexes is not None:
            found = [run.get(task_ids if map_indexes == -1 else f"{task_ids}#{map_indexes}")]
        else:
            found = [value for name, value in run.items() if name.partition("#")[0] == task_ids] or [None]
        for value in found:
            if isinstance(value, Exception):
                raise value
        if key != "return_value":
            return found[0]["published"].get(key)
        return found[0] if len(found) == 1 else found

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def _execute(
    operator: SpotSavingsReportOperator, runs: _Runs, monkeypatch: pytest.MonkeyPatch, **context: Any
) -> Any:
    monkeypatch.setattr(_reported, "earlier_runs", runs.earlier)
    this = SimpleNamespace(run_id="run-0", run_after=NOON, logical_date=NOON)
    operator.title = "t"
    for task_id in operator.training_task_ids or ():
        operator.dag.task_dict.setdefault(task_id, operator)
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


def test_trend_takes_the_run_before_that_is_in_no_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    report = _execute(_report(), _Runs({"train": _json(100)}, {"train": _json(200)}), monkeypatch)
    assert report["jobs"] == 1
    assert report["trend"]["savings_percent"] == pytest.approx(20)


def test_airflow_that_cannot_tell_earlier_runs_reports_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def _cannot(_ti: Any, _run: Any) -> Any:
        raise NotInThisAirflow("It takes Airflow 3.1.")

    runs = _Runs({"train": _json()})
    runs.earlier = _cannot  # type: ignore[method-assign]
    assert _execute(_report(), runs, monkeypatch)["notes"] == ["There is no trend. It takes Airflow 3.1."]
    with pytest.raises(NotInThisAirflow):
        _execute(_report(last_n_runs=2), runs, monkeypatch)


def test_report_since_says_where_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "MOST_RUNS", 3)
    report = _execute(
        _report(since=timedelta(days=30)), _Runs(*[{"train": _json()} for _ in range(6)]), monkeypatch
    )
    assert len(report["runs"]) == 3
    assert report["notes"] == ["since reaches back further than 3 runs: run-3 and older ones are left out."]


def test_mapped_members_without_a_result_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = _Runs(
        {
            "train#0": _json(),
            "train#1": "failed",
            "train#2": {"something": "else"},
            "train#3": "upstream_failed",
            "train#10": _json(),
            "train_1": _json(),
        }
    )
    report = _execute(_report(training_task_ids=["train", "train_1"]), runs, monkeypatch)

    assert report["jobs"] == 3
    assert report["missing"] == [
        "train[1] of run-0: no result; the task is failed",
        "train[2] of run-0: what it published is no training result",
        "train[3] of run-0: no result; the task is upstream failed",
    ]
    assert report["by_task"]["train_1"]["jobs"] == 1


def test_results_keep_their_names_when_a_member_that_succeeded_published_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Its XCom was deleted by hand: only asking for each tells whose it is.
    members: dict[str, Any] = {
        "train#0": _json(),
        "train#1": _json(outcome=Outcome.FAILED),
        "train#2": "success",
    }
    report = _execute(_report(), _Runs(members), monkeypatch)
    assert report["failed"] == ["train[1] of run-0: Failed"]
    assert report["missing"] == ["train[2] of run-0: no result; the task is success"]


def test_ten_thousand_members_are_asked_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    members: dict[str, Any] = {f"train#{index}": _json() for index in range(10_000)}
    runs = _Runs({**members, "train#7": "failed", "train#9999": "skipped"})
    report = _execute(_report(), runs, monkeypatch)

    assert (report["jobs"], report["missing_count"], report["skipped_count"]) == (9_998, 1, 1)
    assert report["missing"] == ["train[7] of run-0: no result; the task is failed"]
    assert runs.pulls == 3


def test_fallback_that_was_skipped_is_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = _Runs({"train": _json(), "fallback": "skipped"})
    report = _execute(_report(training_task_ids=["train", "fallback"]), runs, monkeypatch)
    assert report["missing"] == []
    assert report["skipped"] == ["fallback of run-0: no result; the task is skipped"]


@pytest.mark.parametrize(
    ("published", "word"),
    [
        (ImportError("no such class"), "cannot be read: ImportError"),
        ({**_json(), "cost": float("nan"), "currency": "USD"}, "a cost that no training has"),
        ({**_json(), "interruptions": 10**400}, "is no training result|interruptions"),
        ([1, 2], "is no training result"),
        ({"slot": 1, "trials": "many"}, "is no training result"),
        (
            {"slot": 1, "trials": ["../../1\nERROR"], "published": {}},
            r"^train of run-0: .*is no training result",
        ),
        ({"trials": [1]}, "is no training result"),
    ],
)
def test_what_strangers_published_is_said_and_stops_nothing(
    published: Any, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = _Runs({"train": published, "other": _json()})
    report = _execute(_report(training_task_ids=["train", "other"]), runs, monkeypatch)
    assert report["jobs"] == 1
    assert re.search(word, report["missing"][0])
    json.dumps(runs.pushed, allow_nan=False)


def test_member_that_cannot_be_read_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = _Runs({"train#0": _json(), "train#1": ValueError("?"), "train#2": _json()})
    report = _execute(_report(), runs, monkeypatch)
    assert report["jobs"] == 2
    assert report["missing"] == ["train[1] of run-0: what it published cannot be read: ValueError"]


def test_results_of_an_older_version_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    old = {
        "job_name": "j",
        "job_arn": "",
        "outcome": "Completed",
        "training_seconds": 10,
        "billable_seconds": 5,
    }
    report = _execute(_report(), _Runs({"train": old}), monkeypatch)
    assert (report["savings_percent"], report["no_price"], report["money"]) == (50, 1, [])

    tuned = {"job_name": "t", "job_arn": "", "outcome": "Completed", "status": "Completed", "jobs": 2}
    figures = {"training_instance_seconds": 40, "billable_instance_seconds": 10}
    report = _execute(_report(), _Runs({"train": tuned | figures}), monkeypatch)
    assert (report["savings_percent"], report["jobs"]) == (75, 2)


def test_inside_a_mapped_task_group_a_report_is_of_its_own_training(monkeypatch: pytest.MonkeyPatch) -> None:
    with DAG("d", schedule=None) as dag:

        @task_group
        def each(rate: str) -> None:
            train = SageMakerSpotTrainingOperator(
                task_id="train", config=CONFIG, max_wait=1200, hyperparameters={"rate": rate}
            )
            train >> SpotSavingsReportOperator(task_id="report")

        each.expand(rate=["1", "2", "3"])
    operator = dag.get_task("each.report")
    assert isinstance(operator, SpotSavingsReportOperator)
    runs = _Runs(
        {f"each.train#{index}": _json(billed) for index, billed in enumerate((50, 100, 250))}, map_index=1
    )
    assert _execute(operator, runs, monkeypatch)["savings_percent"] == pytest.approx(80)


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
    operator.training_task_ids = ["elsewhere"]
    report = _execute(operator, runs, monkeypatch)
    assert set(report["by_task"]) == {"g.one", "g.two", "elsewhere"}

    operator.task_group_id = "nowhere"
    with pytest.raises(InvalidSpotRequest, match=r"the task groups of d are \['g'\]"):
        _execute(operator, runs, monkeypatch)


def test_task_that_is_not_there_is_no_training_without_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = _dag_of_trainings()
    operator.training_task_ids = ["g.one", "trian"]
    monkeypatch.setattr(_reported, "earlier_runs", _Runs({}).earlier)

    with pytest.raises(
        InvalidSpotRequest,
        match=r"holds \['trian'\]; the spot tasks of d are \['elsewhere', 'g.one', 'g.two'\]",
    ):
        operator.execute({"ti": _Runs({}), "dag_run": None, "task": operator, "dag": operator.dag})  # type: ignore[typeddict-item]


def test_report_of_nothing_says_how_to_name_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpotTrainingError, match="training_task_ids="):
        _execute(_report(training_task_ids=None), _Runs({}), monkeypatch)


def test_report_of_asset_events(monkeypatch: pytest.MonkeyPatch) -> None:
    asset = Asset("model", uri="s3://bucket/model")

    def _event(day: int, extra: Any) -> Any:
        return SimpleNamespace(
            timestamp=NOON + timedelta(days=day), extra=extra, source_run_id=f"r{day}", source_task_id="train"
        )

    told = [
        _event(0, {"airflow_spot": _json()}),
        _event(1, {"airflow_spot": _json()}),
        _event(2, {"by": "hand"}),
    ]
    events = ByAsset((asset, told))
    report = _execute(
        _report(training_task_ids=None, assets=[asset], last_n_runs=2),
        _Runs({}),
        monkeypatch,
        inlet_events=events,
    )

    assert [run["run_id"] for run in report["runs"]] == ["r2", "r1"]
    assert report["missing"] == ["train of r2: the event does not tell of a spot training"]

    one = _report(training_task_ids=None, assets=[asset])
    triggered = _execute(
        one,
        _Runs({}),
        monkeypatch,
        inlet_events=events,
        triggering_asset_events=ByAsset((asset, told[1:2])),
    )
    assert [run["run_id"] for run in triggered["runs"]] == ["r1"]
    assert triggered["trend"]["against"] == "r0"

    since = _report(training_task_ids=None, assets=[asset], since=NOON + timedelta(hours=12))
    recent = _execute(since, _Runs({}), monkeypatch, inlet_events=events)
    assert [run["run_id"] for run in recent["runs"]] == ["r2", "r1"]


def test_report_of_an_asset_without_events_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    asset = Asset("model")
    report = _execute(
        _report(training_task_ids=None, assets=[asset]),
        _Runs({}),
        monkeypatch,
        inlet_events=ByAsset((asset, [])),
    )
    assert report["notes"] == ["The assets have no event yet: nothing is reported."]


class _Events(list[Any]):
    """The events of an asset, as Airflow gives them: so many, the newest first if asked."""

    def __init__(self, events: Any) -> None:
        super().__init__(events)
        self.asked: list[int] = []

    def ascending(self, _ascending: bool) -> _Events:
        return self

    def limit(self, most: int) -> list[Any]:
        self.asked.append(most)
        return sorted(self, key=lambda event: event.timestamp, reverse=True)[:most]


def _events_of_runs(members: int, runs: int) -> _Events:
    """Events of a mapped training; of member 0 of the newest run is the newest event."""
    return _Events(
        SimpleNamespace(
            timestamp=NOON - timedelta(days=run, seconds=index),
            extra={"airflow_spot": _json(100 * run + 100)},
            source_dag_id="training",
            source_run_id=f"r{run}",
            source_task_id="train",
            source_map_index=index,
        )
        for run in range(runs)
        for index in range(members)
    )


def test_events_of_a_mapped_training_are_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    asset = Asset("model")
    events = _events_of_runs(members=30, runs=5)
    of_assets = {"training_task_ids": None, "assets": [asset]}
    report = _execute(
        _report(**of_assets, last_n_runs=2), _Runs({}), monkeypatch, inlet_events=ByAsset((asset, events))
    )

    assert [(run["run_id"], run["jobs"]) for run in report["runs"]] == [("r0", 30), ("r1", 30)]
    assert report["notes"] == []
    assert report["trend"]["against"] == "r1"
    assert report["trend"]["savings_percent"] == pytest.approx(20)

    # Two of its members have triggered this run: what they came to is held against all of the run before, and not against each other.
    two = _execute(
        _report(**of_assets),
        _Runs({}),
        monkeypatch,
        inlet_events=ByAsset((asset, events)),
        triggering_asset_events=ByAsset((asset, [events[7], events[3]])),
    )
    assert [(run["run_id"], run["jobs"]) for run in two["runs"]] == [("r0", 2)]
    assert (two["trend"]["against"], two["trend"]["savings_percent"]) == ("r1", pytest.approx(20))


def test_no_more_events_are_asked_for_than_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    asset = Asset("model")
    for events, asked in ((_events_of_runs(1, 30), [20]), (_events_of_runs(30, 5), [20, 200])):
        _execute(
            _report(training_task_ids=None, assets=[asset]),
            _Runs({}),
            monkeypatch,
            inlet_events=ByAsset((asset, events)),
        )
        assert events.asked == asked


def test_report_of_very_many_events_says_where_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_reported_events, "_AT_MOST", 40)
    asset = Asset("model")
    of_assets = {"training_task_ids": None, "assets": [asset]}
    report = _execute(
        _report(**of_assets), _Runs({}), monkeypatch, inlet_events=ByAsset((asset, _events_of_runs(50, 2)))
    )
    assert report["jobs"] == 40
    assert report["notes"] == [
        "What is asked for reaches back further than 40 events of model: older ones are left out."
    ]
    # The run before is not known whole: there is nothing to compare with.
    report = _execute(
        _report(**of_assets), _Runs({}), monkeypatch, inlet_events=ByAsset((asset, _events_of_runs(30, 3)))
    )
    assert (report["jobs"], report["notes"], report["trend"]) == (30, [], None)

    monkeypatch.setattr(_reported_events, "MOST_RUNS", 3)
    report = _execute(
        _report(**of_assets, since=timedelta(days=30)),
        _Runs({}),
        monkeypatch,
        inlet_events=ByAsset((asset, _events_of_runs(2, 6))),
    )
    assert [run["run_id"] for run in report["runs"]] == ["r0", "r1", "r2"]
    assert report["trend"]["against"] == "r1"
    assert "further than 3 runs" in report["notes"][0]


def test_report_that_may_not_read_an_assets_events_says_what_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    report = _report(training_task_ids=None, assets=[Asset("model")])
    with pytest.raises(SpotTrainingError, match="A mapped report takes its assets in inlets= as well"):
        _execute(report, _Runs({}), monkeypatch, inlet_events=ByAsset())


def test_report_since_a_time_without_events_says_that(monkeypatch: pytest.MonkeyPatch) -> None:
    asset = Asset("model")
    report = _execute(
        _report(training_task_ids=None, assets=[asset], since=NOON + timedelta(days=3650)),
        _Runs({}),
        monkeypatch,
        inlet_events=ByAsset((asset, _events_of_runs(1, 2))),
    )
    assert report["notes"] == [
        "The assets have no event since 2036-11-22T12:00:00.000+00:00: nothing is reported."
    ]


def test_path_that_a_template_made_empty_is_an_error_after_the_report_is_published(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = _Runs({"train": _json()})
    operator = _report(path="{{ params.path }}")
    operator.path = ""
    with pytest.raises(InvalidSpotRequest, match="path is ''; it takes a folder"):
        _execute(operator, runs, monkeypatch)
    assert runs.pushed["return_value"]["jobs"] == 1


def test_log_has_a_table_that_no_name_can_add_lines_to(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = {"train": _json(), "evil\nERROR": _json()}
    operator = _report()
    operator.training_task_ids = list(tasks)
    table = log_table(_execute(operator, _Runs(tasks), monkeypatch))
    assert [line.split()[0] for line in table.splitlines()] == ["Task", "train", "evil"]


def test_assets_are_read_beside_the_inlets_that_the_user_gave() -> None:
    of_user, model, alias = Asset("lake"), Asset("model"), AssetAlias("models")
    for inlets in (of_user, [of_user]):
        operator = _report(training_task_ids=None, assets=(model, alias), inlets=inlets)
        assert list(operator.inlets) == [of_user, model, alias]


def test_path_may_be_what_another_task_returns() -> None:
    @task
    def folder() -> str:
        return "s3://bucket/reports"

    with DAG("d", schedule=None):
        report = SpotSavingsReportOperator(task_id="report", training_task_ids="train", path=folder())  # type: ignore[arg-type]
    assert report.upstream_task_ids == {"folder"}


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
        ({"assets": [Asset("a")]}, "of tasks or of assets"),
        ({"training_task_ids": []}, "empty"),
        ({"training_task_ids": 5}, "training_task_ids is 5; it takes a list of ids"),
        ({"training_task_ids": ["train", None, ""]}, r"training_task_ids holds \[None, ''\]"),
        ({"training_task_ids": ""}, "training_task_ids holds"),
        ({"training_task_ids": ["train\n"]}, r"training_task_ids holds \['train\\n'\]"),
        ({"training_task_ids": ["{{ params.id }}"]}, "which are no templates"),
        ({"training_task_ids": None, "assets": []}, "assets is empty"),
        ({"training_task_ids": None, "assets": Asset("a")}, r"assets is Asset\(.*it takes a list"),
        ({"training_task_ids": None, "assets": "a"}, "assets is 'a'; it takes a list"),
        ({"training_task_ids": None, "assets": [Asset("a"), "b"]}, r"assets holds \['b'\]"),
        ({"task_group_id": " "}, "task_group_id is ' '"),
        ({"conn_id": 5}, "conn_id is 5"),
        ({"path": 5}, "path is 5"),
        ({"path": " "}, "path is ' '"),
        ({"path": "s3:/bucket/{{ run_id }}"}, "has one slash after the colon"),
        ({"path": "reports", "formats": []}, "formats is empty"),
        ({"since": timedelta(0)}, "above 0"),
        ({"since": timedelta.max}, "at most 36,500 days"),
        ({"last_n_runs": 0}, "1 to 200"),
        ({"last_n_runs": True}, "1 to 200"),
        ({"since": "yesterday"}, "timedelta"),
        ({"since": datetime(2026, 1, 1)}, "timezone"),  # noqa: DTZ001 - that is what is wrong with it
        ({"since": timedelta(1), "last_n_runs": 2}, "one of them"),
        ({"on_breach": "explode"}, "'fail', 'skip', 'warn'"),
        ({"formats": ["pdf"]}, "pdf"),
        ({"min_savings_percent": 200}, "-1000 to 100"),
    ],
)
def test_bad_arguments_fail_when_the_dag_is_parsed(wrong: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidSpotRequest, match=word):
        _report(**wrong)
