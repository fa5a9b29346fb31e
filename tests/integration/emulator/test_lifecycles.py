"""The documented lifecycles over HTTP, transition for transition."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.emulator.conftest import LONG, Jobs, statuses

GUIDE = {
    "uninterrupted": ["Starting", "Downloading", "Training", "Uploading", "Completed"],
    "interrupted-once": [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ],
    "interrupted-twice-then-max-wait": [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Downloading", "Training", "Stopping", "MaxWaitTimeExceeded"),
    ],
    "never-launched": ["Starting", "Stopping", "MaxWaitTimeExceeded"],
    "failed": ["Starting", "Downloading", "Training", "Failed"],
}
SHORT_WAIT = {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120}


@pytest.mark.parametrize("lifecycle", GUIDE)
def test_lifecycle_goes_as_the_guide_lists_it(jobs: Jobs, lifecycle: str) -> None:
    description = jobs.ended(jobs.submit(lifecycle, StoppingCondition=SHORT_WAIT))
    assert statuses(description) == GUIDE[lifecycle]
    assert description["SecondaryStatus"] == GUIDE[lifecycle][-1]
    assert description["TrainingJobStatus"] == {"failed": "Failed"}.get(
        lifecycle, "Stopped" if "max-wait" in lifecycle or lifecycle == "never-launched" else "Completed"
    )
    entries = description["SecondaryStatusTransitions"]
    assert entries[-1]["StartTime"] == entries[-1]["EndTime"]
    assert ("ModelArtifacts" in description) is (description["TrainingJobStatus"] == "Completed")
    figures = {"TrainingTimeInSeconds", "BillableTimeInSeconds", "TrainingStartTime", "TrainingEndTime"}
    assert figures & set(description) == (set() if lifecycle == "never-launched" else figures)
    if lifecycle == "failed":
        assert description["FailureReason"] == (
            "InternalServerError: We encountered an internal error. Please try again."
        )


def _seconds_on_instances(description: dict[str, Any]) -> float:
    return sum(
        (entry["EndTime"] - entry["StartTime"]).total_seconds()
        for entry in description["SecondaryStatusTransitions"]
        if entry["Status"] in ("Downloading", "Training", "Uploading")
    )


def test_savings_come_of_what_happened(jobs: Jobs) -> None:
    description = jobs.ended(jobs.submit("interrupted-once"))
    assert description["TrainingTimeInSeconds"] == pytest.approx(_seconds_on_instances(description), abs=1)
    savings = (1 - description["BillableTimeInSeconds"] / description["TrainingTimeInSeconds"]) * 100
    assert 59 < savings < 81


def test_job_on_demand_is_billed_every_second_and_never_interrupted(jobs: Jobs) -> None:
    name = jobs.submit(
        "interrupted-once", EnableManagedSpotTraining=False, StoppingCondition={"MaxRuntimeInSeconds": 600}
    )
    description = jobs.ended(name)
    assert statuses(description) == GUIDE["uninterrupted"]
    assert description["BillableTimeInSeconds"] == description["TrainingTimeInSeconds"]


def test_max_runtime_ends_a_job(jobs: Jobs) -> None:
    limits = {"MaxRuntimeInSeconds": 20, "MaxWaitTimeInSeconds": 3600}
    description = jobs.ended(jobs.submit(StoppingCondition=limits))
    assert statuses(description) == ["Starting", "Downloading", "Training", "Stopping", "MaxRuntimeExceeded"]
    assert description["TrainingJobStatus"] == "Stopped"


def test_stop_ends_a_job_and_a_second_stop_is_refused(jobs: Jobs) -> None:
    name = jobs.submit(Tags=[{"Key": "emulator:training-seconds", "Value": str(LONG)}])
    jobs.in_status(name, "Training")
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    description = jobs.ended(name)
    assert statuses(description) == ["Starting", "Downloading", "Training", "Stopping", "Stopped"]
    with pytest.raises(
        jobs.sagemaker.exceptions.ClientError, match=r"ValidationException.*in status Stopped"
    ):
        jobs.sagemaker.stop_training_job(TrainingJobName=name)
