"""Which checkpoints a training goes on from: its own task's and run's, and never unasked those of another run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import DAG
from botocore.exceptions import ClientError

from airflow_spot_provider.aws.ownership import own_tags
from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.training import MaxWaitTimeExceeded, TaskIdentity, TrainingJobFailed
from tests.integration.provider.task_instance import FakeTaskInstance

BUCKET = "integration"
# Five epochs, each with a checkpoint.
PROGRAM = """cd /opt/ml/checkpoints
[ -f e ] || echo 0 > e
while [ $(cat e) -lt 5 ]; do echo $(($(cat e) + 1)) > n; mv n e; echo epoch $(cat e); done
cp e /opt/ml/model
FAILS"""


pytestmark = pytest.mark.usefixtures("aws_connection")


@pytest.fixture
def prefix(unique: str) -> str:
    return f"s3://{BUCKET}/{unique}/checkpoints"


@pytest.fixture
def config(job_config: dict[str, Any]) -> dict[str, Any]:
    algorithm = {
        **job_config["AlgorithmSpecification"],
        "ContainerEntrypoint": ["/bin/sh", "-c", PROGRAM.replace("FAILS", "")],
    }
    return {
        **{key: value for key, value in job_config.items() if key != "Tags"},
        "AlgorithmSpecification": algorithm,
    }


class Training:
    """A task that trains with one prefix, run after run and try after try."""

    def __init__(self, config: dict[str, Any], prefix: str, emulator: SageMakerEmulator) -> None:
        self.config, self.prefix, self.emulator = config, prefix, emulator

    def run(self, ti: FakeTaskInstance, **arguments: Any) -> dict[str, Any]:
        return self.operator(**arguments).execute(ti.context)

    def operator(self, task_id: str = "train", **arguments: Any) -> SageMakerSpotTrainingOperator:
        return SageMakerSpotTrainingOperator(
            task_id=task_id,
            **{
                "config": self.config,
                "max_wait": 1200,
                "checkpoint_s3_uri": self.prefix,
                "poll_interval": 1,
                "print_log": False,
                "deferrable": False,
                "region_name": "us-east-1",
                **arguments,
            },
        )

    def fails(self) -> dict[str, Any]:
        """The config of a training that fails when it is done."""
        program = PROGRAM.replace("FAILS", "exit 1").replace("-lt 5", "-lt 3")
        algorithm = {
            **self.config["AlgorithmSpecification"],
            "ContainerEntrypoint": ["/bin/sh", "-c", program],
        }
        return {**self.config, "AlgorithmSpecification": algorithm}

    def epochs(self, job_name: str) -> list[str]:
        logs = self.emulator.client("logs")
        events = logs.filter_log_events(
            logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{job_name}/"
        )["events"]
        return [event["message"] for event in events if event["message"].startswith("epoch")]


@pytest.fixture
def training(config: dict[str, Any], prefix: str, emulator: SageMakerEmulator) -> Training:
    return Training(config, prefix, emulator)


def test_second_run_with_the_same_prefix_trains_on_its_own(
    training: Training, prefix: str, unique: str
) -> None:
    first = training.run(FakeTaskInstance(f"{unique}-1"))
    second = training.run(FakeTaskInstance(f"{unique}-2"))

    assert (first["checkpoint_s3_uri"], first["resumed_from"]) == (prefix, None)
    assert second["checkpoint_s3_uri"] == f"{prefix}/{second['job_name']}"
    assert second["resumed_from"] is None
    assert len(training.epochs(second["job_name"])) == 5


def test_whoever_wants_to_go_on_from_another_run_says_so(
    training: Training, prefix: str, unique: str
) -> None:
    first = training.run(FakeTaskInstance(f"{unique}-1"))
    second = training.run(FakeTaskInstance(f"{unique}-2"), resume_from_checkpoint=True)

    assert (second["checkpoint_s3_uri"], second["resumed_from"]) == (prefix, first["job_name"])
    assert training.epochs(second["job_name"]) == []


def test_checkpoints_of_something_else_are_told_by_their_prefix(
    training: Training, emulator: SageMakerEmulator, prefix: str, unique: str
) -> None:
    emulator.client("s3").put_object(Bucket=BUCKET, Key=f"{unique}/checkpoints/e", Body=b"3")

    result = training.run(FakeTaskInstance(unique), resume_from_checkpoint=True)

    assert result["resumed_from"] == prefix
    assert training.epochs(result["job_name"]) == ["epoch 4", "epoch 5"]


def test_retry_goes_on_where_the_try_before_it_stopped(training: Training, prefix: str, unique: str) -> None:
    ti = FakeTaskInstance(unique, max_tries=1)
    with pytest.raises(TrainingJobFailed) as failed:
        training.run(ti, config=training.fails())

    result = training.run(ti.next_try())

    assert (result["checkpoint_s3_uri"], result["resumed_from"]) == (prefix, failed.value.result.job_name)
    assert training.epochs(result["job_name"]) == ["epoch 4", "epoch 5"]


def test_retry_in_a_later_run_goes_on_in_the_prefix_that_its_first_try_was_given(
    training: Training, prefix: str, unique: str
) -> None:
    training.run(FakeTaskInstance(f"{unique}-1"))
    ti = FakeTaskInstance(f"{unique}-2", max_tries=1)
    with pytest.raises(TrainingJobFailed) as failed:
        training.run(ti, config=training.fails())

    result = training.run(ti.next_try())

    first_try = failed.value.result.job_name
    assert (result["checkpoint_s3_uri"], result["resumed_from"]) == (f"{prefix}/{first_try}", first_try)


def test_completed_task_that_is_cleared_trains_anew(training: Training, prefix: str, unique: str) -> None:
    ti = FakeTaskInstance(unique)
    first = training.run(ti)
    second = training.run(ti.cleared())

    assert first["checkpoint_s3_uri"] == prefix
    assert (second["checkpoint_s3_uri"], second["resumed_from"]) == (f"{prefix}/{second['job_name']}", None)
    assert len(training.epochs(second["job_name"])) == 5


def test_fallback_by_hand_goes_on_from_the_training_before_it(
    training: Training, prefix: str, unique: str
) -> None:
    training.run(FakeTaskInstance(f"{unique}-last-week"))
    with DAG("integration", schedule=None):
        spot = training.operator("spot", config=training.fails(), accept=("Failed",))
        demand = training.operator("demand", managed_spot=False, max_wait=None)
        spot >> demand
    on_spot = FakeTaskInstance(unique, task_id="spot")
    begun = spot.execute(on_spot.context)
    on_demand = FakeTaskInstance(unique, task_id="demand")
    on_demand.pullable = {"spot": begun}

    result = demand.execute(on_demand.context)

    assert begun["checkpoint_s3_uri"] == f"{prefix}/{begun['job_name']}"
    assert (result["checkpoint_s3_uri"], result["resumed_from"]) == (
        begun["checkpoint_s3_uri"],
        begun["job_name"],
    )
    assert training.epochs(result["job_name"]) == ["epoch 4", "epoch 5"]


def test_job_that_an_earlier_try_submitted_tells_what_it_went_on_from(
    training: Training, unique: str
) -> None:
    ti = FakeTaskInstance(unique, max_tries=2)
    with pytest.raises(TrainingJobFailed) as failed:
        training.run(ti, config=training.fails())
    second = ti.next_try()
    died = training.operator()

    def _dies(*_: Any, **__: Any) -> None:
        raise SystemExit

    died._finish = _dies  # type: ignore[method-assign, assignment]
    with pytest.raises(SystemExit):
        died.execute(second.context)

    result = training.run(second.next_try())

    assert result["resumed_from"] == failed.value.result.job_name


def test_prefix_that_may_not_be_looked_at_is_used_and_that_is_said(
    training: Training,
    prefix: str,
    unique: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def _denied(self: S3Hook) -> Any:  # noqa: ARG001 - the emulator's S3 denies nothing
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "ListObjectsV2")

    monkeypatch.setattr(S3Hook, "get_conn", _denied)

    result = training.run(FakeTaskInstance(unique))

    assert result["checkpoint_s3_uri"] == prefix
    assert "cannot be seen (AccessDenied)" in capsys.readouterr().out


def test_training_that_had_no_capacity_leaves_nothing_to_go_on_from(
    training: Training, prefix: str, unique: str
) -> None:
    ti = FakeTaskInstance(unique)
    waits = {**training.config, "Tags": [{"Key": "emulator:lifecycle", "Value": "never-launched"}]}
    with pytest.raises(MaxWaitTimeExceeded):
        training.run(ti, config=waits)

    result = training.run(ti.next_try())

    assert (result["checkpoint_s3_uri"], result["resumed_from"]) == (prefix, None)


def test_tag_is_left_out_where_the_users_own_take_the_room(training: Training, unique: str) -> None:
    tags = [{"Key": f"k{number}", "Value": "v"} for number in range(46)]
    training.config["Tags"] = tags
    training.run(FakeTaskInstance(f"{unique}-1"))

    result = training.run(FakeTaskInstance(f"{unique}-2"), resume_from_checkpoint=True)

    assert result["outcome"] == "Completed"
    task = TaskIdentity("d", "r", "t", -1)
    assert len(tags) + len(own_tags(task, 1, beside=len(tags))) + 2 <= 50
    assert Path(result["model_artifacts"]).name == "model.tar.gz"
