"""The stock Amazon provider: SageMaker's operators, sensors and triggers, as its own example DAG uses them.

It has no environment of its own: it is part of Airflow's, which the emulator's is as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from airflow_spot_provider.emulator import SageMakerEmulator
from tests.clients.conftest import (
    DATA,
    HERE,
    LONGEST_RUN_SECONDS,
    SOURCE,
    assert_interrupted_and_resumed,
    log_lines,
    statuses,
    unique_name,
)


class DagRun(NamedTuple):
    """What ``dag.test()`` did: the prefix of its jobs' names, the states of its tasks, and all that it printed."""

    env_id: str
    states: dict[str, str]
    output: str


@pytest.fixture(scope="module")
def dag_run(emulator: SageMakerEmulator, tmp_path_factory: pytest.TempPathFactory) -> DagRun:
    """The example DAG, run once to its end."""
    home = tmp_path_factory.mktemp("airflow")
    env_id = unique_name()
    archive = home / "sourcedir.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(SOURCE / "train.py", arcname="train.py")
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(HERE / "dags"),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW_CONN_AWS_DEFAULT": emulator.airflow_connection(),
        "ENV_ID": env_id,
        "CODE_ARCHIVE": str(archive),
        "POINTS": str(DATA / "points.csv"),
    }
    _run(environment, "-m", "airflow", "db", "migrate")
    output = _run(environment, str(HERE / "dags" / "example_sagemaker.py"))
    results = [line for line in output.splitlines() if line.startswith("RESULT ")]
    assert results, output[-4000:]
    return DagRun(env_id, json.loads(results[0].removeprefix("RESULT ")), output)


def _run(environment: dict[str, str], *arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONGEST_RUN_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-4000:]
    return ran.stdout + ran.stderr


def _tuning(emulator: SageMakerEmulator, name: str) -> dict[str, Any]:
    description: dict[str, Any] = emulator.client("sagemaker").describe_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name
    )
    return description


def test_every_task_of_the_example_dag_succeeds(dag_run: DagRun) -> None:
    assert set(dag_run.states.values()) == {"success"}, dag_run.output[-4000:]
    assert len(dag_run.states) == 11


@pytest.mark.parametrize("job", ["train", "wait", "defer"])
def test_operator_sees_an_interrupted_job_to_its_end(
    emulator: SageMakerEmulator, dag_run: DagRun, job: str
) -> None:
    assert_interrupted_and_resumed(emulator, f"{dag_run.env_id}-{job}", epochs=12)


@pytest.mark.parametrize("job", ["train", "wait"])
def test_sensor_and_waiting_operator_print_the_jobs_log(
    emulator: SageMakerEmulator, dag_run: DagRun, job: str
) -> None:
    # The provider reads as many streams as the job has instances: that of the first start.
    for line in log_lines(emulator, f"{dag_run.env_id}-{job}")[0]:
        assert line in dag_run.output


@pytest.mark.parametrize("job", ["tune", "tune-wait", "tune-defer"])
def test_tuning_operator_and_sensor_see_interrupted_jobs_to_their_end(
    emulator: SageMakerEmulator, dag_run: DagRun, job: str
) -> None:
    name = f"{dag_run.env_id}-{job}"
    description = _tuning(emulator, name)
    assert description["HyperParameterTuningJobStatus"] == "Completed"
    assert description["TrainingJobStatusCounters"]["Completed"] == 3
    sagemaker = emulator.client("sagemaker")
    jobs = sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    for summary in jobs["TrainingJobSummaries"]:
        trained = sagemaker.describe_training_job(TrainingJobName=summary["TrainingJobName"])
        assert "Interrupted" in statuses(trained)
        assert 2 <= int(trained["HyperParameters"]["epochs"]) <= 5


def test_the_files_of_the_dag_are_where_the_provider_put_them(
    emulator: SageMakerEmulator, dag_run: DagRun
) -> None:
    content = (
        emulator.client("s3")
        .get_object(Bucket=f"{dag_run.env_id}-sagemaker-example", Key="data/points.csv")["Body"]
        .read()
    )
    assert content == Path(DATA / "points.csv").read_bytes()
