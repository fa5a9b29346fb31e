"""What SageMaker says when it takes no more jobs: to be waited for, or never to be had."""

from __future__ import annotations

import re

from airflow_spot_provider.aws.errors import code_of, is_throttled
from airflow_spot_provider.aws.kinds import Kind
from airflow_spot_provider.training import MustWaitItsTurn, QuotaTooSmall, SpotTrainingError

RATE = "the rate of "
"""What is waited for begins with this where it is no quota: that a job ends is of no help then."""

_QUOTA = re.compile(r"service limit '(?P<name>[^']+)'")
_AMOUNTS = re.compile(
    r"is (?P<limit>[\d.,]+) (?P<unit>[\w ]+?), with current utilization of (?P<used>[\d.,]+) [\w ]+? "
    r"and a request delta of (?P<wanted>[\d.,]+)"
)
"""As in: The account-level service limit 'ml.p3.2xlarge for spot training job usage' is 4 Instances, with current utilization
of 4 Instances and a request delta of 1 Instances.
"""


def refusal_of(error: BaseException, kind: Kind) -> SpotTrainingError | None:
    """What it means for a job that SageMaker did not take.

    :param error: what the Create operation raised.
    :param kind: of the job.
    :return: MustWaitItsTurn where a later try may be taken, QuotaTooSmall where none ever will, None for any other error.
    """
    operation = f"Create{kind.resource}"
    if is_throttled(error):
        return MustWaitItsTurn(
            f"{RATE}{operation}", f"SageMaker takes no more calls of {operation} just now ({code_of(error)})."
        )
    if code_of(error) != "ResourceLimitExceeded":
        return None
    said = str(error)
    named, amounts = _QUOTA.search(said), _AMOUNTS.search(said)
    name = named["name"] if named is not None else "a quota of SageMaker"
    if amounts is None:
        return MustWaitItsTurn(name, f"SageMaker takes no more just now: {said}")
    limit, used, wanted = (_number(amounts[group]) for group in ("limit", "used", "wanted"))
    unit = amounts["unit"].lower()
    if wanted > limit:
        return QuotaTooSmall(
            f"The account's quota {name!r} is {limit:g} {unit} and the job asks for {wanted:g}: it could never start. "
            f"Ask for {wanted:g} or more in Service Quotas (Amazon SageMaker, {name!r}), or for less in the job."
        )
    return MustWaitItsTurn(
        name,
        f"The account's quota {name!r} has no room just now: {used:g} of {limit:g} {unit} are in use, and the job asks for "
        f"{wanted:g}.",
    )


def _number(text: str) -> float:
    return float(text.replace(",", "").rstrip("."))
