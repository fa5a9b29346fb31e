"""A clock that a test steps: a week of spot passes while one waits, the same to the byte for the same seed."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from airflow_spot_provider.emulator import EmulatorError, SageMakerEmulator

JOBS = 40


def _request(number: int) -> dict[str, Any]:
    return {
        "TrainingJobName": f"job-{number}",
        "RoleArn": "arn:aws:iam::123456789012:role/training",
        "AlgorithmSpecification": {
            "TrainingImage": "local/image:1",
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}],
        },
        "HyperParameters": {"rate": str(number / 100)},
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
        "ResourceConfig": {
            "InstanceType": ("ml.m5.large", "ml.p3.2xlarge")[number % 2],
            "InstanceCount": 1 + number % 3,
            "VolumeSizeInGB": 1,
        },
        "EnableManagedSpotTraining": True,
        "CheckpointConfig": {"S3Uri": f"s3://bucket/checkpoints/{number}"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 86_400, "MaxWaitTimeInSeconds": 172_800},
        "Tags": [
            {"Key": "emulator:training-seconds", "Value": str(3600 * (1 + number % 7))},
            {"Key": "emulator:checkpoint-seconds", "Value": "900"},
        ],
    }


def _week(seed: int, step: timedelta) -> str:
    """What a week made of the jobs, as text."""
    with SageMakerEmulator(clock="stepped", lifecycle="random", seed=seed) as emulator:
        emulator.client("s3").create_bucket(Bucket="bucket")
        sagemaker = emulator.client("sagemaker")
        for number in range(JOBS):
            sagemaker.create_training_job(**_request(number))
        for _ in range(int(timedelta(days=7) / step)):
            emulator.clock.advance(step)
        descriptions = [
            sagemaker.describe_training_job(TrainingJobName=f"job-{number}") for number in range(JOBS)
        ]
    for description in descriptions:
        del description["ResponseMetadata"]
    return json.dumps(descriptions, default=str, indent=1)


def test_week_of_spot_is_the_same_to_the_byte_for_the_same_seed_whatever_the_steps() -> None:
    week = _week(5, timedelta(days=7))
    assert week == _week(5, timedelta(hours=6))
    assert week != _week(6, timedelta(days=7))
    jobs = json.loads(week)
    assert {job["TrainingJobStatus"] for job in jobs} <= {"Completed", "Stopped"}
    assert sum(week.count(f'"Status": "{status}"') for status in ("Interrupted",)) > JOBS / 2


def test_nothing_happens_until_the_clock_is_stepped() -> None:
    with SageMakerEmulator(clock="stepped") as emulator:
        emulator.client("s3").create_bucket(Bucket="bucket")
        sagemaker = emulator.client("sagemaker")
        sagemaker.create_training_job(**_request(0))

        def _status() -> str:
            return str(sagemaker.describe_training_job(TrainingJobName="job-0")["SecondaryStatus"])

        start = emulator.clock.now()
        assert _status() == "Starting"
        emulator.clock.advance(timedelta(seconds=15))
        assert _status() == "Downloading"
        emulator.clock.advance(timedelta(seconds=5))
        assert _status() == "Training"
        emulator.interrupt("job-0")
        assert emulator.clock.advance(timedelta(0)) == start + timedelta(seconds=20)
        assert _status() == "Interrupted"
        emulator.clock.advance(timedelta(hours=2))
        assert _status() == "Completed"
        with pytest.raises(EmulatorError, match="greater than or equal to 0"):
            emulator.clock.advance(timedelta(seconds=-1))


def test_clock_that_runs_by_itself_cannot_be_stepped(emulator: SageMakerEmulator) -> None:
    with pytest.raises(EmulatorError, match="start the emulator with --clock stepped"):
        emulator.clock.advance(timedelta(seconds=1))
