"""What a task publishes from its submit to its end, and the money in it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from airflow_spot_provider.training import (
    Cost,
    Phase,
    Price,
    Savings,
    SecondaryStatus,
    SpotProgress,
    SpotTrainingResult,
    phase_of,
    progress_of,
)
from airflow_spot_provider.training.progress import AT_RISK_SHARE, Checkpoints, Facts
from airflow_spot_provider.training.result import MAX_RESULT_BYTES, iso
from tests.builders import CREATED, MAX_WAIT_SECONDS, a_training_job

PRICE = Price(0.36, "USD", "2026-11-21")


def test_submit_publishes_what_the_request_tells() -> None:
    request = {
        "TrainingJobName": "j",
        "EnableManagedSpotTraining": True,
        "ResourceConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 2},
        "StoppingCondition": {"MaxWaitTimeInSeconds": 7200},
        "CheckpointConfig": {"S3Uri": "s3://b/c"},
        "Environment": {"SECRET": "hunter2"},
        "HyperParameters": {"token": "hunter2"},
    }
    told = progress_of(request, facts=Facts(aws_conn_id="aws", region="eu-west-1", next_rung="g.demand"))

    assert "hunter2" not in json.dumps(told)
    progress = SpotProgress.from_json(told)
    assert (progress.phase, progress.outcome, progress.created) == (Phase.WAITING, None, None)
    assert (progress.instance_type, progress.instance_count) == ("ml.g5.xlarge", 2)
    assert (progress.aws_conn_id, progress.region, progress.next_rung) == ("aws", "eu-west-1", "g.demand")


def test_running_job_tells_since_when_and_until_when() -> None:
    described = a_training_job().goes_through("Starting", "Downloading", "Training").described()
    progress = SpotProgress.from_json(progress_of(described, metrics={"loss": 0.5}))

    assert progress.phase is Phase.TRAINING
    assert progress.since == iso(CREATED + timedelta(seconds=90))
    assert progress.max_wait_ends == iso(CREATED + timedelta(seconds=MAX_WAIT_SECONDS))
    assert progress.at_risk_from == iso(CREATED + timedelta(seconds=MAX_WAIT_SECONDS * AT_RISK_SHARE))
    assert progress.region == "eu-west-1"  # of the ARN
    assert progress.metrics == {"loss": 0.5}
    assert progress.savings == Savings()
    assert progress.known_cost is None


def test_ended_job_tells_its_figures() -> None:
    job = a_training_job().billed(500, 100).interrupted().completed()
    result = SpotTrainingResult.of(job.described()).priced(PRICE)
    progress = SpotProgress.from_json(progress_of(job.described(), result=result))

    assert (progress.outcome, progress.phase, progress.interruptions) == ("Completed", Phase.ENDED, 1)
    assert progress.savings == Savings(500, 100, jobs=1)
    assert progress.savings_percent == 80.0
    assert progress.known_cost == Cost(0.01, 0.05, "USD", "2026-11-21")


def test_job_that_never_trained_has_no_figure_and_counts_as_unknown() -> None:
    job = a_training_job().max_wait_exceeded().described()
    progress = SpotProgress.from_json(progress_of(job, result=SpotTrainingResult.of(job).priced(PRICE)))

    assert (progress.savings_percent, progress.cost, progress.jobs, progress.unknown) == (None, None, 0, 1)


EARLIER = Facts(earlier=(1000, 300, 2, 1), earlier_cost=(0.03, 0.1, "USD", "2026-11-01"))


def test_figures_are_over_all_jobs_that_the_task_had() -> None:
    job = a_training_job().billed(500, 100).completed()
    result = SpotTrainingResult.of(job.described()).priced(PRICE)

    ended = SpotProgress.from_json(progress_of(job.described(), facts=EARLIER, result=result))
    assert ended.savings == Savings(1500, 400, jobs=3, unknown=1)
    assert ended.known_cost == Cost(0.04, 0.15, "USD", "2026-11-01")

    running = a_training_job().goes_through("Starting").described()
    meanwhile = SpotProgress.from_json(progress_of(running, facts=EARLIER))
    assert (meanwhile.savings, meanwhile.outcome) == (Savings(1000, 300, 2, 1), None)
    assert meanwhile.known_cost == Cost(0.03, 0.1, "USD", "2026-11-01")


@pytest.mark.parametrize(
    ("facts", "price"),
    [
        (EARLIER, None),  # of this job no price is known
        (Facts(earlier=(1000, 300, 2, 1)), PRICE),  # of those before it none
        (EARLIER, Price(1, "CNY", "2026-11-21")),  # two currencies have no sum
    ],
)
def test_cost_of_several_jobs_is_known_only_if_it_is_known_of_all(facts: Facts, price: Price | None) -> None:
    job = a_training_job().billed(500, 100).completed().described()
    progress = progress_of(job, facts=facts, result=SpotTrainingResult.of(job).priced(price))
    assert progress["cost"] is None
    assert progress["savings_percent"] is not None


def test_first_jobs_of_a_slot_without_figures_leave_the_cost_of_the_next_known() -> None:
    job = a_training_job().billed(500, 100).completed().described()
    result = SpotTrainingResult.of(job).priced(PRICE)
    progress = progress_of(job, facts=Facts(earlier=(0, 0, 0, 1)), result=result)
    assert progress["cost"] == 0.01


def test_progress_stays_small_however_long_the_timeline() -> None:
    described = a_training_job("j" * 63).interrupted(60).described()
    seen = Checkpoints(
        looked=iso(CREATED) or "", newest=iso(CREATED), newest_bytes=10**12, objects=10**6, stale=True
    )
    told = progress_of(described, checkpoints=seen, facts=Facts(note="n" * 300, aws_conn_id="a" * 200))

    assert len(json.dumps(told)) < MAX_RESULT_BYTES
    assert told["timeline_left_out"] > 0
    assert told["interruptions"] == 60


@pytest.mark.parametrize("letter", ["a", "\u20ac", "\x7f"])
def test_progress_stays_small_whatever_is_long_in_it(letter: str) -> None:
    uri = f"s3://{'b' * 63}/{letter * (1024 // len(letter.encode()))}"
    job = (
        a_training_job("j" * 63)
        .interrupted(60)
        .having(
            CheckpointConfig={"S3Uri": uri},
            ModelArtifacts={"S3ModelArtifacts": uri},
            FinalMetricDataList=[{"MetricName": f"{letter * 200}{n}", "Value": 1 / 3} for n in range(40)],
        )
        .billed(123_456_789, 98_765_432)
        .failed(letter * 4000)
        .described()
    )
    facts = Facts(
        note=letter * 9_000, aws_conn_id="c" * 250, next_rung="t" * 250, earlier=(1e9, 1e9, 10**6, 10**6)
    )
    result = SpotTrainingResult.of(job).priced(Price(123.456789, "USD", "2026-11-21"))
    told = progress_of(job, facts=facts, result=result, metrics={letter * 300: 0.1})

    assert len(json.dumps(told)) <= MAX_RESULT_BYTES
    assert len(json.dumps(result.to_json())) <= MAX_RESULT_BYTES
    assert len(told["timeline"]) + told["timeline_left_out"] == 244
    assert SpotProgress.from_json(told).failure_reason


def test_metric_that_is_no_number_is_left_out() -> None:
    described = a_training_job().goes_through("Training").described()
    metrics = {"loss": float("nan"), "gain": float("inf"), "auc": 0.5, **{f"m{n}": 0.0 for n in range(20)}}
    told = progress_of(described, metrics=metrics)
    assert told["metrics"] == {"auc": 0.5, **{f"m{n}": 0.0 for n in range(9)}}


def test_progress_of_an_older_version_is_read() -> None:
    old = {"job_name": "j", "status": "Training", "interruptions": 1, "timeline": [], "timeline_left_out": 0}
    assert SpotProgress.from_json(old).phase is Phase.OTHER


@pytest.mark.parametrize("other", [None, "text", 3, [], {"interruptions": "many"}, {"timeline": [["a"]]}])
def test_what_is_no_progress_is_refused_without_being_repeated(other: Any) -> None:
    with pytest.raises(ValidationError) as error:
        SpotProgress.from_json(other)
    assert "many" not in str(error.value)


@pytest.mark.parametrize("max_wait", [True, "7200", None, 10**18, float("nan")])
def test_description_without_a_readable_max_wait_tells_none(max_wait: Any) -> None:
    described = a_training_job().having(StoppingCondition={"MaxWaitTimeInSeconds": max_wait}).described()
    assert progress_of(described)["max_wait_ends"] is None


def test_progress_is_read_back_equal() -> None:
    job = a_training_job().with_checkpoints().billed(500, 100).interrupted().completed().described()
    told = progress_of(job, result=SpotTrainingResult.of(job).priced(PRICE), facts=EARLIER)
    assert SpotProgress.from_json(json.loads(json.dumps(told))).to_json() == told


def test_every_documented_status_has_a_phase() -> None:
    assert [status for status in SecondaryStatus if phase_of(status) is Phase.OTHER] == []
    assert phase_of("Hibernating") is Phase.OTHER


@pytest.mark.parametrize("status", ["Starting", "LaunchingMLInstances"])
def test_job_on_demand_does_not_wait_for_spot_capacity(status: str) -> None:
    assert phase_of(status) is Phase.WAITING
    assert phase_of(status, managed_spot=False) is Phase.STARTING


@pytest.mark.parametrize("managed_spot", [True, False])
def test_pending_is_a_wait_for_capacity_on_spot_and_on_demand(*, managed_spot: bool) -> None:
    job = a_training_job() if managed_spot else a_training_job().on_demand()
    described = job.goes_through("Pending", seconds=600).goes_through("Training").described()
    pending = {**described, "SecondaryStatus": "Pending"}

    assert progress_of(pending)["phase"] == Phase.WAITING
    assert progress_of(described)["waiting_seconds"] == 600


ENDS = {"Completed", "Failed", "Stopped", "MaxRuntimeExceeded", "MaxWaitTimeExceeded"}


@pytest.mark.parametrize("status", [*map(str, SecondaryStatus), "Hibernating", None])
def test_job_that_is_being_stopped_is_shown_so_whatever_its_secondary_status(status: str | None) -> None:
    described = {"TrainingJobName": "j", "TrainingJobStatus": "Stopping", "SecondaryStatus": status}

    progress = SpotProgress.from_json(progress_of(described))

    assert progress.phase is (Phase.ENDED if status in ENDS else Phase.STOPPING)
    assert progress.status == (status or "")


@pytest.mark.parametrize(
    ("members", "phase"),
    [
        ({"EnableManagedSpotTraining": True}, Phase.WAITING),  # the request: there is no job yet
        ({"TrainingJobStatus": "InProgress", "EnableManagedSpotTraining": True}, Phase.OTHER),
        ({"TrainingJobStatus": "InProgress", "SecondaryStatusTransitions": [{"Status": "Training"}]}, Phase.TRAINING),
        ({"TrainingJobStatus": "Stopping"}, Phase.STOPPING),
        ({"TrainingJobStatus": "Stopped"}, Phase.ENDED),
        ({"TrainingJobStatus": "Completed"}, Phase.ENDED),
        ({"TrainingJobStatus": "Deleting"}, Phase.OTHER),
    ],
)  # fmt: skip
def test_answer_without_secondary_status_is_shown_as_little_as_it_tells(
    members: dict[str, Any], phase: Phase
) -> None:
    progress = SpotProgress.from_json(progress_of({"TrainingJobName": "j", **members}))

    assert progress.phase is phase
    assert progress.outcome is None


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6), st.sampled_from(["USD", "CNY"])), max_size=8),
)
def test_sums_of_money_never_mix_currencies(parts: list[tuple[float, float, str]]) -> None:
    costs = [Cost(amount, demand, currency, "2026-01-01") for amount, demand, currency in parts]
    totals = Cost.total(costs)
    assert set(totals) == {cost.currency for cost in costs}
    for currency, total in totals.items():
        own = [cost.amount for cost in costs if cost.currency == currency]
        assert total.amount == pytest.approx(sum(own), abs=1e-4)


def test_what_a_job_on_demand_cost_is_what_it_costs_on_demand() -> None:
    described = a_training_job().on_demand().billed(500, 490).completed().described()
    result = SpotTrainingResult.of(described).priced(PRICE)
    assert result.known_cost == Cost(0.049, 0.049, "USD", "2026-11-21")


def test_job_without_a_price_costs_nobody_knows_what() -> None:
    result = SpotTrainingResult.of(a_training_job().billed(500, 100).completed().described())
    assert result.priced(PRICE).priced(None) == result
    assert result.known_cost is None


@pytest.mark.parametrize(
    "status", ["Completed", "InProgress", "Failed", "Stopped", "Stopping", "Deleting", "DeleteFailed"]
)
def test_every_status_of_a_tuning_job_has_a_phase(status: str) -> None:
    assert phase_of(status) is not Phase.OTHER


def test_cost_needs_a_price_and_a_figure() -> None:
    assert Cost.of(Savings(500, 100, jobs=1), None) is None
    assert Cost.of(Savings(unknown=1), PRICE) is None
    assert Cost.read(1.0, None, "USD", "2026-01-01") is None
