"""What SageMaker tells about a tuning job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_spot_provider.emulator.tuning.completion import not_improving
from airflow_spot_provider.emulator.tuning.member import Member

if TYPE_CHECKING:
    from airflow_spot_provider.emulator.tuning.tuning_job import TuningJob

_STATUS_COUNTERS = ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped")
_OBJECTIVE_COUNTERS = ("Succeeded", "Pending", "Failed")


def described(job: TuningJob) -> dict[str, Any]:
    """DescribeHyperParameterTuningJob's answer."""
    request, spec = job.spec.request, job.spec
    definitions = [definition.described for definition in spec.definitions]
    single = request.get("TrainingJobDefinition") is not None
    best = job.best
    answer: dict[str, Any] = {
        **_told_in_both(job),
        "HyperParameterTuningJobConfig": {"TrainingJobEarlyStoppingType": "Off", **spec.config},
        "TrainingJobDefinition": definitions[0] if single else None,
        "TrainingJobDefinitions": None if single else definitions,
        "BestTrainingJob": None if best is None else best.summarized(),
        "OverallBestTrainingJob": _best_of_all(job, best),
        "WarmStartConfig": request.get("WarmStartConfig"),
        "Autotune": request.get("Autotune"),
        "FailureReason": job.failure_reason,
        "TuningJobCompletionDetails": {
            "NumberOfTrainingJobsObjectiveNotImproving": not_improving(job.losses),
            **({} if job.convergence_time is None else {"ConvergenceDetectedTime": job.convergence_time}),
        },
        "ConsumedResources": {"RuntimeInSeconds": round(job.runtime_seconds)},
    }
    return {name: value for name, value in answer.items() if value is not None}


def summarized(job: TuningJob) -> dict[str, Any]:
    """Its HyperParameterTuningJobSummary."""
    summary = {
        **_told_in_both(job),
        "Strategy": job.spec.config["Strategy"],
        "ResourceLimits": job.spec.config["ResourceLimits"],
    }
    return {name: value for name, value in summary.items() if value is not None}


def _told_in_both(job: TuningJob) -> dict[str, Any]:
    return {
        "HyperParameterTuningJobName": job.name,
        "HyperParameterTuningJobArn": job.arn,
        "HyperParameterTuningJobStatus": job.status,
        "CreationTime": job.creation_time,
        "HyperParameterTuningEndTime": job.end_time,
        "LastModifiedTime": job.last_modified_time,
        "TrainingJobStatusCounters": _counted(
            _STATUS_COUNTERS, [member.status_counter for member in job.members]
        ),
        "ObjectiveStatusCounters": _counted(
            _OBJECTIVE_COUNTERS, [member.objective_status for member in job.members]
        ),
    }


def _counted(names: Sequence[str], found: Sequence[str]) -> dict[str, int]:
    counts = Counter(found)
    return {name: counts[name] for name in names}


def _best_of_all(job: TuningJob, best: Member | None) -> dict[str, Any] | None:
    """The best of this tuning job's training jobs and its parents', the earlier one where they are equal."""
    if not job.warm_start.compares_with_parents:
        return None
    candidates = list(job.warm_start.best)
    if best is not None and best.loss is not None:
        candidates.append((best.loss, {**best.summarized(), "TuningJobName": job.name}))
    return min(candidates, key=lambda candidate: candidate[0])[1] if candidates else None
