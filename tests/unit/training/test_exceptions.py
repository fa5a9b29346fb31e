"""One exception class for each decision: which it is, what it says, and what it carries."""

from __future__ import annotations

import pickle

import pytest

from airflow_spot_provider.training import (
    InvalidSpotRequest,
    MaxRuntimeExceeded,
    MaxWaitTimeExceeded,
    MustWaitItsTurn,
    Outcome,
    SpotTrainingError,
    SpotTrainingResult,
    TrainingJobFailed,
    TrainingJobLackedCapacity,
    TrainingJobStopped,
    UnacceptedOutcome,
)
from airflow_spot_provider.training.exceptions import unaccepted
from tests.builders import DescribedJob, a_training_job

ENDS: list[tuple[DescribedJob, type[UnacceptedOutcome], Outcome, str]] = [
    (
        a_training_job().max_wait_exceeded(),
        MaxWaitTimeExceeded,
        Outcome.MAX_WAIT_TIME_EXCEEDED,
        "raise max_wait, choose another instance type, or fall back to on demand",
    ),
    (
        a_training_job().max_runtime_exceeded(),
        MaxRuntimeExceeded,
        Outcome.MAX_RUNTIME_EXCEEDED,
        "Raise StoppingCondition.MaxRuntimeInSeconds",
    ),
    (a_training_job().stopped(), TrainingJobStopped, Outcome.STOPPED, "CloudTrail says who"),
    (a_training_job().failed(), TrainingJobFailed, Outcome.FAILED, "not a matter of spot capacity"),
    (
        a_training_job().failed("CapacityError: Unable to provision requested ML compute capacity."),
        TrainingJobLackedCapacity,
        Outcome.FAILED,
        "AWS had no capacity for it",
    ),
]


@pytest.mark.parametrize(
    ("job", "kind", "outcome", "advice"), ENDS, ids=[kind.__name__ for _, kind, _, _ in ENDS]
)
def test_each_outcome_has_its_exception(
    job: DescribedJob, kind: type[UnacceptedOutcome], outcome: Outcome, advice: str
) -> None:
    result = SpotTrainingResult.of(job.described())

    error = unaccepted(result)

    assert type(error) is kind
    assert isinstance(error, SpotTrainingError)
    assert error.outcome is outcome
    assert error.result == result
    assert str(error).startswith(f"Training job digits-1 ended as {outcome}")
    assert advice in str(error)


def test_every_outcome_but_completed_has_an_exception() -> None:
    assert {outcome for _, _, outcome, _ in ENDS} == set(Outcome) - {Outcome.COMPLETED}
    with pytest.raises(KeyError):
        unaccepted(SpotTrainingResult.of(a_training_job().completed().described()))


def test_failure_reason_is_told() -> None:
    result = SpotTrainingResult.of(a_training_job().failed("AlgorithmError: no such column").described())

    assert str(unaccepted(result)) == (
        "Training job digits-1 ended as Failed (AlgorithmError: no such column). "
        "This is not a matter of spot capacity: see the failure reason and the training log."
    )


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("ClientError: Data download failed: no such bucket", "of what the request names"),
        (
            "InternalServerError: We encountered an internal error.",
            "SageMaker itself failed, not the training",
        ),
        ("Something new: it broke", "See the failure reason, and the training log if there is one."),
    ],
)
def test_whose_fault_a_failure_was_is_told_by_the_first_word_of_its_reason(reason: str, advice: str) -> None:
    error = unaccepted(SpotTrainingResult.of(a_training_job().failed(reason).described()))

    assert type(error) is TrainingJobFailed
    assert advice in str(error)
    assert ("training log" in str(error)) == reason.startswith("Something")


def test_exceptions_can_be_handed_to_another_process() -> None:
    failed = unaccepted(SpotTrainingResult.of(a_training_job().failed().described()))
    invalid = InvalidSpotRequest(["One is wrong.", "Two is wrong."])

    read_failed, read_invalid = pickle.loads(pickle.dumps((failed, invalid)))  # noqa: S301 - our own bytes

    assert type(read_failed) is TrainingJobFailed
    assert read_failed.result == failed.result
    assert str(read_failed) == str(failed)
    assert read_invalid.problems == invalid.problems
    assert str(read_invalid) == str(invalid)


def test_an_invalid_request_is_a_value_error_too() -> None:
    assert issubclass(InvalidSpotRequest, ValueError)
    assert issubclass(InvalidSpotRequest, SpotTrainingError)


def test_refusal_to_wait_for_says_what_for_and_survives_another_process() -> None:
    refusal = MustWaitItsTurn("ml.m5.large for spot training job usage", "All are in use.")

    again = pickle.loads(pickle.dumps(refusal))  # noqa: S301 - just pickled

    assert (again.waits_for, again.why, str(again)) == (refusal.waits_for, refusal.why, "All are in use.")
