"""What a managed spot training job is: pure Python, with no Airflow, no AWS client, no clock and no I/O."""

from __future__ import annotations

from airflow_spot_provider.training.exceptions import (
    InvalidSpotRequest,
    JobNameTaken,
    MaxRuntimeExceeded,
    MaxWaitTimeExceeded,
    SpotTrainingError,
    TrainingJobFailed,
    TrainingJobNotFound,
    TrainingJobStopped,
    UnacceptedOutcome,
    WatchFailed,
)
from airflow_spot_provider.training.lifecycle import (
    Outcome,
    SecondaryStatus,
    Timeline,
    Transition,
    outcome_of,
)
from airflow_spot_provider.training.naming import TaskIdentity, job_name
from airflow_spot_provider.training.request import on_demand_request, spot_request
from airflow_spot_provider.training.result import Attempt, SpotTrainingResult, progress_of
from airflow_spot_provider.training.savings import Savings, savings_percent

__all__ = [
    "Attempt",
    "InvalidSpotRequest",
    "JobNameTaken",
    "MaxRuntimeExceeded",
    "MaxWaitTimeExceeded",
    "Outcome",
    "Savings",
    "SecondaryStatus",
    "SpotTrainingError",
    "SpotTrainingResult",
    "TaskIdentity",
    "Timeline",
    "TrainingJobFailed",
    "TrainingJobNotFound",
    "TrainingJobStopped",
    "Transition",
    "UnacceptedOutcome",
    "WatchFailed",
    "job_name",
    "on_demand_request",
    "outcome_of",
    "progress_of",
    "savings_percent",
    "spot_request",
]
