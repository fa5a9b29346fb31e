"""The task instance's tab, the DAG's tab, a run's trace and the training log."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.utils.log.log_reader import TaskLogReader
from fastapi.testclient import TestClient

from airflow_spot_provider.training import SpotTrainingResult
from airflow_spot_provider.training.money import Price
from airflow_spot_provider.training.progress import Facts
from airflow_spot_provider.training.result import iso
from airflow_spot_provider.ui import app, task_log, trials
from tests.builders import a_training_job
from tests.integration.ui.conftest import SignIn
from tests.ui import jobs
from tests.ui.metadata import Metadata, ago

DAG = "churn"
RUN = "scheduled__2026-11-25T06:00:00+00:00"
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True)
def dag(metadata: Metadata) -> None:
    metadata.add_dags(DAG)
    metadata.add_run(DAG, RUN, run_after=ago(hours=6), run_type="scheduled")


@pytest.fixture
def ann(metadata: Metadata, sign_in: SignIn) -> TestClient:  # noqa: ARG001 - in this order
    return sign_in("ann")


def _task(ann: TestClient, task_id: str = "train", map_index: int = -1) -> Any:
    params = {"dag_id": DAG, "run_id": RUN, "task_id": task_id, "map_index": map_index}
    answer = ann.get("api/task", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_task_that_has_published_nothing_says_what_to_do(ann: TestClient, metadata: Metadata) -> None:
    metadata.publish(DAG, RUN, "other", when=ago(hours=1), return_value=5)

    for task_id in ("other", "no_such_task"):
        answer = _task(ann, task_id)
        assert answer["row"] is None
        assert "do_xcom_push=False" in answer["explanation"]


def test_run_ids_with_plus_and_colon_are_found(ann: TestClient, metadata: Metadata) -> None:
    metadata.publish(
        DAG, RUN, "train", 3, when=ago(hours=1), **jobs.published(jobs.completed(), created=ago(hours=3))
    )

    assert _task(ann, map_index=3)["row"]["run_id"] == RUN
    assert _task(ann)["row"] is None


def test_ended_task_tells_all_that_its_result_tells(ann: TestClient, metadata: Metadata) -> None:
    job = jobs.completed(trained=5_640, billed=1_455).with_checkpoints()
    published = jobs.published(job, created=ago(hours=3))
    published["return_value"]["metrics"] = {"loss": 0.25}
    published["return_value"]["hyperparameters"] = {"lr": "0.1"}
    curve = [[iso(ago(hours=2)), 0.5], [iso(ago(hours=1)), 0.25]]
    metadata.publish(
        DAG, RUN, "train", when=ago(hours=1), spot_metrics={"loss": curve, "odd": "x"}, **published
    )

    answer = _task(ann)

    result = published["return_value"]
    assert answer["formula"] == (
        "(1 \N{MINUS SIGN} 1,455 billed s / 5,640 trained s) \N{MULTIPLICATION SIGN} 100 = 74.2%"
    )
    assert answer["attempts"] == [{"job_name": "completed-1", "outcome": "Completed", "managed_spot": True}]
    assert [[each["status"], each["start"], each["end"]] for each in answer["timeline"]] == result["timeline"]
    assert answer["timeline"][2]["seconds"] == 845
    assert answer["work_lost"][0].startswith("Interrupted at ")
    assert "after 14m05s of training" in answer["work_lost"][0]
    assert answer["metrics"] == {"loss": curve}
    assert (answer["last_metrics"], answer["hyperparameters"]) == ({"loss": 0.25}, {"lr": "0.1"})
    assert answer["checkpoint_s3_uri"] == "s3://bucket/checkpoints"
    assert (answer["log"], answer["refreshed"], answer["trials"], answer["charts"]) == (None, False, None, [])


def test_running_task_tells_of_its_checkpoints(ann: TestClient, metadata: Metadata) -> None:
    seen = {
        "looked": iso(ago(minutes=1)),
        "newest": iso(ago(minutes=31, seconds=5)),
        "newest_bytes": 214_000_000,
        "objects": 19,
        "expected_every": 600.0,
        "stale": True,
    }
    running = jobs.published(jobs.training().with_checkpoints(), created=ago(hours=1), checkpoints=seen)
    metadata.publish(DAG, RUN, "train", state="deferred", when=ago(minutes=1), **running)

    answer = _task(ann)

    assert answer["checkpoints"] == seen
    assert answer["row"]["checkpoint"] == "checkpoint 31 min ago, expected every 10 min"
    assert answer["row"]["warning"].startswith("The checkpoints are stale")
    assert (
        ann.get("api/dags", params={"dag_id": DAG}).json()["checkpoint_warnings"][0].startswith("train of ")
    )


def _trial(metadata: Metadata, slot: int, number: int, loss: float, rate: str) -> None:
    job = jobs.completed(f"trial-{number}", trained=500 + number, billed=100 + number)
    result = jobs.published(job, created=ago(hours=2))["return_value"]
    result |= {"metrics": {"loss": loss}, "hyperparameters": {"lr": rate, HOSTILE: HOSTILE}}
    assert SpotTrainingResult.from_json(result)
    row = {
        "dag_run_id": metadata.number_of(DAG, RUN),
        "dag_id": DAG,
        "run_id": RUN,
        "task_id": "sweep.trials",
        "map_index": slot,
        "key": f"trial_{number}",
        "value": result,
        "timestamp": ago(hours=1),
    }
    from airflow.models.xcom import XComModel

    metadata.insert(XComModel, [row])


@pytest.fixture
def sweep(metadata: Metadata) -> None:
    for slot in (0, 1):
        facts = Facts(region="eu-west-1", note=f"Trial {slot + 3} of 4 of study s.")
        published = jobs.published(jobs.training(f"t-{slot}"), created=ago(hours=1), facts=facts)
        others = {"trial_x": {"outcome": "Completed"}, "trial_7": "nonsense", "trialists": 1}
        metadata.publish(
            DAG, RUN, "sweep.trials", slot, state="deferred", when=ago(hours=1), **published, **others
        )
    for number, (loss, rate) in enumerate([(0.5, "0.001"), (0.25, "0.1"), (0.75, "1.0")]):
        _trial(metadata, number % 2, number, loss, rate)


def test_sweep_shows_the_trials_of_all_its_slots(
    ann: TestClient,
    metadata: Metadata,
    sweep: None,  # noqa: ARG001 - is there
) -> None:
    table = _task(ann, "sweep.trials", 0)["trials"]

    assert [row["name"] for row in table["rows"]] == [0, 1, 2]
    assert [row["slot"] for row in table["rows"]] == [0, 1, 0]
    assert [row["objective"] for row in table["rows"]] == [0.5, 0.25, 0.75]
    assert table["rows"][1]["hyperparameters"] == {"lr": "0.1", HOSTILE: HOSTILE}
    assert (table["metric"], table["best"], table["left_out"]) == ("loss", None, 2)

    found = {"metrics": ["loss"], "best": [{"number": 1, "values": [0.25]}]}
    metadata.publish(DAG, RUN, "sweep.results", when=ago(hours=1), return_value=found)
    assert _task(ann, "sweep.trials", 1)["trials"]["best"] == 1


@pytest.mark.parametrize(
    ("modes", "best"),
    [(["min"], 1), (["max"], 2), (["min", "max"], None), (["more"], None), (None, None), ("min", None)],
)
def test_running_sweep_shows_the_best_trial_so_far(
    ann: TestClient,
    metadata: Metadata,
    sweep: None,  # noqa: ARG001 - is there
    modes: Any,
    best: int | None,
) -> None:
    objectives = {"metrics": ["loss"], "modes": modes}
    metadata.publish(DAG, RUN, "sweep.prepare", when=ago(hours=2), spot_objectives=objectives)

    answer = _task(ann, "sweep.trials", 0)

    assert answer["trials"]["best"] == best
    drawn = [line["name"] for line in answer["charts"][0]["figure"]["data"] if "name" in line]
    assert ("best so far" in drawn) == (best is not None)


def test_sweep_of_very_many_trials_says_how_many_are_not_listed(
    ann: TestClient,
    metadata: Metadata,
    sweep: None,  # noqa: ARG001 - is there
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trials, "MOST_TRIALS", 2)
    for number in range(3, 7):
        _trial(metadata, 0, number, 0.5, "0.1")

    table = _task(ann, "sweep.trials", 0)["trials"]

    assert len(table["rows"]) + table["left_out"] == 7 + 4  # and four XComs that are no trials


def test_sweep_has_charts_of_its_trials(
    ann: TestClient,
    sweep: None,  # noqa: ARG001 - is there
) -> None:
    charts = _task(ann, "sweep.trials", 0)["charts"]

    assert [chart["id"] for chart in charts] == ["trials", "cost_against_objective", "hyperparameter_0"]
    by_rate = charts[2]["figure"]
    assert (by_rate["data"][0]["x"], by_rate["layout"]["xaxis"]["type"]) == ([0.001, 0.1, 1.0], "log")


def test_tuning_job_shows_its_table_and_the_best_so_far(ann: TestClient, metadata: Metadata) -> None:
    rows = [["t-2", "Completed", 0.25, 90, 80.0, 1], ["t-1", "Completed", 0.5, 100, 75.0, 0]]
    result = {
        "job_name": "tune-1",
        "job_arn": "arn:aws:sagemaker:eu-west-1:1:hyper-parameter-tuning-job/tune-1",
        "outcome": "Completed",
        "status": "Completed",
        "objective_type": "Minimize",
        "best": {"job_name": "t-2", "metric": "loss", "value": 0.25, "hyperparameters": {"lr": "0.1"}},
        "jobs": 3,
        "table": rows,
        "jobs_left_out": 1,
        "attempts": [["tune-1", "Completed"]],
    }
    progress = {
        "kind": "tuning",
        "job_name": "tune-1",
        "status": "Completed",
        "outcome": "Completed",
        "jobs": 3,
    }
    metadata.publish(DAG, RUN, "tune", when=ago(hours=1), spot_progress=progress, return_value=result)

    answer = _task(ann, "tune")

    table = answer["trials"]
    assert (table["best"], table["metric"], table["mode"], table["left_out"]) == ("t-2", "loss", "min", 1)
    assert [row["objective"] for row in table["rows"]] == [0.25, 0.5]
    assert answer["charts"][0]["figure"]["data"][1]["y"] == [0.25, 0.25]
    assert answer["attempts"] == [{"job_name": "tune-1", "outcome": "Completed", "managed_spot": False}]
    assert answer["row"]["sentence"] == "Finished with three training jobs and no interruptions."


def _runs(metadata: Metadata) -> None:
    for number, (trained, billed) in enumerate([(1_000, 200), (1_000, 600)]):
        run_id = f"manual__{number}"
        metadata.add_run(DAG, run_id, run_after=ago(days=2 - number))
        for index in (0, 1):
            job = jobs.completed(f"r{number}-{index}", trained=trained, billed=billed)
            published = jobs.published(
                job, created=ago(days=2 - number), price=Price(3.6, "USD", "2026-11-20")
            )
            metadata.publish(DAG, run_id, "train", index, when=ago(days=2 - number), **published)


def test_dag_tab_compares_runs_and_instance_types(ann: TestClient, metadata: Metadata) -> None:
    _runs(metadata)
    metadata.publish(DAG, RUN, "stranger", when=ago(hours=1), spot_progress=["something"])
    demand = a_training_job("d-1").on_demand().completed().billed(500, 500)
    metadata.publish(
        DAG, RUN, "demand", when=ago(hours=1), **jobs.published(demand, created=ago(hours=2), price=None)
    )

    answer = ann.get("api/dags", params={"dag_id": DAG}).json()

    assert [run["run_id"] for run in answer["runs"]] == [RUN, "manual__1", "manual__0"]
    assert [run["savings_percent"] for run in answer["runs"]] == [
        pytest.approx(0),
        pytest.approx(40),
        pytest.approx(80),
    ]
    assert answer["totals"]["outcomes"] == {"Completed": 5}
    assert answer["totals"]["money"] == [
        {"currency": "USD", "cost": 1.6, "on_demand_cost": 4.0, "price_date": "2026-11-20"}
    ]
    assert answer["totals"]["no_price"] == 1
    kinds = {each["managed_spot"]: each for each in answer["instance_types"]}
    assert (kinds[True]["tasks"], kinds[True]["interruptions_per_job"]) == (4, 1.0)
    assert kinds[True]["cost_per_job"] == [{"currency": "USD", "cost": pytest.approx(0.4)}]
    assert kinds[False]["cost_per_job"] == []
    assert (answer["left_out"], len(answer["charts"])) == (1, 3)


def test_dag_tab_of_two_runs_a_minute_keeps_them_apart(ann: TestClient, metadata: Metadata) -> None:
    when = ago(days=1)
    for number in range(2):
        metadata.add_run(DAG, f"manual__{number}", run_after=when + timedelta(milliseconds=number))
        published = jobs.published(jobs.completed(f"c-{number}"), created=when)
        metadata.publish(DAG, f"manual__{number}", "train", when=when, **published)

    charts = ann.get("api/dags", params={"dag_id": DAG}).json()["charts"]

    assert charts[0]["figure"]["data"][0]["x"] == [
        f"{when:%d %b}\n{when:%H:%M}",
        f"{when:%d %b}\n{when:%H:%M} (2)",
    ]


def test_dag_tab_of_an_unknown_or_other_dag_is_empty(ann: TestClient) -> None:
    for dag_id in (DAG, "no_such_dag"):
        answer = ann.get("api/dags", params={"dag_id": dag_id}).json()
        assert (answer["runs"], answer["charts"], answer["left_out"]) == ([], [], 0)
        assert answer["totals"]["savings_percent"] is None


STRANGERS = [
    "7",
    "1.5",
    "1e999",
    '"text"',
    "null",
    "true",
    "[]",
    "{}",
    '{"status": "Training"}',
    '{"job_name": 5, "status": 6}',
]


def test_tabs_stay_up_whatever_strangers_have_published(ann: TestClient, metadata: Metadata) -> None:
    texts = [text for text in STRANGERS if text != "1e999" or metadata.engine.dialect.name == "sqlite"]
    for number, text in enumerate(texts):
        raw = dict.fromkeys(("spot_progress", "spot_metrics", "return_value", "trial_1"), text)
        metadata.publish(DAG, RUN, f"stranger_{number}", when=ago(hours=1), raw=raw)
    ours = jobs.published(jobs.completed(), created=ago(hours=3))
    raw = dict.fromkeys(("spot_metrics", "trial_1"), "7")
    metadata.publish(DAG, RUN, "train", when=ago(hours=1), raw=raw, **ours)

    dag = ann.get("api/dags", params={"dag_id": DAG}).json()
    trace = ann.get("api/trace", params={"dag_id": DAG, "run_id": RUN}).json()

    assert (dag["left_out"], dag["totals"]["tasks"]) == (len(texts), 1)
    assert "hold something else" in dag["left_out_why"]
    assert [each["args"]["name"] for each in trace["traceEvents"] if each["name"] == "thread_name"] == [
        "train"
    ]
    assert (_task(ann)["trials"], _task(ann)["metrics"]) == (None, {})
    for number in range(len(texts)):
        answer = _task(ann, f"stranger_{number}")
        assert answer["row"] is None, texts[number]
        assert "something else" in answer["explanation"]


def test_trace_opens_in_perfetto(ann: TestClient, metadata: Metadata) -> None:
    metadata.publish(
        DAG, RUN, "train", 0, when=ago(hours=1), **jobs.published(jobs.completed(), created=ago(hours=3))
    )
    running = jobs.published(jobs.training(), created=ago(hours=1))
    metadata.publish(DAG, RUN, "train", 1, state="deferred", when=ago(hours=1), **running)

    answer = ann.get("api/trace", params={"dag_id": DAG, "run_id": RUN})

    assert answer.headers["content-disposition"] == (
        'attachment; filename="churn_scheduled__2026-11-25T06_00_00_00_00.trace.json"'
    )
    events = answer.json()["traceEvents"]
    names = [each["args"]["name"] for each in events if each["ph"] == "M"]
    assert names == [f"{DAG} {RUN}", "train[0]", "train[1]"]
    first = [each for each in events if each.get("tid") == 1 and each["ph"] == "X"]
    assert [each["name"] for each in first][:4] == ["Starting", "Downloading", "Training", "Interrupted"]
    assert first[2]["dur"] == 845e6
    assert [each["name"] for each in events if each["ph"] == "i"] == ["interruption", "Completed"]
    last = [each for each in events if each.get("tid") == 2 and each["ph"] == "X"][-1]
    assert (last["name"], last["dur"] > 3000e6) == ("Training", True)


def test_trace_says_what_it_leaves_out(
    ann: TestClient, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(3):
        published = jobs.published(jobs.completed(), created=ago(hours=3))
        metadata.publish(DAG, RUN, "train", index, when=ago(hours=1), **published)

    def _trace() -> Any:
        return ann.get("api/trace", params={"dag_id": DAG, "run_id": RUN}).json()

    whole = _trace()
    monkeypatch.setattr(app, "MOST_TASKS_OF_A_TRACE", 2)
    cut = _trace()

    assert "otherData" not in whole
    assert cut["otherData"] == {"left_out": "All tasks of this run beyond the first 2."}
    assert max(each.get("tid", 0) for each in cut["traceEvents"]) == 2


def test_trace_of_a_run_without_spot_trainings_is_a_sentence(ann: TestClient) -> None:
    for run_id in (RUN, "no_such_run"):
        answer = ann.get("api/trace", params={"dag_id": DAG, "run_id": run_id})
        assert answer.status_code == 404
        assert answer.json() == {"detail": "No task of this DAG run has published a spot training."}


def test_hostile_names_make_no_headers(ann: TestClient, metadata: Metadata) -> None:
    run_id = 'a"\r\nSet-Cookie: x=y; filename="../../etc/passwd'
    metadata.add_run(DAG, run_id, run_after=ago(hours=1))
    metadata.publish(
        DAG, run_id, "train", when=ago(hours=1), **jobs.published(jobs.completed(), created=ago(hours=3))
    )

    answer = ann.get("api/trace", params={"dag_id": DAG, "run_id": run_id})

    assert "set-cookie" not in answer.headers
    assert answer.headers["content-disposition"] == (
        'attachment; filename="churn_a___Set-Cookie__x_y__filename__.._.._etc_passwd.trace.json"'
    )


def _log(ann: TestClient) -> Any:
    return ann.get("api/log", params={"dag_id": DAG, "run_id": RUN, "task_id": "train"}).json()


# Airflow's own handler leaves the file to the garbage collector.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning"
)
def test_log_is_read_from_airflows_own_task_log(
    ann: TestClient, metadata: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata.publish(
        DAG, RUN, "train", when=ago(hours=1), **jobs.published(jobs.completed("j-1"), created=ago(hours=3))
    )
    monkeypatch.setenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", str(tmp_path))
    handler = TaskLogReader().log_handler
    monkeypatch.setattr(handler, "local_base", str(tmp_path))
    folder = tmp_path / f"dag_id={DAG}" / f"run_id={RUN}" / "task_id=train"
    folder.mkdir(parents=True)
    events = ["Starting", "[j-1] epoch 1", "[other] epoch 9", "[j-1] epoch 2"]
    lines = [json.dumps({"timestamp": iso(ago(hours=1)), "event": event}) for event in events]
    (folder / "attempt=1.log").write_text("\n".join(lines))

    answer = _log(ann)

    assert (answer["log"], answer["log_left_out_why"]) == (["epoch 1", "epoch 2"], None)


def test_log_that_cannot_be_read_or_takes_long_is_told(
    ann: TestClient, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata.publish(
        DAG, RUN, "train", when=ago(hours=1), **jobs.published(jobs.completed("j-1"), created=ago(hours=3))
    )

    def _fails(*_: Any) -> Any:
        raise ConnectionError("s3://bucket?token=secret")

    monkeypatch.setattr(TaskLogReader, "read_log_chunks", _fails)
    failed = _log(ann)
    monkeypatch.setattr(task_log, "SECONDS", 0.0)
    late = _log(ann)

    assert (failed["log"], late["log"]) == ([], [])
    assert "ConnectionError" in failed["log_left_out_why"]
    assert "secret" not in failed["log_left_out_why"]
    assert "within 0 s" in late["log_left_out_why"]


def test_whoever_may_not_read_logs_gets_none(
    sign_in: SignIn, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity

    from tests.integration.ui.conftest import AuthManagerOfTests

    metadata.publish(
        DAG, RUN, "train", when=ago(hours=1), **jobs.published(jobs.completed("j-1"), created=ago(hours=3))
    )
    rita = sign_in("rita", role="VIEWER")
    allowed = AuthManagerOfTests.is_authorized_dag

    def _no_logs(self: Any, *, access_entity: Any = None, **kwargs: Any) -> bool:
        return access_entity != DagAccessEntity.TASK_LOGS and allowed(
            self, access_entity=access_entity, **kwargs
        )

    monkeypatch.setattr(AuthManagerOfTests, "is_authorized_dag", _no_logs)

    answer = rita.get("api/log", params={"dag_id": DAG, "run_id": RUN, "task_id": "train"})

    assert answer.status_code == 403
    assert _task(rita)["row"] is not None


@pytest.mark.parametrize("entity", ["XCOM", "TASK_INSTANCE"])
def test_whoever_may_read_a_dag_and_not_its_xcoms_sees_none_of_them(
    sign_in: SignIn, metadata: Metadata, monkeypatch: pytest.MonkeyPatch, entity: str
) -> None:
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity

    from tests.integration.ui.conftest import AuthManagerOfTests

    metadata.publish(
        DAG, RUN, "train", when=ago(hours=1), **jobs.published(jobs.completed("j-1"), created=ago(hours=3))
    )
    rita = sign_in("rita", role="VIEWER")
    allowed = AuthManagerOfTests.is_authorized_dag
    denied = DagAccessEntity[entity]

    def _without(self: Any, *, access_entity: Any = None, **kwargs: Any) -> bool:
        return access_entity != denied and allowed(self, access_entity=access_entity, **kwargs)

    monkeypatch.setattr(AuthManagerOfTests, "is_authorized_dag", _without)

    where = {"dag_id": DAG, "run_id": RUN, "task_id": "train"}
    for path in ("api/jobs", "api/summary", "api/dags", "api/task", "api/trace", "api/log"):
        answer = rita.get(path, params=where)
        assert answer.status_code == 403, path
        assert "j-1" not in answer.text
