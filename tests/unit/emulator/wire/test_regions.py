"""Which regions the emulator answers in."""

from __future__ import annotations

import pytest

from airflow_spot_provider.emulator.wire import regions
from airflow_spot_provider.emulator.wire.regions import is_known


@pytest.mark.parametrize(
    ("service", "region", "known"),
    [
        ("sagemaker", "us-east-1", True),
        ("sagemaker", "cn-north-1", True),
        ("sagemaker", "us-gov-west-1", True),
        ("sagemaker", "us-isob-west-1", False),
        ("sagemaker", "eu-nope-9", False),
        ("pricing", "eu-west-1", True),
        ("iam", "us-east-1", True),
        ("sqs", "eu-nope-9", False),
        ("s3", "auto", True),
    ],
)
def test_a_service_is_called_in_regions_of_aws(service: str, region: str, *, known: bool) -> None:
    assert is_known(service, region) is known


def test_regions_that_moto_is_told_to_make_up_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "allow_unknown_region", lambda: True)
    assert is_known("sagemaker", "eu-nope-9")
