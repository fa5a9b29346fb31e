"""Prices from the emulator's price list, and the cost that is published with them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
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


def test_folder_of_prices_may_be_in_the_home_of_the_user(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setenv("HOME", str(cache))
    monkeypatch.setenv("AIRFLOW__AIRFLOW_SPOT__PRICE_CACHE", "~/prices")
    SageMakerSpotHook(region_name="us-east-1").price_of("ml.m5.large")
    assert len(list((cache / "prices").iterdir())) == 1


def test_instance_groups_and_unknown_types_have_no_price() -> None:
    hook = SageMakerSpotHook(region_name="us-east-1")
    assert hook.price_of(None) is None
    assert hook.price_of("ml.unheard-of.xlarge") is None


def test_prices_of_a_local_sagemaker_are_kept_apart_from_those_of_aws(cache: Path) -> None:
    SageMakerSpotHook(region_name="us-east-1").price_of("ml.m5.large")
    [file] = cache.iterdir()
    assert file.name.startswith("us-east-1-")


def _refused(code: str) -> dict[str, Any]:
    return {"operation": "pricing:GetProducts", "error": {"code": code, "message": "no", "status": 400}}


@pytest.fixture
def faults(emulator: SageMakerEmulator) -> Iterator[SageMakerEmulator]:
    """The emulator, whose faults are over with the test."""
    yield emulator
    emulator.set_faults()


def _asked(emulator: SageMakerEmulator) -> int:
    return emulator.calls().get("GetProducts", 0)


def test_task_without_permission_ends_without_a_cost_and_says_once_what_to_grant(
    job_config: dict[str, Any], unique: str, faults: SageMakerEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    faults.set_faults(_refused("AccessDeniedException"))
    before = _asked(faults)
    ti = FakeTaskInstance(f"manual__{unique}")
    operator = SageMakerSpotTrainingOperator(
        task_id="train",
        config=job_config,
        max_wait=1200,
        poll_interval=1,
        deferrable=False,
        region_name="us-east-1",
    )
    with caplog.at_level(logging.INFO):
        result = operator.execute(ti.context)
        for instance_type in ("ml.m5.large", "ml.m5.xlarge"):
            assert SageMakerSpotHook(region_name="us-east-1").price_of(instance_type) is None

    assert [result[name] for name in ("cost", "on_demand_cost", "currency", "price_date")] == [None] * 4
    assert result["savings_percent"] is not None
    assert caplog.text.count("Grant pricing:GetProducts") == 1
    assert _asked(faults) - before <= 1


def test_endpoint_of_the_price_list_is_the_connections(
    monkeypatch: pytest.MonkeyPatch, emulator: SageMakerEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    connection = json.loads(emulator.airflow_connection())
    extra = connection["extra"]
    extra = json.loads(extra) if isinstance(extra, str) else extra
    nowhere = {"pricing": {"endpoint_url": "http://127.0.0.1:9"}}
    connection["extra"] = {**extra, "service_config": {**extra.get("service_config", {}), **nowhere}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    before = _asked(emulator)
    with caplog.at_level(logging.INFO):
        assert SageMakerSpotHook(region_name="us-east-1").price_of("ml.m5.large") is None
    assert "cannot be asked (EndpointConnectionError)" in caplog.text
    assert _asked(emulator) == before


def test_setting_that_cannot_be_read_is_told_and_fails_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__AIRFLOW_SPOT__PRICES", "perhaps")
    hook = SageMakerSpotHook(region_name="us-east-1")
    told: list[str] = []
    monkeypatch.setattr(hook.log, "warning", lambda message, *arguments: told.append(message % arguments))
    assert hook.price_of("ml.m5.large") is None
    assert told == ["[airflow_spot] prices is 'perhaps'; it takes True or False. No price is asked for."]


def test_region_without_a_price_list_has_no_prices(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    aws = {"conn_type": "aws", "login": "key", "password": "secret"}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(aws))
    with caplog.at_level(logging.INFO):
        assert SageMakerSpotHook(region_name="us-gov-west-1").price_of("ml.m5.large") is None
    assert "us-gov-west-1 has none" in caplog.text
