"""The training jobs of a tuning job, read once it has ended."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from airflow_spot_provider.aws.errors import Backoff, code_of
from airflow_spot_provider.aws.kinds import TRAINING_JOBS
from airflow_spot_provider.hooks._jobs import SageMakerJobs
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.training import JobNotFound, SpotTrainingResult, WatchFailed
from airflow_spot_provider.training.tuning_member import TuningMember

AT_ONCE = 4
"""Descriptions asked for side by side: the rate is the account's, and others need it too."""
LOOKS = 6
"""How often a training job is looked at that still runs by its description, when its tuning job has ended."""


def members_of(hook: SageMakerSpotHook, tuning_job_name: str) -> list[TuningMember]:
    """All training jobs of a tuning job that has ended, each described: a summary tells neither billable time nor SecondaryStatus.

    :param hook: makes the calls, patiently.
    :param tuning_job_name: HyperParameterTuningJobName.
    :raises WatchFailed: a permission is missing; with what to grant.
    """
    try:
        summaries = hook.patiently(lambda: _summaries(hook, tuning_job_name))
        jobs = hook.jobs(TRAINING_JOBS)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            results = list(pool.map(lambda each: _result(jobs, each["TrainingJobName"]), summaries))
        types = {result.instance_type for result in results if result is not None}
        prices = {instance_type: hook.price_of(instance_type) for instance_type in types}
    except ClientError as error:
        raise WatchFailed(
            f"Tuning job {tuning_job_name} has ended, and its training jobs cannot be read ({code_of(error)}: {error}). Grant "
            "sagemaker:ListTrainingJobsForHyperParameterTuningJob and sagemaker:DescribeTrainingJob; a retry of the task then "
            "takes up the same job."
        ) from error
    return [
        TuningMember(summary, result and result.priced(prices[result.instance_type]))
        for summary, result in zip(summaries, results, strict=True)
    ]


def _summaries(hook: SageMakerSpotHook, tuning_job_name: str) -> list[Mapping[str, Any]]:
    client: Any = hook.conn
    pages = client.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
    return [
        summary
        for page in pages.paginate(
            HyperParameterTuningJobName=tuning_job_name, PaginationConfig={"PageSize": 100}
        )
        for summary in page["TrainingJobSummaries"]
    ]


def _result(jobs: SageMakerJobs, job_name: str) -> SpotTrainingResult | None:
    """None if the job was deleted, or its description never tells its end."""
    backoff = Backoff(random.Random(), cap=8.0)
    for look in range(LOOKS):
        if look:
            time.sleep(backoff.next_delay())
        try:
            description = jobs.get(job_name)
        except JobNotFound:
            return None
        if TRAINING_JOBS.has_ended(description):
            return SpotTrainingResult.of(description)
    return None
