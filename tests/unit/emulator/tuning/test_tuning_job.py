"""Whole tuning jobs over simulated training on a stepped clock."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from moto.core.exceptions import ServiceException

from airflow_spot_provider.emulator.tuning.keeping import tuning_job_from_json, tuning_job_to_json

METRIC = "validation:error"
ACCOUNT, REGION = "123456789012", "eu-central-1"
Tune = Callable[..., str]
Pass = Callable[[float], None]


def _refusal(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(ServiceException) as caught:
        call()
    return str(caught.value.code), str(caught.value.message)


def _valid(operation: str, answer: dict[str, Any]) -> None:
    """An answer fits the service model's output shape."""
    model = botocore.session.get_session().get_service_model("sagemaker")
    shape = model.operation_model(operation).output_shape
    report = ParamValidator().validate(
        {name: value for name, value in answer.items() if value is not None}, shape
    )
    assert not report.has_errors(), report.generate_report()


def test_a_tuning_job_runs_its_training_jobs_a_few_at_a_time_and_finds_the_best(
    bench: Any, tune: Tune, pass_time: Pass
) -> None:
    arn = tune(jobs=6, parallel=2)
    assert arn == f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:hyper-parameter-tuning-job/tune"
    most = 0
    while bench.described()["HyperParameterTuningJobStatus"] == "InProgress":
        pass_time(20)
        most = max(most, bench.described()["TrainingJobStatusCounters"]["InProgress"])
    assert most == 2
    _valid("DescribeHyperParameterTuningJob", bench.described())
    description, members = bench.described(), bench.training_jobs()
    assert description["HyperParameterTuningJobStatus"] == "Completed"
    assert description["TrainingJobStatusCounters"] == {
        "Completed": 6,
        "InProgress": 0,
        "RetryableError": 0,
        "NonRetryableError": 0,
        "Stopped": 0,
    }
    assert description["ObjectiveStatusCounters"] == {"Succeeded": 6, "Pending": 0, "Failed": 0}
    best = min(members, key=lambda member: member["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])
    assert description["BestTrainingJob"] == best
    assert best["ObjectiveStatus"] == "Succeeded"
    ran = description["HyperParameterTuningEndTime"] - description["CreationTime"]
    assert description["ConsumedResources"] == {"RuntimeInSeconds": round(ran.total_seconds())}
    assert "OverallBestTrainingJob" not in description
    assert bench.told == [("tune", "InProgress"), ("tune", "Completed")]


def test_its_training_jobs_are_training_jobs(bench: Any, tune: Tune, pass_time: Pass) -> None:
    arn = tune(
        jobs=2,
        members={
            "Tags": [
                {"Key": "emulator:training-seconds", "Value": "30"},
                {"Key": "emulator:lifecycle", "Value": "interrupted-once"},
                {"Key": "team", "Value": "a"},
            ]
        },
        training={"RetryStrategy": {"MaximumRetryAttempts": 2}, "Environment": {"A": "1"}},
    )
    pass_time(1000)
    summary = bench.training_jobs()[0]
    name = summary["TrainingJobName"]
    assert name.startswith("tune-001-")
    assert len(name) == len("tune-001-") + 8
    description = bench.training_job(name).describe()
    assert description["TuningJobArn"] == arn
    assert description["HyperParameters"] == {
        "_tuning_objective_metric": METRIC,
        "layers": "3",
        **summary["TunedHyperParameters"],
    }
    assert description["CheckpointConfig"] == {"S3Uri": f"s3://bucket/checkpoints/{name}"}
    assert description["EnableManagedSpotTraining"] is True
    assert description["RetryStrategy"] == {"MaximumRetryAttempts": 2}
    assert description["Environment"] == {"A": "1"}
    assert "Interrupted" in [entry["Status"] for entry in description["SecondaryStatusTransitions"]]
    assert {"Key": "team", "Value": "a"} in bench.training_job(name).tags
    static = bench.described()["TrainingJobDefinition"]["StaticHyperParameters"]
    assert static == {"_tuning_objective_metric": METRIC, "layers": "3"}


@pytest.mark.parametrize("strategy", ["Random", "Bayesian", "Hyperband"])
def test_the_same_seed_gives_the_same_to_the_byte(
    bench: Any, tune: Tune, pass_time: Pass, strategy: str
) -> None:
    extra = {
        "Hyperband": {"StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 4}}}
    }

    def _run(name: str, seed: int) -> list[Any]:
        tune(name, jobs=14, parallel=3, Strategy=strategy, RandomSeed=seed, **extra.get(strategy, {}))
        pass_time(3000)
        return [
            (member["TunedHyperParameters"], member["TrainingJobStatus"], member["ObjectiveStatus"])
            for member in bench.training_jobs(name)
        ]

    first = _run("first", 1)
    assert json.dumps(first) == json.dumps(_run("again", 1))
    assert first != _run("other", 2)


def test_a_bayesian_tuning_job_gathers_around_the_best(bench: Any, tune: Tune, pass_time: Pass) -> None:
    tune(jobs=30, parallel=2, Strategy="Bayesian")
    pass_time(3000)
    found = [float(member["TunedHyperParameters"]["x"]) for member in bench.training_jobs()]
    assert sum(abs(x - 0.3) < 0.1 for x in found[15:]) > 2 * sum(abs(x - 0.3) < 0.1 for x in found[:10])


def test_a_grid_gives_the_number_of_training_jobs(bench: Any, tune: Tune, pass_time: Pass) -> None:
    ranges = {
        "CategoricalParameterRanges": [
            {"Name": "x", "Values": ["0.1", "0.3"]},
            {"Name": "c", "Values": ["a", "b", "c"]},
        ]
    }
    limits = {"MaxParallelTrainingJobs": 4}
    tune(Strategy="Grid", ParameterRanges=ranges, ResourceLimits=limits)
    pass_time(1000)
    assert bench.described()["HyperParameterTuningJobStatus"] == "Completed"
    combinations = [tuple(member["TunedHyperParameters"].values()) for member in bench.training_jobs()]
    assert sorted(combinations) == sorted((x, c) for x in ("0.1", "0.3") for c in "abc")


def test_hyperband_stops_those_that_fall_behind(bench: Any, tune: Tune, pass_time: Pass) -> None:
    tune(
        jobs=30,
        parallel=10,
        seconds=400,
        Strategy="Hyperband",
        StrategyConfig={"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 4}},
    )
    pass_time(4000)
    members = bench.training_jobs()
    losses: dict[str, list[float]] = {"Completed": [], "Stopped": []}
    for member in members:
        losses[member["TrainingJobStatus"]].append(abs(float(member["TunedHyperParameters"]["x"]) - 0.3))
    assert len(losses["Stopped"]) > 5
    assert sum(losses["Completed"]) / len(losses["Completed"]) < sum(losses["Stopped"]) / len(
        losses["Stopped"]
    )
    assert bench.described()["BestTrainingJob"]["TrainingJobStatus"] == "Completed"


def test_early_stopping_ends_training_jobs_that_are_worse_than_the_median(
    bench: Any, tune: Tune, pass_time: Pass
) -> None:
    tune(jobs=12, parallel=2, seconds=400, TrainingJobEarlyStoppingType="Auto")
    pass_time(8000)
    counters = bench.described()["TrainingJobStatusCounters"]
    assert counters["Stopped"] > 0
    assert counters["Completed"] > 3
    assert bench.described()["HyperParameterTuningJobStatus"] == "Completed"


@pytest.mark.parametrize(
    ("config", "fewest"),
    [
        ({"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": 0.5}}, 1),
        (
            {
                "TuningJobCompletionCriteria": {
                    "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}
                }
            },
            4,
        ),
        ({"TuningJobCompletionCriteria": {"ConvergenceDetected": {"CompleteOnConvergence": "Enabled"}}}, 11),
    ],
)
def test_a_tuning_job_is_complete_when_a_criterion_is_met(
    bench: Any, tune: Tune, pass_time: Pass, config: dict[str, Any], fewest: int
) -> None:
    tune(jobs=60, parallel=1, **config)
    pass_time(8000)
    description = bench.described()
    assert description["HyperParameterTuningJobStatus"] == "Completed"
    assert fewest <= len(bench.training_jobs()) < 60
    details = description["TuningJobCompletionDetails"]
    assert ("ConvergenceDetectedTime" in details) == (fewest == 11)


def test_a_tuning_job_whose_time_is_over_stops_its_training_jobs(
    bench: Any, tune: Tune, pass_time: Pass
) -> None:
    limits = {"MaxNumberOfTrainingJobs": 50, "MaxParallelTrainingJobs": 2, "MaxRuntimeInSeconds": 300}
    tune(ResourceLimits=limits)
    pass_time(400)
    description = bench.described()
    assert description["HyperParameterTuningJobStatus"] == "Completed"
    assert description["TrainingJobStatusCounters"]["Stopped"] == 2
    assert 300 <= description["ConsumedResources"]["RuntimeInSeconds"] < 400


def test_a_tuning_job_that_is_stopped_stops_its_training_jobs_first(
    bench: Any, tune: Tune, pass_time: Pass
) -> None:
    tune(jobs=50, parallel=3, seconds=600)
    pass_time(100)
    bench("StopHyperParameterTuningJob", HyperParameterTuningJobName="tune")
    assert bench.described()["HyperParameterTuningJobStatus"] == "Stopping"
    code, message = _refusal(lambda: bench("StopHyperParameterTuningJob", HyperParameterTuningJobName="tune"))
    assert code == "ValidationException"
    assert "Stopping" in message
    pass_time(300)
    assert bench.described()["HyperParameterTuningJobStatus"] == "Stopped"
    assert bench.described()["TrainingJobStatusCounters"]["Stopped"] == 3
    assert [status for _, status in bench.told] == ["InProgress", "Stopping", "Stopped"]


@pytest.mark.parametrize(
    ("jobs", "launched", "says"), [(20, 6, "after 5 attempts"), (2, 2, "All training jobs failed")]
)
def test_a_tuning_job_fails_when_its_first_training_jobs_fail(
    bench: Any, tune: Tune, pass_time: Pass, jobs: int, launched: int, says: str
) -> None:
    tune(jobs=jobs, parallel=2, members={"Tags": [{"Key": "emulator:lifecycle", "Value": "failed"}]})
    pass_time(3000)
    description = bench.described()
    assert description["HyperParameterTuningJobStatus"] == "Failed"
    assert says in description["FailureReason"]
    assert len(bench.training_jobs()) == launched
    assert description["TrainingJobStatusCounters"]["RetryableError"] >= min(jobs, 5)
    assert "BestTrainingJob" not in description


def test_a_tuning_job_fails_when_nothing_states_the_objective(
    bench: Any, tune: Tune, pass_time: Pass
) -> None:
    bench.figures = lambda _: {}
    tune(jobs=20, parallel=1)
    pass_time(3000)
    description = bench.described()
    assert description["HyperParameterTuningJobStatus"] == "Failed"
    assert description["FailureReason"].startswith(
        "No objective metrics found after running 5 training jobs."
    )
    assert description["ObjectiveStatusCounters"]["Failed"] == 5


def test_an_unhandled_input_fails_its_training_job_as_no_retry_helps(
    bench: Any, tune: Tune, pass_time: Pass
) -> None:
    channel = {
        "ChannelName": "training",
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/nothing"}},
    }
    tune(jobs=1, parallel=1, training={"InputDataConfig": [channel]})
    pass_time(3000)
    assert bench.described()["TrainingJobStatusCounters"]["NonRetryableError"] == 1
    assert "FailureReason" in bench.training_jobs()[0]


def test_several_definitions_share_the_training_jobs_and_have_objectives_of_their_own(
    bench: Any, definition: Callable[..., dict[str, Any]], pass_time: Pass
) -> None:
    def _named(name: str, objective: dict[str, str]) -> dict[str, Any]:
        ranges = {"ContinuousParameterRanges": [{"Name": "x", "MinValue": "0", "MaxValue": "1"}]}
        metrics = [{"Name": objective["MetricName"], "Regex": "=(.*)"}]
        return definition(
            DefinitionName=name,
            TuningObjective=objective,
            HyperParameterRanges=ranges,
            AlgorithmSpecification={
                "TrainingImage": f"local/{name}:1",
                "TrainingInputMode": "File",
                "MetricDefinitions": metrics,
            },
        )

    bench.figures = lambda values: {values["_tuning_objective_metric"]: float(values["x"])}
    config = {
        "Strategy": "Bayesian",
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 9, "MaxParallelTrainingJobs": 4},
    }
    definitions = [
        _named("trees", {"Type": "Minimize", "MetricName": "rmse"}),
        _named("nets", {"Type": "Minimize", "MetricName": "mse"}),
        _named("lines", {"Type": "Minimize", "MetricName": "mae"}),
    ]
    bench(
        "CreateHyperParameterTuningJob",
        HyperParameterTuningJobName="tune",
        HyperParameterTuningJobConfig=config,
        TrainingJobDefinitions=definitions,
    )
    pass_time(3000)
    members = bench.training_jobs()
    assert Counter(member["TrainingJobDefinitionName"] for member in members) == {
        "trees": 3,
        "nets": 3,
        "lines": 3,
    }
    metrics = {
        member["TrainingJobDefinitionName"]: member["FinalHyperParameterTuningJobObjectiveMetric"][
            "MetricName"
        ]
        for member in members
    }
    assert metrics == {"trees": "rmse", "nets": "mse", "lines": "mae"}
    assert len({member["TunedHyperParameters"]["x"] for member in members}) == 9
    described = bench.described()
    assert [each["DefinitionName"] for each in described["TrainingJobDefinitions"]] == [
        "trees",
        "nets",
        "lines",
    ]
    assert "TrainingJobDefinition" not in described


def test_training_jobs_wait_for_room_under_a_quota(bench: Any, tune: Tune, pass_time: Pass) -> None:
    bench.quotas.set("ml.m5.large for spot training job usage", 1)
    tune("one", jobs=3, parallel=3)
    tune("two", jobs=3, parallel=3)
    running = []
    for _ in range(200):
        pass_time(5)
        running.append(
            sum(bench.described(name)["TrainingJobStatusCounters"]["InProgress"] for name in ("one", "two"))
        )
    assert max(running) == 1
    for name in ("one", "two"):
        assert bench.described(name)["TrainingJobStatusCounters"]["Completed"] == 3


def test_a_quota_that_is_raised_is_noticed(bench: Any, tune: Tune, pass_time: Pass) -> None:
    bench.quotas.set("ml.m5.large for spot training job usage", 0)
    tune(jobs=1, parallel=1)
    pass_time(500)
    assert bench.training_jobs() == []
    bench.quotas.set("ml.m5.large for spot training job usage", 1)
    pass_time(300)
    assert bench.described()["HyperParameterTuningJobStatus"] == "Completed"


@pytest.mark.parametrize("kind", ["IdenticalDataAndAlgorithm", "TransferLearning"])
def test_a_warm_start_goes_on_from_its_parents(bench: Any, tune: Tune, pass_time: Pass, kind: str) -> None:
    tune("parent", jobs=30, parallel=3, Strategy="Bayesian")
    pass_time(3000)
    parent_best = bench.described("parent")["BestTrainingJob"]
    config = {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "parent"}],
        "WarmStartType": kind,
    }
    tune("child", jobs=4, parallel=1, Strategy="Bayesian", members={"WarmStartConfig": config})
    bench("DeleteHyperParameterTuningJob", HyperParameterTuningJobName="parent")
    pass_time(3000)
    child = bench.described("child")
    _valid("DescribeHyperParameterTuningJob", child)
    found = [float(member["TunedHyperParameters"]["x"]) for member in bench.training_jobs("child")]
    assert sum(abs(x - 0.3) < 0.2 for x in found) >= 3
    assert child["WarmStartConfig"] == config
    if kind == "TransferLearning":
        assert "OverallBestTrainingJob" not in child
        return
    overall = child["OverallBestTrainingJob"]
    values = {
        name: best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        for name, best in (("parent", parent_best), ("child", child["BestTrainingJob"]))
    }
    assert overall["TuningJobName"] == min(values, key=lambda name: values[name])
    assert overall["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == min(values.values())


@pytest.mark.parametrize(
    ("parents", "training", "says"),
    [
        (["nobody"], {}, "could not be found"),
        (["running"], {}, "is in status InProgress"),
        (["done"], {"StaticHyperParameters": {"layers": "3", "more": "1"}}, "names of all hyperparameters"),
        (["done"], {"TuningObjective": {"Type": "Maximize", "MetricName": METRIC}}, "objective metric"),
    ],
)
def test_a_warm_start_that_cannot_be_is_refused(
    bench: Any, tune: Tune, pass_time: Pass, parents: list[str], training: dict[str, Any], says: str
) -> None:
    tune("done", jobs=1, parallel=1)
    pass_time(500)
    tune("running", jobs=1, parallel=1)
    config = {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": name} for name in parents],
        "WarmStartType": "IdenticalDataAndAlgorithm",
    }
    code, message = _refusal(lambda: tune("child", training=training, members={"WarmStartConfig": config}))
    assert code == "ValidationException"
    assert says in message
    summaries = bench("ListHyperParameterTuningJobs")["HyperParameterTuningJobSummaries"]
    assert [summary["HyperParameterTuningJobName"] for summary in summaries] == ["done", "running"]


def test_autotune_ends_when_it_has_converged(bench: Any, tune: Tune, pass_time: Pass) -> None:
    bench.figures = lambda _: {METRIC: 1.0}
    ranges = {"AutoParameters": [{"Name": "x", "ValueHint": "0.1"}]}
    autotune = {"Autotune": {"Mode": "Enabled"}}
    tune(jobs=60, parallel=1, ParameterRanges=ranges, TrainingJobEarlyStoppingType="Off", members=autotune)
    pass_time(10_000)
    assert bench.described()["HyperParameterTuningJobStatus"] == "Completed"
    assert len(bench.training_jobs()) == 11
    assert all(0.01 <= float(member["TunedHyperParameters"]["x"]) <= 1.0 for member in bench.training_jobs())


def test_a_tuning_job_that_was_kept_goes_on_as_if_nothing_had_been(
    bench: Any, tune: Tune, pass_time: Pass
) -> None:
    tune("whole", jobs=8, parallel=2, Strategy="Bayesian", RandomSeed=5)
    pass_time(3000)
    tune(jobs=8, parallel=2, Strategy="Bayesian", RandomSeed=5)
    pass_time(250)
    jobs = bench.tuning_jobs.of(ACCOUNT, REGION)
    kept = json.loads(json.dumps(tuning_job_to_json(jobs.pop("tune"))))
    bench.tuning_jobs.add(tuning_job_from_json(kept, bench.tuning_jobs))
    jobs["tune"].take_up()
    pass_time(3000)
    assert bench.described()["HyperParameterTuningJobStatus"] == "Completed"
    assert [member["TunedHyperParameters"] for member in bench.training_jobs()] == [
        member["TunedHyperParameters"] for member in bench.training_jobs("whole")
    ]


def test_a_warm_start_that_was_kept_still_knows_its_parents(bench: Any, tune: Tune, pass_time: Pass) -> None:
    tune("parent", jobs=2)
    pass_time(500)
    config = {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "parent"}],
        "WarmStartType": "IdenticalDataAndAlgorithm",
    }
    tune("child", jobs=1, parallel=1, members={"WarmStartConfig": config})
    pass_time(500)
    before = bench.described("child")
    jobs = bench.tuning_jobs.of(ACCOUNT, REGION)
    kept = json.loads(json.dumps(tuning_job_to_json(jobs.pop("child"))))
    bench.tuning_jobs.add(tuning_job_from_json(kept, bench.tuning_jobs))
    assert bench.described("child") == before


def test_a_training_job_that_was_launched_but_not_noted_is_taken_for_its_own(
    bench: Any, tune: Tune, pass_time: Pass
) -> None:
    tune(jobs=3, parallel=1)
    before = json.loads(json.dumps(tuning_job_to_json(bench.tuning_jobs.of(ACCOUNT, REGION)["tune"])))
    pass_time(5)
    launched = bench.training_jobs()
    del bench.tuning_jobs.of(ACCOUNT, REGION)["tune"]
    restored = tuning_job_from_json(before, bench.tuning_jobs)
    bench.tuning_jobs.add(restored)
    restored.take_up()
    pass_time(0)
    assert bench.training_jobs() == launched
    pass_time(3000)
    assert bench.described()["TrainingJobStatusCounters"]["Completed"] == 3


def test_a_training_job_that_cannot_be_made_fails_the_tuning_job(
    bench: Any, tune: Tune, pass_time: Pass
) -> None:
    tune(jobs=3, parallel=1, members={"Tags": [{"Key": "emulator:lifecycle", "Value": "no such thing"}]})
    pass_time(5)
    description = bench.described()
    assert description["HyperParameterTuningJobStatus"] == "Failed"
    assert description["FailureReason"].startswith("ClientError: The tag emulator:lifecycle")


def test_hundreds_of_training_jobs_pass_in_no_time(bench: Any, tune: Tune, pass_time: Pass) -> None:
    tune(jobs=300, parallel=50, Strategy="Random", TrainingJobEarlyStoppingType="Auto")
    pass_time(20_000)
    counters = bench.described()["TrainingJobStatusCounters"]
    assert counters["Completed"] + counters["Stopped"] == 300
