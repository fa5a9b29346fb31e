"""SageMaker Python SDK v2: Estimator.fit on managed spot with logs, and HyperparameterTuner."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_spot_provider.emulator import SageMakerEmulator
from tests.clients.conftest import (
    DATA,
    SOURCE,
    Client,
    Run,
    assert_interrupted_and_resumed,
    describe,
    log_lines,
    savings_percent,
    statuses,
    unique_name,
)


@pytest.fixture(scope="module")
def runs(
    sdk_settings: dict[str, str], role: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Run]]:
    """The runs of the program, started at once: most of their time is waiting."""
    sdk = Client("sagemaker-v2", tmp_path_factory.mktemp("home"), sdk_settings)
    with ThreadPoolExecutor() as pool:
        started = {
            what: pool.submit(
                sdk.program, "with_sdk_v2.py", what, str(SOURCE), str(DATA), role, unique_name()
            )
            for what in ("fit", "fail", "tune")
        }
        yield lambda what: started[what].result()


def test_fit_shows_the_log_and_the_savings_of_an_interrupted_job(
    emulator: SageMakerEmulator, runs: Callable[[str], Run]
) -> None:
    run = runs("fit")
    told = run.result

    description = assert_interrupted_and_resumed(emulator, told["job"], epochs=12)
    shown = set(run.output.splitlines())
    for line in (line for start in log_lines(emulator, told["job"]) for line in start):
        assert line in shown
    billable, trained = description["BillableTimeInSeconds"], description["TrainingTimeInSeconds"]
    assert f"Training seconds: {trained}\n" in run.output
    assert f"Billable seconds: {billable}\n" in run.output
    assert f"Managed Spot Training savings: {savings_percent(description):.1f}%\n" in run.output
    assert told["model"] == description["ModelArtifacts"]["S3ModelArtifacts"]
    assert told["attached"] == "12"
    assert len(told["losses"]) > 0
    assert description["HyperParameters"]["sagemaker_program"] == '"train.py"'


def test_fit_raises_the_failure_reason_of_a_script_that_fails(
    emulator: SageMakerEmulator, runs: Callable[[str], Run]
) -> None:
    told = runs("fail").result

    description = describe(emulator, told["job"])
    assert told["status"] == description["TrainingJobStatus"] == "Failed"
    assert "the points are not on a line" in description["FailureReason"]
    assert description["FailureReason"] in told["error"]


def test_tuner_finds_the_best_of_jobs_that_were_interrupted(
    emulator: SageMakerEmulator, runs: Callable[[str], Run]
) -> None:
    told = runs("tune").result

    assert len(told["jobs"]) == 4
    assert {status for _, status, _, _ in told["jobs"]} == {"Completed"}
    best = min(told["jobs"], key=lambda job: job[3])
    assert told["best"] == best[0]
    assert told["best_rate"] == pytest.approx(best[2])
    for name, _, rate, loss in told["jobs"]:
        description = describe(emulator, name)
        assert description["EnableManagedSpotTraining"] is True
        assert "Interrupted" in statuses(description)
        assert float(description["HyperParameters"]["learning-rate"].strip('"')) == pytest.approx(rate)
        assert description["FinalMetricDataList"][0]["Value"] == pytest.approx(loss)
