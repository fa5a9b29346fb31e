"""Managed spot training and tuning with the SageMaker Python SDK v2."""

from __future__ import annotations

import json
import sys

import sagemaker
from sagemaker.estimator import Estimator
from sagemaker.exceptions import UnexpectedStatusException
from sagemaker.tuner import ContinuousParameter, HyperparameterTuner

METRICS = [{"Name": "validation:loss", "Regex": "validation:loss=([0-9.e-]+)"}]


def estimator(source: str, role: str, name: str, **arguments: object) -> Estimator:
    bucket = sagemaker.Session().default_bucket()
    return Estimator(
        image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/line:1",
        role=role,
        instance_count=1,
        instance_type="ml.m5.large",
        entry_point="train.py",
        source_dir=source,
        base_job_name=name,
        metric_definitions=METRICS,
        use_spot_instances=True,
        max_run=14_400,
        max_wait=28_800,
        checkpoint_s3_uri=f"s3://{bucket}/checkpoints/{name}",
        **arguments,
    )


def fit(source: str, data: str, role: str, name: str) -> dict[str, object]:
    """Fit, with the job's log on the screen."""
    trained = estimator(source, role, name, hyperparameters={"epochs": 12, "seconds-per-epoch": 1.0})
    inputs = trained.sagemaker_session.upload_data(data, key_prefix=f"{name}/data")
    trained.fit({"training": inputs}, logs=True)
    metrics = trained.training_job_analytics.dataframe()
    return {
        "job": trained.latest_training_job.name,
        "model": trained.model_data,
        "losses": list(metrics["value"]),
        "attached": Estimator.attach(trained.latest_training_job.name).hyperparameters()["epochs"],
    }


def fail(source: str, data: str, role: str, name: str) -> dict[str, object]:
    """What the SDK raises for a script that fails."""
    failing = estimator(source, role, name, hyperparameters={"fail": "the points are not on a line"})
    inputs = failing.sagemaker_session.upload_data(data, key_prefix=f"{name}/data")
    try:
        failing.fit({"training": inputs}, logs=False)
    except UnexpectedStatusException as error:
        return {"job": failing.latest_training_job.name, "status": error.actual_status, "error": str(error)}
    raise AssertionError("the job did not fail")


def tune(source: str, data: str, role: str, name: str) -> dict[str, object]:
    """Tune one hyperparameter."""
    tuned = estimator(source, role, name, hyperparameters={"epochs": 4})
    inputs = tuned.sagemaker_session.upload_data(data, key_prefix=f"{name}/data")
    tuner = HyperparameterTuner(
        tuned,
        objective_metric_name="validation:loss",
        objective_type="Minimize",
        hyperparameter_ranges={"learning-rate": ContinuousParameter(0.05, 0.9)},
        metric_definitions=METRICS,
        max_jobs=4,
        max_parallel_jobs=2,
        base_tuning_job_name=name,
    )
    tuner.fit({"training": inputs})
    tuner.wait()
    table = tuner.analytics().dataframe()
    return {
        "tuning_job": tuner.latest_tuning_job.name,
        "best": tuner.best_training_job(),
        "described": counters(tuner.describe()),
        "best_rate": float(tuner.best_estimator().hyperparameters()["learning-rate"].strip('"')),
        "jobs": [
            [
                row["TrainingJobName"],
                row["TrainingJobStatus"],
                row["learning-rate"],
                row["FinalObjectiveValue"],
            ]
            for _, row in table.iterrows()
        ],
    }


def read(name: str) -> dict[str, object]:
    """What the SDK reads of a tuning job that something else has started."""
    analytics = sagemaker.HyperparameterTuningJobAnalytics(name)
    rows = [row for _, row in analytics.dataframe().iterrows()]
    return {
        "described": counters(analytics.description()),
        "summaries": [each["TrainingJobName"] for each in analytics.training_job_summaries()],
        "objectives": {row["TrainingJobName"]: row["FinalObjectiveValue"] for row in rows},
        "rates": {row["TrainingJobName"]: row["learning-rate"] for row in rows},
        "ranges": sorted(analytics.tuning_ranges),
    }


def counters(description: dict[str, object]) -> dict[str, object]:
    """The figures of a tuning job's description."""
    best = description["BestTrainingJob"]
    return {
        "best": best["TrainingJobName"],
        "value": best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"],
        "statuses": description["TrainingJobStatusCounters"],
        "objective_statuses": description["ObjectiveStatusCounters"],
    }


if __name__ == "__main__":
    what = {"fit": fit, "fail": fail, "tune": tune, "read": read}[sys.argv[1]]
    print(json.dumps(what(*sys.argv[2:])))
