"""SageMaker Python SDK v2: Estimator.fit on managed spot with logs, and HyperparameterTuner."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.operators.tuning import SageMakerSpotTuningOperator
from airflow_spot_provider.sensors.tuning import SageMakerSpotTuningSensor
from tests.clients.conftest import (
    DATA,
    REGION,
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
def sdk(sdk_settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Client:
    """The SDK in its environment."""
    return Client("sagemaker-v2", tmp_path_factory.mktemp("home"), sdk_settings)


@pytest.fixture(scope="module")
def runs(sdk: Client, role: str) -> Iterator[Callable[[str], Run]]:
    """The runs of the program, started at once: most of their time is waiting."""
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


class _TaskInstance:
    """Just what an operator asks of a task instance."""

    dag_id, task_id, map_index, try_number, max_tries = "clients", "tune", -1, 1, 0

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.xcoms: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


@pytest.fixture
def task_instance(emulator: SageMakerEmulator, monkeypatch: pytest.MonkeyPatch) -> _TaskInstance:
    """A task instance whose connection ``aws_default`` leads to the emulator."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", emulator.airflow_connection())
    return _TaskInstance(f"manual__{unique_name()}")


def _assert_agrees(result: dict[str, Any], described: dict[str, Any], objectives: dict[str, float]) -> None:
    """Our figures of a tuning job against those that the SDK reads."""
    assert result["best"]["job_name"] == described["best"]
    assert result["best"]["value"] == described["value"]
    assert result["statuses"] == described["statuses"]
    assert result["objective_statuses"] == described["objective_statuses"]
    assert {row[0]: row[2] for row in result["table"]} == pytest.approx(objectives)
    assert result["jobs"] == len(objectives)


def test_sensor_of_the_tuners_job_tells_the_figures_that_the_tuner_reads(
    emulator: SageMakerEmulator, runs: Callable[[str], Run], task_instance: _TaskInstance
) -> None:
    told = runs("tune").result

    sensor = SageMakerSpotTuningSensor(task_id="tune", job_name=told["tuning_job"], region_name=REGION)
    result = sensor.execute({"ti": task_instance})

    _assert_agrees(result, told["described"], {name: loss for name, _, _, loss in told["jobs"]})
    assert float(result["best"]["hyperparameters"]["learning-rate"]) == pytest.approx(told["best_rate"])
    descriptions = [describe(emulator, name) for name, *_ in told["jobs"]]
    trained, billed = (
        sum(each[f"{kind}TimeInSeconds"] for each in descriptions) for kind in ("Training", "Billable")
    )
    assert result["savings_percent"] == pytest.approx((1 - billed / trained) * 100)


def test_analytics_of_the_operators_job_reads_the_figures_that_the_operator_tells(
    emulator: SageMakerEmulator, runs: Callable[[str], Run], task_instance: _TaskInstance, sdk: Client
) -> None:
    started = emulator.client("sagemaker").describe_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=runs("tune").result["tuning_job"]
    )
    members = ("HyperParameterTuningJobConfig", "TrainingJobDefinition")
    config = {member: started[member] for member in members}
    operator = SageMakerSpotTuningOperator(
        task_id="tune", config=config, poll_interval=1, deferrable=False, region_name=REGION
    )

    result = operator.execute({"ti": task_instance})

    told = sdk.program("with_sdk_v2.py", "read", result["job_name"]).result
    _assert_agrees(result, told["described"], told["objectives"])
    rate = float(result["best"]["hyperparameters"]["learning-rate"])
    assert rate == pytest.approx(told["rates"][result["best"]["job_name"]])
    assert sorted(told["summaries"]) == sorted(row[0] for row in result["table"])
    assert told["ranges"] == ["learning-rate"]
