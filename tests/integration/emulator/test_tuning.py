"""Tuning jobs on a running emulator, over HTTP: their training jobs really train."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.emulator.conftest import ENDED, Jobs, statuses, until

# As far as a script goes, a bowl over its hyperparameters with its minimum at lr = 0.1 and the activation "relu".
SCRIPT = """
import argparse, json, math, os, pathlib, signal
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--units", type=int)
parser.add_argument("--activation")
parser.add_argument("--epochs", type=int)
arguments, _ = parser.parse_known_args()
state = pathlib.Path(os.environ["SM_CHECKPOINT_DIR"], "epoch.json")
epoch = json.loads(state.read_text()) if state.exists() else 0
print(f"going on after epoch={epoch}" if epoch else "from scratch", flush=True)
loss = abs(math.log10(arguments.lr) + 1) + (arguments.activation != "relu") + arguments.units / 1000
while epoch < arguments.epochs:
    epoch += 1
    print(f"epoch={epoch} loss={loss + 1 / epoch};", flush=True)
    new = state.with_suffix(".new")
    new.write_text(json.dumps(epoch))
    new.replace(state)
    if epoch == 1:
        signal.pause()  # until the instance goes, or the job is stopped
pathlib.Path(os.environ["SM_MODEL_DIR"], "loss.json").write_text(json.dumps(loss))
"""


def _request(jobs: Jobs, name: str, *, lifecycle: str | None = None, **config: Any) -> dict[str, Any]:
    """A CreateHyperParameterTuningJob request for spot over the script."""
    training = jobs.request()
    uri = jobs.upload_code({"train.py": SCRIPT})
    tags = [] if lifecycle is None else [{"Key": "emulator:lifecycle", "Value": lifecycle}]
    return {
        "HyperParameterTuningJobName": f"{jobs.prefix}-{name}",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "RandomSeed": 3,
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": {
                "ContinuousParameterRanges": [
                    {"Name": "lr", "MinValue": "0.0001", "MaxValue": "1", "ScalingType": "Logarithmic"}
                ],
                "IntegerParameterRanges": [{"Name": "units", "MinValue": "8", "MaxValue": "64"}],
                "CategoricalParameterRanges": [{"Name": "activation", "Values": ['"relu"', '"tanh"']}],
            },
            **config,
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": {
                "sagemaker_program": '"train.py"',
                "sagemaker_submit_directory": f'"{uri}"',
                "epochs": "3",
            },
            "AlgorithmSpecification": {
                "TrainingImage": "local/image:1",
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+);"}],
            },
            **{
                member: training[member]
                for member in (
                    "RoleArn",
                    "OutputDataConfig",
                    "ResourceConfig",
                    "EnableManagedSpotTraining",
                    "CheckpointConfig",
                    "StoppingCondition",
                )
            },
        },
        "Tags": tags,
    }


def _ended(jobs: Jobs, name: str) -> dict[str, Any]:
    def _describe() -> dict[str, Any]:
        description: dict[str, Any] = jobs.sagemaker.describe_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name
        )
        return description

    until(lambda: _describe()["HyperParameterTuningJobStatus"] in ENDED)
    return _describe()


def test_scripts_are_tuned_and_interrupted_and_the_best_has_its_model(jobs: Jobs) -> None:
    request = _request(jobs, "a", lifecycle="interrupted-once")
    arn = jobs.sagemaker.create_hyper_parameter_tuning_job(**request)["HyperParameterTuningJobArn"]
    name = request["HyperParameterTuningJobName"]
    description = _ended(jobs, name)
    assert description["HyperParameterTuningJobStatus"] == "Completed"
    assert description["TrainingJobStatusCounters"]["Completed"] == 4
    paginator = jobs.sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
    pages = paginator.paginate(
        HyperParameterTuningJobName=name,
        SortBy="FinalObjectiveMetricValue",
        PaginationConfig={"PageSize": 3},
    )
    members = [member for page in pages for member in page["TrainingJobSummaries"]]
    assert len(members) == 4
    assert members[0]["TrainingJobName"] == description["BestTrainingJob"]["TrainingJobName"]
    best = jobs.describe(members[0]["TrainingJobName"])
    assert best["TuningJobArn"] == arn
    assert "Interrupted" in statuses(best)
    assert jobs.model_of(best)
    assert best["CheckpointConfig"]["S3Uri"].endswith(f"/{members[0]['TrainingJobName']}")
    log = jobs.log_of(members[0]["TrainingJobName"])
    assert log[0][1].startswith("epoch=1 ")
    assert log[1][0] == "going on after epoch=1", "it resumed from its own checkpoint"
    assert [line.split()[0] for line in log[1][1:]] == ["epoch=2", "epoch=3"]
    tags = jobs.sagemaker.list_tags(ResourceArn=arn)["Tags"]
    assert tags == request["Tags"]


def test_a_tuning_job_that_is_stopped_stops_its_scripts(jobs: Jobs) -> None:
    request = _request(jobs, "b")
    name = request["HyperParameterTuningJobName"]
    jobs.sagemaker.create_hyper_parameter_tuning_job(**request)

    def _running() -> list[str]:
        listed = jobs.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name
        )
        return [
            member["TrainingJobName"]
            for member in listed["TrainingJobSummaries"]
            if jobs.describe(member["TrainingJobName"])["SecondaryStatus"] == "Training"
        ]

    running = until(lambda: len(_running()) == 2 and _running())
    jobs.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    assert _ended(jobs, name)["HyperParameterTuningJobStatus"] == "Stopped"
    assert [jobs.describe(each)["TrainingJobStatus"] for each in running] == ["Stopped", "Stopped"]
    jobs.sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    with pytest.raises(ClientError, match="can't find a tuning job called"):
        jobs.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)


def test_tuning_jobs_are_listed_in_pages(jobs: Jobs) -> None:
    for name in ("c", "d", "e"):
        request = _request(jobs, name)
        definition = request["TrainingJobDefinition"]
        definition["StaticHyperParameters"] = {}
        request["HyperParameterTuningJobConfig"]["ResourceLimits"] = {
            "MaxNumberOfTrainingJobs": 1,
            "MaxParallelTrainingJobs": 1,
        }
        jobs.sagemaker.create_hyper_parameter_tuning_job(**request)
    pages = jobs.sagemaker.get_paginator("list_hyper_parameter_tuning_jobs").paginate(
        NameContains=jobs.prefix, PaginationConfig={"PageSize": 2}
    )
    names = [
        job["HyperParameterTuningJobName"]
        for page in pages
        for job in page["HyperParameterTuningJobSummaries"]
    ]
    assert names == [f"{jobs.prefix}-{name}" for name in ("c", "d", "e")]
