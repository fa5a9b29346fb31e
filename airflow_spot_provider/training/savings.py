"""What managed spot training saved: SageMaker's own formula, and sums over many jobs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


def savings_percent(training_seconds: float | None, billable_seconds: float | None) -> float | None:
    """``(1 - BillableTimeInSeconds / TrainingTimeInSeconds) * 100``, SageMaker's savings formula.

    Source: `Managed Spot Training
    <https://docs.aws.amazon.com/sagemaker/latest/dg/model-managed-spot-training.html>`_.

    :param training_seconds: TrainingTimeInSeconds, or None if SageMaker has not given it.
    :param billable_seconds: BillableTimeInSeconds, or None if SageMaker has not given it.
    :return: a percentage (100 billed of 500 trained is 80.0), or None when it is not known: a number is
        missing, nothing was trained, or next to nothing, of which no number tells the share. Not known is never 0.
    """
    if training_seconds is None or billable_seconds is None or training_seconds <= 0:
        return None
    percent = (1 - billable_seconds / training_seconds) * 100
    return percent if math.isfinite(percent) else None


@dataclass(frozen=True, slots=True)
class Savings:
    """Savings over any number of jobs, weighted by their instance counts.

    TrainingTimeInSeconds and BillableTimeInSeconds are wall-clock times of a job; what is billed is that time on
    each of its instances, so a sum over jobs weighs by instance count.

    :param training_instance_seconds: trained seconds x instances, over the jobs with a figure.
    :param billable_instance_seconds: billed seconds x instances, over the jobs with a figure.
    :param jobs: how many jobs have a figure.
    :param unknown: how many have none (never trained, or SageMaker has not given the numbers).
    """

    training_instance_seconds: float = 0.0
    billable_instance_seconds: float = 0.0
    jobs: int = 0
    unknown: int = 0

    @classmethod
    def of_job(
        cls, training_seconds: float | None, billable_seconds: float | None, instance_count: int = 1
    ) -> Savings:
        """The savings of one job.

        :param training_seconds: TrainingTimeInSeconds or None.
        :param billable_seconds: BillableTimeInSeconds or None.
        :param instance_count: ResourceConfig.InstanceCount.
        """
        if training_seconds is None or billable_seconds is None or training_seconds <= 0:
            return cls(unknown=1)
        return cls(training_seconds * instance_count, billable_seconds * instance_count, jobs=1)

    @classmethod
    def total(cls, savings: Iterable[Savings]) -> Savings:
        """Sum any number of them; the sum of none is one with no jobs."""
        return sum(savings, start=cls())

    def __add__(self, other: Savings) -> Savings:
        return Savings(
            self.training_instance_seconds + other.training_instance_seconds,
            self.billable_instance_seconds + other.billable_instance_seconds,
            self.jobs + other.jobs,
            self.unknown + other.unknown,
        )

    @property
    def percent(self) -> float | None:
        """The weighted savings percentage, or None when no job has a figure."""
        return savings_percent(self.training_instance_seconds, self.billable_instance_seconds)
