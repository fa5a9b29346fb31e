"""boto3: waiters, paginators, logs."""

from __future__ import annotations

import pytest

from airflow_spot_provider.emulator import SageMakerEmulator
from tests.clients.conftest import (
    SOURCE,
    Client,
    assert_interrupted_and_resumed,
    describe,
    log_lines,
    statuses,
)


@pytest.fixture
def boto3(aws_settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client("boto3", tmp_path_factory.mktemp("home"), aws_settings)


def test_waiter_and_paginators_see_an_interrupted_job_to_its_end(
    boto3: Client, emulator: SageMakerEmulator, role: str, bucket: str, unique: str
) -> None:
    told = boto3.program("with_boto3.py", "train", str(SOURCE), role, bucket, unique).result

    description = assert_interrupted_and_resumed(emulator, unique, epochs=12)
    names = [f"{unique}-{number}" for number in (4, 3, 2, 1, 0)]
    # Pages are cut before they are filtered: what a page shows depends on whose jobs stand between, what they all show does not.
    assert all(len(page) <= 2 for page in told["pages"])
    assert [name for page in told["pages"] for name in page] == [*names, unique]
    assert told["lines"] == log_lines(emulator, unique)
    assert len(told["streams"]) == 2
    assert all(stream.startswith(f"{unique}/algo-1-") for stream in told["streams"])
    last = next(line for line in told["lines"][1] if line.startswith("epoch=12 "))
    assert told["metrics"] == {"validation:loss": pytest.approx(float(last.rpartition("=")[2]), rel=1e-6)}
    assert description["ModelArtifacts"]["S3ModelArtifacts"] == (
        f"s3://{bucket}/output/{unique}/output/model.tar.gz"
    )


def test_tuning_paginators_list_jobs_that_trained_and_were_interrupted(
    boto3: Client, emulator: SageMakerEmulator, role: str, bucket: str, unique: str
) -> None:
    told = boto3.program("with_boto3.py", "tune", str(SOURCE), role, bucket, unique).result

    assert told["status"] == "Completed"
    assert told["tuning_jobs"] == [unique]
    assert told["counters"]["Completed"] == 4
    assert [len(page) for page in told["training_jobs"]] == [3, 1]
    jobs = [job for page in told["training_jobs"] for job in page]
    assert [status for _, status, _, _ in jobs] == ["Completed"] * 4
    losses = [loss for _, _, _, loss in jobs]
    assert losses == sorted(losses)
    assert told["best"] == jobs[0][0]
    assert len({rate for _, _, rate, _ in jobs}) == 4
    for name, _, rate, loss in jobs:
        assert 0.05 <= rate <= 0.9
        description = describe(emulator, name)
        assert "Interrupted" in statuses(description)
        assert description["FinalMetricDataList"][0]["Value"] == pytest.approx(loss)
