"""Plots on S3, through Airflow's connection, and as tasks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from airflow.sdk import DAG

from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.plots import plot_results, plot_results_task, plot_study_task, plot_sweep_task
from airflow_spot_provider.sweeps import spot_sweep
from airflow_spot_provider.training import (
    InvalidSpotRequest,
    SpotTrainingError,
    SpotTrainingResult,
    Uniform,
)

pytestmark = pytest.mark.usefixtures("aws_connection")


@pytest.fixture
def results(emulator: SageMakerEmulator, job_config: dict[str, Any], unique: str) -> list[dict[str, Any]]:
    """What two trainings published, read from SageMaker."""
    sagemaker = emulator.client("sagemaker")
    published = []
    for number in (1, 2):
        name = f"{unique}-{number}"
        config = {**job_config, "HyperParameters": {"rate": str(number)}}
        sagemaker.create_training_job(TrainingJobName=name, **config)
    for number in (1, 2):
        name = f"{unique}-{number}"
        sagemaker.get_waiter("training_job_completed_or_stopped").wait(
            TrainingJobName=name, WaiterConfig={"Delay": 1}
        )
        description = sagemaker.describe_training_job(TrainingJobName=name)
        result = SpotTrainingResult.of(description, published_hyperparameters=["rate"])
        published.append(result.model_copy(update={"metrics": {"accuracy": number / 10}}).to_json())
    return published


def test_plots_go_to_s3_through_the_connection_of_the_other_tasks(
    results: list[dict[str, Any]], emulator: SageMakerEmulator, unique: str
) -> None:
    told = plot_results(results, f"s3://integration/{unique}/plots", metric="accuracy", mode="max")

    s3 = emulator.client("s3")
    listed = s3.list_objects_v2(Bucket="integration", Prefix=f"{unique}/plots/")["Contents"]
    assert {each["Key"].rpartition("/")[2] for each in listed} == set(told["files"])
    data = json.load(s3.get_object(Bucket="integration", Key=f"{unique}/plots/data.json")["Body"])
    described = [
        emulator.client("sagemaker").describe_training_job(TrainingJobName=f"{unique}-{number}")
        for number in (1, 2)
    ]
    assert [trial["cost"] for trial in data["trials"]] == [job["BillableTimeInSeconds"] for job in described]
    assert "param_importances.png" in told["files"]


def test_bucket_that_is_not_there_is_an_error_and_is_not_made(
    results: list[dict[str, Any]], emulator: SageMakerEmulator, unique: str
) -> None:
    with pytest.raises(SpotTrainingError, match="bucket does not exist"):
        plot_results(results, f"s3://{unique}/plots", metric="accuracy", mode="max")
    assert unique not in {bucket["Name"] for bucket in emulator.client("s3").list_buckets()["Buckets"]}


def test_tasks_plot_what_they_are_given(tmp_path: Path, unique: str) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    study = optuna.create_study(study_name=unique, storage=url)
    study.add_trial(optuna.trial.create_trial(value=1.0))
    result = SpotTrainingResult(job_name="j", job_arn="arn", outcome="Completed", metrics={"loss": 1.0})
    with DAG(unique, schedule=None) as dag:
        plot_results_task([], path="{{ run_id }}", metric="loss", mode="min", retries=2)
        plot_study_task(unique, storage=url, path="{{ run_id }}", task_id="study")

    of_results, of_study = dag.get_task("plot_results"), dag.get_task("study")
    assert (of_results.retries, of_results.trigger_rule) == (2, "all_done")
    told = of_results.python_callable([result.to_json()], str(tmp_path / "1"), of_results.op_args[2])
    assert told["completed"] == 1
    told = of_study.python_callable(unique, url, str(tmp_path / "2"), of_study.op_args[3])
    assert (told["trials"], told["folder"]) == (1, (tmp_path / "2").as_uri())


def test_task_that_plots_a_sweep_waits_for_it_and_opens_its_study(
    job_config: dict[str, Any], unique: str
) -> None:
    metrics = {"MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}]}
    config = {**job_config, "AlgorithmSpecification": {**job_config["AlgorithmSpecification"], **metrics}}
    with DAG(unique, schedule=None) as dag:
        sweep = spot_sweep(
            "sweep",
            config,
            space={"x": Uniform(0, 1)},
            metric="loss",
            mode="min",
            storage="sqlite:///studies.db",
            study_name="{{ run_id }}",
            budget={"trials": 1},
            max_wait=700,
        )
        plot_sweep_task(sweep, path="s3://integration/plots", task_id="plots")

    plots = dag.get_task("plots")
    assert plots.upstream_task_ids == {"sweep.results"}
    assert list(plots.op_args[:3]) == ["{{ run_id }}", "sqlite:///studies.db", "s3://integration/plots"]


def test_storage_with_a_password_does_not_come_into_the_dag() -> None:
    with pytest.raises(InvalidSpotRequest, match="password"):
        plot_study_task("study", storage="postgresql://user:secret@host/db", path="/tmp/plots")
