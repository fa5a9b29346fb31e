"""A report of real trainings over two DAG runs, to S3 and to disk, by tasks and by asset events, in ``dag.test()``."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.reports.tables import COLUMNS

DAG_FILE = """
import json
from datetime import timedelta
import pendulum
from airflow.sdk import DAG, Asset
from airflow_spot_provider.operators.report import SpotSavingsReportOperator
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator

model = Asset("model")
with DAG("reported", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
    train = SageMakerSpotTrainingOperator.partial(
        task_id="train", max_wait=timedelta(seconds=900), poll_interval=1, outlets=[model]
    ).expand(config={configs!r})
    train >> SpotSavingsReportOperator(
        task_id="report", path="s3://integration/{unique}", last_n_runs=2,
        formats=["html", "markdown", "csv", "parquet", "json"], min_savings_percent=99.5,
    )
    train >> SpotSavingsReportOperator(
        task_id="by_events", assets=[model], last_n_runs=5, path={folder!r}, formats=["csv"], trigger_rule="all_done"
    )

if __name__ == "__main__":
    for day in (1, 2):
        run = dag.test(logical_date=pendulum.datetime(2026, 1, day))
    tis = {{ti.task_id: ti for ti in run.get_task_instances() if ti.task_id != "train"}}
    told = {{name: [ti.state, ti.xcom_pull(task_ids=name)] for name, ti in tis.items()}}
    print("RESULT", json.dumps(told))
"""


def test_second_run_reports_both_and_breaches_after_all_is_written(
    emulator: SageMakerEmulator, job_config: dict[str, Any], unique: str, tmp_path: Path
) -> None:
    def _config(lifecycle: str) -> dict[str, Any]:
        tag = {"Key": "emulator:lifecycle", "Value": lifecycle}
        return {**job_config, "Tags": [*job_config["Tags"], tag]}

    folder = tmp_path / "reports"
    source = DAG_FILE.format(
        configs=[_config("interrupted-once"), _config("failed")], unique=unique, folder=str(folder)
    )
    told = _run_twice(emulator, source, tmp_path)
    (state, report), (state_by_events, by_events) = told["report"], told["by_events"]

    sagemaker, s3 = emulator.client("sagemaker"), emulator.client("s3")
    files = {
        name: s3.get_object(Bucket="integration", Key=f"{unique}/{name}")["Body"].read()
        for name in report["files"]
    }
    rows = list(csv.DictReader(io.StringIO(files["trainings.csv"].decode())))
    jobs = [sagemaker.describe_training_job(TrainingJobName=row["job_name"]) for row in rows]
    trained, billed = (sum(job[f"{kind}TimeInSeconds"] for job in jobs) for kind in ("Training", "Billable"))

    # What SageMaker tells of the four jobs is what is reported.
    assert report["savings_percent"] == pytest.approx((1 - billed / trained) * 100)
    assert [row["member"] for row in rows] == ["0", "1", "0", "1"]
    assert report["outcomes"] == {"Completed": 2, "Failed": 2}
    assert (report["interruptions"], report["failed_count"], report["missing_count"]) == (2, 2, 0)
    assert report["money"][0]["currency"] == "USD"
    assert report["trend"]["against"] == report["runs"][1]["run_id"] != report["runs"][0]["run_id"]
    assert (state, state_by_events) == ("failed", "success")
    assert "less than min_savings_percent=99.5" in report["breaches"][0]

    # Assets have no event of a training that failed.
    assert (by_events["jobs"], by_events["outcomes"]) == (2, {"Completed": 2})
    assert len((folder / "trainings.csv").read_text().splitlines()) == 3

    assert json.loads(files["report.json"])["savings_percent"] == report["savings_percent"]
    assert list(pq.read_table(io.BytesIO(files["trainings.parquet"])).to_pydict()) == list(COLUMNS)
    for name in ("report.html", "report.md"):
        assert f"{report['savings_percent']:.1f}%" in files[name].decode()


def _run_twice(emulator: SageMakerEmulator, source: str, home: Path) -> dict[str, Any]:
    """Run a DAG file; what it says of its tasks in the second run."""
    file = home / "dags" / "reported.py"
    file.parent.mkdir()
    file.write_text(source)
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(file.parent),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW_CONN_AWS_DEFAULT": emulator.airflow_connection(),
    }
    migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(migrate, env=environment, check=True, capture_output=True)
    tried = subprocess.run(
        [sys.executable, str(file)], env=environment, capture_output=True, text=True, check=False
    )
    results = [line for line in tried.stdout.splitlines() if line.startswith("RESULT ")]
    assert results, (tried.stdout + tried.stderr)[-3000:]
    told: dict[str, Any] = json.loads(results[0].removeprefix("RESULT "))
    return told
