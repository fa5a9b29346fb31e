"""What the demo writes down of a DAG run: the result of each training job once, wherever it was published."""

from __future__ import annotations

import io
import json
import re
import shlex
from typing import Any

import pytest
from rich.console import Console

from airflow_spot_provider.demo.local_airflow import XComEntry
from airflow_spot_provider.demo.published import report_lines, tell_results
from airflow_spot_provider.demo.run import where_to_look
from airflow_spot_provider.training import Outcome, SpotTrainingResult
from airflow_spot_provider.training.money import Price
from airflow_spot_provider.training.report import report_of
from airflow_spot_provider.training.reported import Member, Run

ARN = "arn:aws:sagemaker:us-east-1:123456789012"
REPORT = {"savings_percent": 50.0, "jobs": 3}


def a_result(name: str) -> dict[str, Any]:
    result = SpotTrainingResult(
        job_name=name,
        job_arn=f"{ARN}:training-job/{name}",
        outcome=Outcome.COMPLETED,
        training_seconds=100,
        billable_seconds=50,
        savings_percent=50.0,
        metrics={"accuracy": 0.9},
    )
    return result.to_json()


class StandIn:
    """The Airflow and the SageMaker of a DAG run that is over."""

    def __init__(self, xcoms: dict[XComEntry, Any], members: dict[str, list[str]] | None = None) -> None:
        self._xcoms = xcoms
        self._members = members or {}

    def xcoms(self, _dag_id: str, _run_id: str) -> list[XComEntry]:
        return list(reversed(self._xcoms))

    def xcom(
        self, _dag_id: str, _run_id: str, task_id: str, key: str = "return_value", *, map_index: int = -1
    ) -> Any:
        return self._xcoms.get(XComEntry(task_id, map_index, key))

    def run_state(self, _dag_id: str, _run_id: str) -> str:
        return "success"

    def client(self, _service: str) -> StandIn:
        return self

    def get_paginator(self, _operation: str) -> StandIn:
        return self

    def paginate(self, *, HyperParameterTuningJobName: str, **_arguments: str) -> Any:  # noqa: N803 - SageMaker's name
        names = self._members[HyperParameterTuningJobName]
        return [{"TrainingJobSummaries": [{"TrainingJobName": name}]} for name in names]

    def describe_training_job(self, *, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803 - SageMaker's name
        return {
            "TrainingJobName": TrainingJobName,
            "TrainingJobArn": f"{ARN}:training-job/{TrainingJobName}",
            "TrainingJobStatus": "Completed",
            "SecondaryStatus": "Completed",
            "SecondaryStatusTransitions": [],
        }


def figures_of(stand_in: StandIn) -> dict[str, Any]:
    arguments: Any = (stand_in, stand_in)
    return tell_results(Console(quiet=True), *arguments, "dag", "run")


def test_each_job_is_written_down_once_in_the_order_of_tasks_and_map_indexes() -> None:
    xcoms = {
        XComEntry("train", 0, "return_value"): a_result("a"),
        XComEntry("train", 1, "return_value"): a_result("b"),
        XComEntry("train", 1, "savings_percent"): 50.0,
        XComEntry("train_best_of", -1, "return_value"): a_result("b"),
        XComEntry("slot", 0, "trial_2"): a_result("c"),
        XComEntry("slot", 0, "spot_progress"): {"job_name": "c", "status": "Completed"},
        XComEntry("report", -1, "return_value"): REPORT,
    }

    figures = figures_of(StandIn(xcoms))

    assert figures["state"] == "success"
    assert figures["report"] == REPORT
    assert [result["job_name"] for result in figures["results"]] == ["c", "a", "b"]
    assert figures["results"][1] == a_result("a")


def test_training_jobs_of_a_tuning_job_are_described_one_by_one() -> None:
    tuned = {
        "job_name": "tuning",
        "job_arn": f"{ARN}:hyper-parameter-tuning-job/tuning",
        "outcome": "Completed",
    }
    xcoms = {XComEntry("tune", -1, "return_value"): tuned}

    figures = figures_of(StandIn(xcoms, {"tuning": ["t-1", "t-2"]}))

    assert [result["job_name"] for result in figures["results"]] == ["t-1", "t-2"]
    assert figures["report"] is None


@pytest.mark.parametrize("value", [{"job_arn": f"{ARN}:processing-job/p"}, ["job_arn"], "job_arn", None])
def test_xcoms_of_others_are_passed_over(value: Any) -> None:
    assert figures_of(StandIn({XComEntry("other", -1, "return_value"): value}))["results"] == []


def test_table_tells_what_each_job_cost_and_would_have_cost() -> None:
    on_spot = SpotTrainingResult.from_json({**a_result("a"), "managed_spot": True})
    priced = on_spot.priced(Price(3.6, "USD", "2026-11-21"))
    xcoms = {
        XComEntry("train", 0, "return_value"): priced.to_json(),
        XComEntry("train", 1, "return_value"): a_result("b"),
    }
    console = Console(record=True, width=130, file=io.StringIO())
    arguments: Any = (StandIn({}), StandIn(xcoms))
    tell_results(console, *arguments, "dag", "run-7")

    said = console.export_text()
    assert "Training jobs of dag, run run-7" in said
    rows = [[cell.strip() for cell in re.split("[│|]", line)[1:-1]] for line in said.splitlines()]
    told = {row[0]: row[-2:] for row in rows if row}
    assert told["a"] == ["0.05 USD", "0.10 USD"]
    assert told["b"] == ["not known", "not known"]


def test_savings_report_is_told_in_sentences_with_the_runs_that_it_is_of() -> None:
    runs = [
        Run(run_id, None, (Member(run_id, "train", SpotTrainingResult.from_json(a_result(name))),))
        for run_id, name in (("demo-1", "a"), ("scheduled__1", "b"))
    ]
    lines = report_lines(report_of(runs), "demo-1")

    assert lines[0].startswith("Report: Saved 50.0% over 2 training jobs. Cost: ")
    assert lines[1] == "Outcomes: 2 Completed."
    assert lines[2].startswith("Against scheduled__1: ")
    assert lines[3] == "The report is of 2 runs (demo-1, scheduled__1); the table has the jobs of demo-1."
    assert len(report_lines(report_of(runs[:1]), "demo-1")) == 2


@pytest.mark.parametrize(
    ("report", "lines"),
    [
        (None, []),
        ("fine", ["Report: fine"]),
        ({"best": {"job_name": "a"}, "jobs": 3}, ["Report:", '  best: {"job_name": "a"}', "  jobs: 3"]),
        ({"long": "x" * 1000}, ["Report:", f"  long: {'x' * 200} ..."]),
    ],
)
def test_report_of_a_dag_s_own_is_told_a_line_a_member(report: Any, lines: list[str]) -> None:
    assert report_lines(report, "demo-1") == lines


def test_kept_demo_says_what_to_paste_into_another_terminal() -> None:
    connection = json.dumps({"conn_type": "aws", "password": "it's"})
    *said, pasted = where_to_look(
        "http://a", "http://b", AIRFLOW_HOME="/my home", AIRFLOW_CONN_AWS_DEFAULT=connection
    )
    assert shlex.split(pasted) == [
        "export",
        "AIRFLOW_HOME=/my home",
        f"AIRFLOW_CONN_AWS_DEFAULT={connection}",
    ]
    assert "Airflow is up at http://a" in said[0]
    assert "60 times as fast" in said[1]
