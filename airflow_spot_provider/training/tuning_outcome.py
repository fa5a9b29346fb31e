"""How a tuning job ended, from what SageMaker tells of it and of its training jobs.

Source: `DescribeHyperParameterTuningJob
<https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeHyperParameterTuningJob.html>`_ and `Track and set completion
criteria <https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-progress.html>`_.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from airflow_spot_provider.training.lifecycle import Outcome, instant


class TuningOutcome(StrEnum):
    """How a tuning job ended: exactly one of these."""

    COMPLETED = "Completed"
    COMPLETED_WITH_MAX_WAIT_TIME_EXCEEDED = "CompletedWithMaxWaitTimeExceeded"
    """It has found its best training job, and spot capacity did not suffice for others."""
    MAX_RUNTIME_EXCEEDED = "MaxRuntimeExceeded"
    """ResourceLimits.MaxRuntimeInSeconds ended the search, with a best training job by then."""
    NO_JOB_SUCCEEDED = "NoJobSucceeded"
    """None of its training jobs came to a value of the objective metric."""
    STOPPED = "Stopped"
    """Somebody stopped it."""
    FAILED = "Failed"


def tuning_outcome_of(
    description: Mapping[str, Any], outcomes: Iterable[Outcome | None]
) -> TuningOutcome | None:
    """Tell how a tuning job ended. Messages are never looked at: SageMaker says that their wording may change.

    SageMaker has one word, Completed, for a tuning job that launched all its training jobs, for one that ran out of time, and for one
    that lost some of them to a lack of spot capacity. Its limits, its counters and its training jobs tell them apart.

    :param description: a DescribeHyperParameterTuningJob answer.
    :param outcomes: how its training jobs ended; None for one of which that is not known.
    :return: the outcome, or None while the job has not ended.
    """
    found = has_objective(description)
    out_of_time = "MaxRuntimeInSeconds" in limits_reached(description)
    match description.get("HyperParameterTuningJobStatus"):
        case "Stopped" if not out_of_time:
            return TuningOutcome.STOPPED
        case "Completed" | "Stopped" if not found:
            return TuningOutcome.NO_JOB_SUCCEEDED
        case "Completed" | "Stopped" if out_of_time:
            return TuningOutcome.MAX_RUNTIME_EXCEEDED
        case "Completed" if Outcome.MAX_WAIT_TIME_EXCEEDED in set(outcomes):
            return TuningOutcome.COMPLETED_WITH_MAX_WAIT_TIME_EXCEEDED
        case "Completed":
            return TuningOutcome.COMPLETED
        case "Failed" if launched(description) and not found:
            return TuningOutcome.NO_JOB_SUCCEEDED
        case "Failed" | "DeleteFailed":
            return TuningOutcome.FAILED
        case _:
            return None


def limits_reached(description: Mapping[str, Any]) -> tuple[str, ...]:
    """Which of a tuning job's limits and completion criteria have been reached, by their names in SageMaker's API.

    :param description: a DescribeHyperParameterTuningJob answer.
    :return: of ``MaxNumberOfTrainingJobs``, ``MaxRuntimeInSeconds``, ``TargetObjectiveMetricValue``, ``BestObjectiveNotImproving`` and
        ``ConvergenceDetected`` those that were set and are met.
    """
    return tuple(_limits_reached(description))


def launched(description: Mapping[str, Any]) -> int:
    """How many training jobs a tuning job has launched, by its counters."""
    return sum((description.get("TrainingJobStatusCounters") or {}).values())


def has_objective(description: Mapping[str, Any]) -> bool:
    """Whether any of its training jobs came to a value of the objective metric."""
    succeeded = (description.get("ObjectiveStatusCounters") or {}).get("Succeeded") or 0
    return bool(succeeded or (description.get("BestTrainingJob") or {}).get("TrainingJobName"))


def runtime_seconds(description: Mapping[str, Any]) -> int | None:
    """How long a tuning job ran: ConsumedResources.RuntimeInSeconds, or its end less its beginning; None while neither is told."""
    consumed: int | None = (description.get("ConsumedResources") or {}).get("RuntimeInSeconds")
    if consumed is not None:
        return consumed
    created, ended = (
        instant(description.get(member)) for member in ("CreationTime", "HyperParameterTuningEndTime")
    )
    return None if created is None or ended is None else int((ended - created).total_seconds())


def objective_of(description: Mapping[str, Any], definition: str | None) -> Mapping[str, Any]:
    """What the training jobs of one definition are tuned for: Type and MetricName; empty if that is not told.

    :param description: a DescribeHyperParameterTuningJob answer.
    :param definition: TrainingJobDefinitionName of a training job; it is looked at where there are several definitions.
    """
    shared = _config(description).get("HyperParameterTuningJobObjective") or {}
    single = description.get("TrainingJobDefinition")
    definitions = [single] if single else description.get("TrainingJobDefinitions") or [{}]
    named = [
        each for each in definitions if len(definitions) == 1 or each.get("DefinitionName") == definition
    ]
    return (named[0].get("TuningObjective") if named else None) or shared


def _limits_reached(description: Mapping[str, Any]) -> Iterator[str]:
    config = _config(description)
    limits = config.get("ResourceLimits") or {}
    criteria = config.get("TuningJobCompletionCriteria") or {}
    details = description.get("TuningJobCompletionDetails") or {}
    most, longest = limits.get("MaxNumberOfTrainingJobs"), limits.get("MaxRuntimeInSeconds")
    if most is not None and launched(description) >= most:
        yield "MaxNumberOfTrainingJobs"
    runtime = runtime_seconds(description)
    if longest is not None and runtime is not None and runtime >= longest:
        yield "MaxRuntimeInSeconds"
    target = criteria.get("TargetObjectiveMetricValue")
    if target is not None and _is_reached(description, target):
        yield "TargetObjectiveMetricValue"
    patience = (criteria.get("BestObjectiveNotImproving") or {}).get("MaxNumberOfTrainingJobsNotImproving")
    stale = details.get("NumberOfTrainingJobsObjectiveNotImproving")
    if patience is not None and stale is not None and stale >= patience:
        yield "BestObjectiveNotImproving"
    # Autotune ends at convergence unless it is told otherwise.
    autotuned = (description.get("Autotune") or {}).get("Mode")
    ends = (criteria.get("ConvergenceDetected") or {}).get("CompleteOnConvergence", autotuned)
    if ends == "Enabled" and details.get("ConvergenceDetectedTime") is not None:
        yield "ConvergenceDetected"


def _is_reached(description: Mapping[str, Any], target: float) -> bool:
    best = description.get("BestTrainingJob") or {}
    value = (best.get("FinalHyperParameterTuningJobObjectiveMetric") or {}).get("Value")
    objective = objective_of(description, best.get("TrainingJobDefinitionName"))
    if value is None:
        return False
    return bool(value <= target if objective.get("Type") == "Minimize" else value >= target)


def _config(description: Mapping[str, Any]) -> Mapping[str, Any]:
    config: Mapping[str, Any] = description.get("HyperParameterTuningJobConfig") or {}
    return config
