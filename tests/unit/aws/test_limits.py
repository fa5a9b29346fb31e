"""What SageMaker's refusals mean: to wait, or to give up and say what to raise."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from airflow_spot_provider.aws.kinds import TRAINING_JOBS, TUNING_JOBS, instance_types_of
from airflow_spot_provider.aws.limits import refusal_of
from airflow_spot_provider.training import MustWaitItsTurn, QuotaTooSmall

QUOTA = "ml.p3.2xlarge for spot training job usage"


def _error(code: str, message: str, status: int = 400) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "CreateTrainingJob")


def _limit(limit: str, used: str, wanted: str, name: str = QUOTA, unit: str = "Instances") -> ClientError:
    return _error(
        "ResourceLimitExceeded",
        f"The account-level service limit '{name}' is {limit} {unit}, with current utilization of {used} {unit} and a "
        f"request delta of {wanted} {unit}. Please use AWS Service Quotas to request an increase for this quota.",
    )


@pytest.mark.parametrize(
    ("limit", "used", "wanted"), [("4", "4", "1"), ("4", "1", "4"), ("1,000", "999", "2")]
)
def test_quota_that_is_used_up_is_waited_for(limit: str, used: str, wanted: str) -> None:
    refusal = refusal_of(_limit(limit, used, wanted), TRAINING_JOBS)

    assert isinstance(refusal, MustWaitItsTurn)
    assert refusal.waits_for == QUOTA
    used, limit = (f"{float(each.replace(',', '')):g}" for each in (used, limit))
    assert f"{used} of {limit} instances are in use, and the job asks for {wanted}" in refusal.why


@pytest.mark.parametrize(
    ("limit", "wanted", "name", "unit"),
    [
        ("0", "1", QUOTA, "Instances"),
        ("2", "4", QUOTA, "Instances"),
        ("432000", "500000", "Longest run time for a training job", "Seconds"),
    ],
)
def test_quota_that_will_never_do_is_an_error_that_says_what_to_raise(
    limit: str, wanted: str, name: str, unit: str
) -> None:
    refusal = refusal_of(_limit(limit, "0", wanted, name, unit), TRAINING_JOBS)

    assert isinstance(refusal, QuotaTooSmall)
    for part in (
        name,
        f"is {float(limit):g} {unit.lower()}",
        f"asks for {float(wanted):g}",
        "Service Quotas",
    ):
        assert part in str(refusal)


def test_quota_in_words_that_are_not_known_is_waited_for_and_quoted() -> None:
    refusal = refusal_of(_error("ResourceLimitExceeded", "Too many tuning jobs."), TUNING_JOBS)

    assert isinstance(refusal, MustWaitItsTurn)
    assert refusal.waits_for == "a quota of SageMaker"
    assert "Too many tuning jobs." in refusal.why


@pytest.mark.parametrize(
    ("code", "status"), [("ThrottlingException", 400), ("SlowDown", 503), ("Whatever", 429)]
)
def test_throttling_is_waited_for_in_a_queue_of_the_operations_own(code: str, status: int) -> None:
    refusal = refusal_of(_error(code, "Rate exceeded", status), TUNING_JOBS)

    assert isinstance(refusal, MustWaitItsTurn)
    assert refusal.waits_for == "the rate of CreateHyperParameterTuningJob"


@pytest.mark.parametrize(
    "error",
    [
        _error("ValidationException", "m"),
        _error("ResourceInUse", "m"),
        _error("InternalFailure", "m", 500),
        EndpointConnectionError(endpoint_url="http://localhost"),
        ValueError("ResourceLimitExceeded"),
    ],
)
def test_other_errors_are_no_matter_of_limits(error: Exception) -> None:
    assert refusal_of(error, TRAINING_JOBS) is None


@pytest.mark.parametrize(
    ("description", "types"),
    [
        ({"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1}}, {"ml.m5.large"}),
        (
            {"ResourceConfig": {"InstanceGroups": [{"InstanceType": "a"}, {"InstanceType": "b"}]}},
            {"a", "b"},
        ),
        ({"TrainingJobName": "summary"}, set()),
    ],
)
def test_instance_types_are_read_from_a_description(description: dict[str, Any], types: set[str]) -> None:
    assert instance_types_of(description) == types
