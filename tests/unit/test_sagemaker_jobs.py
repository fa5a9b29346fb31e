"""The hook's jobs, and a task's submit, where SageMaker's answers lag behind a job's creation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_spot_provider.aws.kinds import TRAINING_JOBS
from airflow_spot_provider.aws.ownership import TASK, TRY, tags_of
from airflow_spot_provider.hooks._jobs import SageMakerJobs
from airflow_spot_provider.operators._submission import Found, Submitted, newest_job, submit
from airflow_spot_provider.training import (
    InstanceTypeNotAvailable,
    JobNameTaken,
    MustWaitItsTurn,
    SpotTrainingError,
    TaskIdentity,
    TrainingJobNotFound,
)
from tests.unit.lagging_sagemaker import ARN, LaggingConnection, LaggingSageMaker, client_error, jobs_of

TASK_INSTANCE = TaskIdentity("dag", "run", "task")


CALLS: dict[str, Callable[[SageMakerJobs], Any]] = {
    "get": lambda jobs: jobs.get("j"),
    "stop": lambda jobs: jobs.stop("j"),
    "get_tags": lambda jobs: jobs.get_tags(ARN),
    "add_tags": lambda jobs: jobs.add_tags(ARN, {"a": "b"}),
    "create": lambda jobs: jobs.create({"TrainingJobName": "j"}),
}


@pytest.mark.parametrize("call", CALLS)
def test_every_call_is_repeated_with_a_new_client_after_credentials_have_expired(call: str) -> None:
    sagemaker = LaggingSageMaker()

    CALLS[call](SageMakerJobs(LaggingConnection(sagemaker, expired=True), TRAINING_JOBS))

    assert len(sagemaker.calls) == 1


def test_tags_of_a_job_created_a_moment_ago_are_asked_for_until_there_are_any() -> None:
    jobs = jobs_of(LaggingSageMaker(tags_after=30))
    jobs.get("j")

    assert jobs.get_tags(ARN) == {"a": "b"}


def test_new_job_that_has_no_tags_is_told_to_have_none_after_a_minute() -> None:
    sagemaker = LaggingSageMaker(tags={})
    jobs = jobs_of(sagemaker)
    jobs.get("j")

    assert jobs.get_tags(ARN) == {}
    assert 60 <= sagemaker.now <= 65


def test_job_that_is_not_new_has_no_tags_at_once() -> None:
    sagemaker = LaggingSageMaker(tags={}, created_before=600)
    jobs = jobs_of(sagemaker)
    jobs.get("j")

    assert jobs.get_tags(ARN) == {}
    assert sagemaker.now == 0


@pytest.mark.parametrize("call", ["stop", "get_tags", "add_tags"])
def test_denials_about_a_new_job_may_be_a_lag_of_its_tags(call: str) -> None:
    sagemaker = LaggingSageMaker()
    jobs = jobs_of(sagemaker)
    jobs.get("j")
    sagemaker.denied_until = 40

    CALLS[call](jobs)

    assert 40 <= sagemaker.now <= 45


@pytest.mark.parametrize("call", ["get", "stop", "get_tags", "add_tags"])
def test_denials_about_a_job_that_is_not_new_are_raised_at_once(call: str) -> None:
    sagemaker = LaggingSageMaker(created_before=600)
    jobs = jobs_of(sagemaker)
    jobs.get("j")
    sagemaker.denied_until = 40

    with pytest.raises(ClientError, match="not authorized to perform"):
        CALLS[call](jobs)
    assert sagemaker.now == 0


def test_job_that_was_just_created_is_described_as_soon_as_sagemaker_knows_it() -> None:
    assert jobs_of(LaggingSageMaker(known_after=20), created="j").get("j")["TrainingJobArn"] == ARN
    assert jobs_of(LaggingSageMaker(denied_until=20)).get("j", just_created=True)["TrainingJobArn"] == ARN
    with pytest.raises(TrainingJobNotFound):
        jobs_of(LaggingSageMaker(known_after=20)).get("j")


def test_region_without_the_instance_type_is_named_with_what_to_do() -> None:
    class _Refusing(LaggingSageMaker):
        def answer(self, operation: str, **_members: Any) -> dict[str, Any]:
            message = "The requested resource training-job/ml.p2.xlarge is not available in this region"
            raise client_error(operation, "ResourceLimitExceeded", message)

    with pytest.raises(InstanceTypeNotAvailable, match=r"ml\.p2\.xlarge for training jobs in us-west-1"):
        jobs_of(_Refusing()).create({"TrainingJobName": "j"})


def _submitted(sagemaker: LaggingSageMaker) -> Submitted:
    return submit(
        jobs_of(sagemaker),
        {},
        TASK_INSTANCE,
        names=lambda attempt: "j" if attempt == 1 else f"j-{attempt}",
        try_number=2,
        max_tries=0,
        about_to_create=lambda _name: None,
    )


@pytest.mark.parametrize(
    "lags",
    [
        {},
        {"known_after": 30},
        {"tags_after": 30},
        {"denied_until": 60},
        {"denied_until": 60, "denied": ("ListTags",)},
        {"denied_until": 60, "denied": ("AddTags",)},
        {"known_after": 10, "tags_after": 40, "denied_until": 60},
    ],
    ids=str,
)
def test_job_whose_creation_was_not_answered_is_taken_up_however_much_lags_behind_it(
    lags: dict[str, Any],
) -> None:
    sagemaker = LaggingSageMaker(exists=False, loses_answers=1, **lags)

    submitted = _submitted(sagemaker)

    assert (submitted.job_name, submitted.found) == ("j", Found.OWN_JOB)
    assert (sagemaker.tags[TASK], sagemaker.tags[TRY]) == (TASK_INSTANCE.digest, "2")


def test_new_job_without_tags_is_somebody_elses_after_a_minute() -> None:
    sagemaker = LaggingSageMaker(tags={})

    with pytest.raises(JobNameTaken, match=f"no tag {TASK}"):
        _submitted(sagemaker)
    assert 60 <= sagemaker.now <= 65


@pytest.mark.parametrize("tags", [{"team": "b"}, tags_of(TaskIdentity("dag", "run", "other"), 1)], ids=str)
def test_job_with_other_tags_is_somebody_elses_at_once(tags: dict[str, str]) -> None:
    sagemaker = LaggingSageMaker(tags=tags)

    with pytest.raises(JobNameTaken, match="make it differ for each run"):
        _submitted(sagemaker)
    assert sagemaker.now == 0


@pytest.mark.parametrize("operation", ["DescribeTrainingJob", "ListTags", "AddTags"])
def test_denial_that_is_no_lag_is_told_with_the_permissions_name(operation: str) -> None:
    sagemaker = LaggingSageMaker(
        tags=tags_of(TASK_INSTANCE, 1), denied_until=float("inf"), denied=(operation,)
    )

    with pytest.raises(SpotTrainingError, match=f"denies sagemaker:{operation}.*Grant sagemaker:Describe"):
        _submitted(sagemaker)
    assert 120 <= sagemaker.now <= 130


def test_newest_job_is_found_where_a_policy_by_tags_denies_names_that_are_free() -> None:
    class _ByTags(LaggingSageMaker):
        def answer(self, operation: str, **members: Any) -> dict[str, Any]:
            if members.get("TrainingJobName") != "j":
                raise client_error(operation, "AccessDeniedException", "no tag allows it")
            return super().answer(operation, **members)

    names = ["j", "j-2"]
    assert newest_job(jobs_of(_ByTags()), lambda attempt: names[attempt - 1]) == "j"
    with pytest.raises(ClientError, match="no tag allows it"):
        newest_job(jobs_of(_ByTags()), lambda attempt: names[attempt])


def test_quota_is_waited_for_where_a_policy_by_tags_denies_to_look_for_a_job_that_is_not_there() -> None:
    class _Full(LaggingSageMaker):
        def answer(self, operation: str, **members: Any) -> dict[str, Any]:
            if operation == "CreateTrainingJob":
                raise client_error(operation, "ThrottlingException")
            return super().answer(operation, **members)

    with pytest.raises(MustWaitItsTurn):
        _submitted(_Full(denied_until=1))
