"""Why a job failed, by its FailureReason; and what that makes of a job that never trained."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_spot_provider.operators._outcomes import is_accepted
from airflow_spot_provider.training import Outcome, SpotTrainingResult
from airflow_spot_provider.training.failure import FailureCause, failure_cause
from tests.builders import a_training_job

CAPACITY = "CapacityError: Unable to provision requested ML compute capacity."


@pytest.mark.parametrize("cause", list(FailureCause))
def test_first_word_tells(cause: FailureCause) -> None:
    assert failure_cause(f"{cause}: and more: of it") is cause


@pytest.mark.parametrize(
    "reason", [None, "", "it failed", "Exit code 1: AlgorithmError", "CapacityErrors: x", "CapacityError"]
)
def test_nothing_is_guessed_from_other_words(reason: str | None) -> None:
    assert failure_cause(reason) is None


def _failed(reason: str, **members: Any) -> SpotTrainingResult:
    description = a_training_job().failed(reason).described()
    return SpotTrainingResult.of({**description, "TrainingTimeInSeconds": None, **members})


@pytest.mark.parametrize("spot", [True, False])
def test_job_that_never_trained_for_want_of_capacity_is_as_good_as_one_that_waited_in_vain(
    spot: bool,
) -> None:
    result = _failed(CAPACITY, EnableManagedSpotTraining=spot)

    assert result.lacked_capacity
    assert is_accepted(result, {Outcome.COMPLETED, Outcome.MAX_WAIT_TIME_EXCEEDED})
    assert not is_accepted(result, {Outcome.COMPLETED})


@pytest.mark.parametrize(
    ("reason", "members"),
    [(CAPACITY, {"TrainingTimeInSeconds": 60}), ("AlgorithmError: exit code 1", {})],
)
def test_job_that_trained_or_failed_otherwise_is_a_failure(reason: str, members: dict[str, Any]) -> None:
    result = _failed(reason, **members)

    assert not result.lacked_capacity
    assert not is_accepted(result, {Outcome.COMPLETED, Outcome.MAX_WAIT_TIME_EXCEEDED})


def test_job_that_did_not_fail_has_no_cause() -> None:
    result = SpotTrainingResult.of(a_training_job().completed().described())

    assert result.model_copy(update={"failure_reason": CAPACITY}).failure_cause is None
