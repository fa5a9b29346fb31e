"""What the task log says once a job has ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from airflow_spot_provider.aws.watch import Log
from airflow_spot_provider.hooks.sagemaker_spot import LOG_GROUP, SageMakerSpotHook
from airflow_spot_provider.training import SpotTrainingResult, SpotTuningResult
from airflow_spot_provider.training.narration import savings_sentence, table_of
from airflow_spot_provider.training.tuning_narration import (
    best_sentence,
    table_of_jobs,
    tuning_savings_sentence,
)

LOG_LINES = 200
"""How many lines of the training log a task log repeats."""


def tell(
    log: Log,
    description: Mapping[str, Any],
    result: SpotTrainingResult,
    *,
    spot_wanted: bool,
) -> None:
    """Tell the whole story once more: what the trigger logged may not have reached the task's log.

    :param spot_wanted: whether the job was to run on spot; if it did not, that is said.
    """
    log.info("%s ended as %s.\n%s", result.job_name, result.outcome, table_of(description))
    log.info("%s", savings_sentence(result))
    if spot_wanted and not result.managed_spot:
        log.warning(
            "%s describes itself as on demand although spot was asked for: nothing was saved.",
            result.job_name,
        )


def tell_tuning(log: Log, result: SpotTuningResult, *, spot_wanted: bool) -> None:
    """Tell what the tuning job has found, what its training jobs came to, and what they saved.

    :param spot_wanted: whether the jobs were to run on spot; if some did not, that is said.
    """
    limits = f" ({', '.join(result.limits_reached)} reached)" if result.limits_reached else ""
    log.info("%s ended as %s%s.\n%s", result.job_name, result.outcome, limits, table_of_jobs(result))
    log.info("%s", best_sentence(result))
    log.info("%s", tuning_savings_sentence(result))
    if spot_wanted and result.on_demand_jobs:
        log.warning(
            "%s of %s training jobs of %s describe themselves as on demand although spot was asked for: they saved nothing.",
            result.on_demand_jobs,
            result.jobs,
            result.job_name,
        )


def repeat_training_log(
    log: Log, hook: SageMakerSpotHook, job_name: str, *, read: int = LOG_LINES
) -> list[tuple[int, str]]:
    """Repeat the newest lines of the training log, and say where the others are.

    :param read: how many lines are read, of which the newest 200 are repeated.
    :return: what was read, oldest first: times in epoch milliseconds, and lines. Nothing if it cannot be read.
    """
    try:
        events, cut = hook.newest_log_events(job_name, read)
    except (ClientError, BotoCoreError) as error:
        log.warning(
            "The training log cannot be read (%s). It is in CloudWatch Logs, group %s, streams %s/*; reading it needs "
            "logs:DescribeLogStreams and logs:GetLogEvents.",
            error,
            LOG_GROUP,
            job_name,
        )
        return []
    if not events:
        log.info("The job wrote no training log.")
        return []
    told = events[-LOG_LINES:]
    cut = cut or len(events) > len(told)
    log.info("::group::Training log, %s%s lines", "newest " if cut else "", len(told))
    for _, line in told:
        log.info("%s", line)
    log.info("::endgroup::")
    if cut:
        log.info(
            "Older lines are in CloudWatch Logs: group %s, streams %s/*.",
            LOG_GROUP,
            job_name,
        )
    return events
