"""What SageMaker's refusals mean: to wait, or to give up and say what to raise."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from airflow_spot_provider.aws.kinds import TRAINING_JOBS, TUNING_JOBS, Kind, instance_types_of
from airflow_spot_provider.aws.limits import NOT_UNDERSTOOD_SECONDS, refusal_of
from airflow_spot_provider.training import InstanceTypeNotAvailable, MustWaitItsTurn, QuotaTooSmall

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
    refusal = refusal_of(_limit(limit, used, wanted), TRAINING_JOBS, "us-west-1")

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
    refusal = refusal_of(_limit(limit, "0", wanted, name, unit), TRAINING_JOBS, "us-west-1")

    assert isinstance(refusal, QuotaTooSmall)
    for part in (
        name,
        f"is {float(limit):g} {unit.lower()}",
        f"asks for {float(wanted):g}",
        "Service Quotas",
    ):
        assert part in str(refusal)


@pytest.mark.parametrize(
    ("message", "names"),
    [
        # aws/amazon-sagemaker-examples#1001
        ("The requested resource training-job/ml.p2.xlarge is not available in this region", "ml.p2.xlarge"),
        ("The requested resource training-job/ml.t3.medium is not available in this region.", "ml.t3.medium"),
        (
            # As a pipeline's step tells it
            (
                "Failed to invoke sagemaker:CreateTrainingJob. Error Details: The requested resource training-job/ml.p4d.24xlarge is not "
                "available in this region\nRetry not appropriate on execution of step with PipelineExecutionArn arn:aws:sagemaker:eu-west-1"
            ),
            "ml.p4d.24xlarge",
        ),
        (
            (
                "The requested resource training-job/ml.p3.2xlarge for spot training job usage is not available in this region. "
                "We apologize for the inconvenience."
            ),
            "ml.p3.2xlarge",
        ),
        ("The requested resource endpoint/ml.inf1.xlarge is not available in this region", "ml.inf1.xlarge"),
        ("The requested resource training-plan/big is not available in the region", "training-plan/big"),
    ],
)
@pytest.mark.parametrize("kind", [TRAINING_JOBS, TUNING_JOBS])
def test_instance_type_that_the_region_does_not_have_is_the_users_mistake_and_never_waited_for(
    message: str, names: str, kind: Kind
) -> None:
    refusal = refusal_of(_error("ResourceLimitExceeded", message), kind, "us-west-1")

    assert isinstance(refusal, InstanceTypeNotAvailable)
    for part in (f"no {names} for {kind.noun}s in us-west-1", "Choose an instance type", "region_name"):
        assert part in str(refusal)


@pytest.mark.parametrize(
    ("message", "name", "is_to_wait"),
    [
        # In the words of public reports
        (
            (
                "The account-level service limit 'ml.p3.2xlarge for spot training job usage' is 0 Instances, with current utilization of 0 "
                "Instances and a request delta of 1 Instances. Please contact AWS support to request an increase for this limit."
            ),
            "ml.p3.2xlarge for spot training job usage",
            False,
        ),
        (
            (
                "The account-level service limit for training-job/ml.p2.xlarge is 0 Instances, with current utilization of 0 Instances and a "
                "request delta of 2 Instances. Please contact AWS support to request an increase for this limit."
            ),
            "training-job/ml.p2.xlarge",
            False,
        ),
        (
            (
                "The account-level service limit 'ml.p3.8xlarge for training job usage' is 2 Instances, with current utilization of 3 Instances "
                "and a request delta of 1 Instances. Please contact AWS support to request an increase for this limit."
            ),
            "ml.p3.8xlarge for training job usage",
            True,
        ),
        (
            (
                "The account-level service limit 'Number of instances across all training jobs' is 4 Instances, with current utilization of 0 "
                "Instances and a request delta of 11 Instances."
            ),
            "Number of instances across all training jobs",
            False,
        ),
        (
            (
                "The account-level service limit 'ml.p2.xlarge\nfor training job usage' is 4 Instances, with current utilization of 4 Instances "
                "and a request delta of 1 Instances. Please use AWS Service Quotas to request an\nincrease for this quota."
            ),
            "ml.p2.xlarge for training job usage",
            True,
        ),
        (
            "The account-level service limit 'ml.m5.xlarge for training job usage' is 4 Instances. Current utilization is 4 Instances.",
            "ml.m5.xlarge for training job usage",
            True,
        ),
        (
            "The account-level service limit 'ml.g5.xlarge for training job usage' is 0 Instances",
            "ml.g5.xlarge for training job usage",
            False,
        ),
    ],
)
def test_quotas_are_recognised_in_all_words_that_sagemaker_has_had_for_them(
    message: str, name: str, *, is_to_wait: bool
) -> None:
    refusal = refusal_of(_error("ResourceLimitExceeded", message), TRAINING_JOBS, "us-west-1")

    assert isinstance(refusal, MustWaitItsTurn if is_to_wait else QuotaTooSmall)
    assert repr(name) in str(refusal)
    if isinstance(refusal, MustWaitItsTurn):
        assert (refusal.waits_for, refusal.at_most) == (name, None)


@pytest.mark.parametrize(
    "message", ["Too many tuning jobs.", "", "The resource is exhausted in this region."]
)
def test_limit_in_words_that_are_not_known_is_quoted_and_waited_for_no_longer_than_a_day(
    message: str,
) -> None:
    refusal = refusal_of(_error("ResourceLimitExceeded", message), TUNING_JOBS, "us-west-1")

    assert isinstance(refusal, MustWaitItsTurn)
    assert (refusal.waits_for, refusal.at_most) == ("a quota of SageMaker", NOT_UNDERSTOOD_SECONDS)
    assert message in refusal.why
    assert "no longer than a day" in refusal.why


@pytest.mark.parametrize(
    ("code", "status"), [("ThrottlingException", 400), ("SlowDown", 503), ("Whatever", 429)]
)
def test_throttling_is_waited_for_in_a_queue_of_the_operations_own(code: str, status: int) -> None:
    refusal = refusal_of(_error(code, "Rate exceeded", status), TUNING_JOBS, "us-west-1")

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
    assert refusal_of(error, TRAINING_JOBS, "us-west-1") is None


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
