"""What Amazon's own operators do with a config, done by ours: roles by name, S3Operations, names that exist, their XCom."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook
from airflow_spot_provider.operators._results import pull_results
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.training import (
    InvalidSpotRequest,
    JobNameTaken,
    SpotTrainingError,
    SpotTrainingResult,
)
from tests.integration.provider.task_instance import FakeTaskInstance

pytestmark = pytest.mark.usefixtures("aws_connection")

Train = Callable[..., dict[str, Any]]


@pytest.fixture
def ti(unique: str) -> FakeTaskInstance:
    return FakeTaskInstance(f"manual__{unique}")


@pytest.fixture
def train(job_config: dict[str, Any], ti: FakeTaskInstance) -> Train:
    def _train(*, of: FakeTaskInstance = ti, config: dict[str, Any] | None = None, **arguments: Any) -> Any:
        operator = SageMakerSpotTrainingOperator(
            task_id="train",
            config={**job_config, **(config or {})},
            max_wait=1200,
            poll_interval=1,
            deferrable=False,
            region_name="us-east-1",
            **arguments,
        )
        return operator.execute(of.context)

    return _train


def _described(emulator: SageMakerEmulator, result: dict[str, Any]) -> Any:
    return emulator.client("sagemaker").describe_training_job(TrainingJobName=result["job_name"])


@pytest.mark.parametrize("path", ["", "service-role/"])
def test_a_role_is_given_by_its_name(
    train: Train, emulator: SageMakerEmulator, unique: str, path: str
) -> None:
    arn = emulator.client("iam").create_role(RoleName=unique, Path=f"/{path}", AssumeRolePolicyDocument="{}")[
        "Role"
    ]["Arn"]

    result = train(config={"RoleArn": f"{path}{unique}"})

    assert _described(emulator, result)["RoleArn"] == arn


def test_what_the_description_tells_of_a_failure_is_what_the_result_tells(
    train: Train, ti: FakeTaskInstance, job_config: dict[str, Any]
) -> None:
    tags = [*job_config["Tags"], {"Key": "emulator:lifecycle", "Value": "failed"}]

    with pytest.raises(SpotTrainingError):
        train(config={"Tags": tags}, xcom="stock")

    result = ti.xcoms["return_value"]
    assert result["Training"]["FailureReason"] == result["failure_reason"]


def test_a_role_that_does_not_exist_is_told_before_anything_is_submitted(
    train: Train, emulator: SageMakerEmulator, unique: str
) -> None:
    before = emulator.calls().get("CreateTrainingJob", 0)

    with pytest.raises(
        InvalidSpotRequest, match=f"RoleArn is '{unique}', and IAM knows no role of that name.*ARN"
    ):
        train(config={"RoleArn": unique})

    assert emulator.calls().get("CreateTrainingJob", 0) == before


def test_a_role_that_may_not_be_looked_up_is_told_with_the_permission(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from botocore.exceptions import ClientError

    def _denied(*_args: Any, **_kwargs: Any) -> str:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetRole")

    monkeypatch.setattr(SageMakerSpotHook, "expand_role", _denied)

    with pytest.raises(SpotTrainingError, match="Grant iam:GetRole, or give the ARN"):
        SageMakerSpotHook(region_name="us-east-1").role_arn("training")


def test_s3_operations_are_carried_out_before_the_job(
    train: Train, emulator: SageMakerEmulator, ti: FakeTaskInstance, unique: str, tmp_path: Path
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text("print()")
    (tmp_path / "data.csv").write_text("1,2")
    operations = {
        "S3CreateBucket": [{"Bucket": unique}],
        "S3Upload": [
            {"Path": str(tmp_path / "data.csv"), "Bucket": unique, "Key": "in/data.csv", "Tar": False},
            {"Path": str(tmp_path / "code"), "Bucket": unique, "Key": "code.tar.gz", "Tar": True},
        ],
    }

    for each in (ti, FakeTaskInstance(f"another-{unique}")):  # what is there already is no error
        train(of=each, config={"S3Operations": operations})

    s3 = emulator.client("s3")
    assert s3.get_object(Bucket=unique, Key="in/data.csv")["Body"].read() == b"1,2"
    packed = io.BytesIO(s3.get_object(Bucket=unique, Key="code.tar.gz")["Body"].read())
    with tarfile.open(fileobj=packed) as tar:
        assert tar.getnames() == ["train.py"]


@pytest.mark.parametrize(
    ("operations", "says"),
    [
        (
            {"S3Upload": [{"Path": "/not/here", "Bucket": "b", "Key": "k"}]},
            "'/not/here'.* is not on this worker",
        ),
        (
            {"S3Upload": [{"Path": "/etc/hosts", "Bucket": "no-such-bucket", "Key": "k"}]},
            "It takes s3:PutObject",
        ),
    ],
    ids=["no file", "no bucket"],
)
def test_s3_operations_that_fail_are_told_before_anything_is_submitted(
    train: Train, emulator: SageMakerEmulator, operations: dict[str, Any], says: str
) -> None:
    before = emulator.calls().get("CreateTrainingJob", 0)

    with pytest.raises(SpotTrainingError, match=says):
        train(config={"S3Operations": operations})

    assert emulator.calls().get("CreateTrainingJob", 0) == before


def test_a_name_of_the_day_serves_every_run_where_it_is_made_unique(train: Train, unique: str) -> None:
    config = {"TrainingJobName": f"daily-{unique}"}
    names = set()
    for run in ("first", "second"):
        of = FakeTaskInstance(f"{run}-{unique}")
        result = train(of=of, config=config, action_if_job_exists="timestamp")
        names.add(result["job_name"])

    assert len(names) == 2
    assert all(name.startswith(f"daily-{unique}-") for name in names)


@pytest.mark.parametrize(("map_index", "says"), [(-1, "several of one day"), (1, r"ti.map_index")])
def test_a_name_that_is_taken_is_refused_with_the_advice_that_fits(
    train: Train, ti: FakeTaskInstance, unique: str, map_index: int, says: str
) -> None:
    train(config={"TrainingJobName": unique})
    other = FakeTaskInstance(ti.run_id, task_id="another")
    other.map_index = map_index

    with pytest.raises(JobNameTaken, match=says):
        train(of=other, config={"TrainingJobName": unique})


def test_the_description_is_in_the_result_where_the_stock_operator_puts_it(
    train: Train, ti: FakeTaskInstance, emulator: SageMakerEmulator
) -> None:
    secrets = {"Environment": {"DB_PASSWORD": "hunter2"}, "HyperParameters": {"token": "hunter2"}}

    result = train(config=secrets, xcom="stock")

    assert result == ti.xcoms["return_value"]
    training = result["Training"]
    artifacts = _described(emulator, result)["ModelArtifacts"]["S3ModelArtifacts"]
    assert training["ModelArtifacts"]["S3ModelArtifacts"] == artifacts
    assert training["TrainingJobStatus"] == "Completed"
    assert training["CreationTime"].startswith("20")
    assert "hunter2" not in str(result)
    # Branch, reports and savings read the same result.
    assert SpotTrainingResult.from_json(result).job_name == result["job_name"]
    ti.pullable["train"] = result
    assert [each.outcome for each in pull_results(ti.context, "train")] == ["Completed"]
