"""SageMaker Python SDK v3: ModelTrainer on managed spot, whose own entry point runs under /opt/ml."""

from __future__ import annotations

import json

import pytest

from airflow_spot_provider.emulator import SageMakerEmulator
from tests.clients.conftest import (
    DATA,
    SOURCE,
    TRUST,
    Client,
    Run,
    assert_interrupted_and_resumed,
    log_lines,
    savings_percent,
    statuses,
)


@pytest.fixture(scope="module")
def sdk(sdk_settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Client:
    # Its log lines are broken to the width of the terminal.
    return Client("sagemaker-v3", tmp_path_factory.mktemp("home"), {**sdk_settings, "COLUMNS": "500"})


def program(sdk: Client, what: str, role: str, name: str) -> Run:
    return sdk.program("with_sdk_v3.py", what, str(SOURCE), str(DATA), role, name)


def test_model_trainer_trains_on_spot_through_an_interruption(
    sdk: Client, emulator: SageMakerEmulator, role: str, unique: str
) -> None:
    before = emulator.calls()
    run = program(sdk, "train", role, unique)
    told = run.result

    description = assert_interrupted_and_resumed(emulator, told["job"], epochs=12)
    after = emulator.calls()
    for operation in ("GetRole", "SimulatePrincipalPolicy"):
        assert after.get(operation, 0) > before.get(operation, 0), f"the SDK did not ask {operation}"
    assert told["status"] == "Completed"
    assert told["statuses"] == statuses(description)
    assert told["billable"] == description["BillableTimeInSeconds"]
    assert told["model"] == description["ModelArtifacts"]["S3ModelArtifacts"]
    assert "/opt/ml/input/data/sm_drivers/sm_train.sh" in " ".join(told["command"])
    first, second = log_lines(emulator, told["job"])
    assert "Running Basic Script driver" in first
    assert "Training Container Execution Completed" in second
    shown = run.output + run.errors
    for line in (line for line in first if line.startswith(("Running ", "starting ", "epoch="))):
        assert line in shown
    last = next(line for line in second if line.startswith("epoch=12 "))
    assert told["loss"] == pytest.approx(float(last.rpartition("=")[2]), rel=1e-6)
    assert f"Managed Spot Training savings: {savings_percent(description):.1f}%\n" in run.output


def test_model_trainer_raises_the_failure_reason_of_a_script_that_fails(
    sdk: Client, role: str, unique: str
) -> None:
    told = program(sdk, "fail", role, unique).result

    assert "the points are not on a line" in told["error"]


def test_model_trainer_refuses_a_role_that_sagemaker_cannot_assume(
    sdk: Client, emulator: SageMakerEmulator, unique: str
) -> None:
    iam = emulator.client("iam")
    other = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    role = iam.create_role(RoleName=unique, AssumeRolePolicyDocument=json.dumps(other))["Role"]["Arn"]

    run = program(sdk, "train", role, unique)

    assert run.status == 1
    assert "RoleValidationError" in run.errors
    assert "sagemaker.amazonaws.com" in run.errors
    jobs = emulator.client("sagemaker").list_training_jobs(NameContains=unique)
    assert jobs["TrainingJobSummaries"] == []


def test_model_trainer_refuses_a_role_that_may_not_do_what_training_needs(
    sdk: Client, emulator: SageMakerEmulator, unique: str
) -> None:
    role = emulator.client("iam").create_role(RoleName=unique, AssumeRolePolicyDocument=json.dumps(TRUST))[
        "Role"
    ]["Arn"]

    run = program(sdk, "train", role, unique)

    assert run.status == 1
    assert "RoleValidationError" in run.errors
