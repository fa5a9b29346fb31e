"""The AWS CLI with ``--endpoint-url``: training jobs, logs, prices, quotas, permissions, errors."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.emulator import SageMakerEmulator
from tests.clients.conftest import (
    DATA,
    INTERRUPTED_ONCE,
    NEVER_LAUNCHED,
    SOURCE,
    Client,
    Run,
    assert_interrupted_and_resumed,
    describe,
    log_lines,
    statuses,
)
from tests.integration.emulator.conftest import until

SERVICE_REFUSED = 255
LOG_GROUP = "/aws/sagemaker/TrainingJobs"


class AWS:
    """The command ``aws``, pointed at the emulator."""

    def __init__(self, client: Client, endpoint_url: str) -> None:
        self._client = client
        self._endpoint = ("--endpoint-url", endpoint_url)

    def run(self, *arguments: str) -> Run:
        return self._client.command("aws", *self._endpoint, *arguments)

    def __call__(self, *arguments: str) -> Any:
        """What it answers; None where it says nothing."""
        ran = self.run(*arguments, "--output", "json")
        assert ran.status == 0, ran.errors
        return json.loads(ran.output) if ran.output.strip() else None


@pytest.fixture(scope="module")
def aws(
    emulator: SageMakerEmulator, aws_settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> AWS:
    settings = {name: value for name, value in aws_settings.items() if name != "AWS_ENDPOINT_URL"}
    client = Client("awscli", tmp_path_factory.mktemp("home"), settings)
    return AWS(client, emulator.endpoint_url)


def request(name: str, role: str, bucket: str, **hyperparameters: str) -> str:
    """A CreateTrainingJob request as ``--cli-input-json`` takes it."""
    return json.dumps(
        {
            "TrainingJobName": name,
            "RoleArn": role,
            "AlgorithmSpecification": {
                "TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/line:1",
                "TrainingInputMode": "File",
            },
            "HyperParameters": {
                "sagemaker_program": "train.py",
                "sagemaker_submit_directory": f"s3://{bucket}/code/sourcedir.tar.gz",
                **hyperparameters,
            },
            "InputDataConfig": [
                {
                    "ChannelName": "training",
                    "DataSource": {
                        "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/data/"}
                    },
                }
            ],
            "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/output"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        }
    )


def create(aws: AWS, name: str, role: str, bucket: str, *options: str, **hyperparameters: str) -> Any:
    """Create a spot job, by JSON and options of the command together."""
    return aws(
        *("sagemaker", "create-training-job", "--cli-input-json", request(name, role, bucket, **hyperparameters)),
        *("--enable-managed-spot-training", "--checkpoint-config", f"S3Uri=s3://{bucket}/checkpoints/{name}"),
        *("--stopping-condition", "MaxRuntimeInSeconds=14400,MaxWaitTimeInSeconds=28800"),
        *options,
    )  # fmt: skip


def status_of(aws: AWS, name: str) -> str:
    """Its TrainingJobStatus."""
    query = ("--query", "TrainingJobStatus")
    return str(aws("sagemaker", "describe-training-job", "--training-job-name", name, *query))


def upload(aws: AWS, bucket: str, folder: Path) -> None:
    """Put code and data into a bucket that it makes."""
    archive = folder / "sourcedir.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(SOURCE / "train.py", arcname="train.py")
    for arguments in (
        ("mb", f"s3://{bucket}"),
        ("cp", str(archive), f"s3://{bucket}/code/"),
        ("cp", "--recursive", str(DATA), f"s3://{bucket}/data/"),
    ):
        ran = aws.run("s3", *arguments)
        assert ran.status == 0, ran.errors


@pytest.fixture
def stocked_bucket(aws: AWS, unique: str, tmp_path: Path) -> str:
    """A bucket with code and data that ``aws s3`` put there."""
    name = f"cli-{unique}"
    upload(aws, name, tmp_path)
    return name


def test_job_is_created_listed_waited_for_and_read_to_its_last_line(
    aws: AWS, emulator: SageMakerEmulator, role: str, stocked_bucket: str, unique: str, tmp_path: Path
) -> None:
    arn = create(aws, unique, role, stocked_bucket)["TrainingJobArn"]
    by_name = ("sagemaker", "list-training-jobs", "--name-contains", unique)
    listed = aws(*by_name, "--status-equals", "InProgress")["TrainingJobSummaries"]
    assert [job["TrainingJobArn"] for job in listed] == [arn]

    until(lambda: status_of(aws, unique) == "Completed", seconds=120)
    waited = aws.run("sagemaker", "wait", "training-job-completed-or-stopped", "--training-job-name", unique)
    assert waited.status == 0, waited.errors
    assert_interrupted_and_resumed(emulator, unique, epochs=12)
    transitions = aws(
        *("sagemaker", "describe-training-job", "--training-job-name", unique),
        *("--query", "SecondaryStatusTransitions[].Status"),
    )
    assert transitions == INTERRUPTED_ONCE
    assert aws(*by_name, "--status-equals", "InProgress")["TrainingJobSummaries"] == []

    streams = aws(
        *("logs", "describe-log-streams", "--log-group-name", LOG_GROUP),
        *("--log-stream-name-prefix", f"{unique}/", "--query", "logStreams[].logStreamName"),
    )
    read = [
        aws(
            *("logs", "get-log-events", "--log-group-name", LOG_GROUP, "--log-stream-name", stream),
            *("--start-from-head", "--query", "events[].message"),
        )
        for stream in streams
    ]
    assert read == log_lines(emulator, unique)

    model = tmp_path / "model.tar.gz"
    copied = aws.run("s3", "cp", f"s3://{stocked_bucket}/output/{unique}/output/model.tar.gz", str(model))
    assert copied.status == 0, copied.errors
    with tarfile.open(model) as tar:
        assert tar.getnames() == ["line.json"]


def test_stopped_job_is_stopped_and_waited_for(
    aws: AWS, emulator: SageMakerEmulator, role: str, stocked_bucket: str, unique: str
) -> None:
    create(aws, unique, role, stocked_bucket, epochs="10000")
    until(lambda: describe(emulator, unique)["SecondaryStatus"] == "Training")
    assert aws("sagemaker", "stop-training-job", "--training-job-name", unique) is None
    until(lambda: status_of(aws, unique) == "Stopped")
    waited = aws.run("sagemaker", "wait", "training-job-completed-or-stopped", "--training-job-name", unique)
    assert waited.status == 0, waited.errors
    assert statuses(describe(emulator, unique))[-2:] == ["Stopping", "Stopped"]


def test_job_that_gets_no_capacity_ends_at_its_max_wait(
    aws: AWS, emulator: SageMakerEmulator, role: str, stocked_bucket: str, unique: str
) -> None:
    emulator.plan("never-launched", unique)
    limits = ("--stopping-condition", "MaxRuntimeInSeconds=300,MaxWaitTimeInSeconds=300")
    create(aws, unique, role, stocked_bucket, *limits)
    until(lambda: status_of(aws, unique) == "Stopped")
    assert statuses(describe(emulator, unique)) == NEVER_LAUNCHED


def test_wait_tells_a_failed_job_by_its_exit_status(
    aws: AWS, role: str, stocked_bucket: str, unique: str
) -> None:
    create(aws, unique, role, stocked_bucket, fail="the points are not on a line")
    until(lambda: status_of(aws, unique) == "Failed")
    waited = aws.run("sagemaker", "wait", "training-job-completed-or-stopped", "--training-job-name", unique)
    assert waited.status == 255
    assert "terminal failure state" in waited.errors
    reason = aws(
        "sagemaker", "describe-training-job", "--training-job-name", unique, "--query", "FailureReason"
    )
    assert "the points are not on a line" in reason


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--stopping-condition", "MaxRuntimeInSeconds=60"), "ValidationException", "MaxWaitTimeInSeconds"),
        (("--role-arn", "arn:aws:s3:::no-role-at-all"), "ValidationException", "roleArn"),
        (("--training-job-name", "under_score"), "ValidationException", "trainingJobName"),
    ],
)
def test_refused_job_is_an_error_in_the_services_own_words(
    aws: AWS, role: str, unique: str, options: tuple[str, ...], code: str, words: str
) -> None:
    refused = aws.run(
        *("sagemaker", "create-training-job", "--cli-input-json", request(unique, role, "no-bucket")),
        *("--enable-managed-spot-training", *options),
    )
    assert refused.status == SERVICE_REFUSED
    assert f"An error occurred ({code}) when calling the CreateTrainingJob operation: " in refused.errors
    assert words in refused.errors
    assert aws("sagemaker", "list-training-jobs", "--name-contains", unique)["TrainingJobSummaries"] == []


def test_unknown_job_and_used_name_are_errors(aws: AWS, role: str, stocked_bucket: str, unique: str) -> None:
    unknown = aws.run("sagemaker", "describe-training-job", "--training-job-name", unique)
    assert unknown.status == SERVICE_REFUSED
    assert "(ValidationException)" in unknown.errors
    assert "Requested resource not found." in unknown.errors

    create(aws, unique, role, stocked_bucket, epochs="1")
    again = aws.run(
        *("sagemaker", "create-training-job", "--cli-input-json", request(unique, role, stocked_bucket)),
        *("--stopping-condition", "MaxRuntimeInSeconds=60"),
    )
    assert again.status == SERVICE_REFUSED
    assert "(ResourceInUse)" in again.errors


def test_price_list_names_the_training_price_of_an_instance_type(aws: AWS) -> None:
    products = aws(
        *("pricing", "get-products", "--service-code", "AmazonSageMaker", "--filters"),
        "Type=TERM_MATCH,Field=instanceName,Value=ml.m5.large",
        "Type=TERM_MATCH,Field=component,Value=Training",
        "Type=TERM_MATCH,Field=regionCode,Value=us-east-1",
    )["PriceList"]
    assert len(products) == 1
    product = json.loads(products[0])
    assert product["product"]["attributes"]["instanceName"] == "ml.m5.large"
    (term,) = product["terms"]["OnDemand"].values()
    (dimension,) = term["priceDimensions"].values()
    assert float(dimension["pricePerUnit"]["USD"]) > 0


def test_quota_of_spot_training_is_told(aws: AWS) -> None:
    name = "ml.m5.large for spot training job usage"
    quotas = aws(
        *("service-quotas", "list-service-quotas", "--service-code", "sagemaker"),
        *("--query", f"Quotas[?QuotaName=='{name}']"),
    )
    assert len(quotas) == 1
    code = quotas[0]["QuotaCode"]
    one = aws("service-quotas", "get-service-quota", "--service-code", "sagemaker", "--quota-code", code)
    assert one["Quota"]["QuotaName"] == name
    assert one["Quota"]["Value"] == quotas[0]["Value"]


def test_permissions_of_the_role_are_simulated(aws: AWS, role: str) -> None:
    results = aws(
        *("iam", "simulate-principal-policy", "--policy-source-arn", role),
        *("--action-names", "s3:GetObject", "sagemaker:CreateTrainingJob"),
    )["EvaluationResults"]
    assert {result["EvalActionName"]: result["EvalDecision"] for result in results} == {
        "s3:GetObject": "allowed",
        "sagemaker:CreateTrainingJob": "allowed",
    }


def test_spot_price_history_lies_under_the_price_on_demand(aws: AWS) -> None:
    history = aws(
        *("ec2", "describe-spot-price-history", "--instance-types", "m5.large"),
        *("--product-descriptions", "Linux/UNIX", "--max-items", "5"),
    )["SpotPriceHistory"]
    assert history
    for entry in history:
        assert entry["InstanceType"] == "m5.large"
        assert entry["AvailabilityZone"].startswith("us-east-1")
        assert 0 < float(entry["SpotPrice"]) < 0.115
