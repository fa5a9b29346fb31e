"""When a tuning job is done, or past hope.

Source: `Track and set completion criteria for your tuning job
<https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-progress.html>`_.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

IMPROVEMENT = 0.01
"""What counts as an improvement of the best objective: 1% of it."""
CONVERGED_AFTER = 10
"""Training jobs without improvement that show convergence; SageMaker's own criterion is not published."""
_ATTEMPTS = 5
"""Training jobs after which a tuning job without a result gives up, as users report it of SageMaker."""
_SEE_FAILURES = "Please take a look at the training job failures to get more details."


@dataclass(frozen=True)
class Finish:
    """How a tuning job ends as soon as none of its training jobs runs.

    :param status: HyperParameterTuningJobStatus.
    :param failure_reason: FailureReason.
    """

    status: str
    failure_reason: str | None = None


def not_improving(losses: Sequence[float]) -> int:
    """How many training jobs have ended since the last that improved the best objective by 1% or more.

    :param losses: their objectives in the order in which they ended, less being better.
    """
    count, best = 0, None
    for loss in losses:
        count = 0 if best is None or (loss < best and best - loss >= IMPROVEMENT * abs(best)) else count + 1
        best = loss if best is None else min(best, loss)
    return count


def is_complete(criteria: Mapping[str, Any], losses: Sequence[float], target_loss: float | None) -> bool:
    """Whether one of the criteria is met.

    :param criteria: TuningJobCompletionCriteria.
    :param losses: the objectives in the order in which their jobs ended, less being better.
    :param target_loss: TargetObjectiveMetricValue, less being better.
    """
    if target_loss is not None and any(loss <= target_loss for loss in losses):
        return True
    stale = not_improving(losses)
    limit = (criteria.get("BestObjectiveNotImproving") or {}).get("MaxNumberOfTrainingJobsNotImproving")
    if limit is not None and stale >= limit:
        return True
    convergence = (criteria.get("ConvergenceDetected") or {}).get("CompleteOnConvergence")
    return convergence == "Enabled" and stale >= CONVERGED_AFTER


def failure_of(*, ended: int, completed: int, evaluated: int, is_last: bool) -> str | None:
    """Why a tuning job fails, with SageMaker's wording; None if it does not.

    :param ended: training jobs that have ended.
    :param completed: those of them that did not fail.
    :param evaluated: those of them with an objective.
    :param is_last: whether none comes after them.
    """
    if evaluated or not ended or (ended < _ATTEMPTS and not is_last):
        return None
    attempts = ended if is_last else _ATTEMPTS
    if completed:
        return (
            f"No objective metrics found after running {attempts} training jobs. Please ensure that the custom algorithm is "
            "emitting the objective metric as defined by the regular expression provided."
        )
    if is_last:
        return f"All training jobs failed. {_SEE_FAILURES}"
    return f"No training job succeeded after {attempts} attempts. {_SEE_FAILURES}"
