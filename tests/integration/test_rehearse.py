"""``airflow-spot rehearse`` on scripts made for it: each one's fault is found, and the good ones pass."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import pytest

from airflow_spot_provider.cli import main
from airflow_spot_provider.emulator.rehearsal.findings import Kind
from airflow_spot_provider.emulator.rehearsal.rehearse import Plan, rehearse
from airflow_spot_provider.emulator.rehearsal.report import RehearsalReport
from airflow_spot_provider.emulator.rehearsal.resumption import Start
from airflow_spot_provider.emulator.rehearsal.source import source_of

SCRIPTS = Path(__file__).parents[1] / "rehearsal_scripts"
DIGITS = Path(__file__).parents[2] / "dags" / "digits"
AT_ONCE = 4
"""Rehearsals spend most of their time waiting; so many at a time keep the tests short."""
SECONDS = 0.3
"""A step's. On a busy machine an interruption takes seconds to come, and the script must not have ended by then."""


class Rehearsals:
    """Rehearsals that are held beside one another."""

    def __init__(self, pool: ThreadPoolExecutor, data: Path) -> None:
        self._data = data
        self._held: dict[str, Future[RehearsalReport]] = {
            name: pool.submit(self._hold, name)
            for name in (
                *("good", "no_resume", "stale_step", "half_checkpoint_fails"),
                *("half_checkpoint_restarts", "ignores_sigterm", "digits"),
            )
        }

    def of(self, name: str) -> RehearsalReport:
        return self._held[name].result()

    def _hold(self, name: str) -> RehearsalReport:
        if name == "digits":
            pace = ["seconds-per-epoch=0.3", "epochs=15"]
            return rehearse(source_of(DIGITS, data=self._data, hyperparameters=pace), Plan())
        # One that ignores SIGTERM needs enough to do to be killed in the middle of it.
        steps, grace = ("40", 1.0) if name == "ignores_sigterm" else ("20", 10.0)
        source = source_of(
            SCRIPTS, program=f"{name}.py", hyperparameters=[f"steps={steps}", f"seconds={SECONDS}"]
        )
        return rehearse(source, Plan(grace_seconds=grace))


@pytest.fixture(scope="module")
def rehearsals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsals]:
    data = tmp_path_factory.mktemp("digits")
    digits = files("sklearn.datasets.data").joinpath("digits.csv.gz").read_bytes()
    (data / "digits.csv.gz").write_bytes(digits)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield Rehearsals(pool, data)


def kinds(report: RehearsalReport) -> list[Kind]:
    return [found.kind for found in report.findings]


@pytest.mark.parametrize("name", ["good", "digits"])
def test_good_script_passes(rehearsals: Rehearsals, name: str) -> None:
    report = rehearsals.of(name)
    assert report.verdict.startswith("PASSED"), report
    assert kinds(report) == []
    assert [each.start for each in report.interruptions] == [Start.RESUMED] * 3
    assert [each.torn for each in report.interruptions] == [False, True, False]
    assert all(metric.agree for metric in report.metrics)
    assert {metric.name for metric in report.metrics} >= {"loss"}
    # Of a torn checkpoint the steps since the last look at the folder are done again; SIGTERM leaves time to save what is done.
    repeated = [each.steps_repeated or 0 for each in report.interruptions]
    assert (repeated[0], repeated[2]) == (0, 0)
    assert repeated[1] <= 5
    assert [each.exit_status for each in report.interruptions] == [0, 137, 0]


def test_script_that_never_resumes_is_called_out_in_the_first_line(rehearsals: Rehearsals) -> None:
    report = rehearsals.of("no_resume")
    assert report.verdict.startswith("RESTARTS FROM SCRATCH")
    assert kinds(report) == [Kind.RESTARTS_FROM_SCRATCH]
    assert [each.next_step for each in report.interruptions] == [1, 1, 1]
    assert [each.steps_repeated for each in report.interruptions] == [
        each.last_step for each in report.interruptions
    ]
    assert all(each.seconds_lost and each.seconds_lost > 0.5 for each in report.interruptions)


def test_script_that_resumes_from_an_old_step_is_found(rehearsals: Rehearsals) -> None:
    report = rehearsals.of("stale_step")
    assert kinds(report) == [Kind.RESUMES_FROM_A_STALE_STEP]
    last = report.interruptions[-1]
    assert (last.start, last.next_step) == (Start.STALE, 10)


def test_script_that_fails_on_a_half_checkpoint_is_found(rehearsals: Rehearsals) -> None:
    report = rehearsals.of("half_checkpoint_fails")
    assert kinds(report) == [Kind.CORRUPT_CHECKPOINT]
    assert "JSONDecodeError" in report.findings[0].detail
    assert "os.replace()" in report.findings[0].advice
    assert not report.completed
    assert [each.start for each in report.interruptions] == [Start.RESUMED, Start.FAILED]
    assert any("state.json" in note for note in report.notes)


def test_script_that_silently_restarts_on_a_half_checkpoint_is_found(rehearsals: Rehearsals) -> None:
    report = rehearsals.of("half_checkpoint_restarts")
    assert kinds(report) == [Kind.CORRUPT_CHECKPOINT]
    assert [each.start for each in report.interruptions] == [Start.RESUMED, Start.SCRATCH, Start.RESUMED]


def test_script_that_ignores_sigterm_is_found(rehearsals: Rehearsals) -> None:
    report = rehearsals.of("ignores_sigterm")
    assert kinds(report) == [Kind.IGNORES_SIGTERM]
    first = report.interruptions[0]
    assert first.killed
    assert first.start is Start.RESUMED
    assert first.seconds_to_exit is not None
    assert first.seconds_to_exit >= 1.0


def test_script_that_fails_by_itself_could_not_be_run_and_its_log_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.py").write_text("print('step 1')\nraise RuntimeError('no data')\n")
    assert main(["rehearse", str(tmp_path), "--json", "--quiet"]) == 2
    answer = json.loads(capsys.readouterr().out)
    assert answer["verdict"].startswith("COULD NOT BE RUN")
    assert answer["log"][0] == "step 1"
    assert answer["log"][-1] == "RuntimeError: no data"
