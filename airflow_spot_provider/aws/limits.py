"""What SageMaker says when it takes no more jobs: to be waited for, or never to be had."""

from __future__ import annotations

import re

from airflow_spot_provider.aws.errors import code_of, is_throttled
from airflow_spot_provider.aws.kinds import Kind
from airflow_spot_provider.training import (
    InstanceTypeNotAvailable,
    MustWaitItsTurn,
    QuotaTooSmall,
    SpotTrainingError,
)

RATE = "the rate of "
"""What is waited for begins with this where it is no quota: that a job ends is of no help then."""
NOT_UNDERSTOOD_SECONDS = 86_400.0
"""How long a limit is waited for whose words are not known here: it may be one that never passes."""

_UNAVAILABLE = re.compile(
    r"requested resource (?P<resource>\S+).* is not available in (?:this|the) region", re.I
)
"""As in: The requested resource training-job/ml.p2.xlarge is not available in this region
(aws/amazon-sagemaker-examples#1001; in a pipeline's FailureReason SageMaker adds "Retry not appropriate").
"""
_INSTANCE_TYPE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9]+", re.I)
_QUOTA = re.compile(
    r"service limit (?:'(?P<name>[^']+)'|for (?P<resource>\S+)) is (?P<limit>[\d.,]+)(?: (?P<unit>\w+))?"
)
"""As in: The account-level service limit 'ml.p3.2xlarge for spot training job usage' is 4 Instances. Before 2018 it read:
service limit for training-job/ml.p2.xlarge is 0 Instances (aws/sagemaker-python-sdk#35).
"""
_ASKED = re.compile(r"utilization of (?P<used>[\d.,]+) .*request delta of (?P<wanted>[\d.,]+)")
"""As it goes on: with current utilization of 4 Instances and a request delta of 1 Instances."""


def refusal_of(error: BaseException, kind: Kind, region: str) -> SpotTrainingError | None:
    """What it means for a job that SageMaker did not take.

    ``ResourceLimitExceeded`` has several meanings, which only its message tells apart. One that is not understood may pass or may not:
    it is waited for, as a quota in new words would fail every fan-out, and for no longer than a day.

    :param error: what the Create operation raised.
    :param kind: of the job.
    :param region: where it was to run.
    :return: MustWaitItsTurn where a later try may be taken, QuotaTooSmall or InstanceTypeNotAvailable where none ever will, None for
        any other error.
    """
    operation = f"Create{kind.resource}"
    if is_throttled(error):
        return MustWaitItsTurn(
            f"{RATE}{operation}", f"SageMaker takes no more calls of {operation} just now ({code_of(error)})."
        )
    if code_of(error) != "ResourceLimitExceeded":
        return None
    said = " ".join(str(error).split())
    if (resource := _UNAVAILABLE.search(said)) is not None:
        return _not_available(resource["resource"], kind, region)
    if (quota := _QUOTA.search(said)) is not None:
        return _of_quota(quota, _ASKED.search(said, quota.end()), said)
    return MustWaitItsTurn(
        "a quota of SageMaker",
        f"SageMaker takes no more just now, for a reason that is not known here: {said} If that does not pass by itself, change the job "
        "or ask for more in Service Quotas (Amazon SageMaker); it is waited for no longer than a day.",
        at_most=NOT_UNDERSTOOD_SECONDS,
    )


def _not_available(resource: str, kind: Kind, region: str) -> InstanceTypeNotAvailable:
    found = _INSTANCE_TYPE.search(resource)
    what = resource if found is None else found[0]
    problem = (
        f"SageMaker has no {what} for {kind.noun}s in {region} ({resource!r} is not available in this region), and waiting does not "
        "change that. Choose an instance type that it has there (the SageMaker pricing page lists them by region), or another region: "
        "region_name, or the connection's."
    )
    return InstanceTypeNotAvailable([problem])


def _of_quota(quota: re.Match[str], asked: re.Match[str] | None, said: str) -> SpotTrainingError:
    name, limit, unit = (
        quota["name"] or quota["resource"],
        _number(quota["limit"]),
        (quota["unit"] or "").lower(),
    )
    wanted = None if asked is None else _number(asked["wanted"])
    if limit == 0 or (wanted is not None and wanted > limit):
        more = "one" if wanted is None else f"{wanted:g}"
        return QuotaTooSmall(
            f"The account's quota {name!r} is {limit:g} {unit} and the job asks for {more}: it could never start. "
            f"Ask for {more} or more in Service Quotas (Amazon SageMaker, {name!r}), or for less in the job."
        )
    if asked is None:
        return MustWaitItsTurn(name, f"The account's quota {name!r} has no room just now: {said}")
    return MustWaitItsTurn(
        name,
        f"The account's quota {name!r} has no room just now: {_number(asked['used']):g} of {limit:g} {unit} are in use, and the job asks "
        f"for {wanted:g}.",
    )


def _number(text: str) -> float:
    return float(text.replace(",", "").rstrip("."))
