"""Many results: the best, the sums, and how wide the next round may be."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_spot_provider.training import (
    InvalidSpotRequest,
    Outcome,
    Price,
    SpotTrainingError,
    SpotTrainingResult,
    best_of,
    hyperparameter_budget,
    savings_of,
)


def _result(number: int = 1, outcome: Outcome = Outcome.COMPLETED, **fields: Any) -> SpotTrainingResult:
    defaults: dict[str, Any] = {
        "managed_spot": True,
        "training_seconds": 500,
        "billable_seconds": 100,
        "interruptions": 1,
    }
    return SpotTrainingResult(
        job_name=f"job-{number}", job_arn=f"arn:{number}", outcome=outcome, **{**defaults, **fields}
    )


NEVER_TRAINED = _result(
    9, Outcome.MAX_WAIT_TIME_EXCEEDED, training_seconds=None, billable_seconds=None, interruptions=0
)


def test_best_is_the_completed_training_with_the_best_value() -> None:
    results = [
        _result(1, metrics={"loss": 0.5}),
        _result(2, metrics={"loss": 0.2}).to_json(),
        _result(3, Outcome.MAX_RUNTIME_EXCEEDED, metrics={"loss": 0.1}),
        None,
        _result(4, metrics={"loss": 0.2}),
    ]
    assert best_of(results, "loss", "min").job_name == "job-2"
    assert best_of(results, "loss", "max").job_name == "job-1"


def test_training_that_diverged_is_never_the_best() -> None:
    diverged, other = _result(1, metrics={"loss": float("nan")}), _result(2, metrics={"loss": 0.5})
    assert [best_of([diverged, other], "loss", mode).job_name for mode in ("min", "max")] == ["job-2"] * 2
    with pytest.raises(SpotTrainingError, match="a number as the metric 'loss'"):
        best_of([diverged], "loss", "min")


def test_metric_that_nobody_published_is_an_error_with_those_there_are() -> None:
    results = [_result(metrics={"loss": 0.5}), _result(metrics={"accuracy": 0.9}), NEVER_TRAINED]
    with pytest.raises(
        SpotTrainingError, match=r"None of 2 completed .* \(of 3\).*'auc'.*\['accuracy', 'loss'\]"
    ):
        best_of(results, "auc", "max")
    with pytest.raises(SpotTrainingError, match="MetricDefinitions"):
        best_of([NEVER_TRAINED], "auc", "max")
    with pytest.raises(SpotTrainingError, match="no trainings to compare"):
        best_of([None], "auc", "max")


def test_unknown_mode_is_an_error() -> None:
    with pytest.raises(InvalidSpotRequest, match=r"mode is 'maximize'.*\['min', 'max'\]"):
        best_of([], "auc", "maximize")  # type: ignore[arg-type]  # what a user may pass


@pytest.mark.parametrize("published", [[{"job": 1}], [1], "results", 1])
def test_what_is_no_result_is_an_error(published: Any) -> None:
    with pytest.raises(SpotTrainingError, match="no training results"):
        savings_of(published)


def test_savings_are_weighed_by_instances_and_tell_how_many_are_unknown() -> None:
    results = [_result(1), _result(2, billable_seconds=400, instance_count=3), NEVER_TRAINED]
    assert savings_of(results) == {
        "savings_percent": pytest.approx((1 - (100 + 1200) / (500 + 1500)) * 100),
        "unknown": 1,
        "jobs": 3,
        "training_instance_seconds": 2000,
        "billable_instance_seconds": 1300,
        "interruptions": 2,
        "waiting_seconds": 0,
        "money": [],
        "no_price": 2,
        "outcomes": {"Completed": 2, "MaxWaitTimeExceeded": 1},
    }


def test_money_is_summed_by_currency_and_tells_how_many_have_no_price() -> None:
    dollars, later, yuan = (
        Price(3.6, "USD", "2026-11-01"),
        Price(7.2, "USD", "2026-11-20"),
        Price(36, "CNY", "2026-11-02"),
    )
    results = [_result(1).priced(dollars), _result(2).priced(later), _result(3).priced(yuan), _result(4)]

    saved = savings_of([*results, NEVER_TRAINED])

    assert saved["no_price"] == 1
    assert saved["money"] == [
        {"currency": "USD", "cost": 0.3, "on_demand_cost": 1.5, "price_date": "2026-11-01"},
        {"currency": "CNY", "cost": 1.0, "on_demand_cost": 5.0, "price_date": "2026-11-02"},
    ]


def test_one_result_is_taken_for_a_list_of_one() -> None:
    assert savings_of(_result().to_json())["jobs"] == 1  # type: ignore[arg-type]  # the XCom of a task that is not mapped


def test_savings_of_nothing_are_not_known() -> None:
    assert savings_of([])["savings_percent"] is None


def test_budget_is_shared_by_what_a_completed_training_billed() -> None:
    results = [_result(1), _result(2, billable_seconds=200), _result(3, Outcome.FAILED, billable_seconds=60)]
    budget = hyperparameter_budget(results, billable_seconds=1000)
    assert budget.jobs == 5  # 360 billed, the failed one's part included, for two that completed
    assert budget.billable_seconds_per_job == 180
    assert budget.interruptions_per_hour == pytest.approx(7.2)
    assert budget.savings_percent == pytest.approx((1 - 360 / 1500) * 100)
    assert budget.why == (
        "5 trainings: 3 of an earlier round billed 360 instance-seconds with 3 interruptions, and 2 completed: 180 for each. "
        "A budget of 1,000 billable seconds allows 5."
    )
    assert budget.to_json()["jobs"] == 5


def test_money_buys_billable_time_at_the_on_demand_price() -> None:
    budget = hyperparameter_budget([_result()], money=2, price_per_hour=0.5)
    assert budget.jobs == 4 * 3600 // 100
    assert "2 at 0.5 an hour" in budget.why


@pytest.mark.parametrize(
    ("bounds", "jobs", "said"),
    [
        ({"min_jobs": 20}, 20, "allows 10, which is passed: min_jobs is 20."),
        ({"max_jobs": 3}, 3, "allows 10, and max_jobs is 3."),
        ({"max_jobs": 50}, 10, "allows 10."),
    ],
)
def test_bounds_hold_and_are_said(bounds: dict[str, int], jobs: int, said: str) -> None:
    budget = hyperparameter_budget([_result()], billable_seconds=1000, **bounds)
    assert budget.jobs == jobs
    assert budget.why.endswith(said)


@pytest.mark.parametrize("results", [[], [NEVER_TRAINED], [_result(billable_seconds=0)]])
def test_first_round_has_a_width_of_its_own(results: Any) -> None:
    budget = hyperparameter_budget(results, billable_seconds=1000, first_jobs=7)
    assert (budget.jobs, budget.billable_seconds_per_job) == (7, None)
    assert "no earlier round" in budget.why
    with pytest.raises(InvalidSpotRequest, match="Pass first_jobs="):
        hyperparameter_budget(results, billable_seconds=1000)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "pass one of the two"),
        ({"billable_seconds": 1, "money": 1, "price_per_hour": 1}, "pass one of the two"),
        ({"money": 1}, "pass both"),
        ({"billable_seconds": 1, "price_per_hour": 1}, "pass both"),
        ({"billable_seconds": 0}, "billable_seconds is 0; it takes a number above 0"),
        ({"billable_seconds": float("inf")}, "billable_seconds is inf"),
        ({"billable_seconds": True}, "billable_seconds is True"),
        ({"money": 1, "price_per_hour": "1"}, "price_per_hour is '1'"),
        ({"billable_seconds": 1, "first_jobs": 1.5}, r"first_jobs is 1\.5"),
        ({"billable_seconds": 1, "min_jobs": -1}, "min_jobs is -1"),
        ({"billable_seconds": 1, "min_jobs": 3, "max_jobs": 2}, "min_jobs is 3 and max_jobs 2"),
    ],
)
def test_budget_that_is_none_says_what_it_takes(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidSpotRequest, match=said):
        hyperparameter_budget([_result()], **arguments)
