"""The sentences that pages tell of a job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_spot_provider.training import Phase, SpotProgress, SpotTrainingResult, progress_of
from airflow_spot_provider.training.explanation import (
    checkpoint_phrase,
    formula_of,
    roughly,
    sentence_of,
    warning_of,
    work_lost,
)
from airflow_spot_provider.training.progress import Checkpoints
from airflow_spot_provider.training.result import iso
from tests.builders import CREATED, DescribedJob, a_training_job

NOW = datetime(2026, 3, 1, 13, 30, tzinfo=UTC)
"""An hour and a half after the job was created; half an hour before MaxWait is over."""


def _progress(job: DescribedJob | None = None, **changes: Any) -> SpotProgress:
    description = (job or a_training_job()).described()
    ended = description["TrainingJobStatus"] not in ("InProgress", "Stopping")
    result = SpotTrainingResult.of(description) if ended else None
    return SpotProgress.from_json({**progress_of(description, result=result), **changes})


def _sentence(job: DescribedJob | None = None, **changes: Any) -> str:
    return sentence_of(_progress(job, **changes), NOW)


WAITS = a_training_job().goes_through("Starting")
TRAINS = a_training_job().goes_through("Starting", "Downloading", "Training")


@pytest.mark.parametrize(
    ("job", "changes", "sentence"),
    [
        (
            WAITS,
            {},
            "No ml.m5.large spot capacity in eu-west-1 for 1h30m. MaxWait ends in 30 min.",
        ),
        (
            WAITS,
            {"next_rung": "g.train_on_demand"},
            "No ml.m5.large spot capacity in eu-west-1 for 1h30m. MaxWait ends in 30 min, then g.train_on_demand goes on.",
        ),
        (
            WAITS,
            {"max_wait_ends": iso(NOW - timedelta(seconds=1)), "next_rung": "g.other"},
            "No ml.m5.large spot capacity in eu-west-1 for 1h30m. MaxWait is over, then g.other goes on.",
        ),
        (
            WAITS,
            {"since": None, "max_wait_ends": None, "instance_type": None, "region": None},
            "No spot capacity yet.",
        ),
        (
            WAITS,
            {"since": iso(NOW + timedelta(seconds=30)), "max_wait_ends": None},
            "No ml.m5.large spot capacity in eu-west-1 for less than a minute.",
        ),
        (
            a_training_job().goes_through("Pending"),
            {},
            "No ml.m5.large spot capacity in eu-west-1 for 1h30m. MaxWait ends in 30 min.",
        ),
        (
            a_training_job().on_demand().goes_through("Pending"),
            {},
            "No ml.m5.large capacity in eu-west-1 for 1h30m.",
        ),
        (
            a_training_job().goes_through("Training").having(TrainingJobStatus="Stopping"),
            {},
            "Being stopped: the script has 120 seconds to save what it has.",
        ),
        (
            a_training_job().goes_through("Training", "Uploading").having(TrainingJobStatus="Stopping"),
            {},
            "Being stopped: what it has saved is being uploaded.",
        ),
        (
            a_training_job().interrupted(),
            {"max_wait_ends": None},
            "Interrupted: SageMaker waits for ml.m5.large spot capacity in eu-west-1 for 1h14m.",
        ),
        (
            a_training_job().goes_through("Starting", "Downloading"),
            {},
            "Has 1 x ml.m5.large and downloads its data.",
        ),
        (TRAINS, {}, "Trains for 1h28m."),
        (
            TRAINS,
            {"metrics": {"loss": 0.18741, "accuracy": 0.94, "third": 1.0}},
            "Trains for 1h28m; loss 0.1874, accuracy 0.94.",
        ),
        (TRAINS, {"note": "Trial 4 of 40 of study s."}, "Trial 4 of 40 of study s. Trains for 1h28m."),
        (
            a_training_job().interrupted(2).goes_through("Starting", "Downloading", "Training"),
            {},
            "Trains for 53 min, again after two interruptions, from scratch: it has no checkpoints.",
        ),
        (
            a_training_job().with_checkpoints().interrupted().goes_through("Training"),
            {},
            "Trains for 1h12m, again after one interruption, from its checkpoint.",
        ),
        (TRAINS, {"phase": "starting"}, "SageMaker is preparing the instances."),
        (TRAINS, {"phase": "uploading"}, "Training is over; the model is being uploaded."),
        (TRAINS, {"phase": "stopping"}, "Being stopped: the script has 120 seconds to save what it has."),
        (TRAINS, {"phase": "ended"}, "The job has ended; its task is about to publish how."),
        (TRAINS, {"phase": "other", "status": "Hibernating"}, "SageMaker tells the status Hibernating."),
        (TRAINS, {"phase": "other", "status": ""}, "SageMaker tells the status of the job later."),
        (
            TRAINS,
            {"phase": "queued", "waits_for": "ml.p4d.24xlarge", "waits_since": iso(NOW - timedelta(days=3))},
            "Nothing is submitted yet: waits its turn for ml.p4d.24xlarge for 3d00h.",
        ),
        (
            TRAINS,
            {"phase": "queued", "since": None},
            "Nothing is submitted yet: waits its turn for quota.",
        ),
        (
            TRAINS,
            {"kind": "tuning", "statuses": {"Completed": 3, "InProgress": 2, "Stopped": 0}},
            "Training jobs: 3 Completed, 2 InProgress.",
        ),
        (
            TRAINS,
            {"kind": "tuning", "best": {"metric": "loss", "value": 0.18741}},
            "Training jobs: none yet; best loss 0.1874.",
        ),
        (
            TRAINS,
            {"kind": "tuning", "best": {"metric": ["loss"], "value": "low"}},
            "Training jobs: none yet.",
        ),
    ],
)
def test_running_job_says_what_it_does_and_why_it_waits(
    job: DescribedJob, changes: dict[str, Any], sentence: str
) -> None:
    assert _sentence(job, **changes) == sentence


@pytest.mark.parametrize(
    ("job", "changes", "sentence"),
    [
        (a_training_job().completed(), {}, "Finished without an interruption."),
        (a_training_job().interrupted(2).completed(), {}, "Finished after two interruptions."),
        (
            a_training_job().completed(),
            {"interruptions": 12},
            "Finished after 12 interruptions.",
        ),
        (
            a_training_job().max_wait_exceeded(),
            {},
            "No ml.m5.large spot capacity in eu-west-1 until MaxWait was over.",
        ),
        (
            a_training_job().interrupted(2).max_wait_exceeded().billed(1_000, 200),
            {},
            "MaxWait was over before the training was done after two interruptions.",
        ),
        (a_training_job().max_runtime_exceeded(), {}, "Trained for all of MaxRuntime and was stopped."),
        (a_training_job().stopped(), {}, "Somebody had it stopped."),
        (a_training_job().failed("KeyError: 'tenure'"), {}, "KeyError: 'tenure'"),
        (a_training_job().failed(""), {}, "SageMaker gave no reason."),
        (
            a_training_job().completed(),
            {"kind": "tuning", "jobs": 8, "unknown": 1},
            "Finished with nine training jobs and no interruptions.",
        ),
        (
            a_training_job().completed(),
            {"kind": "tuning", "outcome": "CompletedWithMaxWaitTimeExceeded", "jobs": 1, "unknown": 0},
            "Found its best training job; spot capacity did not suffice for others (one training job).",
        ),
        (
            a_training_job().completed(),
            {"kind": "tuning", "outcome": "NoJobSucceeded", "jobs": 2, "unknown": 0},
            "None of two training jobs came to a value of the objective.",
        ),
        (
            a_training_job().interrupted().completed(),
            {"outcome": "Vanished"},
            "Ended after one interruption.",
        ),
    ],
)
def test_ended_job_says_how(job: DescribedJob, changes: dict[str, Any], sentence: str) -> None:
    assert _sentence(job, **changes) == sentence


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_has_a_sentence(phase: Phase) -> None:
    assert _sentence(TRAINS, phase=phase).endswith(".")


def test_task_that_was_killed_says_so() -> None:
    progress = _progress(TRAINS)

    assert sentence_of(progress, NOW, is_waited_for=False, task_state="failed") == (
        "The task ended as failed without publishing how its job did: it was killed, or its worker was. The task's log says more."
    )
    assert sentence_of(progress, NOW, is_waited_for=False).startswith("The task has been cleared")


def test_sentences_change_once_a_minute() -> None:
    progress = _progress(WAITS)

    told = {sentence_of(progress, NOW + timedelta(seconds=second)) for second in range(1, 60)}

    assert len(told) == 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "less than a minute"),
        (59.9, "less than a minute"),
        (60, "1 min"),
        (3_599, "59 min"),
        (3_600, "1h00m"),
        (6_899, "1h54m"),
        (90_000, "1d01h"),
    ],
)
def test_durations_are_told_roughly(seconds: float, words: str) -> None:
    assert roughly(seconds) == words


def _seen(age: float | None, **changes: Any) -> SpotProgress:
    newest = None if age is None else iso(NOW - timedelta(seconds=age))
    seen = Checkpoints(looked=str(iso(NOW)), newest=newest, objects=age is not None, **changes)
    return _progress(TRAINS, checkpoints=seen.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("progress", "phrase"),
    [
        (_progress(TRAINS), None),
        (_seen(130), "checkpoint 2 min ago"),
        (_seen(130, expected_every=600), "checkpoint 2 min ago"),
        (_seen(1_900, expected_every=600, stale=True), "checkpoint 31 min ago, expected every 10 min"),
        (_seen(None), "no checkpoint yet"),
        (_seen(None, expected_every=600), "no checkpoint yet, expected every 10 min"),
    ],
)
def test_checkpoints_are_told_by_their_age(progress: SpotProgress, phrase: str | None) -> None:
    assert checkpoint_phrase(progress, NOW) == phrase


def test_stale_checkpoints_are_warned_of_while_the_job_runs() -> None:
    stale = _seen(1_900, expected_every=600, stale=True)

    assert str(warning_of(stale)).startswith("The checkpoints are stale")
    assert warning_of(stale.model_copy(update={"outcome": "Completed"})) is None
    assert warning_of(_seen(130, expected_every=600)) is None
    assert warning_of(_progress(TRAINS)) is None


def _ended(training: int, billable: int, instances: int = 1, **changes: Any) -> SpotProgress:
    job = a_training_job().completed().billed(training, billable)
    return _progress(
        job.having(ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": instances}), **changes
    )


@pytest.mark.parametrize(
    ("progress", "formula"),
    [
        (_ended(5_640, 1_455), "(1 − 1,455 billed s / 5,640 trained s) × 100 = 74.2%"),  # noqa: RUF001 - as it is shown
        (_ended(5_640, 1_455, 4), "(1 − 1,455 billed s / 5,640 trained s) × 100 = 74.2%"),  # noqa: RUF001
        (
            _ended(5_640, 1_455, kind="tuning"),
            "(1 − 1,455 billed instance-s / 5,640 trained instance-s) × 100 = 74.2%",  # noqa: RUF001
        ),
        (
            _ended(5_640, 1_455, 2, jobs=3),
            "(1 − 2,910 billed instance-s / 11,280 trained instance-s) × 100 = 74.2%",  # noqa: RUF001
        ),
        (_progress(a_training_job().max_wait_exceeded()), None),
    ],
)
def test_formula_is_written_out_with_the_jobs_numbers(progress: SpotProgress, formula: str | None) -> None:
    assert formula_of(progress) == formula


def test_each_interruption_says_what_it_cut_off() -> None:
    progress = _progress(a_training_job().interrupted(2).completed())

    assert work_lost(progress.timeline) == [
        "Interrupted at 12:15:35 UTC after 14m05s of training; what of that was done twice, its checkpoints tell.",
        "Interrupted at 12:33:10 UTC after 14m05s of training; what of that was done twice, its checkpoints tell.",
    ]


def test_work_lost_is_told_where_the_checkpoint_is_known() -> None:
    progress = _progress(a_training_job().interrupted())
    interrupted = CREATED + timedelta(minutes=15, seconds=35)

    def _told(newest: datetime) -> str:
        [sentence] = work_lost(progress.timeline, newest_checkpoint=iso(newest))
        return sentence

    assert _told(interrupted - timedelta(minutes=4)) == (
        "Interrupted at 12:15:35 UTC after 14m05s of training; the checkpoint of 12:11:35 UTC was 4m00s old, so much was done twice."
    )
    for elsewhere in (interrupted + timedelta(seconds=1), CREATED - timedelta(hours=1)):
        assert _told(elsewhere).endswith("what of that was done twice, its checkpoints tell.")


@pytest.mark.parametrize(
    ("timeline", "told"),
    [
        (
            [("Starting", None, None), ("Interrupted", None, None)],
            ["Interrupted before it trained: no work was lost."],
        ),
        (
            [("Training", "soon", "later"), ("Interrupted", "hours ago", None)],
            ["Interrupted before it trained: no work was lost."],
        ),
        (
            [("Training", iso(CREATED), iso(NOW)), ("Interrupted", None, None)],
            ["Interrupted after 1h30m of training; what of that was done twice, its checkpoints tell."],
        ),
        ([("Training", iso(NOW), iso(CREATED))], []),
        ([], []),
    ],
)
def test_timelines_of_strangers_do_no_harm(timeline: list[Any], told: list[str]) -> None:
    assert work_lost(timeline, newest_checkpoint="yesterday") == told
