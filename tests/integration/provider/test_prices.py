"""Prices from the emulator's price list, and the cost that is published with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from tests.integration.provider.task_instance import FakeTaskInstance

pytestmark = pytest.mark.usefixtures("aws_connection")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRFLOW__AIRFLOW_SPOT__PRICE_CACHE", str(tmp_path))
    return tmp_path


def test_cost_is_billed_time_at_the_on_demand_price(
    job_config: dict[str, Any], unique: str, emulator: SageMakerEmulator
) -> None:
    ti = FakeTaskInstance(f"manual__{unique}")
    config = {**job_config, "ResourceConfig": {**job_config["ResourceConfig"], "InstanceCount": 2}}
    operator = SageMakerSpotTrainingOperator(
        task_id="train",
        config=config,
        max_wait=1200,
        poll_interval=1,
        deferrable=False,
        region_name="us-east-1",
    )
    result = operator.execute(ti.context)

    job = emulator.client("sagemaker").describe_training_job(TrainingJobName=result["job_name"])
    price = SageMakerSpotHook(region_name="us-east-1").price_of("ml.m5.large")
    assert price is not None
    assert result["cost"] == pytest.approx(job["BillableTimeInSeconds"] * 2 * price.per_hour / 3600, abs=1e-5)
    assert result["on_demand_cost"] == pytest.approx(
        job["TrainingTimeInSeconds"] * 2 * price.per_hour / 3600, abs=1e-5
    )
    assert (result["currency"], result["price_date"]) == ("USD", price.as_of)
    assert ti.xcoms["spot_progress"]["cost"] == result["cost"]


def test_prices_can_be_switched_off(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setenv("AIRFLOW__AIRFLOW_SPOT__PRICES", "False")
    assert SageMakerSpotHook(region_name="us-east-1").price_of("ml.m5.large") is None
    assert list(cache.iterdir()) == []


def test_instance_groups_and_unknown_types_have_no_price() -> None:
    hook = SageMakerSpotHook(region_name="us-east-1")
    assert hook.price_of(None) is None
    assert hook.price_of("ml.unheard-of.xlarge") is None


def test_prices_of_a_local_sagemaker_are_kept_apart_from_those_of_aws(cache: Path) -> None:
    SageMakerSpotHook(region_name="us-east-1").price_of("ml.m5.large")
    [file] = cache.iterdir()
    assert file.name.startswith("us-east-1-")
