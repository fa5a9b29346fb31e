"""What the task log says once a job has ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from airflow_spot_provider.aws.training_log import LOG_GROUP, NewestLines, streams_of
from airflow_spot_provider.aws.watch import Log
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
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
        newest = hook.newest_log_events(job_name, read)
    except (ClientError, BotoCoreError) as error:
        log.warning(
            "The training log cannot be read (%s). It is in CloudWatch Logs, group %s, streams %s*; reading it needs "
            "logs:DescribeLogStreams and logs:GetLogEvents.",
            error,
            LOG_GROUP,
            streams_of(job_name),
        )
        return []
    lines = newest.lines
    if not lines:
        _say_why_there_is_nothing(log, job_name, newest)
        return []
    told = lines[-LOG_LINES:]
    cut = newest.cut or len(lines) > len(told)
    log.info("::group::Training log, %s%s lines", "newest " if cut else "", len(told))
    for _, line in told:
        log.info("%s", line)
    log.info("::endgroup::")
    if newest.trouble is not None:
        log.warning("The training log could not be read to its end (%s).", newest.trouble)
    if cut:
        log.info(
            "Older lines are in CloudWatch Logs: group %s, streams %s*.", LOG_GROUP, streams_of(job_name)
        )
    return lines


def _say_why_there_is_nothing(log: Log, job_name: str, newest: NewestLines) -> None:
    if newest.cut:
        log.info(
            "No line of the training log was found in as many pages as are read here. It is in CloudWatch Logs: group %s, "
            "streams %s*.",
            LOG_GROUP,
            streams_of(job_name),
        )
    else:
        log.info("The job wrote no training log.")
