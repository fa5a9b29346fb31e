"""A task's job as AWS tells it now: what a user gets who clicks on refresh."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from airflow_spot_provider.aws.kinds import TRAINING_JOBS, TUNING_JOBS
from airflow_spot_provider.published.rows import PublishedRow
from airflow_spot_provider.training import (
    JobNotFound,
    SpotProgress,
    SpotTrainingResult,
    progress_of,
    tuning_progress_of,
)
from airflow_spot_provider.training.progress import Facts
from airflow_spot_provider.ui.actions import NotDone, hook_of

LOG_LINES = 200
_LONGEST_LINE = 2_000


def asked_anew(row: PublishedRow) -> tuple[SpotProgress, list[str]]:
    """The progress that SageMaker tells now, and the newest lines of the training log.

    :raises NotDone: AWS cannot be asked; with what to do.
    """
    progress = row.progress
    if progress.job_name is None or not progress.status:
        raise NotDone("This task has no job yet: there is nothing to ask AWS about.")
    kind = TUNING_JOBS if progress.kind == "tuning" else TRAINING_JOBS
    hook = hook_of(row)
    try:
        description = hook.jobs(kind).describe(progress.job_name)
        lines = [] if progress.kind == "tuning" else hook.newest_log_lines(progress.job_name, LOG_LINES)[0]
    except (ClientError, BotoCoreError, JobNotFound) as error:
        raise NotDone(
            f"AWS cannot be asked ({error}). The API server uses the task's own connection, {progress.aws_conn_id!r}; it has to "
            f"exist there, with sagemaker:Describe{kind.resource}, logs:DescribeLogStreams and logs:GetLogEvents."
        ) from error
    return _progress(progress, description), [line[:_LONGEST_LINE] for line in lines]


def _progress(before: SpotProgress, description: Mapping[str, Any]) -> SpotProgress:
    facts = Facts(
        aws_conn_id=before.aws_conn_id, region=before.region, next_rung=before.next_rung, note=before.note
    )
    if before.kind == "tuning":
        return SpotProgress.from_json(tuning_progress_of(description, facts=facts))
    ended = TRAINING_JOBS.has_ended(description)
    result = SpotTrainingResult.of(description) if ended else None
    told = SpotProgress.from_json(
        progress_of(description, facts=facts, result=result, checkpoints=before.checkpoints)
    )
    # What a job cost, and what the task's earlier jobs came to, its task has published.
    return before if before.outcome is not None else told
