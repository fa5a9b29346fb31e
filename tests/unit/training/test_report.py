"""Reports: sums, the trend against the run before, who is missing, and thresholds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_spot_provider.training import InvalidSpotRequest, Outcome, Price, SpotTrainingResult
from airflow_spot_provider.training.report import bounded, report_of
from airflow_spot_provider.training.reported import Member, Run, problem_of, sums_of, without_repeats
from airflow_spot_provider.training.result import MAX_RESULT_BYTES
from airflow_spot_provider.training.thresholds import Thresholds
from airflow_spot_provider.training.trend import trend_of
from airflow_spot_provider.training.tuning_outcome import TuningOutcome
from airflow_spot_provider.training.tuning_result import BestTrainingJob, SpotTuningResult

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
        "price_date": "2026-11-01",
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


def test_metrics_of_any_size_are_compared_as_far_as_a_number_can_tell() -> None:
    newest = {"tiny": 2e-9, "noisy": 0.3, "diverged": 1e308}
    before = {"tiny": 5e-9, "noisy": 0.1, "diverged": -1e308}
    trend = trend_of([_run("new", _result(metrics=newest)), _run("old", _result(metrics=before))])
    assert trend is not None
    assert trend["metrics"] == {"tiny": -3e-9, "noisy": 0.2}


def test_objective_of_tuning_jobs_is_compared() -> None:
    def _tuned(value: float | None) -> SpotTuningResult:
        return TUNING.model_copy(update={"best": BestTrainingJob(job_name="b", metric="loss", value=value)})

    trend = trend_of([_run("new", _tuned(0.25)), _run("old", _tuned(0.75))])
    assert trend is not None
    assert trend["metrics"] == {"loss": -0.5}
    unknown = trend_of([_run("new", _tuned(0.25)), _run("old", _tuned(None))])
    assert unknown is not None
    assert unknown["metrics"] == {}


def test_failed_missing_and_skipped_are_told_apart() -> None:
    failed = _result(outcome=Outcome.FAILED)
    members = (
        _member(failed, name="3"),
        _member(None, name="4", problem="no result; the task is failed"),
        Member("new", "fallback", None, problem="no result; the task is skipped", skipped=True),
        _member(None, name="5"),
        _member(_result()),
    )
    report = report_of([Run("new", None, members)])

    assert report["failed"] == ["train[3] of new: Failed"]
    assert report["missing"] == [
        "train[4] of new: no result; the task is failed",
        "train[5] of new: no result",
    ]
    assert report["skipped"] == ["fallback of new: no result; the task is skipped"]
    assert (report["failed_count"], report["missing_count"], report["skipped_count"]) == (1, 2, 1)


def test_run_before_is_in_the_trend_and_in_no_sum() -> None:
    report = report_of([_run("new", _result())], before=_run("old", _result()), notes=["A note."])
    assert report["jobs"] == 1
    assert report["trend"]["against"] == "old"
    assert report["notes"] == ["A note."]


def test_many_missing_are_counted() -> None:
    report = bounded(report_of([_run("new", *[None] * 50)]))
    assert len(report["missing"]) == 20
    assert (report["missing_count"], report["left_out"]) == (50, 30)


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
    report = bounded(report_of(runs))

    assert len(json.dumps(report)) <= MAX_RESULT_BYTES
    assert report["jobs"] == 3000
    assert report["left_out"] > 0
    assert report["runs"][0]["run_id"].startswith("run 0 ")


def test_groups_that_trained_most_are_the_last_to_be_left_out() -> None:
    members = tuple(_member(_result(number), task=f"task {number}") for number in range(1, 100))
    report = bounded(report_of([Run("new", None, members)]))
    assert "task 99" in report["by_task"]
    assert "task 1" not in report["by_task"]


def test_report_whose_every_name_is_too_long_still_has_its_sums() -> None:
    members = tuple(
        _member(_result(outcome=Outcome.FAILED, instance_type="\x01" * 3000), task="t" * 3000, name=name)
        for name in map(str, range(30))
    )
    notes = ["n" * 500] * 30
    report = bounded(report_of([Run("r" * 3000, None, (*members, _member(None)))], notes=notes))
    assert len(json.dumps(report)) <= MAX_RESULT_BYTES
    assert report["jobs"] == 30
    assert report["failed_count"] == 30


def test_many_currencies_are_counted_and_the_largest_told() -> None:
    members = tuple(
        _member(_result(number * 100).priced(Price(1.0, f"X{number}", "2026-01-01")))
        for number in range(1, 200)
    )
    report = bounded(report_of([Run("new", None, members)]))
    assert [each["currency"] for each in report["money"]] == ["X199", "X198", "X197", "X196", "X195"]
    assert report["left_out"] >= 194
    assert len(json.dumps(report)) <= MAX_RESULT_BYTES


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"cost": float("nan")}, "cost"),
        ({"cost": float("inf")}, "cost"),
        ({"waiting_seconds": -1.0}, "waiting_seconds"),
        ({"interruptions": 10**400}, "interruptions"),
        ({"training_seconds": -5}, "training_seconds"),
        ({"savings_percent": float("inf")}, "savings_percent"),
        ({"currency": "x" * 1000}, "currency"),
        ({"currency": "U\nERROR"}, "currency of more than one line"),
        ({"price_date": "\x1b[31m"}, "price_date"),
        ({"instance_type": "x" * 1000}, "instance_type"),
    ],
)
def test_results_that_would_spoil_a_sum_are_refused_by_name(wrong: dict[str, Any], word: str) -> None:
    problem = problem_of(_result().model_copy(update=wrong))
    assert problem is not None
    assert word in problem


def test_tuning_result_with_more_unknown_jobs_than_jobs_is_refused() -> None:
    assert problem_of(TUNING.model_copy(update={"savings_unknown": 6})) == (
        "what it published has more savings_unknown than jobs"
    )


def test_seconds_whose_share_no_number_tells_have_no_percentage_alone_or_in_a_sum() -> None:
    next_to_nothing = TUNING.model_copy(
        update={"training_instance_seconds": 1e-300, "billable_instance_seconds": 0}
    )
    never_trained = TUNING.model_copy(
        update={"training_instance_seconds": 0, "billable_instance_seconds": 1e12}
    )
    for result in (next_to_nothing, never_trained):
        assert problem_of(result) is None
    assert sums_of([_member(next_to_nothing), _member(never_trained)])["savings_percent"] is None


def test_results_of_any_version_are_taken() -> None:
    oldest = SpotTrainingResult.from_json({"job_name": "j", "job_arn": "a", "outcome": "Completed"})
    for result in (oldest, _result(), TUNING):
        assert problem_of(result) is None


def test_job_that_two_tasks_tell_of_is_counted_once() -> None:
    one, other = _result(), _result().model_copy(update={"job_arn": "another"})
    no_arn = _result().model_copy(update={"job_arn": ""})
    runs = [
        Run("new", None, (_member(one), _member(one, task="watch"), _member(other), _member(None))),
        Run("old", None, (_member(no_arn), _member(no_arn))),
    ]
    report = report_of(without_repeats(runs))
    assert report["jobs"] == 4
    assert report["skipped"] == ["watch of new: the job that train tells of: counted there"]
    assert report["missing_count"] == 1


def test_thresholds_that_are_not_kept_are_told_with_the_figure() -> None:
    sums = sums_of([_member(_result(100, 90, interruptions=7))])
    breaches = Thresholds(50, 3, 0.05).breaches(sums)

    assert [breach.split(",")[0] for breach in breaches] == [
        "Savings are 10.0%",
        "Interruptions: 7",
        "The cost is 0.09 USD (prices of 2026-11-01)",
    ]


def test_what_is_kept_or_not_known_breaches_nothing() -> None:
    kept = sums_of([_member(_result())])
    assert Thresholds(80, 0, 0.1).breaches(kept) == []
    assert Thresholds().breaches(kept) == []
    unknown = sums_of([_member(_result(None, None))])
    assert Thresholds(90, 0, 0).breaches(unknown) == []


def test_what_no_threshold_can_judge_is_said() -> None:
    unknown = sums_of([_member(_result(None, None)), _member(_result().priced(None))])
    assert Thresholds(90, 0, 1.0).not_judged(unknown) == [
        "min_savings_percent judges 1 training jobs; 1 have no savings figure.",
        "max_cost judges what is priced; 1 training jobs have no price.",
    ]
    assert Thresholds().not_judged(unknown) == []
    assert Thresholds(90, 0, 1.0).not_judged(sums_of([_member(_result())])) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_savings_percent": 101},
        {"min_savings_percent": 0.5},
        {"min_savings_percent": float("nan")},
        {"max_interruptions": -1},
        {"max_interruptions": 1.5},
        {"max_cost": "9"},
        {"max_cost": True},
    ],
)
def test_threshold_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpotRequest, match=next(iter(wrong))):
        Thresholds(**wrong)
