"""How a tuning job ended, and what is published of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from airflow_spot_provider.training import (
    Outcome,
    Price,
    SpotTrainingResult,
    SpotTuningResult,
    TuningOutcome,
    tuning_progress_of,
)
from airflow_spot_provider.training.exceptions import unaccepted_tuning
from airflow_spot_provider.training.narration import sentence_of_tuning
from airflow_spot_provider.training.result import MAX_RESULT_BYTES
from airflow_spot_provider.training.tuning_member import TuningMember
from airflow_spot_provider.training.tuning_narration import (
    best_sentence,
    table_of_jobs,
    tuning_savings_sentence,
)
from airflow_spot_provider.training.tuning_outcome import limits_reached, tuning_outcome_of
from tests.builders import a_training_job

CREATED = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_tuning_job(status: str = "Completed", *, succeeded: int = 3, **members: Any) -> dict[str, Any]:
    """A DescribeHyperParameterTuningJob answer of three training jobs, with these members over it."""
    described = {
        "HyperParameterTuningJobName": "tune-1",
        "HyperParameterTuningJobArn": "arn:aws:sagemaker:eu-west-1:123456789012:hyper-parameter-tuning-job/tune-1",
        "HyperParameterTuningJobStatus": status,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 1},
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
        },
        "TrainingJobDefinition": {"StaticHyperParameters": {"secret": "hunter2"}},
        "CreationTime": CREATED,
        "TrainingJobStatusCounters": {"Completed": 3, "InProgress": 0, "Stopped": 0},
        "ObjectiveStatusCounters": {"Succeeded": succeeded, "Pending": 0, "Failed": 3 - succeeded},
        "ConsumedResources": {"RuntimeInSeconds": 900},
        "TuningJobCompletionDetails": {"NumberOfTrainingJobsObjectiveNotImproving": 1},
    }
    if succeeded:
        described["BestTrainingJob"] = a_summary("tune-1-002", 0.1)
    return {name: value for name, value in {**described, **members}.items() if value is not None}


def with_config(**members: Any) -> dict[str, Any]:
    config = a_tuning_job()["HyperParameterTuningJobConfig"]
    limits = {**config["ResourceLimits"], **members.pop("ResourceLimits", {})}
    return {"HyperParameterTuningJobConfig": {**config, "ResourceLimits": limits, **members}}


def a_summary(name: str, value: float | None, **members: Any) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "TrainingJobName": name,
        "TrainingJobStatus": "Completed",
        "TunedHyperParameters": {"rate": "0.5"},
        **members,
    }
    if value is not None:
        summary["FinalHyperParameterTuningJobObjectiveMetric"] = {"MetricName": "loss", "Value": value}
    return summary


def a_member(number: int, value: float | None, job: Any = None, **members: Any) -> TuningMember:
    name = f"tune-1-{number:03}"
    described = (job or a_training_job(name).completed().billed(500, 100)).having(TrainingJobName=name)
    return TuningMember(a_summary(name, value, **members), SpotTrainingResult.of(described.described()))


MEMBERS = [a_member(1, 0.5), a_member(2, 0.1), a_member(3, 0.3)]
DONE = [Outcome.COMPLETED] * 3
SHORT = [Outcome.COMPLETED, Outcome.MAX_WAIT_TIME_EXCEEDED, Outcome.COMPLETED]
OUT_OF_TIME = with_config(ResourceLimits={"MaxRuntimeInSeconds": 900})


@pytest.mark.parametrize(
    ("description", "outcomes", "outcome"),
    [
        (a_tuning_job(), DONE, "Completed"),
        (a_tuning_job(), SHORT, "CompletedWithMaxWaitTimeExceeded"),
        (a_tuning_job(), [Outcome.COMPLETED, Outcome.STOPPED, None], "Completed"),
        (a_tuning_job(**OUT_OF_TIME), SHORT, "MaxRuntimeExceeded"),
        (a_tuning_job("Stopped", **OUT_OF_TIME), DONE, "MaxRuntimeExceeded"),
        (a_tuning_job(succeeded=0, **OUT_OF_TIME), DONE, "NoJobSucceeded"),
        (a_tuning_job("Stopped"), DONE, "Stopped"),
        (a_tuning_job("Stopped", succeeded=0), [], "Stopped"),
        (a_tuning_job(succeeded=0), DONE, "NoJobSucceeded"),
        (a_tuning_job("Failed", succeeded=0), [Outcome.FAILED] * 3, "NoJobSucceeded"),
        (a_tuning_job("Failed", succeeded=0, TrainingJobStatusCounters={}), [], "Failed"),
        (a_tuning_job("Failed"), DONE, "Failed"),
        (a_tuning_job("DeleteFailed"), DONE, "Failed"),
        (a_tuning_job("InProgress"), [], None),
        (a_tuning_job("Stopping"), DONE, None),
        ({}, [], None),
    ],
)
def test_each_way_to_end_is_told_apart_and_no_message_is_looked_at(
    description: dict[str, Any], outcomes: list[Outcome | None], outcome: str | None
) -> None:
    reason = {"FailureReason": "MaxWaitTimeExceeded MaxRuntimeExceeded Stopped No training job succeeded"}

    assert tuning_outcome_of({**description, **reason}, outcomes) == outcome


CRITERIA = {
    "TargetObjectiveMetricValue": 0.1,
    "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 1},
    "ConvergenceDetected": {"CompleteOnConvergence": "Enabled"},
}
CONVERGED = {"TuningJobCompletionDetails": {"ConvergenceDetectedTime": CREATED}}


@pytest.mark.parametrize(
    ("members", "limits"),
    [
        ({}, ("MaxNumberOfTrainingJobs",)),
        (OUT_OF_TIME, ("MaxNumberOfTrainingJobs", "MaxRuntimeInSeconds")),
        (with_config(ResourceLimits={"MaxNumberOfTrainingJobs": 9, "MaxRuntimeInSeconds": 901}), ()),
        (with_config(ResourceLimits={"MaxNumberOfTrainingJobs": None}), ()),
        (
            with_config(ResourceLimits={"MaxNumberOfTrainingJobs": 9}, TuningJobCompletionCriteria=CRITERIA),
            ("TargetObjectiveMetricValue", "BestObjectiveNotImproving"),
        ),
        (
            {**with_config(TuningJobCompletionCriteria=CRITERIA), **CONVERGED, "BestTrainingJob": None},
            ("MaxNumberOfTrainingJobs", "ConvergenceDetected"),
        ),
        ({**CONVERGED}, ("MaxNumberOfTrainingJobs",)),
        ({**CONVERGED, "Autotune": {"Mode": "Enabled"}}, ("MaxNumberOfTrainingJobs", "ConvergenceDetected")),
        (
            with_config(
                HyperParameterTuningJobObjective={"Type": "Maximize", "MetricName": "accuracy"},
                TuningJobCompletionCriteria={"TargetObjectiveMetricValue": 0.9},
            ),
            ("MaxNumberOfTrainingJobs",),
        ),
        ({"HyperParameterTuningJobConfig": None}, ()),
    ],
)
def test_limits_and_criteria_that_were_reached_are_named(
    members: dict[str, Any], limits: tuple[str, ...]
) -> None:
    assert limits_reached(a_tuning_job(**members)) == limits


@pytest.mark.parametrize(
    ("members", "reached"),
    [
        ({"HyperParameterTuningEndTime": CREATED + timedelta(seconds=900)}, True),
        ({"HyperParameterTuningEndTime": CREATED + timedelta(seconds=899)}, False),
        ({}, False),
    ],
)
def test_runtime_that_is_not_told_is_the_end_less_the_beginning(
    members: dict[str, Any], reached: bool
) -> None:
    description = a_tuning_job(**OUT_OF_TIME, ConsumedResources=None, **members)

    assert ("MaxRuntimeInSeconds" in limits_reached(description)) is reached


def test_result_of_a_tuning_job() -> None:
    interrupted = a_training_job().interrupted(2).completed().billed(1_000, 500)
    two = interrupted.having(ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2})
    members = [a_member(1, 0.5), a_member(2, 0.1, two), a_member(3, 0.3)]
    parents = [{"HyperParameterTuningJobName": "tune-0"}, {}]
    description = a_tuning_job(
        OverallBestTrainingJob={"TrainingJobName": "tune-0-001"},
        WarmStartConfig={
            "ParentHyperParameterTuningJobs": parents,
            "WarmStartType": "IdenticalDataAndAlgorithm",
        },
    )

    result = SpotTuningResult.of(description, members, earlier=[("tune-x", "Stopped")])

    assert result.to_json() == {
        "job_name": "tune-1",
        "job_arn": description["HyperParameterTuningJobArn"],
        "outcome": "Completed",
        "status": "Completed",
        "limits_reached": ["MaxNumberOfTrainingJobs"],
        "failure_reason": None,
        "objective_type": "Minimize",
        "best": {
            "job_name": "tune-1-002",
            "definition": None,
            "metric": "loss",
            "value": 0.1,
            "hyperparameters": {"rate": "0.5"},
            "hyperparameters_left_out": 0,
            "model_artifacts": None,
        },
        "overall_best_job": "tune-0-001",
        "jobs": 3,
        "statuses": {"Completed": 3, "InProgress": 0, "Stopped": 0},
        "objective_statuses": {"Succeeded": 3, "Pending": 0, "Failed": 0},
        "outcomes": {"Completed": 3},
        "managed_spot": True,
        "on_demand_jobs": 0,
        "savings_percent": (1 - 1_200 / 3_000) * 100,
        "savings_unknown": 0,
        "training_instance_seconds": 3_000.0,
        "billable_instance_seconds": 1_200.0,
        "interruptions": 2,
        "waiting_seconds": 540.0,
        "runtime_seconds": 900,
        "warm_start_parents": ["tune-0"],
        "table": [
            ["tune-1-002", "Completed", 0.1, 500, 50.0, 2],
            ["tune-1-003", "Completed", 0.3, 100, 80.0, 0],
            ["tune-1-001", "Completed", 0.5, 100, 80.0, 0],
        ],
        "jobs_left_out": 0,
        "attempts": [["tune-x", "Stopped"], ["tune-1", "Completed"]],
        "cost": None,
        "on_demand_cost": None,
        "currency": None,
        "price_date": None,
    }
    assert SpotTuningResult.from_json(json.loads(json.dumps(result.to_json()))) == result
    assert result.savings.percent == result.savings_percent
    assert "hunter2" not in json.dumps(result.to_json())


def test_training_jobs_without_a_figure_are_counted_and_never_zero() -> None:
    never = a_training_job().max_wait_exceeded()
    gone = TuningMember(a_summary("tune-1-009", None, TrainingJobStatus="Stopped"), None)
    lost = TuningMember(a_summary("tune-1-008", None, TrainingJobStatus="Failed"), None)

    result = SpotTuningResult.of(a_tuning_job(), [*MEMBERS, a_member(4, None, never), gone, lost])

    assert result.savings_percent == pytest.approx(80)
    assert (result.jobs, result.savings_unknown, result.savings.jobs) == (6, 3, 3)
    assert result.outcomes == {"Completed": 3, "MaxWaitTimeExceeded": 1, "unknown": 1, "Failed": 1}
    assert result.table[3:] == (
        ("tune-1-004", "MaxWaitTimeExceeded", None, None, None, 0),
        ("tune-1-008", "Failed", None, None, None, None),
        ("tune-1-009", None, None, None, None, None),
    )
    assert SpotTuningResult.of(a_tuning_job(), [gone]).savings_percent is None
    assert SpotTuningResult.of(a_tuning_job(), [gone]).managed_spot is False


def test_training_jobs_that_were_not_on_spot_are_counted() -> None:
    on_demand = a_training_job().on_demand().completed().billed(100, 100)

    result = SpotTuningResult.of(a_tuning_job(), [*MEMBERS, a_member(4, 0.4, on_demand)])

    assert (result.managed_spot, result.on_demand_jobs) == (False, 1)


def test_best_comes_first_where_more_is_better_and_definitions_differ() -> None:
    definitions = [
        {"DefinitionName": "a", "TuningObjective": {"Type": "Maximize", "MetricName": "accuracy"}},
        {"DefinitionName": "b", "TuningObjective": {"Type": "Minimize", "MetricName": "loss"}},
    ]
    best = a_summary("tune-1-002", 0.9, TrainingJobDefinitionName="a")
    description = a_tuning_job(
        TrainingJobDefinition=None, TrainingJobDefinitions=definitions, BestTrainingJob=best
    )
    members = [
        a_member(1, 0.7, TrainingJobDefinitionName="a"),
        a_member(2, 0.9, TrainingJobDefinitionName="a"),
        a_member(3, 0.2, TrainingJobDefinitionName="b"),
        a_member(4, float("nan"), TrainingJobDefinitionName="b"),
    ]

    result = SpotTuningResult.of(description, members)

    assert result.objective_type == "Maximize"
    assert result.best is not None
    assert (result.best.definition, result.best.value) == ("a", 0.9)
    assert [row[2] for row in result.table] == [0.9, 0.7, 0.2, None]


def test_best_without_its_metric_has_the_objectives_name() -> None:
    description = a_tuning_job(BestTrainingJob={"TrainingJobName": "elsewhere"})

    best = SpotTuningResult.of(description, MEMBERS).best

    assert best is not None
    assert (best.metric, best.value, best.hyperparameters, best.model_artifacts) == ("loss", None, {}, None)


def test_model_of_the_best_is_told() -> None:
    uri = "s3://bucket/output/model.tar.gz"
    job = a_training_job().completed().having(ModelArtifacts={"S3ModelArtifacts": uri})

    best = SpotTuningResult.of(a_tuning_job(), [a_member(2, 0.1, job)]).best

    assert best is not None
    assert best.model_artifacts == uri


def test_result_of_hundreds_of_training_jobs_stays_small_and_says_what_it_leaves_out() -> None:
    members = [a_member(number, number / 1000) for number in range(750)]
    tuned = {f"parameter-{number}": "\x01é" * 20 for number in range(30)}
    description = a_tuning_job(
        FailureReason="\x01" * 2_000,
        BestTrainingJob=a_summary("tune-1-000", 0.0, TunedHyperParameters=tuned),
    )

    result = SpotTuningResult.of(description, members, earlier=[(f"t-{n}", "Stopped") for n in range(9)])

    assert len(json.dumps(result.to_json())) <= MAX_RESULT_BYTES
    assert result.jobs == 750
    assert len(result.table) > 10
    assert result.jobs_left_out == 750 - len(result.table)
    assert [row[0] for row in result.table[:2]] == ["tune-1-000", "tune-1-001"]
    assert result.best is not None
    assert 0 < result.best.hyperparameters_left_out < 30
    assert len(result.attempts) == 5


def test_job_that_has_not_ended_has_no_result() -> None:
    with pytest.raises(ValueError, match="tune-1 is InProgress: a tuning job has a result once it has ended"):
        SpotTuningResult.of(a_tuning_job("InProgress"), [])


@pytest.mark.parametrize(
    "other", [None, "text", {}, {"job_name": "j", "job_arn": "a", "outcome": "Completed"}], ids=repr
)
def test_something_else_is_no_tuning_result(other: object) -> None:
    with pytest.raises(ValidationError):
        SpotTuningResult.from_json(other)


def test_progress_is_the_counters_and_the_best_so_far() -> None:
    progress = tuning_progress_of(a_tuning_job("InProgress"))
    told = {
        name: progress[name]
        for name in ("kind", "job_name", "status", "phase", "statuses", "objective_statuses")
    }
    assert told == {
        "kind": "tuning",
        "job_name": "tune-1",
        "status": "InProgress",
        "phase": "training",
        "statuses": {"Completed": 3, "InProgress": 0, "Stopped": 0},
        "objective_statuses": {"Succeeded": 3, "Pending": 0, "Failed": 0},
    }
    assert progress["best"] == {"job_name": "tune-1-002", "metric": "loss", "value": 0.1}

    begun = tuning_progress_of({"HyperParameterTuningJobName": "tune-1"})
    assert (begun["status"], begun["phase"], begun["statuses"], begun["best"]) == ("", "starting", {}, None)


def test_ended_progress_has_the_figures_and_the_cost_of_all_training_jobs() -> None:
    members = [
        TuningMember(each.summary, each.result and each.result.priced(Price(3.6, "USD", "2026-11-21")))
        for each in MEMBERS
    ]
    result = SpotTuningResult.of(a_tuning_job(), members)
    progress = tuning_progress_of(a_tuning_job(), result=result)

    assert tuning_savings_sentence(result).endswith(
        f" It cost {result.cost:,.2f} USD instead of {result.on_demand_cost:,.2f} USD on demand (prices of 2026-11-21)."
    )
    assert (progress["outcome"], progress["phase"]) == (str(result.outcome), "ended")
    assert (progress["jobs"], progress["unknown"]) == (result.savings.jobs, result.savings.unknown)
    assert result.known_cost is not None
    assert progress["cost"] == result.cost == pytest.approx(result.billable_instance_seconds / 1000)
    assert progress["price_date"] == "2026-11-21"


def test_cost_is_not_known_unless_it_is_known_of_all_training_jobs_with_a_figure() -> None:
    price = Price(3.6, "USD", "2026-11-21")
    some = [
        TuningMember(each.summary, each.result and each.result.priced(price if place else None))
        for place, each in enumerate(MEMBERS)
    ]
    assert SpotTuningResult.of(a_tuning_job(), some).known_cost is None
    never = a_member(5, None, a_training_job().max_wait_exceeded())
    others = [each for each in some if each.result is not None and each.result.cost is not None]
    assert SpotTuningResult.of(a_tuning_job(), [*others, never]).known_cost is not None


@pytest.mark.parametrize(
    ("definitions", "told"),
    [
        (
            {
                "TrainingJobDefinition": {
                    "EnableManagedSpotTraining": True,
                    "ResourceConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 2},
                }
            },
            (True, "ml.g5.xlarge", 2),
        ),
        (
            {
                "TrainingJobDefinitions": [
                    {
                        "EnableManagedSpotTraining": False,
                        "HyperParameterTuningResourceConfig": {
                            "InstanceType": "ml.g5.xlarge",
                            "InstanceCount": 1,
                        },
                    },
                    {
                        "EnableManagedSpotTraining": True,
                        "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 3},
                    },
                ]
            },
            (False, None, 1),
        ),
        ({"TrainingJobDefinition": {"RoleArn": "r"}}, (False, None, 1)),
        ({}, (True, None, 1)),
    ],
)
def test_progress_tells_what_the_training_jobs_run_on(
    definitions: dict[str, Any], told: tuple[Any, ...]
) -> None:
    progress = tuning_progress_of({"HyperParameterTuningJobName": "tune-1", **definitions})
    assert (progress["managed_spot"], progress["instance_type"], progress["instance_count"]) == told


def test_tuning_job_that_ended_without_a_training_job_was_on_spot_if_it_was_defined_so() -> None:
    described = a_tuning_job() | {"TrainingJobDefinition": {"EnableManagedSpotTraining": True}}
    progress = tuning_progress_of(described, result=SpotTuningResult.of(described, []))
    assert (progress["managed_spot"], progress["phase"], progress["cost"]) == (True, "ended", None)


def test_table_and_sentences_for_a_person() -> None:
    never = a_training_job().max_wait_exceeded()
    gone = TuningMember(a_summary("tune-1-009", None, TrainingJobStatus="Stopped"), None)
    result = SpotTuningResult.of(a_tuning_job(), [MEMBERS[1], a_member(4, None, never), gone])

    assert table_of_jobs(result).splitlines() == [
        "Training job  Outcome              Objective  Billed  Savings  Interruptions",
        "tune-1-002    Completed            0.1        1m40s   80.0%    0",
        "tune-1-004    MaxWaitTimeExceeded  -          ?       ?        0",
        "tune-1-009    ?                    -          ?       ?        ?",
    ]
    assert tuning_savings_sentence(result) == (
        "Saved 80.0% over 3 training jobs (2 without a figure): 100 instance-seconds billed of 500 trained. "
        "0 interruptions, 2m00s without an instance. What it cost is not known: there is no price."
    )
    assert best_sentence(result) == "Best: tune-1-002, loss 0.1 (Minimize)."
    assert "without a figure" not in tuning_savings_sentence(SpotTuningResult.of(a_tuning_job(), MEMBERS))


def test_progress_in_a_sentence() -> None:
    assert sentence_of_tuning(a_tuning_job("InProgress")) == (
        "InProgress; training jobs: 3 Completed; best: loss 0.1"
    )
    begun = sentence_of_tuning({"HyperParameterTuningJobStatus": "InProgress"})
    assert begun == "InProgress; training jobs: none yet"


def test_sentences_where_nothing_was_found() -> None:
    failed = a_tuning_job("Failed", succeeded=0)
    nothing = SpotTuningResult.of(failed, [a_member(1, None, a_training_job().max_wait_exceeded())])
    not_a_number = SpotTuningResult.of(
        a_tuning_job(BestTrainingJob=a_summary("tune-1-002", float("nan"))), []
    )
    many = nothing.model_copy(update={"jobs_left_out": 7})

    assert best_sentence(nothing) == "No training job came to a value of the objective metric."
    assert best_sentence(not_a_number) == "Best: tune-1-002, loss no finite number (Minimize)."
    assert tuning_savings_sentence(nothing).startswith("Savings are not known: none of 1 training jobs")
    assert table_of_jobs(many).endswith("... and 7 more, which the tuning job's page in the console lists.")


@pytest.mark.parametrize("outcome", [each for each in TuningOutcome if each != "Completed"])
def test_each_outcome_has_an_exception_of_its_own(outcome: TuningOutcome) -> None:
    result = SpotTuningResult(
        job_name="tune-1", job_arn="arn", outcome=outcome, status="x", failure_reason="why"
    )

    error = unaccepted_tuning(result)

    assert error.result == result
    assert str(error).startswith(f"Tuning job tune-1 ended as {outcome} (why). ")


@given(
    st.lists(st.none() | st.floats(), max_size=60),
    st.dictionaries(st.text(max_size=40), st.text(max_size=300), max_size=30),
    st.text(max_size=1_500),
    st.sampled_from(["Completed", "Failed", "Stopped"]),
)
def test_any_result_is_small_plain_json_that_reads_back(
    values: list[float | None], tuned: dict[str, str], reason: str, status: str
) -> None:
    best = a_summary("tune-1-000", values[0] if values else None, TunedHyperParameters=tuned)
    description = a_tuning_job(status, FailureReason=reason, BestTrainingJob=best)

    result = SpotTuningResult.of(description, [a_member(number, each) for number, each in enumerate(values)])

    written = json.dumps(result.to_json(), allow_nan=False)
    assert len(written) <= MAX_RESULT_BYTES
    assert SpotTuningResult.from_json(json.loads(written)) == result
