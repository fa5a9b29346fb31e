"""Which outcomes let a task succeed."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import TypeVar

from airflow_spot_provider.training import InvalidSpotRequest, Outcome, SpotTrainingResult, TuningOutcome

ACCEPTED_OF_TUNING = (
    TuningOutcome.COMPLETED,
    TuningOutcome.COMPLETED_WITH_MAX_WAIT_TIME_EXCEEDED,
    TuningOutcome.MAX_RUNTIME_EXCEEDED,
)
"""What SageMaker itself calls Completed, with a best training job."""

_Outcome = TypeVar("_Outcome", bound=StrEnum)


def checked_outcomes(accept: Collection[str]) -> frozenset[Outcome]:
    """The outcomes of training jobs that a user names, ``Completed`` always among them.

    :raises InvalidSpotRequest: one is no outcome.
    """
    return _checked(accept, Outcome) | {Outcome.COMPLETED}


def is_accepted(result: SpotTrainingResult, accept: Collection[Outcome]) -> bool:
    """Whether a task that accepts these outcomes succeeds. A job that AWS had no instance for counts as one whose MaxWait was over."""
    return result.outcome in accept or (result.lacked_capacity and Outcome.MAX_WAIT_TIME_EXCEEDED in accept)


def checked_tuning_outcomes(accept: Collection[str]) -> frozenset[TuningOutcome]:
    """The outcomes of tuning jobs that a user names, ``Completed`` always among them.

    :raises InvalidSpotRequest: one is no outcome.
    """
    return _checked(accept, TuningOutcome) | {TuningOutcome.COMPLETED}


def _checked(accept: Collection[str], kind: type[_Outcome]) -> frozenset[_Outcome]:
    allowed = [str(outcome) for outcome in kind]
    given = [accept] if isinstance(accept, str) else list(accept)
    if unknown := [outcome for outcome in given if outcome not in allowed]:
        raise InvalidSpotRequest([f"accept names {unknown}; the outcomes are {allowed}."])
    return frozenset(map(kind, given))
