"""Which requests SageMaker takes: the service model, and the rules between members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_spot_provider.emulator.wire.protocol import service_model
from airflow_spot_provider.emulator.wire.shapes import check_shape
from airflow_spot_provider.emulator.wire.training_rules import check_tags, check_training_job
from airflow_spot_provider.emulator.wire.tuning_rules import check_tuning_job

__all__ = ["check", "check_tags", "check_training_job", "check_tuning_job"]


def check(operation: str, parameters: Mapping[str, Any]) -> None:
    """Refuse what the service model does not allow.

    :param operation: such as ``CreateTrainingJob``.
    :param parameters: the request as it was sent.
    :raises ValidationException: with SageMaker's wording of what is wrong.
    """
    check_shape(service_model("sagemaker").operation_model(operation).input_shape, parameters)
