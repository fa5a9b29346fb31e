"""Reports: sums, the trend against the run before, who is missing, and thresholds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_spot_provider.training import InvalidSpotRequest, Outcome, Price, SpotTrainingResult
from airflow_spot_provider.training.report import Member, Run, Thresholds, report_of, sums_of, trend_of
from airflow_spot_provider.training.result import MAX_RESULT_BYTES
from airflow_spot_provider.training.tuning_outcome import TuningOutcome
from airflow_spot_provider.training.tuning_result import SpotTuningResult

DOLLARS, YUAN = Price(3.6, "USD", "2026-11-01"), Price(36.0, "CNY", "2026-11-02")


def _result(trained: int | None = 500, billed: int | None = 100, **fields: Any) -> SpotTrainingResult:
    told: dict[str, Any] = {
        "outcome": Outcome.COMPLETED,
        "instance_type": "ml.m5.large",
        "managed_spot": True,
    }
    return SpotTrainingResult(
        job_name="j", job_arn="arn", training_seconds=trained, billable_seconds=billed, **{**told, **fields}
    ).priced(DOLLARS)


def _member(
    result: Any = None, run: str = "new", task: str = "train", name: str = "", problem: str | None = None
) -> Member:
    return Member(run, task, result, name, problem)


def _run(run_id: str, *results: Any) -> Run:
    return Run(run_id, "2026-11-25T10:00:00.000+00:00", tuple(_member(each, run_id) for each in results))


TUNING = SpotTuningResult(
    job_name="t",
    job_arn="arn",
    outcome=TuningOutcome.COMPLETED,
    status="Completed",
    jobs=5,
    savings_unknown=1,
    training_instance_seconds=1000,
    billable_instance_seconds=300,
    interruptions=4,
)


def test_sums_weigh_by_instances_and_tell_what_is_not_known() -> None:
    never = _result(None, None, outcome=Outcome.MAX_WAIT_TIME_EXCEEDED, waiting_seconds=60)
    sums = sums_of([_member(_result(instance_count=3)), _member(never), _member(TUNING), _member(None)])

    assert sums["savings_percent"] == pytest.approx((1 - 600 / 2500) * 100)
    assert (sums["jobs"], sums["unknown"]) == (5, 2)
    assert (sums["interruptions"], sums["waiting_seconds"]) == (4, 60)
    assert sums["money"] == [
        {"currency": "USD", "cost": 0.3, "on_demand_cost": 1.5, "price_date": "2026-11-01"}
    ]
    assert sums["no_price"] == 4  # those of the tuning job
    assert sums["outcomes"] == {"Completed": 2, "MaxWaitTimeExceeded": 1}


def test_report_groups_by_task_instance_type_and_run() -> None:
    on_demand = _result(100, 100, managed_spot=False)
    runs = [
        Run(
            "new",
            None,
            (_member(_result()), _member(on_demand, task="fallback"), _member(TUNING, task="tune")),
        ),
        _run("old", _result(instance_type=None)),
    ]
    report = report_of(runs)

    assert set(report["by_task"]) == {"train", "fallback", "tune"}
    assert set(report["by_instance_type"]) == {
        "ml.m5.large, spot",
        "ml.m5.large, on demand",
        "several types, spot",
        "tuning jobs",
    }
    assert [run["run_id"] for run in report["runs"]] == ["new", "old"]
    assert report["left_out"] == 0


def test_trend_is_the_newest_run_against_the_one_before() -> None:
    newest = _run("new", _result(1000, 100, interruptions=3, metrics={"accuracy": 0.9, "only_now": 1}))
    before = _run("old", _result(1000, 300, interruptions=1, metrics={"accuracy": 0.8}))
    trend = trend_of([newest, before, _run("older", _result())])

    assert trend == {
        "against": "old",
        "savings_percent": pytest.approx(20),
        "interruptions": 2,
        "waiting_seconds": 0,
        "cost": pytest.approx(-0.2),
        "currency": "USD",
        "metrics": {"accuracy": pytest.approx(0.1)},
    }


def test_trend_passes_over_runs_without_a_training() -> None:
    trend = trend_of([_run("new", _result()), _run("empty", None), _run("old", _result())])
    assert trend is not None
    assert trend["against"] == "old"


@pytest.mark.parametrize(
    "runs", [[], [_run("new", _result())], [_run("new", None), _run("a", _result()), _run("b", _result())]]
)
def test_there_is_no_trend_without_two_runs_to_compare(runs: list[Run]) -> None:
    assert trend_of(runs) is None


@pytest.mark.parametrize(
    "before",
    [
        _result().priced(YUAN),  # another currency
        _result().priced(None),  # no price
        _result(None, None),  # never trained
    ],
)
def test_cost_is_compared_only_where_it_is_known_of_both(before: SpotTrainingResult) -> None:
    trend = trend_of([_run("new", _result()), _run("old", before)])
    assert trend is not None
    assert trend["cost"] is None


def test_metrics_of_several_trainings_are_not_compared() -> None:
    two = [_result(metrics={"loss": 1.0})] * 2
    trend = trend_of([_run("new", *two), _run("old", *two)])
    assert trend is not None
    assert trend["metrics"] == {}


def test_failed_and_missing_are_named_with_the_reason() -> None:
    failed = _result(outcome=Outcome.FAILED)
    members = (
        _member(failed, name="3"),
        _member(None, name="4", problem="no result; the task is skipped"),
        _member(_result()),
    )
    report = report_of([Run("new", None, members)])

    assert report["failed"] == ["train[3] of new: Failed"]
    assert report["missing"] == ["train[4] of new: no result; the task is skipped"]


def test_many_missing_are_counted() -> None:
    report = report_of([_run("new", *[None] * 50)])
    assert len(report["missing"]) == 21
    assert report["missing"][-1] == "and 30 more"
    assert report["missing"][0].endswith("no result")


def test_report_of_very_much_stays_small_and_tells_what_it_left_out() -> None:
    names = [f"task_{number}_{'x' * 200}" for number in range(300)]
    runs = [
        Run(
            f"run {number} {'y' * 200}",
            None,
            tuple(_member(_result(), f"run {number}", name) for name in names[:30]),
        )
        for number in range(100)
    ]
    report = report_of(runs)

    assert len(json.dumps(report)) <= MAX_RESULT_BYTES
    assert report["jobs"] == 3000
    assert report["left_out"] > 0


def test_report_whose_every_name_is_too_long_still_has_its_sums() -> None:
    members = tuple(
        _member(_result(outcome=Outcome.FAILED, instance_type="i" * 3000), task="t" * 3000) for _ in range(30)
    )
    report = report_of([Run("r" * 3000, None, members)])
    assert len(json.dumps(report)) <= MAX_RESULT_BYTES
    assert report["jobs"] == 30


def test_thresholds_that_are_not_kept_are_told_with_the_figure() -> None:
    sums = sums_of([_member(_result(100, 90, interruptions=7))])
    breaches = Thresholds(50, 3, 0.05).breaches(sums)

    assert [breach.split(",")[0] for breach in breaches] == [
        "Savings are 10.0%",
        "There were 7 interruptions",
        "The cost is 0.09 USD",
    ]


def test_what_is_kept_or_not_known_breaches_nothing() -> None:
    kept = sums_of([_member(_result())])
    assert Thresholds(80, 0, 0.1).breaches(kept) == []
    assert Thresholds().breaches(kept) == []
    unknown = sums_of([_member(_result(None, None))])
    assert Thresholds(90, 0, 0).breaches(unknown) == []


@pytest.mark.parametrize(
    "wrong", [{"min_savings_percent": 101}, {"max_interruptions": -1}, {"max_cost": "9"}, {"max_cost": True}]
)
def test_threshold_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpotRequest, match=next(iter(wrong))):
        Thresholds(**wrong)
