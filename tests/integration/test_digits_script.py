"""The script that the example DAGs train, as a process: an interruption costs an epoch, and no accuracy."""

from __future__ import annotations

import pickle
import re
import signal
import subprocess
import sys
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "dags" / "digits" / "train.py"
EPOCHS = 6
PAUSE = 300
"""Seconds that the script waits after an epoch; a signal finds it there, so no test waits for them to pass."""


class Training:
    """Runs of the script that share a checkpoint folder, as the starts of one training job do."""

    def __init__(self, root: Path, data: Path, *, epochs: int = EPOCHS, **hyperparameters: Any) -> None:
        self.checkpoints = root / "checkpoints"
        self.model_file = root / "model" / "model.pkl"
        self._arguments = {
            "epochs": epochs,
            "data": data,
            "model-dir": self.model_file.parent,
            "checkpoints": self.checkpoints,
            **hyperparameters,
        }

    def to_the_end(self) -> list[str]:
        done = subprocess.run(self._command(0), capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    def signalled_after_an_epoch(self, number: signal.Signals) -> tuple[list[str], int]:
        """Signal the script once it has saved an epoch; its output and exit status."""
        with subprocess.Popen(self._command(PAUSE), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line.rstrip())
                if line.startswith("checkpoint saved"):
                    break
            process.send_signal(number)
            try:
                rest, _ = process.communicate(timeout=60)
            finally:
                process.kill()
        return [*lines, *rest.splitlines()], process.returncode

    def weights(self) -> list[Any]:
        with self.model_file.open("rb") as file:
            model = pickle.load(file)  # noqa: S301 - written by the run above
        return model.coefs_ if hasattr(model, "coefs_") else [model.coef_]

    def _command(self, pause: float) -> list[str]:
        arguments = {**self._arguments, "seconds-per-epoch": pause}
        return [
            sys.executable,
            "-u",
            str(SCRIPT),
            *(f"--{name}={value}" for name, value in arguments.items()),
        ]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    (folder / "digits.csv.gz").write_bytes(
        files("sklearn.datasets.data").joinpath("digits.csv.gz").read_bytes()
    )
    return folder


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, data: Path) -> tuple[list[str], list[Any]]:
    """What an uninterrupted run prints, and the model that it makes."""
    training = Training(tmp_path_factory.mktemp("uninterrupted"), data)
    return training.to_the_end(), training.weights()


@pytest.fixture
def training(tmp_path: Path, data: Path) -> Training:
    return Training(tmp_path, data)


def _is_same(weights: list[Any], others: list[Any]) -> bool:
    return all((mine == other).all() for mine, other in zip(weights, others, strict=True))


def test_uninterrupted_run_starts_from_scratch_and_learns(
    uninterrupted: tuple[list[str], list[Any]],
) -> None:
    lines, _ = uninterrupted

    assert lines[0] == "starting from scratch"
    assert [line for line in lines if line.startswith("checkpoint saved")] == [
        f"checkpoint saved: epoch {epoch}" for epoch in range(1, EPOCHS + 1)
    ]
    assert float(lines[-1].rpartition(" ")[2]) > 0.8


def test_run_stopped_by_sigterm_resumes_to_the_very_same_model(
    training: Training, uninterrupted: tuple[list[str], list[Any]]
) -> None:
    for epoch, begins in ((1, "starting from scratch"), (2, "resumed from epoch 2")):
        lines, status = training.signalled_after_an_epoch(signal.SIGTERM)
        assert (lines[0], status) == (begins, 0)
        assert lines[-1] == f"SIGTERM: stopping after epoch {epoch}; the checkpoint is saved"
        assert not training.model_file.exists()

    resumed = training.to_the_end()
    assert resumed[0] == "resumed from epoch 3"
    assert resumed[-1] == uninterrupted[0][-1]
    assert _is_same(training.weights(), uninterrupted[1])


def test_run_killed_without_warning_resumes_from_its_last_whole_checkpoint(
    training: Training, uninterrupted: tuple[list[str], list[Any]]
) -> None:
    _, status = training.signalled_after_an_epoch(signal.SIGKILL)
    assert status == -signal.SIGKILL
    # An instance that goes away in the middle of a write leaves this.
    (training.checkpoints / "checkpoint.pkl.tmp").write_bytes(b"half a checkpoi")

    resumed = training.to_the_end()
    assert resumed[0] == "resumed from epoch 2"
    assert resumed[-1] == uninterrupted[0][-1]
    assert _is_same(training.weights(), uninterrupted[1])


def test_run_stopped_after_its_last_epoch_makes_the_model_when_it_resumes(tmp_path: Path, data: Path) -> None:
    training = Training(tmp_path, data, epochs=1)
    training.signalled_after_an_epoch(signal.SIGTERM)
    assert not training.model_file.exists()

    assert training.to_the_end()[-1].startswith("trained 1 epochs: the accuracy is ")
    assert training.weights()


def test_run_that_resumes_after_the_last_epoch_tells_the_same_metrics_as_the_one_that_trained_it(
    training: Training, uninterrupted: tuple[list[str], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(SCRIPT.parents[1])
    definitions = import_module("digits.config").training_config()["AlgorithmSpecification"][
        "MetricDefinitions"
    ]

    def _last_values(lines: list[str]) -> dict[str, str]:
        return {
            each["Name"]: [found[1] for line in lines if (found := re.search(each["Regex"], line))][-1]
            for each in definitions
        }

    training.to_the_end()
    resumed = training.to_the_end()

    assert resumed[0] == f"resumed from epoch {EPOCHS + 1}"
    assert not [line for line in resumed if line.startswith("epoch ")]
    assert _last_values(resumed) == _last_values(uninterrupted[0])
    assert _is_same(training.weights(), uninterrupted[1])


def test_linear_model_resumes_to_the_very_same_one_and_learns(tmp_path: Path, data: Path) -> None:
    linear = {"model": "linear", "learning-rate": 0.01, "epochs": 3}
    whole = Training(tmp_path / "whole", data, **linear)
    told = whole.to_the_end()

    stopped = Training(tmp_path / "stopped", data, **linear)
    stopped.signalled_after_an_epoch(signal.SIGTERM)
    resumed = stopped.to_the_end()

    assert resumed[0] == "resumed from epoch 2"
    assert resumed[-1] == told[-1]
    assert _is_same(stopped.weights(), whole.weights())
    assert float(told[-1].rpartition(" ")[2]) > 0.8


def test_hidden_layer_is_as_wide_as_it_was_asked_for(tmp_path: Path, data: Path) -> None:
    training = Training(tmp_path, data, epochs=1, hidden=8)
    training.to_the_end()

    assert training.weights()[0].shape == (64, 8)
