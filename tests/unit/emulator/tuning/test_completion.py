"""When a tuning job is done."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_spot_provider.emulator.tuning.completion import failure_of, is_complete, not_improving


@pytest.mark.parametrize(
    ("losses", "count"),
    [
        ([], 0),
        ([5.0], 0),
        ([5.0, 6.0, 7.0], 2),
        ([5.0, 6.0, 4.0], 0),
        ([5.0, 4.99, 4.97], 2),
        ([-0.5, -0.6, -0.6], 1),
        ([0.0, 0.0], 1),
    ],
)
def test_a_job_improves_by_one_percent_or_not_at_all(losses: list[float], count: int) -> None:
    assert not_improving(losses) == count


@pytest.mark.parametrize(
    ("criteria", "losses", "target_loss", "done"),
    [
        ({}, [1.0] * 50, None, False),
        ({}, [0.5], 0.4, False),
        ({}, [0.5, 0.4, 0.6], 0.4, True),
        ({"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}, [1.0] * 3, None, False),
        ({"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}, [1.0] * 4, None, True),
        ({"ConvergenceDetected": {"CompleteOnConvergence": "Disabled"}}, [1.0] * 50, None, False),
        ({"ConvergenceDetected": {"CompleteOnConvergence": "Enabled"}}, [1.0] * 11, None, True),
    ],
)
def test_criteria(
    criteria: dict[str, Any], losses: list[float], target_loss: float | None, done: bool
) -> None:
    assert is_complete(criteria, losses, target_loss) is done


@pytest.mark.parametrize(
    ("ended", "completed", "evaluated", "is_last", "says"),
    [
        (0, 0, 0, True, None),
        (4, 0, 0, False, None),
        (5, 0, 0, False, "No training job succeeded after 5 attempts."),
        (2, 0, 0, True, "All training jobs failed."),
        (5, 1, 0, False, "No objective metrics found after running 5 training jobs."),
        (3, 3, 0, True, "No objective metrics found after running 3 training jobs."),
        (9, 1, 1, True, None),
    ],
)
def test_a_tuning_job_without_a_result_fails(
    ended: int, completed: int, evaluated: int, is_last: bool, says: str | None
) -> None:
    reason = failure_of(ended=ended, completed=completed, evaluated=evaluated, is_last=is_last)
    assert reason is None if says is None else reason is not None and reason.startswith(says)
