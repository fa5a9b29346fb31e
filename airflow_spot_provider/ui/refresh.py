"""A task's job as AWS tells it now: what a user gets who clicks on refresh."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from airflow_spot_provider.hooks._jobs import SageMakerJobs
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.published.rows import PublishedRow
from airflow_spot_provider.training import (
    Phase,
    SpotProgress,
    SpotTrainingResult,
    Timeline,
    progress_of,
    tuning_progress_of,
)
from airflow_spot_provider.training.freshness import Look, bucket_and_prefix
from airflow_spot_provider.training.lifecycle import SecondaryStatus
from airflow_spot_provider.training.progress import Checkpoints, Facts
from airflow_spot_provider.ui.actions import NotDone, asked, hook_of, is_own, jobs_of

LOG_LINES = 200
_MOST_LOG_CALLS = 20
"""Somebody waits: a job of many instances and starts has more streams than that, and the newest are read first."""
_LONGEST_LINE = 2_000
_MOST_PAGES = 5
"""Of a thousand objects each."""


def asked_anew(row: PublishedRow) -> tuple[SpotProgress, list[str]]:
    """The progress that SageMaker tells now, and the newest lines of the training log.

    :raises NotDone: AWS cannot be asked, or the job is not this task's; with what to do.
    """
    progress, name = row.progress, row.progress.job_name
    if name is None or progress.phase is Phase.QUEUED:
        raise NotDone("This task has no job yet: there is nothing to ask AWS about.")
    hook = hook_of(row)
    jobs = jobs_of(hook, row)
    description = asked(jobs, f"sagemaker:Describe{jobs.kind.resource}", lambda: jobs.describe(name))
    if not progress.observed and not is_own(row, jobs, description):
        raise NotDone(
            f"{name} does not bear this task's tags: it is not this task's, and nothing is told of it."
        )
    progress = progress.model_copy(update={"region": hook.conn_region_name})
    if progress.kind == "tuning":
        return _tuning_progress(progress, description), []
    checkpoints = _checkpoints(hook, progress, description)
    lines = _log_lines(hook, jobs, name)
    return _training_progress(progress, description, checkpoints), [line[:_LONGEST_LINE] for line in lines]


def _log_lines(hook: SageMakerSpotHook, jobs: SageMakerJobs, name: str) -> list[str]:
    permissions = "logs:DescribeLogStreams and logs:GetLogEvents"
    lines, _ = asked(
        jobs,
        permissions,
        lambda: hook.newest_log_lines(name, LOG_LINES, patience=0, most_calls=_MOST_LOG_CALLS),
    )
    return lines


def _facts(before: SpotProgress) -> Facts:
    return Facts(
        aws_conn_id=before.aws_conn_id,
        region=before.region,
        next_rung=before.next_rung,
        note=before.note,
        observed=before.observed,
    )


def _tuning_progress(before: SpotProgress, description: Mapping[str, Any]) -> SpotProgress:
    told = SpotProgress.from_json(tuning_progress_of(description, facts=_facts(before)))
    return before if before.outcome is not None else told


def _training_progress(
    before: SpotProgress, description: Mapping[str, Any], checkpoints: Checkpoints | None
) -> SpotProgress:
    told = SpotProgress.from_json(
        progress_of(description, facts=_facts(before), checkpoints=checkpoints or before.checkpoints)
    )
    # What a job cost, and what the task's earlier jobs came to, the task publishes itself.
    kept = {"metrics": before.metrics} | {
        name: getattr(before, name)
        for name in ("jobs", "unknown", "training_instance_seconds", "billable_instance_seconds")
    }
    if before.outcome is not None:
        return before.model_copy(update={"checkpoints": told.checkpoints})
    if (description.get("TrainingJobStatus") or "InProgress") != "InProgress":
        result = SpotTrainingResult.of(description)
        kept |= {"savings_percent": result.savings_percent, "failure_reason": result.failure_reason}
    return told.model_copy(update=kept)


def _checkpoints(
    hook: SageMakerSpotHook, progress: SpotProgress, description: Mapping[str, Any]
) -> Checkpoints | None:
    """What lies at the checkpoint prefix now; None if that cannot be told, which is no reason to tell nothing else."""
    uri = (description.get("CheckpointConfig") or {}).get("S3Uri")
    if not uri:
        return None
    bucket, prefix = bucket_and_prefix(uri)
    s3: Any = hook.get_session(region_name=hook.conn_region_name).client(
        "s3",
        endpoint_url=hook.conn_config.get_service_endpoint_url(service_name="s3"),
        config=hook.config,
        verify=hook.verify,
    )
    look: Look | None = None
    try:
        for _ in range(_MOST_PAGES):
            after = {} if look is None or look.after is None else {"StartAfter": look.after}
            page = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, **after)
            look = (look or Look(_date_of(page))).seeing(page)
            if look.is_whole:
                break
    except (ClientError, BotoCoreError):
        return None
    if look is None or not look.is_whole:
        return None
    before = progress.checkpoints
    training = [
        each.start
        for each in Timeline.of(description).transitions
        if each.status == SecondaryStatus.TRAINING and each.start is not None
    ]
    if before is None or before.expected_every is None or not training:
        judged = look.judged(_UNEXPECTED, look.began)
        return judged.model_copy(update={"expected_every": None, "stale": False})
    return look.judged(before.expected_every, training[-1])


_UNEXPECTED = 1.0


def _date_of(page: Mapping[str, Any]) -> datetime:
    headers = (page.get("ResponseMetadata") or {}).get("HTTPHeaders") or {}
    try:
        return parsedate_to_datetime(headers["date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return datetime.now(UTC)
