"""State that survives a kill of the emulator."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_spot_provider.emulator import EmulatorError, SageMakerEmulator
from tests.integration.emulator.conftest import BUCKET, Jobs, statuses, until
from tests.integration.emulator.shapes import tuning_job

COUNTING = """
import os, pathlib, time
folder = pathlib.Path(os.environ["SM_CHECKPOINT_DIR"])
done = len(list(folder.glob("step-*")))
print("from step", done, flush=True)
for step in range(done, 6):
    if not done and step == 3:
        time.sleep(3_600)  # the first stay does not end before the emulator is killed
    part = folder / "part"
    part.write_text(str(step))
    part.rename(folder / f"step-{step}")
pathlib.Path(os.environ["SM_MODEL_DIR"], "steps").write_text("6")
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def _killed(emulator: SageMakerEmulator) -> None:
    os.kill(emulator.pid, signal.SIGKILL)
    emulator.stop()


@pytest.fixture
def killed_while_training(state: Path) -> dict[str, Any]:
    """An emulator was killed while one job trained, one waited and one had ended; what they were then."""
    with SageMakerEmulator(state=state, speed=60) as emulator:
        emulator.client("s3").create_bucket(Bucket=BUCKET)
        jobs = Jobs(emulator, "kept")
        ended = jobs.submit()
        jobs.ended(ended)
        waiting = jobs.submit("never-launched")
        training = jobs.submit_script(COUNTING)
        prefix = "kept/checkpoints/"
        until(lambda: "Contents" in jobs.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}step-1"))
        emulator.client("iam").create_role(RoleName="trainer", AssumeRolePolicyDocument="{}")
        queue = emulator.client("sqs").create_queue(QueueName="events")["QueueUrl"]
        jobs.s3.put_object(Bucket=BUCKET, Key="a b/ü?.txt", Body=b"text", Metadata={"who": "me"})
        jobs.s3.put_object(Bucket=BUCKET, Key="gone", Body=b"")
        jobs.s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "gone"}]})
        told = {
            "ended": jobs.describe(ended),
            "waiting": jobs.describe(waiting),
            "training": jobs.describe(training),
            "queue": queue,
            "written": jobs.s3.head_object(Bucket=BUCKET, Key="a b/ü?.txt")["LastModified"],
            "time": emulator.clock.now(),
        }
        _killed(emulator)
    return told


def test_killed_emulator_goes_on_where_it_was(killed_while_training: dict[str, Any], state: Path) -> None:
    before = killed_while_training
    with SageMakerEmulator(state=state, speed=60) as emulator:
        jobs = Jobs(emulator, "kept-on")
        ended = before["ended"]["TrainingJobName"]
        del before["ended"]["ResponseMetadata"]
        assert jobs.describe(ended).items() >= before["ended"].items()
        assert jobs.describe(before["waiting"]["TrainingJobName"])["SecondaryStatus"] == "Starting"

        training = before["training"]["TrainingJobName"]
        description = jobs.ended(training)
        assert statuses(description) == [
            *("Starting", "Downloading", "Training", "Interrupted"),
            *("Starting", "Downloading", "Training", "Uploading", "Completed"),
        ]
        assert description["CreationTime"] == before["training"]["CreationTime"]
        assert int(jobs.log_of(training)[-1][0].removeprefix("from step ")) > 0
        assert jobs.model_of(description) == {"steps": b"6"}
        assert [stay["why"] for stay in emulator.job(training)["stays"]] == ["lost", "done"]

        kept = jobs.s3.get_object(Bucket=BUCKET, Key="a b/ü?.txt")
        assert (kept["Metadata"], kept["LastModified"]) == ({"who": "me"}, before["written"])
        listed = jobs.s3.list_objects_v2(Bucket=BUCKET, Prefix="gone")
        assert "Contents" not in listed
        assert emulator.client("iam").get_role(RoleName="trainer")
        assert emulator.client("sqs").list_queues()["QueueUrls"]
        with pytest.raises(jobs.sagemaker.exceptions.ResourceInUse):
            jobs.sagemaker.create_training_job(**jobs.request(TrainingJobName=training))


def test_deleted_job_is_gone_for_the_next_emulator_too(state: Path) -> None:
    with SageMakerEmulator(state=state, clock="stepped", lifecycle="failed") as emulator:
        emulator.client("s3").create_bucket(Bucket=BUCKET)
        jobs = Jobs(emulator, "gone")
        name = jobs.submit()
        jobs.sagemaker.add_tags(
            ResourceArn=jobs.describe(name)["TrainingJobArn"], Tags=[{"Key": "a", "Value": "b"}]
        )
    with SageMakerEmulator(state=state, clock="stepped") as emulator:
        jobs = Jobs(emulator, "gone")
        arn = jobs.describe(name)["TrainingJobArn"]
        assert {"Key": "a", "Value": "b"} in jobs.sagemaker.list_tags(ResourceArn=arn)["Tags"]
        jobs.sagemaker.stop_training_job(TrainingJobName=name)
    with SageMakerEmulator(state=state, clock="stepped") as emulator:
        jobs = Jobs(emulator, "gone")
        until(lambda: jobs.describe(name)["TrainingJobStatus"] == "Stopped")
        jobs.sagemaker.delete_training_job(TrainingJobName=name)
    with SageMakerEmulator(state=state, clock="stepped") as emulator:
        assert emulator.client("sagemaker").list_training_jobs()["TrainingJobSummaries"] == []


def test_clock_does_not_go_back_behind_what_was_told(state: Path) -> None:
    with SageMakerEmulator(state=state, speed=10_000) as emulator:
        emulator.client("s3").create_bucket(Bucket=BUCKET)
        ended = Jobs(emulator, "time").ended(Jobs(emulator, "time").submit())["TrainingEndTime"]
    with SageMakerEmulator(state=state, speed=1) as emulator:
        assert emulator.clock.now() >= ended


@pytest.mark.parametrize("end", [_killed, SageMakerEmulator.stop])
def test_clock_goes_on_from_what_was_told_while_nothing_changed(
    state: Path, end: Callable[[SageMakerEmulator], None]
) -> None:
    with SageMakerEmulator(state=state, speed=10_000) as emulator:
        emulator.client("s3").create_bucket(Bucket=BUCKET)
        told = emulator.clock.now()
        end(emulator)
    with SageMakerEmulator(state=state, speed=1) as emulator:
        assert told <= emulator.clock.now() < told + timedelta(days=1)
    with SageMakerEmulator(state=state, clock="stepped") as emulator:
        emulator.clock.advance(timedelta(days=7))
        told = emulator.clock.now()
        end(emulator)
    with SageMakerEmulator(state=state, clock="stepped") as emulator:
        assert emulator.clock.now() == told


def test_folder_of_something_else_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("my only copy")
    with (
        pytest.raises(EmulatorError, match="is not empty and holds no state"),
        SageMakerEmulator(state=tmp_path),
    ):
        raise AssertionError("it started")


def test_tuning_job_goes_on_after_a_kill(state: Path) -> None:
    with SageMakerEmulator(state=state, clock="stepped", lifecycle="interrupted-once") as emulator:
        emulator.client("s3").create_bucket(Bucket=BUCKET)
        emulator.client("s3").put_object(Bucket=BUCKET, Key="data/one", Body=b"1")
        request = tuning_job("search")
        request["HyperParameterTuningJobConfig"]["ResourceLimits"] = {
            "MaxNumberOfTrainingJobs": 5,
            "MaxParallelTrainingJobs": 2,
        }
        emulator.client("sagemaker").create_hyper_parameter_tuning_job(**request)
        emulator.clock.advance(timedelta(seconds=250))
        before = _members(emulator)
        assert 2 < len(before) < 5
        _killed(emulator)
    with SageMakerEmulator(state=state, clock="stepped", lifecycle="interrupted-once") as emulator:
        emulator.clock.advance(timedelta(hours=1))
        after = _members(emulator)
        assert before.keys() <= after.keys()
        assert len(after) == 5
        assert set(after.values()) == {"Completed"}
        described = emulator.client("sagemaker").describe_hyper_parameter_tuning_job(
            HyperParameterTuningJobName="search"
        )
        assert described["HyperParameterTuningJobStatus"] == "Completed"
        assert described["TrainingJobStatusCounters"]["Completed"] == 5


def _members(emulator: SageMakerEmulator) -> dict[str, str]:
    """The training jobs of the tuning job, and their statuses."""
    listed = emulator.client("sagemaker").list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="search", MaxResults=100
    )
    return {
        summary["TrainingJobName"]: summary["TrainingJobStatus"] for summary in listed["TrainingJobSummaries"]
    }
