"""What a managed spot training job is: pure Python, with no Airflow, no AWS client, no clock and no I/O."""

from __future__ import annotations

from airflow_spot_provider.training.alerts import SpotAlert
from airflow_spot_provider.training.budget import Budget, hyperparameter_budget
from airflow_spot_provider.training.comparison import best_of, savings_of
from airflow_spot_provider.training.exceptions import (
    ConnectionNotFound,
    InstanceTypeNotAvailable,
    InvalidSpotRequest,
    JobNameTaken,
    JobNotFound,
    MaxRuntimeExceeded,
    MaxWaitTimeExceeded,
    MustWaitItsTurn,
    NoTrainingJobSucceeded,
    QuotaTooSmall,
    SharedCheckpointPrefix,
    SpotTrainingError,
    TrainingJobFailed,
    TrainingJobLackedCapacity,
    TrainingJobNotFound,
    TrainingJobStopped,
    TuningJobFailed,
    TuningJobNotFound,
    TuningJobStopped,
    TuningMaxRuntimeExceeded,
    TuningMaxWaitTimeExceeded,
    UnacceptedOutcome,
    UnacceptedTuningOutcome,
    WaitedInVain,
    WatchFailed,
)
from airflow_spot_provider.training.hyperparameters import (
    Categorical,
    Integers,
    LogUniform,
    Uniform,
    hyperparameter_grid,
    hyperparameter_samples,
)
from airflow_spot_provider.training.lifecycle import (
    Outcome,
    SecondaryStatus,
    Timeline,
    Transition,
    outcome_of,
)
from airflow_spot_provider.training.money import Cost, Price
from airflow_spot_provider.training.naming import TaskIdentity, job_name, tuning_job_name
from airflow_spot_provider.training.phases import Phase, phase_of
from airflow_spot_provider.training.progress import SpotProgress, progress_of
from airflow_spot_provider.training.request import on_demand_request, spot_request
from airflow_spot_provider.training.result import Attempt, SpotTrainingResult
from airflow_spot_provider.training.savings import Savings, savings_percent
from airflow_spot_provider.training.tuning_outcome import TuningOutcome
from airflow_spot_provider.training.tuning_progress import tuning_progress_of
from airflow_spot_provider.training.tuning_request import on_demand_tuning_request, spot_tuning_request
from airflow_spot_provider.training.tuning_result import SpotTuningResult

__all__ = [
    "Attempt",
    "Budget",
    "Categorical",
    "ConnectionNotFound",
    "Cost",
    "InstanceTypeNotAvailable",
    "Integers",
    "InvalidSpotRequest",
    "JobNameTaken",
    "JobNotFound",
    "LogUniform",
    "MaxRuntimeExceeded",
    "MaxWaitTimeExceeded",
    "MustWaitItsTurn",
    "NoTrainingJobSucceeded",
    "Outcome",
    "Phase",
    "Price",
    "QuotaTooSmall",
    "Savings",
    "SecondaryStatus",
    "SharedCheckpointPrefix",
    "SpotAlert",
    "SpotProgress",
    "SpotTrainingError",
    "SpotTrainingResult",
    "SpotTuningResult",
    "TaskIdentity",
    "Timeline",
    "TrainingJobFailed",
    "TrainingJobLackedCapacity",
    "TrainingJobNotFound",
    "TrainingJobStopped",
    "Transition",
    "TuningJobFailed",
    "TuningJobNotFound",
    "TuningJobStopped",
    "TuningMaxRuntimeExceeded",
    "TuningMaxWaitTimeExceeded",
    "TuningOutcome",
    "UnacceptedOutcome",
    "UnacceptedTuningOutcome",
    "Uniform",
    "WaitedInVain",
    "WatchFailed",
    "best_of",
    "hyperparameter_budget",
    "hyperparameter_grid",
    "hyperparameter_samples",
    "job_name",
    "on_demand_request",
    "on_demand_tuning_request",
    "outcome_of",
    "phase_of",
    "progress_of",
    "savings_of",
    "savings_percent",
    "spot_request",
    "spot_tuning_request",
    "tuning_job_name",
    "tuning_progress_of",
]
