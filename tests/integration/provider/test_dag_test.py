"""``dag.test()``: the whole shape in one process, without scheduler or triggerer, as an author tries a DAG."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from airflow_spot_provider.emulator import SageMakerEmulator

DAG_FILE = """
import json
from datetime import timedelta
from airflow.sdk import DAG
from airflow_spot_provider.task_groups import spot_training_group

with DAG("dag_test", schedule=None) as dag:
    spot_training_group("g", {config!r}, max_wait=timedelta(seconds=700), poll_interval=1)

if __name__ == "__main__":
    run = dag.test()
    print("RESULT", json.dumps([run.state, {{ti.task_id: ti.state for ti in run.get_task_instances()}}]))
"""


def test_deferred_trainings_and_the_fallback_run_in_dag_test(
    emulator: SageMakerEmulator, job_config: dict[str, Any], tmp_path: Path
) -> None:
    job_config["Tags"].append({"Key": "emulator:lifecycle", "Value": "never-launched"})
    dags = tmp_path / "dags"
    dags.mkdir()
    file = dags / "dag_test.py"
    file.write_text(DAG_FILE.format(config=job_config))
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
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
    state, tasks = json.loads(results[0].removeprefix("RESULT "))
    assert state == "success"
    assert tasks == {
        "g.train_on_spot": "success",
        "g.how_it_ended": "success",
        "g.train_on_demand": "success",
        "g.result": "success",
    }
