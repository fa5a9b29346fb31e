"""``airflow-spot savings``: sums of what tasks published, as a table and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.cli import main
from airflow_spot_provider.training.money import Price
from tests.metadata_database import airflow_uses
from tests.ui import jobs
from tests.ui.jobs import completed, hours, published
from tests.ui.metadata import Metadata, ago

EUROS = Price(2.0, "EUR", "2026-11-20")


@pytest.fixture
def trained(metadata: Metadata) -> Metadata:
    """Two DAGs: one in dollars and euros, one without a price; a job that runs, and one of two months ago."""
    metadata.add_dags("churn", "ranker", "old")
    for dag_id in ("churn", "ranker", "old"):
        metadata.add_run(dag_id, "r1", run_after=ago(days=60 if dag_id == "old" else 2))
    when = ago(hours=3)

    def _publish(dag_id: str, task_id: str, job: Any, **changes: Any) -> None:
        metadata.publish(
            dag_id,
            "r1",
            task_id,
            when=ago(days=60) if dag_id == "old" else when,
            state="deferred" if job is RUNS else "success",
            **published(job, created=when - hours(1), **changes),
        )

    _publish("churn", "train", completed(trained=7200, billed=3600), instance_type="ml.m5.large")
    _publish(
        "churn", "again", completed(trained=3600, billed=900), price=EUROS, instance_type="ml.p3.2xlarge"
    )
    _publish("churn", "runs", RUNS, instance_type="ml.m5.large")
    _publish("ranker", "train", completed(trained=1800, billed=1800), price=None, instance_type="ml.m5.large")
    _publish("old", "train", completed(), instance_type="ml.m5.large")
    return metadata


RUNS = jobs.training()


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main(["savings", "--json", *arguments]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return json.loads(said.out)


@pytest.mark.usefixtures("trained")
def test_sums_by_dag_are_weighted_and_never_over_two_currencies(capsys: pytest.CaptureFixture[str]) -> None:
    answer = told(capsys)
    churn, ranker = answer["groups"]
    assert (churn["dag_id"], ranker["dag_id"]) == ("churn", "ranker")
    assert churn["jobs"] == 2
    assert churn["tasks"] == 3
    assert churn["savings_percent"] == pytest.approx((1 - 4500 / 10800) * 100)
    assert {each["currency"]: each["cost"] for each in churn["money"]} == {"USD": 1.408, "EUR": 0.5}
    assert {each["price_date"] for each in churn["money"]} == {"2026-11-21", "2026-11-20"}
    assert (ranker["money"], ranker["no_price"]) == ([], 1)
    total = answer["total"]
    assert (total["jobs"], total["unknown"], total["no_price"]) == (3, 0, 1)
    assert total["savings_percent"] == pytest.approx((1 - 6300 / 12600) * 100)
    assert {each["currency"]: each["on_demand_cost"] for each in total["money"]} == {"USD": 2.816, "EUR": 2.0}
    assert total["outcomes"] == {"Completed": 3}
    assert total["interruptions"] == sum(each["interruptions"] for each in answer["groups"]) > 0


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize(
    ("arguments", "groups"),
    [
        (["--by", "task"], {("churn", "again"), ("churn", "train"), ("churn", "runs"), ("ranker", "train")}),
        (["--by", "instance_type"], {("ml.m5.large",), ("ml.p3.2xlarge",)}),
        (["--dag", "ranker"], {("ranker",)}),
        (["--dag", "ranker", "--dag", "churn"], {("ranker",), ("churn",)}),
        (["--since", "10w"], {("ranker",), ("churn",), ("old",)}),
        (["--since", "2h"], set()),
    ],
)
def test_groups_are_those_asked_for(
    arguments: list[str], groups: set[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("dag_id", "task_id", "instance_type")
    found = told(capsys, *arguments)["groups"]
    assert {tuple(each[name] for name in names if name in each) for each in found} == groups


@pytest.mark.usefixtures("trained")
def test_table_has_a_line_for_each_currency_and_a_total(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["savings"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[0] == "DAG"
    [churn] = [line for line in lines if line.startswith("churn")]
    assert "58.3%" in churn
    assert churn.endswith("2 Completed")
    assert [line.split()[0] for line in lines[1:]][:2] == ["churn", "1.41"]
    assert "0.50 EUR   2.00 EUR  2026-11-20" in lines[1]
    assert "1.41 USD   2.82 USD  2026-11-21" in lines[2]
    [ranker] = [line for line in lines if line.startswith("ranker")]
    assert "not known" in ranker
    assert any(line.startswith("total") and "50.0%" in line for line in lines)
    assert "Of 1 job no price is known" in lines[-1]


def test_a_job_that_runs_adds_nothing_but_its_task(
    metadata: Metadata, capsys: pytest.CaptureFixture[str]
) -> None:
    metadata.add_dags("churn")
    metadata.add_run("churn", "r1", run_after=ago(hours=1))
    runs = published(jobs.interrupted(), created=ago(hours=1))
    assert (runs["spot_progress"]["interruptions"], runs["spot_progress"]["waiting_seconds"] > 0) == (1, True)
    metadata.publish("churn", "r1", "runs", when=ago(minutes=1), state="deferred", **runs)
    answer = told(capsys)
    for figures in (*answer["groups"], answer["total"]):
        assert (figures["tasks"], figures["jobs"], figures["outcomes"]) == (1, 0, {})
        assert (figures["interruptions"], figures["waiting_seconds"]) == (0, 0)
    assert main(["savings"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("Of 1 task that published something since")
    assert last.endswith("Jobs are those that ended, and Interruptions and Waited are theirs.")


@pytest.mark.usefixtures("metadata")
def test_where_nothing_was_published_it_says_so_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["savings", "--dag", "churn\x1b[2J", "--since", "1h"]) == 0
    said = capsys.readouterr().out
    assert "No spot task of churn?[2J has published anything since" in said
    assert "--since" in said
    assert "\x1b" not in said


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["--since", "30x"], "30m, 12h, 30d or 4w"),
        (["--by", "owner"], "instance_type"),
    ],
)
def test_wrong_arguments_are_refused_with_what_there_is(
    arguments: list[str], allowed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["savings", *arguments])
    assert allowed in capsys.readouterr().err


def test_other_peoples_xcoms_and_hostile_names_are_no_matter(
    trained: Metadata, capsys: pytest.CaptureFixture[str]
) -> None:
    trained.add_dags("odd")
    trained.add_run("odd", "r1", run_after=ago(hours=1))
    for number, raw in enumerate(["7", '"text"', "[]", "{", '{"job_name": 7, "status": []}', "NaN"]):
        trained.publish("odd", "r1", f"t{number}", when=ago(hours=1), raw={"spot_progress": raw})
    odd = published(completed(), created=ago(hours=2), instance_type="[red]\x1b[31m\nx")
    trained.publish("odd", "r1", "t", when=ago(hours=1), **odd)
    assert [each["dag_id"] for each in told(capsys)["groups"]] == ["churn", "ranker", "odd"]
    assert main(["savings", "--by", "instance_type"]) == 0
    said = capsys.readouterr().out
    assert "[red]?[31m?x" in said
    assert "\x1b" not in said


@pytest.mark.parametrize("empty", [True, False])
def test_without_the_metadata_database_it_says_what_to_set(
    empty: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "nowhere.db"
    if empty:
        file.touch()
    with airflow_uses(file, monkeypatch):
        assert main(["savings"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" in said.err
    assert ("cannot be read" if empty else "is not there") in said.err
    assert file.exists() is empty
