"""Steps are read from whatever a script calls them."""

from __future__ import annotations

import pytest

from airflow_spot_provider.emulator.rehearsal.facts import Line
from airflow_spot_provider.emulator.rehearsal.steps import begins_from_scratch, resumed_at, steps_of


def lines(*texts: str) -> list[Line]:
    return [Line(float(number), text) for number, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("epoch {} loss=0.5", "epoch"),
        ("Epoch {}/3: 0.5", "epoch"),
        ("Epoch [{}/3]", "epoch"),
        ("Epoch 0000{}: val_loss improved", "epoch"),
        ("INFO:trainer:step={}", "step"),
        ("global_step: {}", "global_step"),
        ("{{'loss': 0.5, 'epoch': {}.0}}", "epoch"),
        ("Iteration #{}", "iteration"),
        ("[{}]\tvalidation-rmse:0.5", "[n]"),
        (" 33%|###       | {}/3 [00:01<00:02]", "n/total"),
    ],
)
def test_counter_is_read_as_frameworks_print_it(pattern: str, name: str) -> None:
    steps = steps_of(lines(*(pattern.format(number) for number in (1, 2, 3))))
    assert steps is not None
    assert (steps.name, steps.values) == (name, (1, 2, 3))


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["loading data", "done"],
        ["epochs=20", "num_epoch 5x", "step by step"],
        ["epoch 1"],
        ["step 1", "step 2", "step 1", "step 2"],
        ["trained 20 epochs", "trained 30 epochs"],
    ],
)
def test_log_without_a_rising_counter_has_no_steps(texts: list[str]) -> None:
    assert steps_of(lines(*texts)) is None


def test_finest_counter_that_never_falls_is_taken() -> None:
    log = [
        f"epoch {epoch} batch {batch} global step {epoch * 2 + batch}" for epoch in (0, 1) for batch in (0, 1)
    ]
    steps = steps_of(lines(*log))
    assert steps is not None
    assert (steps.name, steps.values, steps.spacing) == ("global_step", (0, 1, 2, 3), 1)


def test_whole_numbers_are_taken_before_shares_of_an_epoch() -> None:
    steps = steps_of(lines("{'epoch': 0.5, 'step': 10}", "{'epoch': 1.0, 'step': 20}"))
    assert steps is not None
    assert (steps.name, steps.values) == ("step", (10, 20))


def test_step_that_is_resumed_from_is_not_one_that_was_done() -> None:
    log = lines("resumed from epoch 5", "epoch 6", "epoch 7")
    steps = steps_of(log)
    assert steps is not None
    assert steps.values == (6, 7)
    assert [value for _, value in steps.read(log)] == [6, 7]


def test_share_and_distance_go_by_the_printed_steps() -> None:
    steps = steps_of(lines("step 10", "step 20", "step 30", "step 40"))
    assert steps is not None
    assert [steps.share(value) for value in (5, 10, 25, 40)] == [0, 0.25, 0.5, 1]
    assert steps.between(20, 30) == 2
    assert steps.between(31, 20) == 0


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("resumed from epoch 5", 5),
        ("Resuming training from checkpoint-500", 500),
        ("Loaded checkpoint model.pt (step 30)", 30),
        ("restored.", None),
        ("continuing at iteration 7 of 9", 7),
    ],
)
def test_what_a_script_says_of_resuming_is_found(text: str, step: float | None) -> None:
    assert resumed_at(lines("loading data", text, "epoch 9")) == (text, step)
    assert begins_from_scratch(lines(text)) is None


@pytest.mark.parametrize("text", ["starting from scratch", "No checkpoint found to resume from"])
def test_what_a_script_says_of_starting_anew_is_no_resuming(text: str) -> None:
    assert resumed_at(lines(text)) is None
    assert begins_from_scratch(lines("hello", text)) == text
