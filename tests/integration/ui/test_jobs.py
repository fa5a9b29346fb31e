"""The page of all jobs and the strip above it: what they hold, whoever wrote it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from airflow.models.callback import Callback
from airflow.models.deadline import Deadline
from airflow.sdk.definitions.callback import AsyncCallback
from sqlalchemy.orm import Session

from airflow_spot_provider.training.money import Price
from airflow_spot_provider.training.progress import Facts
from airflow_spot_provider.training.result import iso
from tests.builders import a_training_job
from tests.integration.ui.conftest import SignIn
from tests.ui import jobs
from tests.ui.metadata import Metadata, ago

DAG = "churn"


@pytest.fixture(autouse=True)
def dag(metadata: Metadata) -> None:
    metadata.add_dags(DAG)


class Airflow:
    """A DAG whose tasks have published something, and somebody who looks at it."""

    def __init__(self, metadata: Metadata, sign_in: SignIn) -> None:
        self.metadata = metadata
        self.client = sign_in("ann")
        self._runs = 0

    def run(self, *, dag_id: str = DAG, run_after: datetime | None = None) -> str:
        self._runs += 1
        run_id = f"manual__{self._runs}"
        self.metadata.add_run(dag_id, run_id, run_after=run_after or ago(hours=self._runs))
        return run_id

    def task(self, task_id: str, *, state: str | None = "success", age: float = 1, **xcoms: Any) -> str:
        """A task in a run of its own; it has published so many hours ago."""
        run_id = self.run()
        self.metadata.publish(DAG, run_id, task_id, state=state, when=ago(hours=age), **xcoms)
        return run_id

    def jobs(self, **params: Any) -> Any:
        answer = self.client.get("api/jobs", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def tasks(self, **params: Any) -> list[str]:
        return [row["task_id"] for row in self.jobs(**params)["rows"]]

    def row(self, task_id: str) -> Any:
        [row] = [row for row in self.jobs(limit=100)["rows"] if row["task_id"] == task_id]
        return row

    def summary(self, **params: Any) -> Any:
        answer = self.client.get("api/summary", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def airflow(metadata: Metadata, sign_in: SignIn, dag: None) -> Airflow:  # noqa: ARG001 - in this order
    return Airflow(metadata, sign_in)


def _live(airflow: Airflow) -> None:
    """One job of each kind, and two that have ended."""
    for name, job, age in (("waits", jobs.waiting(), 3), ("trains", jobs.training(), 2)):
        airflow.task(name, state="deferred", age=age, **jobs.published(job, created=ago(hours=age)))
    airflow.task(
        "interrupted", state="deferred", age=4, **jobs.published(jobs.interrupted(), created=ago(hours=4))
    )
    airflow.task("completed", age=1, **jobs.published(jobs.completed(), created=ago(hours=1)))
    failed = a_training_job("failed-1").failed("AlgorithmError: exit code 1").billed(100, 90)
    airflow.task("failed", state="failed", age=5, **jobs.published(failed, created=ago(hours=5)))


def test_running_ones_come_first_then_the_newest(airflow: Airflow) -> None:
    _live(airflow)

    page = airflow.jobs()

    assert [row["task_id"] for row in page["rows"]] == [
        "trains",
        "waits",
        "interrupted",
        "completed",
        "failed",
    ]
    assert (page["total"], page["running"], page["left_out"], page["left_out_why"]) == (5, 3, 0, None)
    assert [row["ended"] for row in page["rows"]] == [False, False, False, True, True]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("running", ["trains", "waits", "interrupted"]),
        ("waiting", ["waits"]),
        ("training", ["trains"]),
        ("interrupted", ["interrupted"]),
        ("queued", []),
        ("ended", ["completed", "failed"]),
        ("Completed", ["completed"]),
        ("Failed", ["failed"]),
        ("MaxWaitTimeExceeded", []),
        ("unknown", []),
    ],
)
def test_state_filters(airflow: Airflow, state: str, expected: list[str]) -> None:
    _live(airflow)

    page = airflow.jobs(state=state)

    assert [row["task_id"] for row in page["rows"]] == expected
    assert page["total"] == len(expected)


@pytest.mark.parametrize("search", ["TRAINS", "trains-1", "rain", "%", "_", "\\", "'; DROP TABLE xcom; --"])
def test_search_takes_any_text_for_text(airflow: Airflow, search: str) -> None:
    _live(airflow)
    found = {"TRAINS": ["trains"], "trains-1": ["trains"], "rain": ["trains"]}

    # Every run's id holds an underscore: manual__1.
    every = ["trains", "waits", "interrupted", "completed", "failed"]
    assert airflow.tasks(search=search) == (every if search == "_" else found.get(search, []))


@pytest.mark.parametrize("sort", ["started", "dag", "status", "max_wait", "interruptions", "savings", "cost"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_every_order_keeps_running_ones_first(airflow: Airflow, sort: str, order: str) -> None:
    _live(airflow)

    rows = airflow.jobs(sort=sort, order=order)["rows"]

    assert [row["ended"] for row in rows] == [False, False, False, True, True]
    ended = [row["savings_percent"] for row in rows[3:]]
    if sort == "savings":
        assert ended == sorted(ended, reverse=order == "desc")


def test_what_is_not_known_comes_last_in_either_order(airflow: Airflow) -> None:
    airflow.task("known", **jobs.published(jobs.completed(), created=ago(hours=2)))
    airflow.task("unknown", **jobs.published(a_training_job("x-1").max_wait_exceeded(), created=ago(hours=1)))

    assert airflow.tasks(sort="cost", order="asc") == ["known", "unknown"]
    assert airflow.tasks(sort="cost", order="desc") == ["known", "unknown"]


def test_pages_hold_every_row_once_and_running_ones_on_the_first(airflow: Airflow) -> None:
    _live(airflow)

    pages = [airflow.jobs(limit=2, offset=offset) for offset in (0, 2, 4, 6)]

    assert [[row["task_id"] for row in page["rows"]] for page in pages] == [
        ["trains", "waits"],
        ["interrupted", "completed"],
        ["failed"],
        [],
    ]
    assert {page["total"] for page in pages} == {5}


def test_ended_ones_older_than_the_period_are_left_and_running_ones_stay(airflow: Airflow) -> None:
    airflow.task("old", age=48, **jobs.published(jobs.completed(), created=ago(hours=48)))
    airflow.task("waits", state="deferred", age=48, **jobs.published(jobs.waiting(), created=ago(hours=48)))

    assert airflow.tasks(days=1) == ["waits"]
    assert airflow.tasks(days=3) == ["waits", "old"]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"state": "sleeping"}, "'sleeping'"),
        ({"sort": "value; DROP TABLE xcom"}, "it takes one of"),
        ({"order": "up"}, "order"),
        ({"limit": 1000}, "limit"),
        ({"limit": 0}, "limit"),
        ({"offset": -1}, "offset"),
        ({"days": "many"}, "days"),
        ({"days": 100000}, "days"),
        ({"search": "x" * 300}, "search"),
    ],
)
def test_bad_question_is_refused_with_what_is_right(airflow: Airflow, params: Any, said: str) -> None:
    answer = airflow.client.get("api/jobs", params=params)

    assert answer.status_code == 422
    assert said in answer.json()["detail"]


def test_row_of_an_ended_job_tells_what_its_result_tells(airflow: Airflow) -> None:
    created = ago(hours=2)
    published = jobs.published(jobs.completed(trained=5_640, billed=1_455), created=created)
    run_id = airflow.task("train", **published)

    row, result = airflow.row("train"), published["return_value"]

    for name in ("savings_percent", "cost", "on_demand_cost", "currency", "price_date", "interruptions"):
        assert row[name] == result[name], name
    assert (row["outcome"], row["phase"], row["status"]) == ("Completed", "ended", "Completed")
    assert (row["dag_id"], row["run_id"], row["map_index"]) == (DAG, run_id, -1)
    assert (row["run_type"], row["task_state"], row["try_number"]) == ("manual", "success", 1)
    assert row["sentence"] == "Finished after one interruption."
    assert row["bar"]["start"] == iso(created)
    assert [each["phase"] for each in row["bar"]["segments"]] == [
        *("waiting", "downloading", "training", "waiting"),
        *("waiting", "downloading", "training", "uploading"),
    ]
    assert len(row["bar"]["interruptions"]) == 1
    assert row["bar"]["end"] == result["timeline"][-1][1]


def test_waiting_row_says_for_what_and_until_when(airflow: Airflow) -> None:
    created = ago(minutes=95)
    facts = Facts(aws_conn_id="aws_default", region="eu-west-1", next_rung="g.train_on_demand")
    airflow.task("train", state="deferred", **jobs.published(jobs.waiting(), created=created, facts=facts))

    row = airflow.row("train")

    assert row["sentence"] == (
        "No ml.m5.large spot capacity in eu-west-1 for 1h35m. MaxWait ends in 24 min, then g.train_on_demand goes on."
    )
    assert (row["can_stop"], row["next_rung"]) == (True, "g.train_on_demand")
    assert row["bar"]["end"] is None
    assert row["bar"]["max_wait_ends"] == row["max_wait_ends"]


def test_job_that_has_used_most_of_max_wait_is_at_risk(airflow: Airflow) -> None:
    airflow.task("late", state="deferred", **jobs.published(jobs.waiting("late-1"), created=ago(minutes=97)))
    airflow.task(
        "early", state="deferred", **jobs.published(jobs.waiting("early-1"), created=ago(minutes=90))
    )
    airflow.task("over", **jobs.published(a_training_job("o").max_wait_exceeded(), created=ago(hours=3)))

    assert airflow.tasks(state="at_risk") == ["late"]
    assert [airflow.row(name)["at_risk"] for name in ("late", "early", "over")] == [True, False, False]
    assert airflow.summary()["at_risk"] == 1


def test_job_whose_runs_deadline_is_near_is_at_risk(airflow: Airflow) -> None:
    for name in ("near", "far"):
        run_id = airflow.task(
            name, state="deferred", **jobs.published(jobs.waiting(f"{name}-1"), created=ago(minutes=5))
        )
        due = ago(minutes=-10 if name == "near" else -100)
        callback = Callback.create_from_sdk_def(AsyncCallback("tests.nothing"))
        deadline = Deadline.__new__(Deadline)
        Deadline.__mapper__.class_manager.setup_instance(deadline)
        deadline.deadline_time, deadline.missed, deadline.callback = due, False, callback
        deadline.dagrun_id = airflow.metadata.number_of(DAG, run_id)
        with Session(airflow.metadata.engine) as session:
            session.add(deadline)
            session.commit()

    assert airflow.tasks(state="at_risk") == ["near"]
    row = airflow.row("near")
    assert row["at_risk"]
    assert row["deadline"] is not None
    assert "The DAG run's deadline is " in row["sentence"]
    assert airflow.row("far")["deadline"] is None


def test_killed_task_is_shown_as_ended_with_an_unknown_outcome(airflow: Airflow) -> None:
    airflow.task("killed", state="failed", **jobs.published(jobs.training(), created=ago(hours=2)))
    airflow.task("cleared", state=None, **jobs.published(jobs.training("c-1"), created=ago(hours=3)))

    row = airflow.row("killed")

    assert (row["outcome"], row["ended"], row["phase"], row["can_stop"]) == ("unknown", True, "ended", False)
    assert row["sentence"].startswith("The task ended as failed without publishing how its job did")
    assert airflow.row("cleared")["sentence"].startswith("The task has been cleared")
    assert airflow.tasks(state="unknown") == ["killed", "cleared"]
    assert airflow.jobs()["running"] == 0
    assert airflow.summary()["unknown"] == 2


def test_task_that_waits_its_turn_is_queued(airflow: Airflow) -> None:
    turn = {
        "status": "WaitingForTurn",
        "phase": "queued",
        "waits_for": "ml.p4d.24xlarge for spot training job usage",
        "waits_since": iso(ago(minutes=20)),
        "job_name": "not-yet-1",
    }
    airflow.task("queued", state="deferred", spot_progress=turn)

    row = airflow.row("queued")

    assert (
        row["sentence"]
        == "Nothing is submitted yet: waits its turn for ml.p4d.24xlarge for spot training job usage for 20 min."
    )
    assert (row["can_stop"], row["ended"]) == (False, False)
    assert airflow.tasks(state="queued") == ["queued"]
    assert airflow.summary()["queued"] == 1


OLD = {"job_name": "old-1", "status": "Training", "interruptions": 1, "timeline": [], "timeline_left_out": 0}


def test_older_versions_results_are_read_where_they_put_them(airflow: Airflow) -> None:
    result = jobs.published(jobs.completed("old-1"), created=ago(hours=3))["return_value"]
    for name in ("cost", "on_demand_cost", "currency", "price_date"):
        del result[name]
    airflow.task("ended", return_value=result, spot_progress=OLD)
    airflow.task("runs", state="deferred", spot_progress=OLD)
    airflow.task("lost", return_value={"something": "else"}, spot_progress=OLD)

    ended, runs, lost = (airflow.row(name) for name in ("ended", "runs", "lost"))

    assert (ended["outcome"], ended["savings_percent"], ended["cost"]) == ("Completed", 80.0, None)
    assert len(ended["bar"]["segments"]) == 8
    assert (runs["outcome"], runs["phase"], runs["ended"]) == (None, "training", False)
    assert (lost["outcome"], lost["savings_percent"]) == ("unknown", None)


DEEP = json.loads('{"a":' * 200 + "1" + "}" * 200)
STRANGERS: dict[str, Any] = {
    "text": "Training",
    "list": [1, 2, 3],
    "number": 42,
    "null": None,
    "true": True,
    "empty": {},
    "deep": DEEP,
    "status_is_a_list": {"job_name": "x-1", "status": ["Training"]},
    "no_name": {"status": "Training"},
    "name_is_a_number": {"job_name": 5, "status": "Training"},
}


def test_strangers_xcoms_are_left_out_and_counted(airflow: Airflow) -> None:
    for name, value in STRANGERS.items():
        airflow.task(name, raw={"spot_progress": json.dumps(value)})
    airflow.task("ours", **jobs.published(jobs.completed(), created=ago(hours=2)))

    page = airflow.jobs()

    assert [row["task_id"] for row in page["rows"]] == ["ours"]
    assert (page["total"], page["left_out"]) == (1, len(STRANGERS))
    assert page["left_out_why"] == (
        "10 XComs named spot_progress hold something else than what our tasks publish."
    )


WRONG: dict[str, Any] = {
    "interruptions": "many",
    "waiting_seconds": [1],
    "timeline": "long",
    "timeline_left_out": {},
    "phase": 7,
    "kind": "cooking",
    "instance_count": None,
    "savings_percent": "80%",
    "cost": {"amount": 1},
    "currency": 5,
    "metrics": {"loss": "low"},
    "checkpoints": "yes",
    "max_wait_ends": 5,
    "at_risk_from": ["2020"],
    "best": [],
    "statuses": 3,
    "jobs": 1.5,
    "created": DEEP,
}


def test_rows_with_a_wrong_member_are_shown_as_far_as_they_can_be(airflow: Airflow) -> None:
    for name, wrong in WRONG.items():
        for state, job in (("deferred", jobs.training()), ("success", jobs.completed())):
            published = jobs.published(job, created=ago(hours=1))
            published["spot_progress"][name] = wrong
            airflow.task(f"{name}-{state}", state=state, **published)

    rows = airflow.jobs(limit=100)["rows"]

    assert len(rows) == 2 * len(WRONG)
    for row in rows:
        name, _, state = row["task_id"].partition("-")
        assert name in row["problem"], row["task_id"]
        assert row["job_name"] is not None
        assert row["ended"] == (state == "success")
    assert airflow.summary()["running"] == len(WRONG)
    for sort in ("started", "status", "max_wait", "interruptions", "savings", "cost"):
        assert len(airflow.tasks(sort=sort, limit=100)) == 2 * len(WRONG)


HUGE: dict[str, str] = {
    "cost": "1e300",
    "training_instance_seconds": "1e308",
    "interruptions": "9" * 400,
    "jobs": "9" * 30,
    "savings_percent": "-1e308",
    "waiting_seconds": "1e15",
}


def test_numbers_beyond_all_measure_break_no_sum(airflow: Airflow) -> None:
    published = jobs.published(jobs.completed(), created=ago(hours=1))["spot_progress"]
    for name, number in HUGE.items():
        text = json.dumps({**published, name: "HUGE"}).replace('"HUGE"', number)
        airflow.task(name, raw={"spot_progress": text})

    summary = airflow.summary()

    assert sorted(airflow.tasks()) == sorted(HUGE)
    assert summary["training_instance_seconds"] == 500 * (len(HUGE) - 1)
    assert summary["billable_instance_seconds"] == 100 * len(HUGE)
    for sort in ("interruptions", "savings", "cost"):
        assert len(airflow.tasks(sort=sort)) == len(HUGE)


@pytest.mark.parametrize("metadata", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "text",
    ['{"job_name": "x-1", "status": "Training", "cost": NaN}', "{", "", "nonsense", "NaN", "'"],
)
def test_what_is_no_json_is_left_out(airflow: Airflow, text: str) -> None:
    """PostgreSQL takes none of it; SQLite's column is text, and Python writes NaN."""
    airflow.task("broken", state="deferred", raw={"spot_progress": text})
    airflow.task("ours", **jobs.published(jobs.completed(), created=ago(hours=2)))

    page = airflow.jobs()

    assert ([row["task_id"] for row in page["rows"]], page["left_out"]) == (["ours"], 1)
    assert airflow.summary()["jobs"] == 1


@pytest.mark.parametrize("metadata", ["sqlite"], indirect=True)
def test_halves_of_characters_do_no_harm(airflow: Airflow) -> None:
    text = json.dumps(jobs.published(jobs.training("x-1"), created=ago(hours=1))["spot_progress"])
    airflow.task(
        "train", state="deferred", raw={"spot_progress": text.replace('"x-1"', r'"x-\ud800\ud83d\ude00"')}
    )

    assert airflow.row("train")["job_name"] == "x-?\N{GRINNING FACE}"


@pytest.mark.parametrize("metadata", ["sqlite"], indirect=True)
@pytest.mark.parametrize("member", ["outcome", "phase", "since", "instance_type", "currency", "price_date"])
def test_halves_of_characters_break_no_sum(airflow: Airflow, member: str) -> None:
    """SQLite makes text of them that Python cannot read."""
    hostile = jobs.published(jobs.waiting(), created=ago(hours=1), cost=1.0, **{member: "\ud800"})
    airflow.task("hostile", state="deferred", **hostile)
    airflow.task("ours", **jobs.published(jobs.completed(), created=ago(hours=2)))

    assert airflow.summary()["jobs"] == 1
    assert sorted(airflow.tasks(sort="status")) == ["hostile", "ours"]


def test_value_of_fifty_megabytes_is_not_read(airflow: Airflow) -> None:
    large = jobs.published(jobs.training(), created=ago(hours=1), note="x" * 2_000_000)
    airflow.task("large", state="deferred", **large)

    row = airflow.row("large")

    assert "longer than any of ours" in row["problem"]


HOSTILE = "<script>alert(1)</script>&\"'=1+1"


def test_hostile_names_are_data(airflow: Airflow) -> None:
    published = jobs.published(
        jobs.training(),
        created=ago(hours=1),
        job_name=HOSTILE,
        instance_type=HOSTILE,
        region=HOSTILE,
        note=HOSTILE,
        metrics={HOSTILE: 1.0},
    )
    run_id = airflow.run()
    airflow.metadata.publish(DAG, run_id, HOSTILE, state="deferred", when=ago(hours=1), **published)

    answer = airflow.client.get("api/jobs", params={"search": HOSTILE})

    [row] = answer.json()["rows"]
    assert answer.headers["content-type"] == "application/json"
    assert (row["task_id"], row["job_name"]) == (HOSTILE, HOSTILE)
    assert "<script>" not in row["links"]["task"] + row["links"]["console"] + row["links"]["spot_task"]


def test_summary_weighs_by_instances_and_never_adds_currencies(airflow: Airflow) -> None:
    one = jobs.completed("one-1", trained=1_000, billed=500)
    many = jobs.completed("many-1", trained=1_000, billed=100).having(
        ResourceConfig={"InstanceType": "ml.g5.xlarge", "InstanceCount": 9}
    )
    airflow.task("one", **jobs.published(one, created=ago(hours=1), price=Price(3.6, "USD", "2026-11-20")))
    airflow.task("many", **jobs.published(many, created=ago(hours=2), price=Price(3.6, "USD", "2026-11-18")))
    chinese = jobs.completed("cn-1", trained=1_000, billed=1_000)
    airflow.task("cn", **jobs.published(chinese, created=ago(hours=3), price=Price(36, "CNY", "2026-11-19")))
    airflow.task("unpriced", **jobs.published(jobs.completed("u-1"), created=ago(hours=4), price=None))
    airflow.task("never", **jobs.published(a_training_job("n").max_wait_exceeded(), created=ago(hours=5)))

    summary = airflow.summary()

    trained, billed = 1_000 + 9_000 + 1_000 + 500, 500 + 900 + 1_000 + 100
    assert summary["savings_percent"] == pytest.approx((1 - billed / trained) * 100)
    assert (summary["jobs"], summary["unknown"], summary["no_price"]) == (4, 1, 1)
    assert sorted(summary["money"], key=lambda each: each["currency"]) == [
        {"currency": "CNY", "cost": 10.0, "on_demand_cost": 10.0, "price_date": "2026-11-19"},
        {"currency": "USD", "cost": 1.4, "on_demand_cost": 10.0, "price_date": "2026-11-18"},
    ]
    assert summary["outcomes"] == {"Completed": 4, "MaxWaitTimeExceeded": 1}


def test_job_that_a_sensor_waits_for_as_well_is_counted_once(airflow: Airflow) -> None:
    published = jobs.published(jobs.completed("same-1"), created=ago(hours=1))
    observed = {**published["spot_progress"], "observed": True}
    airflow.task("train", **published)
    airflow.task("waits_for_it", spot_progress=observed)
    elsewhere = {**observed, "job_name": "started-elsewhere-1"}
    for name in ("one", "another"):
        airflow.task(name, spot_progress=elsewhere)

    assert airflow.summary()["jobs"] == 2
    assert len(airflow.tasks()) == 4
    assert not airflow.row("waits_for_it")["can_stop"]


def test_summary_of_nothing_knows_nothing(airflow: Airflow) -> None:
    summary = airflow.summary()

    assert summary["savings_percent"] is None
    assert (summary["jobs"], summary["money"], summary["running"]) == (0, [], 0)
    assert summary["longest_wait_seconds"] is None


def test_strip_counts_what_running_jobs_do(airflow: Airflow) -> None:
    _live(airflow)
    downloads = a_training_job("d-1").goes_through("Starting", "Downloading")
    airflow.task("downloads", state="running", **jobs.published(downloads, created=ago(minutes=3)))
    odd = jobs.published(jobs.training("odd-1"), created=ago(hours=1), phase="dancing", status="Dancing")
    airflow.task("odd", state="deferred", **odd)

    summary = airflow.summary()

    assert {name: summary[name] for name in ("training", "waiting", "interrupted", "queued", "running")} == {
        "training": 3,
        "waiting": 1,
        "interrupted": 1,
        "queued": 0,
        "running": 5,
    }
    assert len(airflow.tasks(state="training")) == summary["training"]
    assert summary["longest_wait_seconds"] >= 3 * 3600 - 60


def test_answer_that_has_not_changed_is_not_sent_again(airflow: Airflow) -> None:
    airflow.task("train", **jobs.published(jobs.completed(), created=ago(hours=1)))
    first = airflow.client.get("api/jobs")

    again = airflow.client.get("api/jobs", headers={"If-None-Match": first.headers["etag"]})
    behind_a_proxy = airflow.client.get("api/jobs", headers={"If-None-Match": f"W/{first.headers['etag']}"})
    other = airflow.client.get("api/jobs?state=running", headers={"If-None-Match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert behind_a_proxy.status_code == 304
    assert again.headers["x-server-time"] >= first.json()["server_time"]
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("region", "console"),
    [
        ("eu-west-1", "https://console.aws.amazon.com/sagemaker/home?region=eu-west-1#/jobs/trains-1"),
        ("cn-north-1", "https://console.amazonaws.cn/sagemaker/home?region=cn-north-1#/jobs/trains-1"),
        (
            "us-gov-west-1",
            "https://console.amazonaws-us-gov.com/sagemaker/home?region=us-gov-west-1#/jobs/trains-1",
        ),
        (None, None),
    ],
)
def test_links_lead_to_airflow_and_to_the_right_console(
    airflow: Airflow, region: str | None, console: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://example.com/team/airflow/")
    run_id = airflow.run()
    published = jobs.published(jobs.training(), created=ago(hours=1), region=region)
    airflow.metadata.publish(DAG, run_id, "g.train", 3, state="deferred", when=ago(hours=1), **published)

    links = airflow.row("g.train")["links"]

    assert links["console"] == console
    assert links["dag"] == "/team/airflow/dags/churn"
    assert links["task"] == f"/team/airflow/dags/churn/runs/{run_id}/tasks/g.train/mapped/3"
    assert links["spot_task"].startswith("/team/airflow/spot/task?dag_id=churn&run_id=manual__1&")


def test_times_are_of_one_length(airflow: Airflow) -> None:
    airflow.task("train", **jobs.published(jobs.completed(), created=ago(hours=1)))

    page = airflow.jobs()

    times = [page["server_time"], page["rows"][0]["run_after"], page["rows"][0]["created"]]
    assert {len(time) for time in times} == {len("2026-11-25T11:07:44.123+00:00")}
    assert datetime.fromisoformat(page["server_time"]).utcoffset() == timedelta(0)
