"""From what was seen of two runs to the findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_spot_provider.emulator.rehearsal.facts import Cut, Interruption, Line, Moment, Run, Stay, Upload
from airflow_spot_provider.emulator.rehearsal.findings import ADVICE, Kind, Severity
from airflow_spot_provider.emulator.rehearsal.judgement import Judgement, judge
from airflow_spot_provider.emulator.rehearsal.report import report_of, verdict_of
from airflow_spot_provider.emulator.rehearsal.resumption import Start

CLEAN = Moment(Cut.AFTER_CHECKPOINT, 0.3)
TORN = Moment(Cut.MID_WRITE, 0.6, torn=True)
STEPS = 20


def stay(
    first: int,
    last: int,
    *,
    cut: Moment | None = None,
    says: str | None = None,
    saved: Sequence[int] | None = None,
    name: str = "state",
    text: str = "step {}",
    **taken: Any,
) -> Stay:
    """A stay in which a step takes a second; it is interrupted right after the last one."""
    lines = [Line(0, says)] if says else []
    lines += [Line(number, text.format(step)) for number, step in enumerate(range(first, last + 1), start=1)]
    seconds = float(last - first + 1) + 0.1
    steps = range(first, last + 1) if saved is None else saved
    uploads = tuple(Upload(step - first + 1.05, name, 100) for step in steps)
    interruption = None if cut is None else Interruption(cut, seconds, **taken)
    return Stay(
        0,
        seconds + (interruption.seconds_to_exit if interruption else 0),
        tuple(lines),
        uploads,
        interruption,
    )


def reference(text: str = "step {}", **members: Any) -> Run:
    return replace(Run((stay(1, STEPS, text=text),), files={"state": 100}, figures={"loss": 1.0}), **members)


def judged(*stays: Stay, against: Run | None = None, **members: Any) -> Judgement:
    members = {"files": {"state": 100}, "figures": {"loss": 1.0}, **members}
    return judge(against or reference(), Run(stays, **members), metrics={}, tolerance=0.01)


def kinds(judgement: Judgement) -> list[Kind]:
    return [found.kind for found in judgement.findings]


def test_script_that_resumes_passes() -> None:
    judgement = judged(
        stay(1, 8, cut=CLEAN), stay(9, 14, says="resumed from step 8", cut=TORN), stay(14, STEPS)
    )
    assert kinds(judgement) == []
    first, second = judgement.resumptions
    assert (first.start, first.next_step, first.steps_repeated) == (Start.RESUMED, 9, 0)
    assert first.said == "resumed from step 8"
    assert first.seconds_lost == pytest.approx(0.1)
    assert (second.start, second.steps_repeated) == (Start.RESUMED, 1)
    assert second.seconds_lost == pytest.approx(1.1)
    assert verdict_of(judgement) == (
        "PASSED: it resumed after all 2 interruptions, and its metric agrees; 1.2 s of training were done twice."
    )


def test_script_that_restarts_is_called_out_in_the_first_line() -> None:
    judgement = judged(stay(1, 8, cut=CLEAN), stay(1, 12, cut=TORN), stay(1, STEPS))
    assert kinds(judgement) == [Kind.RESTARTS_FROM_SCRATCH]
    assert verdict_of(judgement).startswith(
        "RESTARTS FROM SCRATCH: After interruption 1 at step 8 of 20 it began again with step 1"
    )
    assert judgement.findings[0].interruptions == (1, 2)
    assert [each.steps_repeated for each in judgement.resumptions] == [8, 12]
    assert [each.seconds_lost for each in judgement.resumptions] == pytest.approx([8.1, 12.1])


def test_work_of_earlier_stays_is_lost_with_the_one_that_had_resumed_from_it() -> None:
    judgement = judged(stay(1, 8, cut=CLEAN), stay(9, 14, cut=CLEAN), stay(1, STEPS))
    assert judgement.resumptions[1].seconds_lost == pytest.approx(8.1 + 6.1)
    judgement = judged(stay(1, 8, cut=CLEAN), stay(9, 14, cut=CLEAN), stay(5, STEPS))
    assert judgement.resumptions[1].seconds_lost == pytest.approx(4.1 + 6.1)


def test_what_the_script_says_of_it_is_told() -> None:
    judgement = judged(stay(1, 8, cut=CLEAN), stay(1, STEPS, says="starting from scratch"))
    assert "'starting from scratch'" in judgement.findings[0].detail


def test_after_the_very_first_step_nothing_can_be_told() -> None:
    judgement = judged(stay(1, 1, cut=CLEAN), stay(1, STEPS))
    assert judgement.resumptions[0].start is Start.UNKNOWN
    assert kinds(judgement) == [Kind.RESUME_NOT_SEEN]


def test_step_behind_the_newest_checkpoint_is_stale() -> None:
    judgement = judged(stay(1, 14, cut=CLEAN), stay(10, STEPS))
    assert kinds(judgement) == [Kind.RESUMES_FROM_A_STALE_STEP]
    assert judgement.findings[0].detail == (
        "Interruption 1 came at step 14 with a checkpoint of step 13 or later, and it went on with step 10."
    )


def test_step_behind_what_the_stay_began_with_is_stale() -> None:
    judgement = judged(stay(1, 8, cut=CLEAN), stay(9, 14, cut=CLEAN, saved=()), stay(5, STEPS))
    assert kinds(judgement) == [Kind.RESUMES_FROM_A_STALE_STEP]


def test_work_since_a_checkpoint_long_ago_is_lost_and_not_stale() -> None:
    judgement = judged(stay(1, 14, cut=CLEAN, saved=(5, 10)), stay(11, STEPS))
    assert kinds(judgement) == []
    assert judgement.resumptions[0].steps_repeated == 4


def test_log_file_in_the_checkpoint_folder_is_no_checkpoint() -> None:
    judgement = judged(stay(1, 14, cut=CLEAN, name="history.csv"), stay(6, STEPS))
    assert kinds(judgement) == []


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (stay(1, STEPS), "started from scratch without a word"),
        (stay(1, STEPS, says="from scratch"), "started from scratch."),
        (stay(3, STEPS), "fell back to step 3"),
    ],
)
def test_half_checkpoint_that_costs_more_than_itself_is_a_finding(last: Stay, said: str) -> None:
    judgement = judged(stay(1, 8, cut=CLEAN), stay(9, 14, cut=TORN), last)
    assert kinds(judgement) == [Kind.CORRUPT_CHECKPOINT]
    assert said in judgement.findings[0].detail
    assert judgement.findings[0].interruptions == (2,)


def test_half_checkpoint_that_was_the_only_one_may_start_it_anew() -> None:
    judgement = judged(stay(1, 3, cut=TORN, saved=(3,)), stay(1, STEPS))
    assert kinds(judgement) == []


def test_crash_on_a_half_checkpoint_is_told_with_its_last_words() -> None:
    crash = Stay(0, 1, (Line(0, "Traceback"), Line(0, "EOFError: Ran out of input")))
    judgement = judged(
        stay(1, 14, cut=TORN), crash, completed=False, failure="AlgorithmError: exit code: 1", missed=(CLEAN,)
    )
    assert kinds(judgement) == [Kind.CORRUPT_CHECKPOINT]
    assert "EOFError: Ran out of input" in judgement.findings[0].detail
    assert "exit code: 1" in judgement.findings[0].detail
    assert judgement.comparisons == ()
    assert "Not interrupted after a checkpoint: the job had ended by then." in judgement.notes


def test_crash_on_a_whole_checkpoint_fails_on_resume() -> None:
    judgement = judged(stay(1, 14, cut=CLEAN), Stay(0, 1), completed=False)
    assert kinds(judgement) == [Kind.FAILS_ON_RESUME]


@pytest.mark.parametrize(
    "members", [{"completed": False, "timed_out": True, "failure": "time"}, {"completed": False}]
)
def test_run_that_resumes_and_never_ends_did_not_finish(members: dict[str, Any]) -> None:
    judgement = judged(stay(1, 14, cut=CLEAN), stay(15, 16), **members)
    assert kinds(judgement) == [Kind.DID_NOT_FINISH]


def test_script_that_writes_no_checkpoint_is_told_so() -> None:
    judgement = judged(
        stay(1, 8, cut=CLEAN, saved=()),
        stay(1, STEPS, saved=()),
        files={},
        against=replace(reference(), stays=(stay(1, STEPS, saved=()),), files={}),
    )
    assert kinds(judgement) == [Kind.RESTARTS_FROM_SCRATCH, Kind.NO_CHECKPOINT_WRITTEN]
    assert "Also: no-checkpoint-written." in verdict_of(judgement)


def test_metrics_that_are_apart_are_a_finding() -> None:
    judgement = judged(stay(1, 8, cut=CLEAN), stay(9, STEPS), figures={"loss": 1.1})
    assert kinds(judgement) == [Kind.METRICS_DIFFER]
    assert "loss is 1.1 instead of 1" in judgement.findings[0].detail


def test_missing_metrics_are_noted() -> None:
    judgement = judged(stay(1, 8, cut=CLEAN), stay(9, STEPS), figures={})
    assert kinds(judgement) == []
    assert any("--metric" in note for note in judgement.notes)
    assert "Only the uninterrupted run told loss." in judgement.notes


def test_script_that_had_to_be_killed_ignores_sigterm() -> None:
    judgement = judged(
        stay(1, 8, cut=CLEAN, killed=True, seconds_to_exit=10.0, exit_status=137), stay(9, STEPS)
    )
    assert kinds(judgement) == [Kind.IGNORES_SIGTERM]
    assert judgement.findings[0].severity is Severity.WARNING
    assert "killed" in judgement.findings[0].detail


def test_script_that_trains_on_to_its_end_ignores_sigterm() -> None:
    first = stay(1, STEPS, cut=CLEAN)
    assert first.interruption is not None
    first = replace(first, interruption=replace(first.interruption, seconds=8.1, seconds_to_exit=12.0))
    assert kinds(judged(first, stay(21, 20))) == [Kind.IGNORES_SIGTERM]


def test_script_that_finishes_its_step_reacts_in_time() -> None:
    first = stay(1, 9, cut=CLEAN)
    assert first.interruption is not None
    first = replace(first, interruption=replace(first.interruption, seconds=8.1, seconds_to_exit=1.0))
    assert kinds(judged(first, stay(10, STEPS))) == []


def test_kill_without_grace_is_no_deaf_script() -> None:
    judgement = judged(stay(1, 8, cut=TORN, killed=True, exit_status=137), stay(8, STEPS))
    assert kinds(judgement) == []


def test_script_without_a_handler_gets_a_note() -> None:
    judgement = judged(stay(1, 8, cut=CLEAN, exit_status=143), stay(9, STEPS))
    assert kinds(judgement) == []
    assert any("no handler for SIGTERM" in note for note in judgement.notes)


def test_all_steps_done_before_the_interruption_is_resumed() -> None:
    judgement = judged(stay(1, STEPS, cut=CLEAN), stay(21, 20))
    assert judgement.resumptions[0].start is Start.RESUMED
    assert kinds(judgement) == []


def test_no_interruption_at_all_is_no_pass() -> None:
    judgement = judged(stay(1, STEPS), missed=(CLEAN, TORN))
    assert kinds(judgement) == [Kind.RESUME_NOT_SEEN]
    assert verdict_of(judgement).startswith("WAS NOT SEEN TO RESUME: It ended before any interruption")


@pytest.mark.parametrize(
    ("second", "start"),
    [
        (stay(9, STEPS, text="line {}"), Start.RESUMED),
        (stay(1, STEPS, text="line {}"), Start.SCRATCH),
        (stay(1, STEPS, text="line {}", says="resumed"), Start.RESUMED),
        (stay(9, STEPS, text="line {}", says="from scratch"), Start.SCRATCH),
        (stay(21, 20), Start.UNKNOWN),
        (stay(4, STEPS, text="line {}"), Start.UNKNOWN),
    ],
)
def test_without_steps_the_lines_that_come_again_tell(second: Stay, start: Start) -> None:
    judgement = judged(stay(1, 8, cut=CLEAN, text="line {}"), second, against=reference("line {}"))
    assert judgement.steps is None
    assert judgement.resumptions[0].start is start
    lost = {Start.SCRATCH: 8.1, Start.RESUMED: 0.05, Start.UNKNOWN: None}[start]
    assert judgement.resumptions[0].seconds_lost == (None if lost is None else pytest.approx(lost))


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"state": 100}, False),
        ({"state": 100, "state.tmp": 50}, True),
        ({"step-3.tmp/weights": 50}, True),
        ({"state": 50}, True),
        ({"state": 80}, False),
    ],
)
def test_partial_files_are_noted(files: dict[str, int], told: bool) -> None:
    judgement = judged(stay(1, 8, cut=TORN), stay(8, STEPS), files=files)
    assert any("Partial checkpoint files" in note for note in judgement.notes) is told


def test_findings_come_with_the_worst_first_and_an_advice_each() -> None:
    judgement = judged(stay(1, 8, cut=CLEAN, killed=True), stay(1, STEPS), figures={"loss": 2.0})
    assert kinds(judgement) == [Kind.RESTARTS_FROM_SCRATCH, Kind.METRICS_DIFFER, Kind.IGNORES_SIGTERM]
    assert set(ADVICE) == set(Kind)
    assert [found.advice for found in judgement.findings] == [ADVICE[kind] for kind in kinds(judgement)]


def test_report_tells_each_interruption_in_real_seconds_of_training() -> None:
    rehearsed = Run(
        (
            replace(stay(1, 8, cut=CLEAN, seconds_to_exit=1.0, exit_status=0), started=0.0),
            stay(9, 14, cut=TORN),
            stay(14, STEPS),
        ),
        figures={"loss": 1.0},
    )
    judgement = judge(reference(), rehearsed, metrics={}, tolerance=0.01)
    report = report_of(judgement, reference(), rehearsed, script="train.py", seed=3, tolerance=0.01)
    assert report.passed
    assert [each.at_seconds for each in report.interruptions] == pytest.approx([8.1, 9.1 + 6.1])
    assert [each.seconds_to_exit for each in report.interruptions] == [1.0, None]
    assert report.model_validate_json(report.model_dump_json()) == report


@given(
    st.lists(
        st.tuples(
            st.integers(1, STEPS),
            st.integers(0, STEPS),
            st.sampled_from([CLEAN, TORN]),
            st.sampled_from([None, "resumed", "from scratch", "loaded checkpoint 7"]),
            st.sampled_from([(), (3,), None]),
            st.sampled_from(["step {}", "line {}", "[{}] x:1"]),
            st.booleans(),
        ),
        max_size=5,
    ),
    st.booleans(),
    st.booleans(),
)
def test_whatever_was_seen_gives_a_report(seen: list[Any], completed: bool, timed_out: bool) -> None:
    stays = [
        stay(first, last, cut=cut, says=says, saved=saved, text=text, killed=killed)
        for first, last, cut, says, saved, text, killed in seen
    ]
    run = Run((*stays, stay(1, 0)), completed=completed, timed_out=timed_out)
    judgement = judge(reference(), run, metrics={}, tolerance=0.01)
    report = report_of(judgement, reference(), run, script="train.py", seed=0, tolerance=0.01)
    assert report.passed is not bool(report.findings)
    assert len(report.interruptions) == len(stays)
    assert all((each.seconds_lost or 0) >= 0 for each in report.interruptions)
    assert "\n" not in report.verdict
    assert completed or not report.passed
