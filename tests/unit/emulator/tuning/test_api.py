"""The operations on tuning jobs, without a server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from moto.core.exceptions import ServiceException

METRIC = "validation:error"
Tune = Callable[..., str]


def _refusal(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(ServiceException) as caught:
        call()
    return str(caught.value.code), str(caught.value.message)


@pytest.mark.parametrize(
    "operation",
    [
        "DescribeHyperParameterTuningJob",
        "ListTrainingJobsForHyperParameterTuningJob",
        "StopHyperParameterTuningJob",
        "DeleteHyperParameterTuningJob",
    ],
)
def test_an_unknown_name_is_not_found(bench: Any, operation: str) -> None:
    assert _refusal(lambda: bench(operation, HyperParameterTuningJobName="nobody")) == (
        "ResourceNotFound",
        "Amazon SageMaker can't find a tuning job called nobody. Type another name.",
    )


def test_a_name_is_taken_once_whatever_its_case(tune: Tune) -> None:
    tune("tune")
    code, message = _refusal(lambda: tune("Tune"))
    assert code == "ResourceInUse"
    assert message == (
        "A hyperparameter tuning job with the name, Tune, already exists. Choose a different name."
    )


def test_a_tuning_job_that_runs_cannot_be_deleted_and_its_training_jobs_outlive_it(
    bench: Any, tune: Tune, pass_time: Callable[[float], None]
) -> None:
    tune(jobs=1, parallel=1)
    pass_time(5)
    code, message = _refusal(
        lambda: bench("DeleteHyperParameterTuningJob", HyperParameterTuningJobName="tune")
    )
    assert (code, "InProgress" in message) == ("ValidationException", True)
    pass_time(500)
    name = bench.training_jobs()[0]["TrainingJobName"]
    bench("DeleteHyperParameterTuningJob", HyperParameterTuningJobName="tune")
    assert bench("ListHyperParameterTuningJobs")["HyperParameterTuningJobSummaries"] == []
    assert bench.training_job(name).training_job_status == "Completed"
    tune(jobs=1, parallel=1)
    pass_time(500)
    assert bench.training_jobs()[0]["TrainingJobName"] != name


@pytest.mark.parametrize(
    ("kwargs", "says"),
    [
        ({"training": {"EnableManagedSpotTraining": False}}, "MaxWaitTimeInSeconds"),
        ({"training": {"ResourceConfig": None}}, "ResourceConfig"),
        ({"Strategy": "Grid"}, "Categorical"),
        ({"Strategy": "Hyperband"}, "MaxResource"),
        (
            {"Strategy": "Hyperband", "training": {"StaticHyperParameters": {"epochs": "20001"}}},
            "MaxResource",
        ),
        ({"members": {"TrainingJobDefinition": None}}, "TrainingJobDefinition"),
        (
            {
                "ParameterRanges": {
                    "ContinuousParameterRanges": [{"Name": "x", "MinValue": "2", "MaxValue": "1"}]
                }
            },
            "MinValue",
        ),
    ],
)
def test_a_request_that_no_training_job_can_come_of_is_refused_and_leaves_nothing(
    bench: Any, tune: Tune, kwargs: dict[str, Any], says: str
) -> None:
    code, message = _refusal(lambda: tune(**kwargs))
    assert code == "ValidationException"
    assert says in message
    assert bench("ListHyperParameterTuningJobs")["HyperParameterTuningJobSummaries"] == []


def test_hyperband_infers_its_resource_from_the_epochs(bench: Any, tune: Tune) -> None:
    tune(Strategy="Hyperband", training={"StaticHyperParameters": {"epochs": '"9"'}})
    assert bench.described()["HyperParameterTuningJobStatus"] == "InProgress"


def test_flexible_resources_give_a_training_job_the_preferred_ones(
    bench: Any, tune: Tune, pass_time: Callable[[float], None]
) -> None:
    flexible = {
        "VolumeKmsKeyId": "key",
        "AllocationStrategy": "Prioritized",
        "InstanceConfigs": [
            {"InstanceType": "ml.c5.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 5},
            {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 5},
        ],
    }
    tune(
        jobs=1, parallel=1, training={"ResourceConfig": None, "HyperParameterTuningResourceConfig": flexible}
    )
    pass_time(500)
    name = bench.training_jobs()[0]["TrainingJobName"]
    assert bench.training_job(name).describe()["ResourceConfig"] == {
        "VolumeKmsKeyId": "key",
        "InstanceType": "ml.c5.xlarge",
        "InstanceCount": 2,
        "VolumeSizeInGB": 5,
    }


def test_tuning_jobs_are_listed_by_every_filter_and_sort(
    bench: Any, tune: Tune, clock: Any, pass_time: Callable[[float], None]
) -> None:
    for name in ("b-one", "a-two"):
        tune(name, jobs=1, parallel=1)
        pass_time(500)
    between = clock.now().timestamp() - 400
    tune("c-three", jobs=1, parallel=1)

    def _names(**parameters: Any) -> list[str]:
        summaries = bench("ListHyperParameterTuningJobs", **parameters)["HyperParameterTuningJobSummaries"]
        return [summary["HyperParameterTuningJobName"] for summary in summaries]

    assert _names() == ["a-two", "b-one", "c-three"]
    assert _names(SortOrder="Descending") == ["c-three", "b-one", "a-two"]
    assert _names(SortBy="CreationTime") == ["b-one", "a-two", "c-three"]
    assert _names(SortBy="Status") == ["a-two", "b-one", "c-three"]
    assert _names(NameContains="t") == ["a-two", "c-three"]
    assert _names(StatusEquals="Completed") == ["a-two", "b-one"]
    assert _names(CreationTimeAfter=between) == ["c-three"]
    assert _names(CreationTimeBefore=between) == ["a-two", "b-one"]
    assert _names(LastModifiedTimeBefore=between) == ["b-one"] or _names(LastModifiedTimeBefore=between) == [
        "a-two",
        "b-one",
    ]
    page = bench("ListHyperParameterTuningJobs", MaxResults=2)
    more = bench("ListHyperParameterTuningJobs", MaxResults=2, NextToken=page["NextToken"])
    assert more["NextToken"] is None
    assert [job["HyperParameterTuningJobName"] for job in more["HyperParameterTuningJobSummaries"]] == [
        "c-three"
    ]
    summary = more["HyperParameterTuningJobSummaries"][0]
    assert summary["Strategy"] == "Random"
    assert summary["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1}


def test_training_jobs_are_listed_by_every_filter_and_sort(
    bench: Any, tune: Tune, pass_time: Callable[[float], None]
) -> None:
    bench.figures = lambda values: {METRIC: float(values["x"])} if float(values["x"]) < 0.5 else {}
    tune(jobs=12, parallel=3)
    while sum(job["TrainingJobStatus"] == "Completed" for job in bench.training_jobs()) < 9:
        pass_time(5)
    everything = bench.training_jobs()
    names = [job["TrainingJobName"] for job in everything]
    assert names == sorted(names)
    assert [job["TrainingJobName"] for job in bench.training_jobs(SortOrder="Descending")] == names[::-1]
    done = bench.training_jobs(StatusEquals="Completed")
    assert {job["TrainingJobStatus"] for job in done} == {"Completed"}
    assert 0 < len(done) < len(everything)
    by_value = bench.training_jobs(SortBy="FinalObjectiveMetricValue", SortOrder="Descending")
    values = [job["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for job in by_value]
    assert values == sorted(values, reverse=True)
    assert 0 < len(values) < len(done), "those without an objective are not listed"
    statuses = [job["TrainingJobStatus"] for job in bench.training_jobs(SortBy="Status")]
    assert statuses == sorted(statuses)
    created = [job["CreationTime"] for job in bench.training_jobs(SortBy="CreationTime")]
    assert created == sorted(created)
    seen: list[str] = []
    token = None
    while True:
        more = {} if token is None else {"NextToken": token}
        page = bench(
            "ListTrainingJobsForHyperParameterTuningJob",
            HyperParameterTuningJobName="tune",
            MaxResults=4,
            SortBy="FinalObjectiveMetricValue",
            **more,
        )
        seen += [job["TrainingJobName"] for job in page["TrainingJobSummaries"]]
        token = page["NextToken"]
        if token is None:
            break
    assert sorted(seen) == sorted(job["TrainingJobName"] for job in by_value)
