"""Early stopping of training jobs that do worse than most.

Source: `Stop training jobs early
<https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-early-stopping.html>`_.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from airflow_spot_provider.emulator.tuning.trial import Trial

_FEWEST = 3
"""Trials that a median is taken of; SageMaker does not say how many it wants."""


def is_behind(trial: Trial, trials: Sequence[Trial]) -> bool:
    """Whether a trial's objective is worse than the median of the running averages of those before it, up to the same epoch.

    :param trial: one that runs.
    :param trials: all trials of its definition.
    """
    epochs = len(trial.losses)
    averages = [fmean(other.losses[:epochs]) for other in trials if other.is_evaluated and epochs]
    return len(averages) >= _FEWEST and trial.loss > median(averages)
