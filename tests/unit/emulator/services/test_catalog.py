"""What instances cost."""

from __future__ import annotations

import pytest

from airflow_spot_provider.emulator.services.catalog import default_catalog
from airflow_spot_provider.emulator.wire.protocol import service_model


def test_catalog_has_only_instance_types_that_training_takes() -> None:
    taken = set(service_model("sagemaker").shape_for("TrainingInstanceType").enum)
    assert default_catalog().instance_types.keys() <= taken


def test_prices_of_other_regions_follow_by_their_factor() -> None:
    catalog = default_catalog()
    here, there = (catalog.usd_per_hour("ml.m5.xlarge", name) for name in ("us-east-1", "eu-central-1"))
    assert here == 0.23
    assert there == pytest.approx(0.23 * 1.2)


@pytest.mark.parametrize(
    ("instance_type", "region"), [("ml.x9.large", "us-east-1"), ("ml.m5.large", "mars-1")]
)
def test_price_that_is_not_known_is_none(instance_type: str, region: str) -> None:
    assert default_catalog().usd_per_hour(instance_type, region) is None
