"""What a script is told by the container."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.emulator.instances.inputs import Channel
from airflow_spot_provider.emulator.instances.program import program_of
from airflow_spot_provider.emulator.instances.toolkit import Settings
from airflow_spot_provider.emulator.spec import JobSpec

ROOT = Path("/opt/ml")
CHECKPOINTS = ROOT / "checkpoints"


def _spec(request_of: Any, **members: Any) -> JobSpec:
    return JobSpec(request_of(**members), "123456789012", "us-east-1")


@pytest.mark.parametrize("quote", [str, json.dumps])
def test_script_mode_is_understood_with_and_without_the_sdks_quotes(request_of: Any, quote: Any) -> None:
    parameters = {
        "sagemaker_program": quote("train.py"),
        "sagemaker_submit_directory": quote("s3://bucket/code.tar.gz"),
        "sagemaker_region": quote("us-east-1"),
        "optimizer": quote("adam"),
        "epochs": "3",
    }
    spec = _spec(request_of, HyperParameters=parameters)
    settings = Settings(spec)
    assert program_of(spec, {}) is not None
    assert (settings.program, settings.submit_directory) == ("train.py", "s3://bucket/code.tar.gz")
    assert settings.arguments == ["--optimizer", "adam", "--epochs", "3"]
    assert settings.config_files()["hyperparameters"] == parameters
    environment = settings.environment(ROOT, CHECKPOINTS, "http://127.0.0.1:1")
    assert json.loads(environment["SM_HPS"]) == {"optimizer": "adam", "epochs": 3}
    assert (environment["SM_HP_OPTIMIZER"], environment["SM_HP_EPOCHS"]) == ("adam", "3")
    assert environment["SM_MODULE_NAME"] == "train"


def test_job_of_another_image_has_no_script(request_of: Any) -> None:
    assert program_of(_spec(request_of, HyperParameters={"sagemaker_program": "train.py"}), {}) is None


def test_script_knows_its_folders_and_its_job(request_of: Any) -> None:
    channel = {"ChannelName": "train-data", "DataSource": {"S3DataSource": {"S3Uri": "s3://bucket/data"}}}
    environment = Settings(
        _spec(request_of, InputDataConfig=[channel], Environment={"MODE": "full"}), [Channel(channel, "File")]
    ).environment(ROOT, CHECKPOINTS, "http://127.0.0.1:1")
    assert environment["SM_CHANNEL_TRAIN_DATA"] == "/opt/ml/input/data/train-data"
    assert json.loads(environment["SM_CHANNELS"]) == ["train-data"]
    assert environment["SM_CHECKPOINT_DIR"] == "/opt/ml/checkpoints"
    assert environment["SM_MODEL_DIR"] == "/opt/ml/model"
    assert environment["SM_CURRENT_INSTANCE_TYPE"] == "ml.m5.large"
    assert environment["TRAINING_JOB_NAME"] == "job"
    assert environment["TRAINING_JOB_ARN"] == "arn:aws:sagemaker:us-east-1:123456789012:training-job/job"
    assert environment["MODE"] == "full"
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"


def test_script_gets_nothing_of_the_servers_own_environment(
    request_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the person's own")
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")
    environment = Settings(_spec(request_of)).environment(ROOT, CHECKPOINTS, "http://127.0.0.1:1")
    assert environment["AWS_SECRET_ACCESS_KEY"] == "emulator"
    assert not {"AWS_PROFILE", "DATABASE_PASSWORD"} & set(environment)
    assert "PATH" in environment


def test_arns_are_of_the_partition_of_the_region(request_of: Any) -> None:
    spec = JobSpec(request_of(), "123456789012", "cn-north-1")
    assert spec.arn == "arn:aws-cn:sagemaker:cn-north-1:123456789012:training-job/job"
