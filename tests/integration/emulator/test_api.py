"""What the API says yes and no to, and servers that know nothing of each other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_spot_provider.emulator import EmulatorError, SageMakerEmulator


def test_name_is_taken_once_whatever_became_of_the_first_job(jobs: Any) -> None:
    request = jobs.request("failed")
    jobs.sagemaker.create_training_job(**request)
    jobs.until_ended(request["TrainingJobName"])

    with pytest.raises(ClientError, match=r"ResourceInUse.*already exists \(arn:aws:sagemaker"):
        jobs.sagemaker.create_training_job(**request)


def test_finished_job_can_be_deleted_and_its_name_used_again(jobs: Any) -> None:
    request = jobs.request()
    name = request["TrainingJobName"]
    jobs.sagemaker.create_training_job(**request)
    with pytest.raises(ClientError, match="ResourceInUse"):
        jobs.sagemaker.delete_training_job(TrainingJobName=name)
    jobs.until_ended(name)

    jobs.sagemaker.delete_training_job(TrainingJobName=name)
    jobs.sagemaker.create_training_job(**request)


def test_unknown_job_is_not_found(jobs: Any) -> None:
    for operation in ("describe_training_job", "stop_training_job", "delete_training_job"):
        with pytest.raises(ClientError, match=r"ValidationException.*Requested resource not found"):
            getattr(jobs.sagemaker, operation)(TrainingJobName="no-such-job")


SPOT = {"EnableManagedSpotTraining": True}
RESOURCES = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {"EnableManagedSpotTraining": False},
            "only supported when EnableManagedSpotTraining is set to true",
        ),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 60}}, "MaxWaitTimeInSeconds is required"),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 59}},
            "equal to or greater",
        ),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 0, "MaxWaitTimeInSeconds": 59}},
            "greater than or equal to 1",
        ),
        (
            {"ResourceConfig": {**RESOURCES, "KeepAlivePeriodInSeconds": 60}},
            "KeepAlivePeriodInSeconds is not supported",
        ),
        ({"ResourceConfig": {**RESOURCES, "InstanceType": "ml.huge"}}, "enum value set"),
        ({"RoleArn": "arn:aws:iam::123456789012:user/somebody-else"}, "not the ARN of an IAM role"),
        ({"TrainingJobName": "under_score"}, "regular expression pattern"),
        ({"TrainingJobName": "x" * 64}, "length less than or equal to 63"),
        (
            {"HyperParameters": {f"p{number}": "1" for number in range(101)}},
            "length less than or equal to 100",
        ),
    ],
)
def test_request_is_refused_as_sagemaker_refuses_it(jobs: Any, members: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match="ValidationException") as error:
        jobs.submit(**members)

    assert message in str(error.value)


def test_refusal_does_not_quote_secrets(jobs: Any) -> None:
    with pytest.raises(ClientError) as error:
        jobs.submit(Environment={"TOKEN": "hunter2" * 200})

    assert "environment" in str(error.value)
    assert "hunter2" not in str(error.value)


def test_list_pages_filters_and_sorts(jobs: Any, unique: str) -> None:
    names = [f"{unique}-{letter}" for letter in "bca"]
    for name in names:
        jobs.submit(TrainingJobName=name, seconds=500)
    sagemaker = jobs.sagemaker

    def listed(**filters: Any) -> list[str]:
        pages = sagemaker.get_paginator("list_training_jobs").paginate(NameContains=unique, **filters)
        return [job["TrainingJobName"] for page in pages for job in page["TrainingJobSummaries"]]

    assert listed(SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 2}) == sorted(names)
    assert listed(SortOrder="Ascending") == names
    assert listed(SortBy="CreationTime") == names[::-1]
    assert listed(StatusEquals="InProgress", SortOrder="Ascending") == names
    assert listed(StatusEquals="Completed") == []
    middle = jobs.describe(names[1])["CreationTime"]
    assert listed(CreationTimeAfter=middle + timedelta(milliseconds=1)) == names[2:]
    assert names[0] in listed(CreationTimeBefore=middle)
    assert listed(LastModifiedTimeAfter=middle + timedelta(days=9)) == []
    [summary] = sagemaker.list_training_jobs(NameContains=names[0])["TrainingJobSummaries"]
    assert summary["SecondaryStatus"]
    assert summary["LastModifiedTime"] >= summary["CreationTime"]
    with pytest.raises(ClientError, match="ValidationException"):
        sagemaker.list_training_jobs(MaxResults=101)
    with pytest.raises(ClientError, match="ValidationException"):
        sagemaker.list_training_jobs(NextToken="not ours")


def test_tags_given_at_creation_are_listed_and_can_be_replaced(jobs: Any) -> None:
    request = jobs.request(Tags=[{"Key": "a", "Value": "1"}])
    arn = jobs.sagemaker.create_training_job(**request)["TrainingJobArn"]
    jobs.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}])

    tags = jobs.sagemaker.list_tags(ResourceArn=arn)["Tags"]
    assert sorted(tags, key=lambda tag: tag["Key"]) == [
        {"Key": "a", "Value": "2"},
        {"Key": "b", "Value": "3"},
    ]
    jobs.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["a"])
    assert jobs.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "3"}]


def test_description_gives_the_request_back_and_no_tags(jobs: Any) -> None:
    request = jobs.request(Environment={"A": "b"}, CheckpointConfig={"S3Uri": "s3://integration/c"})
    jobs.sagemaker.create_training_job(**request)
    description = jobs.describe(request["TrainingJobName"])

    assert "Tags" not in description
    for member in ("Environment", "CheckpointConfig", "StoppingCondition", "ResourceConfig", "RoleArn"):
        assert description[member] == request[member]


def test_servers_share_nothing(emulator: SageMakerEmulator, jobs: Any) -> None:
    name = jobs.submit()
    with SageMakerEmulator() as other:
        assert other.endpoint_url != emulator.endpoint_url
        assert other.client("s3").list_buckets()["Buckets"] == []
        with pytest.raises(ClientError, match="not found"):
            other.client("sagemaker").describe_training_job(TrainingJobName=name)
        assert other.calls().get("CreateTrainingJob", 0) == 0


def test_calls_are_counted_by_operation(jobs: Any, emulator: SageMakerEmulator) -> None:
    before = emulator.calls()
    jobs.describe(jobs.submit())
    after = emulator.calls()

    for operation in ("CreateTrainingJob", "DescribeTrainingJob"):
        assert after[operation] == before.get(operation, 0) + 1


def test_control_api_answers_in_json_and_says_what_it_takes(emulator: SageMakerEmulator, jobs: Any) -> None:
    name = jobs.submit()
    with urllib.request.urlopen(f"{emulator.endpoint_url}/_emulator/") as answer:  # noqa: S310
        listed = json.load(answer)["jobs"]
    assert name in [job["job_name"] for job in listed]
    for path, body in (("/_emulator/plans", b"{"), ("/_emulator/plans", b"[]"), ("/_emulator/nowhere", None)):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(f"{emulator.endpoint_url}{path}", data=body)  # noqa: S310
        with error.value:
            assert error.value.code in (400, 404)
            assert json.load(error.value)["error"]


@pytest.mark.parametrize("wrong", [{"lifecycle": "interrupted-often"}, {"speed": 0}, {"speed": -1}])
def test_server_that_cannot_start_says_why(wrong: dict[str, Any]) -> None:
    with pytest.raises(EmulatorError, match="lifecycle|speed"), SageMakerEmulator(**wrong):
        pass


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _wait_until_gone(*pids: int) -> None:
    end = time.monotonic() + 20
    while any(_is_running(pid) for pid in pids):
        assert time.monotonic() < end, pids
        time.sleep(0.05)


SLEEPING = "import os, time; print(os.getpid()); time.sleep(600)"


def _sleeping_script(emulator: SageMakerEmulator) -> int:
    from tests.integration.emulator.conftest import BUCKET, EmulatedJobs

    jobs = EmulatedJobs(emulator)
    jobs.s3.create_bucket(Bucket=BUCKET)
    name = jobs.submit_script(SLEEPING)
    jobs.until(name, lambda d: d["SecondaryStatus"] == "Training")
    end = time.monotonic() + 20
    while not (lines := jobs.log(name)):
        assert time.monotonic() < end
        time.sleep(0.05)
    return int(lines[0])


def test_server_ends_its_training_processes_with_itself() -> None:
    with SageMakerEmulator(speed=60) as emulator:
        pids = (emulator.pid, _sleeping_script(emulator))

    _wait_until_gone(*pids)


def test_server_ends_when_the_process_that_started_it_is_killed() -> None:
    script = (
        "import sys, time\n"
        "from airflow_spot_provider.emulator import SageMakerEmulator\n"
        "with SageMakerEmulator() as emulator:\n"
        "    print(emulator.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())
    assert _is_running(pid)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()

    _wait_until_gone(pid)
