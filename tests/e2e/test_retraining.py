"""The retraining on its schedule, catch-up off: two runs one after the other, a report that compares them, and the gate behind each; and
when there is new data."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.demo.local_airflow import LocalAirflow
from airflow_spot_provider.emulator import SageMakerEmulator

# It takes minutes: left to `make test-ui`.
pytestmark = [pytest.mark.e2e, pytest.mark.ui, pytest.mark.timeout(2400)]

DAGS = Path(__file__).parents[2] / "dags"
WEEKLY, EVERY_MINUTE = 'WEEKLY = "@weekly"', 'WEEKLY = "* * * * *"'
RETRAINING, GATE = "recurring_retraining", "deployment_gate"


@pytest.fixture
def airflow(emulator: SageMakerEmulator, tmp_path: Path) -> Iterator[LocalAirflow]:
    """An Airflow with the two DAGs alone, where a week is a minute."""
    dags = tmp_path / "dags"
    shutil.copytree(DAGS, dags)
    for file in dags.glob("*.py"):
        if file.stem not in (RETRAINING, GATE):
            file.unlink()
    retraining = dags / f"{RETRAINING}.py"
    text = retraining.read_text()
    assert text.count(WEEKLY) == 1
    retraining.write_text(text.replace(WEEKLY, EVERY_MINUTE))
    environment = {
        "AIRFLOW_CONN_AWS_DEFAULT": emulator.airflow_connection(),
        "AIRFLOW_VAR_SPOT_TRAINING_BUCKET": "e2e",
        "AIRFLOW_VAR_SPOT_TRAINING_ROLE_ARN": "arn:aws:iam::123456789012:role/e2e",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    }
    with LocalAirflow(tmp_path / "home", dags, environment=environment) as running:
        yield running


def _runs(airflow: LocalAirflow, dag_id: str, run_type: str) -> list[dict[str, Any]]:
    """The runs of one type that have ended, the oldest first."""
    runs = airflow.get(f"/dags/{dag_id}/dagRuns", order_by="run_after")["dag_runs"]
    return [run for run in runs if run["run_type"] == run_type and run["state"] in ("success", "failed")]


def test_second_run_reports_the_trend_each_model_passes_the_gate_and_new_data_starts_a_run(
    airflow: LocalAirflow,
) -> None:
    began = datetime.now(UTC)
    known = {RETRAINING, GATE}
    airflow.wait_for(
        lambda: known <= {dag["dag_id"] for dag in airflow.get("/dags")["dags"]},
        what="the DAGs to be read",
        timeout=300,
    )
    for dag_id in known:
        airflow.patch(f"/dags/{dag_id}", {"is_paused": False})

    airflow.wait_for(
        lambda: len(_runs(airflow, RETRAINING, "scheduled")) >= 2, what="two scheduled runs", timeout=900
    )
    [data_set] = [each for each in airflow.get("/assets")["assets"] if each["name"] == "digits"]
    airflow.post("/assets/events", {"asset_id": data_set["id"]})
    airflow.wait_for(
        lambda: (
            "asset_triggered"
            in {run["run_type"] for run in airflow.get(f"/dags/{RETRAINING}/dagRuns")["dag_runs"]}
        ),
        what="the run that new data asks for",
        timeout=300,
    )
    airflow.patch(f"/dags/{RETRAINING}", {"is_paused": True})
    first, second = _runs(airflow, RETRAINING, "scheduled")[:2]

    assert (first["state"], second["state"]) == ("success", "success")
    # With catch-up off no minute of the months since start_date is made up for.
    assert datetime.fromisoformat(first["logical_date"]) > began - timedelta(minutes=2)
    results = [airflow.xcom(RETRAINING, run["dag_run_id"], "train") for run in (first, second)]
    report = airflow.xcom(RETRAINING, second["dag_run_id"], "report")
    [newest, before] = report["runs"]
    assert newest["savings_percent"] == pytest.approx(results[1]["savings_percent"])
    assert before["money"][0]["cost"] == pytest.approx(results[0]["cost"])
    assert report["trend"]["against"] == first["dag_run_id"]
    assert report["trend"]["savings_percent"] == pytest.approx(
        results[1]["savings_percent"] - results[0]["savings_percent"], abs=1e-3
    )
    assert airflow.xcom(RETRAINING, first["dag_run_id"], "report")["trend"] is None

    airflow.wait_for(
        lambda: len(_runs(airflow, GATE, "asset_triggered")) >= 2,
        what="the gate to be run for both",
        timeout=600,
    )
    gates = _runs(airflow, GATE, "asset_triggered")
    passed = [airflow.xcom(GATE, run["dag_run_id"], "is_good_enough") for run in gates]
    assert passed[:2] == [result["model_artifacts"] for result in results]
