"""Interruptions come at moments that a seed repeats, and that go by the work done."""

from __future__ import annotations

import pytest

from airflow_spot_provider.emulator.rehearsal.facts import Cut, Line, Moment, Run, Stay, Upload
from airflow_spot_provider.emulator.rehearsal.moments import Progress, Timing, planned


def reference(steps: int = 10, *, checkpoints: bool = True) -> Run:
    """A second a step."""
    lines = tuple(Line(step, f"step {step}") for step in range(1, steps + 1))
    uploads = tuple(Upload(line.seconds, "state", 1) for line in lines) if checkpoints else ()
    return Run((Stay(0, 10, lines, uploads),))


def at(step: int, *uploads: float) -> Progress:
    return Progress([Line(n, f"step {n}") for n in range(1, step + 1)], float(step), uploads)


@pytest.mark.parametrize("seed", range(20))
def test_three_interruptions_are_after_a_checkpoint_in_the_middle_of_one_and_before_the_end(
    seed: int,
) -> None:
    moments = planned(3, seed)
    assert [moment.cut for moment in moments] == [Cut.AFTER_CHECKPOINT, Cut.MID_WRITE, Cut.BEFORE_END]
    assert [moment.torn for moment in moments] == [False, True, False]
    assert moments == planned(3, seed)
    assert moments != planned(3, seed + 1)


def test_fewer_and_more_interruptions_keep_their_order() -> None:
    assert [moment.cut for moment in planned(1, 0)] == [Cut.AFTER_CHECKPOINT]
    assert [moment.cut for moment in planned(2, 0)] == [Cut.AFTER_CHECKPOINT, Cut.MID_WRITE]
    many = planned(8, 0)
    assert len(many) == 8
    assert list(many) == sorted(many, key=lambda moment: moment.share)
    assert many[-1].cut is Cut.BEFORE_END


def test_after_a_checkpoint_is_right_after_a_new_one() -> None:
    timing, moment = Timing(reference()), Moment(Cut.AFTER_CHECKPOINT, 0.4)
    assert not timing.is_due(moment, at(3, 3.0))
    assert not timing.is_due(moment, at(4, 3.5))
    assert timing.is_due(moment, at(5, 3.5, 4.5))


def test_interruption_waits_for_a_checkpoint_only_so_long() -> None:
    timing, moment = Timing(reference()), Moment(Cut.AFTER_CHECKPOINT, 0.4)
    assert not timing.is_due(moment, at(5))
    assert timing.is_due(moment, at(7))


def test_script_without_checkpoints_is_not_waited_for() -> None:
    timing = Timing(reference(checkpoints=False))
    assert timing.is_due(Moment(Cut.AFTER_CHECKPOINT, 0.4), at(4))


def test_write_is_torn_once_there_is_one() -> None:
    timing, moment = Timing(reference()), Moment(Cut.MID_WRITE, 0.4, torn=True)
    assert not timing.is_due(moment, at(4))
    assert timing.is_due(moment, at(5, 2.0))


@pytest.mark.parametrize(("steps", "due"), [(10, 9), (2, 1), (100, 94)])
def test_before_the_end_is_a_step_before_the_last_or_a_twentieth(steps: int, due: int) -> None:
    timing, moment = Timing(reference(steps)), Moment(Cut.BEFORE_END, 1.0)
    assert not timing.is_due(moment, at(due - 1))
    assert timing.is_due(moment, at(due))


def test_without_steps_the_time_of_the_uninterrupted_run_tells() -> None:
    timing = Timing(Run((Stay(0, 10, (Line(1, "hello"),)),)))
    assert not timing.is_due(Moment(Cut.AFTER_CHECKPOINT, 0.4), Progress([], 3.9, []))
    assert timing.is_due(Moment(Cut.AFTER_CHECKPOINT, 0.4), Progress([], 4.0, []))
    assert not timing.is_due(Moment(Cut.BEFORE_END, 1.0), Progress([], 8.9, []))
    assert timing.is_due(Moment(Cut.BEFORE_END, 1.0), Progress([], 9.0, []))


def test_chosen_seconds_are_taken_at_their_word() -> None:
    timing, moment = Timing(reference()), Moment(Cut.CHOSEN, seconds=3.0)
    assert not timing.is_due(moment, at(2, 1.0))
    assert timing.is_due(moment, at(3))
