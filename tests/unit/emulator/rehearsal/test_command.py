"""``airflow-spot rehearse``: its arguments, what it prints, its exit status."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from airflow_spot_provider.cli import main
from airflow_spot_provider.emulator.rehearsal import command
from airflow_spot_provider.emulator.rehearsal.exceptions import RehearsalError
from airflow_spot_provider.emulator.rehearsal.facts import Cut
from airflow_spot_provider.emulator.rehearsal.findings import Kind, finding
from airflow_spot_provider.emulator.rehearsal.rehearse import Plan
from airflow_spot_provider.emulator.rehearsal.report import InterruptionReport, MetricReport, RehearsalReport
from airflow_spot_provider.emulator.rehearsal.resumption import Start
from airflow_spot_provider.emulator.rehearsal.source import Source
from airflow_spot_provider.emulator.rehearsal.table import show

RESUMED = InterruptionReport(
    number=1,
    when=Cut.AFTER_CHECKPOINT,
    at_seconds=2.5,
    torn=False,
    last_step=8,
    start=Start.RESUMED,
    next_step=9,
    said="resumed from step 8",
    steps_repeated=0,
    seconds_lost=0.1,
    seconds_to_exit=0.2,
    killed=False,
    exit_status=0,
)
PASSED = RehearsalReport(
    verdict="PASSED: [it] resumed",
    passed=True,
    script="train.py",
    seed=0,
    reference_seconds=4,
    rehearsed_seconds=5,
    completed=True,
    step="step",
    interruptions=(RESUMED,),
    metrics=(MetricReport(name="loss", reference=1, rehearsed=1, agree=True),),
    tolerance=0.01,
    findings=(),
    notes=("a note",),
)
FOUND = PASSED.model_copy(
    update={
        "verdict": "RESTARTS FROM SCRATCH: at step 8",
        "passed": False,
        "findings": (finding(Kind.RESTARTS_FROM_SCRATCH, "At step 8.", (1,)),),
        "interruptions": (
            RESUMED.model_copy(update={"start": Start.SCRATCH, "killed": True}),
            RESUMED.model_copy(
                update=dict.fromkeys(
                    ("seconds_to_exit", "steps_repeated", "seconds_lost", "last_step", "next_step")
                )
            ),
        ),
    }
)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_text("")
    return path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is rehearsed, and, under ``report``, what comes of it."""
    asked: dict[str, Any] = {"report": PASSED}

    def _rehearse(source: Source, plan: Plan, tell: Any) -> RehearsalReport:
        asked.update(source=source, plan=plan)
        tell("running [it]")
        if isinstance(asked["report"], Exception):
            raise asked["report"]
        report: RehearsalReport = asked["report"]
        return report

    monkeypatch.setattr(command, "rehearse", _rehearse)
    return asked


def test_arguments_reach_the_rehearsal(script: Path, asked: dict[str, Any]) -> None:
    options = "--hyperparameter lr=1 --at 30 --at 4:torn --seed 5 --metric loss=loss=(.*) --tolerance 0 --grace 3 --max-seconds 60"
    assert main(["rehearse", str(script), *options.split()]) == 0
    assert asked["source"].hyperparameters == {"lr": "1"}
    plan = asked["plan"]
    assert (plan.seed, plan.tolerance, plan.grace_seconds, plan.max_seconds) == (5, 0, 3, 60)
    assert plan.metrics == {"loss": "loss=(.*)"}
    assert [(moment.cut, moment.seconds, moment.torn) for moment in plan.moments] == [
        (Cut.MID_WRITE, 4, True),
        (Cut.CHOSEN, 30, False),
    ]


@pytest.mark.parametrize(("report", "status"), [(PASSED, 0), (FOUND, 1), (RehearsalError("no", ["line"]), 2)])
def test_status_tells_passed_found_and_not_run(
    script: Path, asked: dict[str, Any], report: Any, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    asked["report"] = report
    assert main(["rehearse", str(script), "--json"]) == status
    answer = json.loads(capsys.readouterr().out)
    assert answer["passed"] is (status == 0)
    assert main(["rehearse", str(script), "--quiet"]) == status
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == answer["verdict"]
    assert said.err == ""
    if status == 2:
        assert answer["log"] == ["line"]
        assert "line" in said.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--interruptions", "0"], "1 to 100"),
        (["--tolerance", "1"], "below 1"),
        (["--grace", "0"], "--grace"),
        (["--max-seconds", "0"], "--max-seconds"),
        (["--at", "soon"], "'soon'"),
        (["--metric", "loss"], "NAME=REGEX"),
        (["--metric", "loss=("], "regular expression"),
        (["--hyperparameter", "lr"], "NAME=VALUE"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(
    script: Path, asked: dict[str, Any], options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rehearse", str(script), *options]) == 2
    assert said in capsys.readouterr().out
    assert "plan" not in asked


def test_table_shows_what_was_found_and_what_to_change() -> None:
    console = Console(file=io.StringIO(), width=160)
    show(FOUND, console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO from above
    assert printed.startswith("RESTARTS FROM SCRATCH: at step 8\n")
    for expected in (
        "killed after 0.2 s",
        "none was sent",
        "from scratch",
        "0 steps, 0.1 s",
        "a note",
        "loss",
    ):
        assert expected in printed
    assert FOUND.findings[0].advice in printed


def test_long_runs_are_not_sped_up_beyond_what_sagemaker_takes() -> None:
    assert Plan().speed == 600
    assert Plan(max_seconds=100_000).speed == 12


@pytest.mark.parametrize("module", ["moto", "watchdog"])
def test_missing_extra_could_not_be_run(
    script: Path, module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["rehearse", str(script)]) == 2
    assert f"needs {module}" in capsys.readouterr().err
