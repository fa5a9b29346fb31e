"""Metrics are read from the log and compared within a tolerance."""

from __future__ import annotations

import pytest

from airflow_spot_provider.emulator.rehearsal.facts import Line, Run, Stay
from airflow_spot_provider.emulator.rehearsal.figures import agrees, compare, last_figures


def run(*texts: str, **figures: float) -> Run:
    return Run((Stay(0, 1, tuple(Line(0, text) for text in texts)),), figures=figures)


def found(*texts: str, **metrics: str) -> dict[str, float]:
    return last_figures(run(*texts).lines, metrics)


def test_last_figure_of_a_name_counts() -> None:
    assert found("loss=0.5 accuracy: 1e-1", "loss=0.25") == {"loss": 0.25, "accuracy": 0.1}


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("{'eval_loss': 0.5, 'epoch': 3.0}", {"eval_loss": 0.5}),
        ("INFO:root:val/f1=-.5", {"val/f1": -0.5}),
        ("took 3 s, train_runtime: 12.5, samples_per_second=9, step_time=0.1 epoch=3", {}),
        ("12:30:01 loss=nan", {"loss": float("nan")}),
        ("see http://host:8080/x and port=1", {}),
        ("epoch_loss: 93.1%", {"epoch_loss": 93.1}),
        ("at 2026-01-01T12:30:01 time: 12:30", {}),
    ],
)
def test_times_and_counters_are_no_metrics(text: str, figures: dict[str, float]) -> None:
    assert found(text) == pytest.approx(figures, nan_ok=True)


def test_named_metrics_are_found_by_their_expressions_alone() -> None:
    texts = ["final score 12 loss=3", "final score x"]
    assert found(*texts, score=r"score (\S+)", bare=r"\d+ ") == {"score": 12, "bare": 12}


@pytest.mark.parametrize(
    ("one", "other", "tolerance", "expected"),
    [
        (1.0, 1.009, 0.01, True),
        (1.0, 1.02, 0.01, False),
        (0.0, 0.0, 0.0, True),
        (1.0, 1.0000001, 0.0, False),
        (float("nan"), float("nan"), 0.01, True),
        (float("nan"), 1.0, 0.01, False),
        (float("inf"), float("inf"), 0.01, True),
    ],
)
def test_tolerance_is_a_share_of_the_larger_figure(
    one: float, other: float, tolerance: float, expected: bool
) -> None:
    assert agrees(one, other, tolerance) is expected


def test_figures_of_the_model_count_unless_metrics_are_named() -> None:
    reference, rehearsed = run("loss=1 final=2", score=3.0), run("loss=1", score=4.0)
    both, missing = compare(reference, rehearsed, metrics={}, tolerance=0.1)
    assert [(each.name, each.agree) for each in both] == [("loss", True), ("score", False)]
    assert missing == ("final",)
    both, missing = compare(reference, rehearsed, metrics={"loss": r"loss=(\d)"}, tolerance=0.1)
    assert [each.name for each in both] == ["loss"]
    assert missing == ()
