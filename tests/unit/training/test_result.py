"""What a task publishes: exact, small, plain JSON, and nothing secret."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from airflow_spot_provider.training import Attempt, Outcome, Savings, SecondaryStatus, SpotTrainingResult
from airflow_spot_provider.training.result import MAX_RESULT_BYTES, MAX_TIMELINE_ENTRIES
from tests.builders import CREATED, a_training_job

XCOM_LIMIT_BYTES = 8 * 1024
SECRET = "tr0ub4dor&3"


def _bytes(result: SpotTrainingResult) -> int:
    """What an XCom takes in a database that stores JSON as ASCII, which is the longer way."""
    return len(json.dumps(result.to_json(), allow_nan=False).encode())


def test_result_of_an_interrupted_job() -> None:
    description = (
        a_training_job("digits-1")
        .having(
            ModelArtifacts={"S3ModelArtifacts": "s3://bucket/output/digits-1/output/model.tar.gz"},
            FinalMetricDataList=[{"MetricName": "accuracy", "Value": 0.96, "Timestamp": CREATED}],
        )
        .with_checkpoints()
        .billed(500, 100)
        .interrupted()
        .completed()
        .described()
    )

    result = SpotTrainingResult.of(description)

    assert result.to_json() == {
        "job_name": "digits-1",
        "job_arn": "arn:aws:sagemaker:eu-west-1:123456789012:training-job/digits-1",
        "outcome": "Completed",
        "failure_reason": None,
        "managed_spot": True,
        "instance_type": "ml.m5.large",
        "instance_count": 1,
        "training_seconds": 500,
        "billable_seconds": 100,
        "savings_percent": 80.0,
        "interruptions": 1,
        "waiting_seconds": 240.0,
        "timeline": [
            ["Starting", "2026-03-01T12:00:00.000+00:00", "2026-03-01T12:01:00.000+00:00"],
            ["Downloading", "2026-03-01T12:01:00.000+00:00", "2026-03-01T12:01:30.000+00:00"],
            ["Training", "2026-03-01T12:01:30.000+00:00", "2026-03-01T12:15:35.000+00:00"],
            ["Interrupted", "2026-03-01T12:15:35.000+00:00", "2026-03-01T12:17:35.000+00:00"],
            ["Starting", "2026-03-01T12:17:35.000+00:00", "2026-03-01T12:18:35.000+00:00"],
            ["Downloading", "2026-03-01T12:18:35.000+00:00", "2026-03-01T12:19:05.000+00:00"],
            ["Training", "2026-03-01T12:19:05.000+00:00", "2026-03-01T12:33:10.000+00:00"],
            ["Uploading", "2026-03-01T12:33:10.000+00:00", "2026-03-01T12:33:25.000+00:00"],
            ["Completed", "2026-03-01T12:33:25.000+00:00", None],
        ],
        "timeline_left_out": 0,
        "model_artifacts": "s3://bucket/output/digits-1/output/model.tar.gz",
        "checkpoint_s3_uri": "s3://bucket/checkpoints",
        "resumed_from": None,
        "metrics": {"accuracy": 0.96},
        "hyperparameters": {},
        "attempts": [{"job_name": "digits-1", "outcome": "Completed", "managed_spot": True}],
        "cost": None,
        "on_demand_cost": None,
        "currency": None,
        "price_date": None,
    }


@pytest.mark.parametrize("times", [{}, {"training": 0, "billable": 0}], ids=["absent", "zero"])
def test_a_job_that_never_trained_saved_an_unknown_amount(times: dict[str, int]) -> None:
    job = a_training_job().max_wait_exceeded()
    if times:
        job.billed(**times)

    result = SpotTrainingResult.of(job.described())

    assert result.outcome is Outcome.MAX_WAIT_TIME_EXCEEDED
    assert result.savings_percent is None
    assert result.to_json()["savings_percent"] is None
    assert result.savings == Savings(unknown=1)
    assert result.model_artifacts is None
    assert result.checkpoint_s3_uri is None
    assert result.metrics == {}


def test_savings_of_a_result_weigh_by_its_instances() -> None:
    job = a_training_job().having(ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 4})

    result = SpotTrainingResult.of(job.billed(500, 100).completed().described())

    assert result.savings == Savings(2_000, 400, jobs=1)


@pytest.mark.parametrize(
    ("resources", "instance_type", "instance_count"),
    [
        ({"InstanceType": "ml.m5.large", "InstanceCount": 3}, "ml.m5.large", 3),
        (
            {
                "InstancePreferences": [],
                "SelectedInstanceType": "ml.p3.2xlarge",
                "SelectedInstanceCount": 2,
            },
            "ml.p3.2xlarge",
            2,
        ),
        ({"InstanceGroups": [{"InstanceCount": 1}, {"InstanceCount": 4}]}, None, 5),
        ({"InstanceGroups": [{}]}, None, 1),
        ({"InstanceType": "ml.m5.large"}, "ml.m5.large", 1),
        (None, None, 1),
    ],
    ids=["plain", "preferences", "groups", "empty group", "no count", "absent"],
)
def test_instances_are_counted_however_they_were_asked_for(
    resources: dict[str, Any] | None, instance_type: str | None, instance_count: int
) -> None:
    result = SpotTrainingResult.of(a_training_job().having(ResourceConfig=resources).completed().described())

    assert (result.instance_type, result.instance_count) == (instance_type, instance_count)


def test_a_job_that_describes_itself_as_on_demand_is_published_so() -> None:
    result = SpotTrainingResult.of(a_training_job().on_demand().completed().described())

    assert result.managed_spot is False
    assert result.attempts[-1].managed_spot is False


def test_a_running_job_has_no_result() -> None:
    with pytest.raises(
        ValueError,
        match="digits-1 is InProgress, SecondaryStatus Starting: a job has a result once it has ended",
    ):
        SpotTrainingResult.of(a_training_job("digits-1").goes_through("Starting").described())


def test_environment_and_hyperparameters_are_not_in_a_result() -> None:
    job = a_training_job().having(
        Environment={"API_TOKEN": SECRET},
        HyperParameters={"password": SECRET},
        TrainingJobOutput=SECRET,
    )

    result = SpotTrainingResult.of(job.failed().described())

    assert SECRET not in json.dumps(result.to_json())
    assert SECRET not in repr(result)


def test_the_newest_five_attempts_are_published_this_one_last() -> None:
    earlier = [
        Attempt(job_name=f"digits-{number}", outcome=Outcome.STOPPED, managed_spot=True)
        for number in range(1, 8)
    ]

    result = SpotTrainingResult.of(a_training_job("digits-8").completed().described(), earlier=earlier)

    assert [attempt.job_name for attempt in result.attempts] == [f"digits-{number}" for number in range(4, 9)]
    assert result.attempts[-1].outcome is Outcome.COMPLETED


def test_of_a_long_timeline_the_first_ten_and_the_newest_are_published() -> None:
    description = a_training_job().interrupted(100).completed().described()

    result = SpotTrainingResult.of(description)

    everything = [entry["Status"] for entry in description["SecondaryStatusTransitions"]]
    assert [row[0] for row in result.timeline] == everything[:10] + everything[-40:]
    assert result.timeline_left_out == len(everything) - MAX_TIMELINE_ENTRIES == 355
    assert result.interruptions == 100
    assert result.waiting_seconds == 101 * 60 + 100 * 120


def test_a_timeline_gives_way_to_what_else_has_to_be_told() -> None:
    job = a_training_job().having(
        ModelArtifacts={"S3ModelArtifacts": "s3://bucket/" + "m" * 1_000},
        CheckpointConfig={"S3Uri": "s3://bucket/" + "c" * 1_000},
        FinalMetricDataList=[{"MetricName": "m" * 90 + str(number), "Value": 0.5} for number in range(40)],
    )

    result = SpotTrainingResult.of(job.interrupted(20).failed("r" * 2_000).described())

    assert result.failure_reason == "r" * 1_024
    assert len(result.metrics) == 19
    assert 10 < len(result.timeline) < MAX_TIMELINE_ENTRIES
    assert [row[0] for row in result.timeline][:4] == ["Starting", "Downloading", "Training", "Interrupted"]
    assert result.timeline[-1][0] == "Failed"
    assert len(result.timeline) + result.timeline_left_out == 84
    assert XCOM_LIMIT_BYTES - 400 < _bytes(result) < XCOM_LIMIT_BYTES


@pytest.mark.parametrize(
    ("reason", "published"),
    [
        ("AlgorithmError: exit code 1", "AlgorithmError: exit code 1"),
        ("r" * 1_025, "r" * 1_024),
        ("\U0001f525" * 1_024, "\U0001f525" * 85),
        ("语" * 1_024, "语" * 170),
        ("\n" * 1_024, "\n" * 512),
        ("cut \ud83d", "cut ?"),
        ("binary \0output", "binary output"),
        ("\0", None),
        ("", None),
    ],
    ids=ascii,
)
def test_failure_reason_is_held_short_and_storable(reason: str, published: str | None) -> None:
    result = SpotTrainingResult.of(a_training_job().failed(reason).described())

    assert result.failure_reason == published
    assert SpotTrainingResult.from_json(result.to_json()) == result


def test_the_last_value_of_each_metric_is_published() -> None:
    metrics = [
        {"MetricName": "accuracy", "Value": 0.5},
        {"MetricName": "epochs", "Value": 3},
        {"MetricName": "accuracy", "Value": 0.9},
    ]

    result = SpotTrainingResult.of(
        a_training_job().having(FinalMetricDataList=metrics).completed().described()
    )

    assert result.metrics == {"accuracy": 0.9, "epochs": 3.0}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), None])
def test_a_metric_that_json_cannot_hold_is_left_out(value: float | None) -> None:
    metrics = [
        {"MetricName": "loss", "Value": value},
        {"Value": 1.0},
        {"MetricName": "lonely"},
        {"MetricName": "accuracy", "Value": 0.1},
    ]

    result = SpotTrainingResult.of(
        a_training_job().having(FinalMetricDataList=metrics).completed().described()
    )

    assert result.metrics == {"accuracy": 0.1}
    assert json.loads(json.dumps(result.to_json(), allow_nan=False)) == result.to_json()


JOB_NAMES = st.from_regex(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", fullmatch=True).filter(
    lambda name: len(name) <= 63
)
TEXT = st.text(st.characters(codec="utf-8"), max_size=1_024) | st.builds(
    lambda character, times: character * times,
    st.sampled_from(["a", "\n", '"', "é", "语", "\U0001f525"]),
    st.integers(0, 1_024),
)


@st.composite
def s3_uris(draw: st.DrawFn) -> str:
    """A bucket's name has 63 characters at most; a key has 1,024 bytes, in which fewer characters fit."""
    key = draw(TEXT).encode()[:1_024].decode(errors="ignore")
    return f"s3://{'b' * draw(st.integers(3, 63))}/{key}"


@st.composite
def ended_jobs(draw: st.DrawFn) -> dict[str, Any]:
    """Any ended job within SageMaker's own limits, and longer texts and timelines than it allows."""
    name = draw(JOB_NAMES)
    statuses = st.sampled_from([*map(str, SecondaryStatus)]) | TEXT
    count = draw(st.integers(0, 80))
    return {
        "TrainingJobName": name,
        "TrainingJobArn": f"arn:aws-us-gov:sagemaker:us-gov-east-1:123456789012:training-job/{name}",
        "TrainingJobStatus": draw(st.sampled_from(["Completed", "Failed", "Stopped"])),
        "SecondaryStatus": draw(statuses.filter(bool)),  # without one a stopped job has no outcome yet
        "EnableManagedSpotTraining": draw(st.booleans()),
        "FailureReason": draw(st.none() | TEXT),
        "TrainingTimeInSeconds": draw(st.none() | st.integers(0, 2_419_200)),
        "BillableTimeInSeconds": draw(st.none() | st.integers(0, 2_419_200)),
        "ResourceConfig": {
            "InstanceType": "ml.trn1n.32xlarge",
            "InstanceCount": draw(st.integers(1, 10_000)),
        },
        "ModelArtifacts": {"S3ModelArtifacts": draw(s3_uris())},
        "CheckpointConfig": {"S3Uri": draw(s3_uris())},
        "FinalMetricDataList": [
            {"MetricName": metric[:255], "Value": draw(st.floats())}
            for metric in draw(st.lists(TEXT, max_size=40))
        ],
        "SecondaryStatusTransitions": [
            {"Status": status, "StartTime": CREATED + timedelta(seconds=number, microseconds=number)}
            for number, status in enumerate(draw(st.lists(statuses, min_size=3, max_size=6)) * (count // 3))
        ],
    }


EARLIER = st.lists(
    st.builds(Attempt, job_name=JOB_NAMES, outcome=st.sampled_from(Outcome), managed_spot=st.booleans()),
    max_size=8,
)


@given(ended_jobs(), EARLIER)
def test_result_of_any_job_is_small_and_reads_back_to_itself(
    description: dict[str, Any], earlier: list[Attempt]
) -> None:
    result = SpotTrainingResult.of(description, earlier=earlier)

    assert _bytes(result) <= MAX_RESULT_BYTES < XCOM_LIMIT_BYTES
    stored = json.dumps(result.to_json(), allow_nan=False)
    assert SpotTrainingResult.from_json(json.loads(stored)) == result
    assert "\\u0000" not in stored
    for uri, published in (
        (description["ModelArtifacts"]["S3ModelArtifacts"], result.model_artifacts),
        (description["CheckpointConfig"]["S3Uri"], result.checkpoint_s3_uri),
    ):
        assert published == uri or (published is None and not uri.isprintable())


def test_the_longest_job_that_sagemaker_allows_is_small_too() -> None:
    name = "j" * 63
    uri = f"s3://{'b' * 63}/{chr(0x1F525) * 256}"
    description = (
        a_training_job(name)
        .having(
            TrainingJobArn="a" * 256,
            ModelArtifacts={"S3ModelArtifacts": uri},
            CheckpointConfig={"S3Uri": uri},
            FinalMetricDataList=[
                {"MetricName": chr(0x1F525 + number) * 255, "Value": 0.1} for number in range(40)
            ],
        )
        .billed(2_419_200, 2_419_199)
        .interrupted(50)
        .failed(chr(0x1F525) * 1_024)
        .described()
    )
    earlier = [Attempt(job_name=name, outcome=Outcome.MAX_WAIT_TIME_EXCEEDED, managed_spot=False)] * 9

    result = SpotTrainingResult.of(description, earlier=earlier)

    assert _bytes(result) <= MAX_RESULT_BYTES
    assert result.model_artifacts == result.checkpoint_s3_uri == uri
    assert SpotTrainingResult.from_json(result.to_json()) == result


@pytest.mark.parametrize("key", ["\1" * 1_024, "model\0.tar.gz", "model\ud83d.tar.gz"], ids=ascii)
def test_a_uri_that_cannot_be_stored_whole_is_left_out(key: str) -> None:
    job = a_training_job().having(
        ModelArtifacts={"S3ModelArtifacts": f"s3://bucket/{key}"},
        CheckpointConfig={"S3Uri": f"s3://bucket/{key}"},
    )

    result = SpotTrainingResult.of(job.completed().described())

    assert result.model_artifacts is None
    assert result.checkpoint_s3_uri is None
    assert SpotTrainingResult.from_json(result.to_json()) == result


def test_a_result_of_a_later_version_is_read() -> None:
    value = SpotTrainingResult.of(a_training_job().completed().described()).to_json()

    read = SpotTrainingResult.from_json({**value, "a_new_field": {"any": "thing"}})

    assert read.to_json() == value


def test_the_least_of_a_result_is_read() -> None:
    read = SpotTrainingResult.from_json({"job_name": "j", "job_arn": "a", "outcome": "Completed"})

    assert read.outcome is Outcome.COMPLETED
    assert read.metrics == {}
    assert read.savings.percent is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        SECRET,
        [SECRET],
        {},
        {"Environment": {"TOKEN": SECRET}},
        {"job_name": "j", "job_arn": "a", "outcome": SECRET},
        {"job_name": [SECRET], "job_arn": "a", "outcome": "Completed"},
        {"job_name": "j", "job_arn": "a", "outcome": "Completed", "metrics": {"accuracy": SECRET}},
    ],
    ids=["none", "text", "list", "empty", "config", "outcome", "name", "metric"],
)
def test_what_is_no_result_is_refused_without_repeating_it(value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        SpotTrainingResult.from_json(value)

    assert SECRET not in str(raised.value)


def test_a_result_is_not_changed_once_published() -> None:
    result = SpotTrainingResult.of(a_training_job().completed().described())

    with pytest.raises(ValidationError, match="frozen"):
        result.outcome = Outcome.FAILED


def test_hyperparameters_are_published_only_where_the_user_named_them() -> None:
    described = (
        a_training_job()
        .having(HyperParameters={"rate": "0.1", "token": SECRET, "long": "x" * 2_000})
        .completed()
        .described()
    )
    assert SpotTrainingResult.of(described).hyperparameters == {}
    result = SpotTrainingResult.of(described, published_hyperparameters=("rate", "long", "missing"))
    assert result.hyperparameters == {"rate": "0.1"}
    assert SECRET not in str(result.to_json())
