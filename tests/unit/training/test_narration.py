"""What a person reads in the log at 3 a.m."""

from __future__ import annotations

import pytest

from airflow_spot_provider.training import Price, SecondaryStatus, SpotTrainingResult
from airflow_spot_provider.training.narration import (
    duration,
    savings_sentence,
    sentences_of,
    sentences_of_summary,
    table_of,
)
from tests.builders import CREATED, DescribedJob, a_training_job

HOUR = 3_600


def test_a_job_interrupted_once_is_told_from_beginning_to_end() -> None:
    job = a_training_job().with_checkpoints().interrupted().completed()

    lines = sentences_of(job.described())
    assert [line.partition(" (at ")[0] for line in lines] == [
        "Starting; SageMaker is waiting for spot capacity; 2h00m of MaxWait left",
        "Downloading; the job has an instance and is downloading its data",
        "Training; the script is running",
        "Interrupted after 14m05s of training; SageMaker is waiting for spot capacity; 1h44m of MaxWait left",
        "Starting; SageMaker is waiting for spot capacity; 1h42m of MaxWait left",
        "Downloading; the job has an instance and is downloading its data",
        "Training; the script runs again after the interruption, from its checkpoint",
        "Uploading; training is over; the model is being uploaded",
        "Completed; the job has done all its work",
    ]


def test_a_job_that_never_got_an_instance_is_told() -> None:
    assert sentences_of(a_training_job().max_wait_exceeded().described()) == [
        "Starting; SageMaker is waiting for spot capacity; 2h00m of MaxWait left (at 2026-03-01 12:00:00 UTC)",
        "Stopping; the job is being stopped; the script has 120 seconds to save what it has (at 2026-03-01 12:01:00 UTC)",
        "MaxWaitTimeExceeded; MaxWait was over before the job was done, and SageMaker stopped it",
    ]


def _after_an_hour_in(status: str) -> DescribedJob:
    return a_training_job().goes_through(status, seconds=HOUR)


@pytest.mark.parametrize(
    ("job", "sentence"),
    [
        (
            a_training_job().goes_through("Pending"),
            "Pending; SageMaker is waiting for spot capacity; 2h00m of MaxWait left",
        ),
        (
            a_training_job().on_demand().goes_through("Pending"),
            "Pending; SageMaker is waiting for capacity",
        ),
        (
            a_training_job().goes_through("Training", "Uploading").having(TrainingJobStatus="Stopping"),
            "Uploading; training is over; the model is being uploaded; the job is being stopped",
        ),
        (
            a_training_job().goes_through("Training").having(TrainingJobStatus="Stopping"),
            "Training; the script is running; the job is being stopped",
        ),
        (
            a_training_job().on_demand().goes_through("Starting"),
            "Starting; SageMaker is launching the instances",
        ),
        (
            a_training_job().goes_through("LaunchingMLInstances"),
            "LaunchingMLInstances; SageMaker is launching the instances",
        ),
        (
            a_training_job().goes_through("PreparingTrainingStack"),
            "PreparingTrainingStack; SageMaker is preparing the instances",
        ),
        (
            a_training_job().goes_through("DownloadingTrainingImage"),
            "DownloadingTrainingImage; the job has an instance and is downloading its training image",
        ),
        (a_training_job().goes_through("Updating"), "Updating; SageMaker is updating the job"),
        (
            a_training_job().goes_through("Restarting"),
            "Restarting; SageMaker is restarting the job after an internal error",
        ),
        (a_training_job().stopped(), "Stopped; somebody stopped the job"),
        (a_training_job().failed(), "Failed; the training failed"),
        (
            a_training_job().max_runtime_exceeded(),
            "MaxRuntimeExceeded; the job trained for all of MaxRuntime and was stopped",
        ),
        (
            a_training_job().goes_through("Hibernating"),
            "Hibernating; SageMaker has a status here that this version does not know",
        ),
        (
            a_training_job().goes_through("PENDING"),
            "PENDING; SageMaker has a status here that this version does not know",
        ),
        # Trained in two parts since the last interruption.
        (
            _after_an_hour_in("Training").goes_through("Updating", "Training", "Interrupted"),
            "Interrupted after 1h14m of training; SageMaker is waiting for spot capacity; 45m45s of MaxWait",
        ),
        # Interrupted again before it trained: the first run's time is not told a second time.
        (
            a_training_job().interrupted().goes_through("Starting", "Interrupted"),
            "Interrupted; SageMaker is waiting for spot capacity; 1h41m of MaxWait left",
        ),
        (
            a_training_job().interrupted().goes_through("Training"),
            "Training; the script runs again after the interruption, from scratch: it has no checkpoints",
        ),
        (
            a_training_job().with_checkpoints().interrupted(3).goes_through("Training"),
            "Training; the script runs again after interruption 3, from its checkpoint",
        ),
        (
            _after_an_hour_in("Training").goes_through("Training", seconds=2 * HOUR).interrupted(),
            "Interrupted after 3h14m of training; SageMaker is waiting for spot capacity; 0s of MaxWait left",
        ),
        (
            a_training_job().having(CreationTime=None).goes_through("Starting"),
            "Starting; SageMaker is waiting for spot capacity",
        ),
        (
            a_training_job().having(StoppingCondition=None).goes_through("Starting"),
            "Starting; SageMaker is waiting for spot capacity",
        ),
        (
            a_training_job()
            .having(StoppingCondition={"MaxWaitTimeInSeconds": 10**15})
            .goes_through("Starting"),
            "Starting; SageMaker is waiting for spot capacity; 11574074074d01h of MaxWait left",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_newest_transition_in_words(job: DescribedJob, sentence: str) -> None:
    newest = sentences_of(job.described())[-1]

    assert newest.startswith(sentence)


def test_training_of_unknown_length_is_not_told_as_none() -> None:
    description = {
        "EnableManagedSpotTraining": True,
        "SecondaryStatusTransitions": [{"Status": "Training"}, {"Status": "Interrupted"}],
    }

    assert sentences_of(description)[-1] == "Interrupted; SageMaker is waiting for spot capacity"


@pytest.mark.parametrize("status", SecondaryStatus)
def test_every_documented_status_has_words(status: SecondaryStatus) -> None:
    (sentence,) = sentences_of(a_training_job().goes_through(status).described())

    assert sentence.startswith(f"{status}; ")
    assert "does not know" not in sentence


def test_only_what_is_new_is_told() -> None:
    description = a_training_job().goes_through("Starting", "Downloading", "Training").described()

    assert len(sentences_of(description, told=1)) == 2
    assert sentences_of(description, told=2) == ["Training; the script is running"]
    assert sentences_of(description, told=3) == []
    assert sentences_of(description, told=4) == []


def test_a_job_of_which_nothing_is_reported_has_no_sentences() -> None:
    assert sentences_of(a_training_job().described()) == []


def test_table_of_a_timeline() -> None:
    description = a_training_job().interrupted().described()
    description["SecondaryStatusTransitions"].append({"Status": "Hibernating"})

    assert table_of(description).splitlines() == [
        "Since (UTC)          SecondaryStatus  For",
        "2026-03-01 12:00:00  Starting         1m00s",
        "2026-03-01 12:01:00  Downloading      30s",
        "2026-03-01 12:01:30  Training         14m05s",
        "2026-03-01 12:15:35  Interrupted",
        "                     Hibernating",
    ]


def test_time_in_a_status_whose_start_is_unknown_is_left_blank() -> None:
    table = table_of({"SecondaryStatusTransitions": [{"Status": "Starting", "EndTime": CREATED}]})

    assert table.splitlines()[-1] == "             Starting"


def test_summary_tells_where_the_job_is_and_nothing_of_how_it_came_there() -> None:
    summary = {"TrainingJobName": "j", "SecondaryStatus": "Interrupted", "LastModifiedTime": CREATED}
    assert sentences_of_summary(summary) == ["Interrupted; SageMaker is waiting for spot capacity"]


def test_table_of_no_timeline_is_its_heading() -> None:
    assert table_of({}) == "Since (UTC)  SecondaryStatus  For"


@pytest.mark.parametrize(
    ("job", "sentence"),
    [
        (
            a_training_job().billed(5_000, 1_000).completed(),
            (
                "Saved 80.0%: 1,000 s billed of 5,000 s trained. 0 interruptions, 1m00s without an instance. "
                "What it cost is not known: there is no price."
            ),
        ),
        (
            a_training_job().billed(300, 101).interrupted().completed(),
            (
                "Saved 66.3%: 101 s billed of 300 s trained. 1 interruption, 4m00s without an instance. "
                "What it cost is not known: there is no price."
            ),
        ),
        (
            a_training_job().interrupted(2).max_wait_exceeded(),
            (
                "Savings are not known: SageMaker gave no training and billable time for this job. "
                "2 interruptions, 6m00s without an instance."
            ),
        ),
    ],
    ids=["no interruption", "one", "not known"],
)
def test_savings_in_words(job: DescribedJob, sentence: str) -> None:
    assert savings_sentence(SpotTrainingResult.of(job.described())) == sentence


def test_job_on_demand_has_nothing_to_save() -> None:
    described = a_training_job().billed(68, 68).completed().described() | {"EnableManagedSpotTraining": False}
    sentence = savings_sentence(SpotTrainingResult.of(described))
    assert sentence == (
        "On demand: 68 s billed. 0 interruptions, 1m00s without an instance. What it cost is not known: there is no price."
    )


@pytest.mark.parametrize(
    ("seconds", "spot", "sentence"),
    [
        ((3_600, 900), True, " It cost 0.25 USD instead of 1.00 USD on demand (prices of 2026-11-21)."),
        ((3_600, 9), True, " It cost 0.0025 USD instead of 1.00 USD on demand (prices of 2026-11-21)."),
        ((3_600, 3_600), False, " It cost 1.00 USD (prices of 2026-11-21)."),
    ],
)
def test_cost_is_told_with_its_currency_and_date(seconds: tuple[int, int], spot: bool, sentence: str) -> None:
    described = a_training_job().billed(*seconds).completed().described() | {
        "EnableManagedSpotTraining": spot
    }
    result = SpotTrainingResult.of(described).priced(Price(1.0, "USD", "2026-11-21"))
    assert savings_sentence(result).endswith(sentence)


def test_transition_without_a_time_is_told_without_one() -> None:
    described = a_training_job().completed().described()
    del described["SecondaryStatusTransitions"][0]["StartTime"]
    assert sentences_of(described)[0] == "Starting; SageMaker is waiting for spot capacity"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0s"),
        (0.4, "0s"),
        (48, "48s"),
        (59.6, "1m00s"),
        (60, "1m00s"),
        (845, "14m05s"),
        (3_599, "59m59s"),
        (3_600, "1h00m"),
        (4_320, "1h12m"),
        (86_399, "23h59m"),
        (86_400, "1d00h"),
        (273_600, "3d04h"),
    ],
)
def test_duration_as_a_person_says_it(seconds: float, words: str) -> None:
    assert duration(seconds) == words
