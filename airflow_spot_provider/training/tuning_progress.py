"""How far a task has come with its tuning job: the same XCom ``spot_progress``, with the figures of all its training jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_spot_provider.training.json_text import clipped
from airflow_spot_provider.training.lifecycle import instant
from airflow_spot_provider.training.phases import Phase, phase_of
from airflow_spot_provider.training.progress import (
    MAX_REASON,
    MAX_STATUS,
    Facts,
    SpotProgress,
    figures_of,
    known_to_the_task,
)
from airflow_spot_provider.training.result import instances_of, iso
from airflow_spot_provider.training.tuning_result import SpotTuningResult, best_so_far


def tuning_progress_of(
    description: Mapping[str, Any], *, facts: Facts | None = None, result: SpotTuningResult | None = None
) -> dict[str, Any]:
    """How far a tuning job has come: what a task publishes from its submit on.

    :param description: a DescribeHyperParameterTuningJob answer; at the submit, no more than its name.
    :param facts: what the task knows besides.
    :param result: how it ended, once it has.
    :return: a :class:`SpotProgress` as JSON.
    """
    facts = facts or Facts()
    created = iso(instant(description.get("CreationTime")))
    status = clipped(str(description.get("HyperParameterTuningJobStatus") or ""), MAX_STATUS)
    progress = SpotProgress(
        **known_to_the_task(facts, description.get("HyperParameterTuningJobArn")),
        **_defined(description),
        kind="tuning",
        job_name=description.get("HyperParameterTuningJobName"),
        status=status,
        phase=phase_of(status) if status else Phase.STARTING,
        since=created,
        created=created,
        statuses=description.get("TrainingJobStatusCounters") or {},
        objective_statuses=description.get("ObjectiveStatusCounters") or {},
        best=best_so_far(description),
    )
    if result is not None:
        progress = progress.model_copy(
            update={
                "outcome": str(result.outcome),
                "phase": Phase.ENDED,
                "managed_spot": result.managed_spot if result.jobs else progress.managed_spot,
                "interruptions": result.interruptions,
                "waiting_seconds": result.waiting_seconds,
                "model_artifacts": result.best.model_artifacts if result.best else None,
                "failure_reason": clipped(result.failure_reason or "", MAX_REASON) or None,
                **figures_of(result.savings, result.known_cost, facts),
            }
        )
    return progress.to_json()


def instance_type_of(description: Mapping[str, Any]) -> str | None:
    """What all training jobs of a tuning job run on; None where that differs, or is not told."""
    instance_type: str | None = _defined(description).get("instance_type")
    return instance_type


def _defined(description: Mapping[str, Any]) -> dict[str, Any]:
    """What a tuning job's training jobs run on, where its definitions agree."""
    one, several = (description.get(f"TrainingJobDefinition{plural}") for plural in ("", "s"))
    definitions = [*([one] if one else ()), *(several or ())]
    if not definitions:
        return {}
    resources = [
        each.get("ResourceConfig") or each.get("HyperParameterTuningResourceConfig") or {}
        for each in definitions
    ]
    types = {each.get("InstanceType") for each in resources}
    counts = {instances_of(each) for each in resources}
    return {
        "managed_spot": all(bool(each.get("EnableManagedSpotTraining")) for each in definitions),
        "instance_type": types.pop() if len(types) == 1 else None,
        "instance_count": counts.pop() if len(counts) == 1 else 1,
    }
