"""What a DAG file loads with our classes: Airflow parses it every half minute, on small machines."""

from __future__ import annotations

import subprocess
import sys

import pytest

STOCK = "from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTrainingOperator"
HEAVY = {
    "aiobotocore",
    "aiohttp",
    "asgiref",
    "boto3",
    "botocore",
    "fastapi",
    "moto",
    "numpy",
    "optuna",
    "pandas",
    "plotly",
    "pyarrow",
    "regex",
    "s3fs",
    "scipy",
    "sqlalchemy",
}


def _loaded(statement: str) -> set[str]:
    program = f"import airflow.sdk\nfrom airflow.sdk import DAG, Asset, BaseOperator, task\n{statement}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


@pytest.fixture(scope="module")
def loaded_by_stock() -> set[str]:
    return _loaded(STOCK)


@pytest.mark.parametrize(
    "statement",
    [
        "from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator",
        "from airflow_spot_provider.operators.tuning import SageMakerSpotTuningOperator",
        "from airflow_spot_provider.operators.branch import SageMakerSpotBranchOperator",
        "from airflow_spot_provider.operators.report import SpotSavingsReportOperator",
        "from airflow_spot_provider.sensors.training import SageMakerSpotTrainingSensor",
        "from airflow_spot_provider.task_groups import spot_training_group",
        "from airflow_spot_provider.notifications.spot_outcome import SpotOutcomeNotifier",
    ],
)
def test_a_dag_file_loads_nothing_heavy_that_the_stock_operator_does_not(
    statement: str, loaded_by_stock: set[str]
) -> None:
    assert (_loaded(statement) - loaded_by_stock) & HEAVY == set()


def test_the_pytest_plugin_loads_nothing_until_asked() -> None:
    program = "import pytest, sys; before = set(sys.modules); import airflow_spot_provider.pytest_plugin; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert set(done.stdout.split()) == {"airflow_spot_provider", "airflow_spot_provider.pytest_plugin"}
