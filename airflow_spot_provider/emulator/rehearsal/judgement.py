"""From what was seen of two runs to what is wrong with the script. No I/O, no clock: the same facts give the same findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from airflow_spot_provider.emulator.rehearsal.facts import Run
from airflow_spot_provider.emulator.rehearsal.figures import Comparison, compare
from airflow_spot_provider.emulator.rehearsal.findings import Finding, Kind, finding
from airflow_spot_provider.emulator.rehearsal.resumption import Resumption, Start, resumptions_of
from airflow_spot_provider.emulator.rehearsal.steps import Steps, steps_of

_RAN_ON_STEPS = 3
"""A script that does so many steps after SIGTERM, and gets to its end with them, was not stopped by it."""
_SIGTERM_STATUS = 143
_TEMPORARY = (".tmp", ".temp", ".part", ".partial", ".new", ".incomplete", ".writing", "-tmp", "_tmp")


@dataclass(frozen=True)
class Judgement:
    """What a rehearsal comes to.

    :param steps: what the script counts, if its log tells.
    :param resumptions: what became of each interruption.
    :param comparisons: the metrics of both runs.
    :param findings: what is wrong, the worst first.
    :param notes: what is worth knowing, and nothing wrong.
    """

    steps: Steps | None
    resumptions: tuple[Resumption, ...]
    comparisons: tuple[Comparison, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def judge(reference: Run, rehearsed: Run, *, metrics: Mapping[str, str], tolerance: float) -> Judgement:
    """Compare an interrupted run with an uninterrupted one.

    :param reference: the uninterrupted run, which came to its end.
    :param rehearsed: the interrupted one.
    :param metrics: regular expressions by name; none: what the log and the model's JSON files name.
    :param tolerance: how far two figures of a metric may be apart, as a share of the larger one.
    """
    steps = steps_of(reference.lines)
    resumptions = resumptions_of(reference, rehearsed, steps)
    comparisons, missing = compare(reference, rehearsed, metrics=metrics, tolerance=tolerance)
    if not rehearsed.completed:
        comparisons, missing = (), ()
    findings = [
        *_restarts(resumptions, steps),
        *_corrupt_checkpoints(resumptions, rehearsed),
        *_failures(resumptions, rehearsed),
        *_stale_steps(resumptions),
        *_no_checkpoints(reference, rehearsed),
        *_differing_metrics(comparisons),
        *_ignored_signals(resumptions, steps),
        *_unseen(resumptions),
    ]
    order = list(Kind)
    return Judgement(
        steps=steps,
        resumptions=resumptions,
        comparisons=comparisons,
        findings=tuple(sorted(findings, key=lambda found: order.index(found.kind))),
        notes=(*_notes(resumptions, rehearsed, comparisons, missing), *_leftovers(reference, rehearsed)),
    )


def _numbers(resumptions: Sequence[Resumption]) -> tuple[int, ...]:
    return tuple(each.number for each in resumptions)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _clean(resumptions: Sequence[Resumption]) -> list[Resumption]:
    """Those whose checkpoints reached S3 whole."""
    return [each for each in resumptions if not each.interruption.moment.torn]


def _torn(resumptions: Sequence[Resumption]) -> list[Resumption]:
    return [each for each in resumptions if each.interruption.moment.torn]


def _restarts(resumptions: Sequence[Resumption], steps: Steps | None) -> list[Finding]:
    clean = [each for each in _clean(resumptions) if each.start is Start.SCRATCH]
    if not clean:
        return []
    scratch = [each for each in resumptions if each.start is Start.SCRATCH]
    detail = "; ".join(_restart_seen(each, steps) for each in scratch)
    return [finding(Kind.RESTARTS_FROM_SCRATCH, _sentence(detail), _numbers(scratch))]


def _restart_seen(each: Resumption, steps: Steps | None) -> str:
    where = f"after interruption {each.number}"
    if steps is None or each.last_step is None or each.next_step is None:
        seen = f"{where} it did its work from the beginning"
    else:
        seen = (
            f"{where} at {steps.name} {each.last_step:g} of {steps.values[-1]:g} it began again with "
            f"{steps.name} {each.next_step:g}"
        )
    return seen + (f" (its log: {each.said.strip()!r})" if each.said else "")


def _corrupt_checkpoints(resumptions: Sequence[Resumption], rehearsed: Run) -> list[Finding]:
    """What goes wrong only where a checkpoint is half: a crash, a start from scratch, a fall behind the one before."""
    resumes = all(each.start is not Start.SCRATCH for each in _clean(resumptions))
    found = []
    for each in _torn(resumptions):
        had_another = each.number > 1 or len(rehearsed.stays[each.number - 1].uploads) > 1
        if each.start is Start.FAILED:
            what = f"failed on it: {_reason(rehearsed)}"
        elif each.start is Start.SCRATCH and resumes and had_another:
            what = f"started from scratch{'' if each.said else ' without a word'}"
        elif each.start is Start.STALE:
            what = f"fell back to step {each.next_step:g}, behind the checkpoint before"
        else:
            continue
        found.append(
            finding(
                Kind.CORRUPT_CHECKPOINT,
                f"Interruption {each.number} came in the middle of a checkpoint write; after it the script {what}.",
                (each.number,),
            )
        )
    return found


def _failures(resumptions: Sequence[Resumption], rehearsed: Run) -> list[Finding]:
    if rehearsed.completed:
        return []
    failed = [each for each in resumptions if each.start is Start.FAILED]
    if not failed:
        return [
            finding(
                Kind.DID_NOT_FINISH, f"The interrupted run did not come to its end: {_reason(rehearsed)}."
            )
        ]
    return [
        finding(
            Kind.FAILS_ON_RESUME,
            f"After interruption {each.number} ({each.interruption.moment.cut}) it failed: {_reason(rehearsed)}.",
            (each.number,),
        )
        for each in _clean(failed)
    ]


def _reason(run: Run) -> str:
    lines = [line.text.strip() for line in run.stays[-1].lines if line.text.strip()]
    last = f"; its last words: {lines[-1][:300]!r}" if lines else ""
    return f"{(run.failure or 'no reason is known').rstrip('.')}{last}"


def _stale_steps(resumptions: Sequence[Resumption]) -> list[Finding]:
    stale = [each for each in _clean(resumptions) if each.start is Start.STALE]
    if not stale:
        return []
    detail = "; ".join(
        f"interruption {each.number} came at step {each.last_step:g}"
        + (
            f" with a checkpoint of step {each.newest_step:g} or later"
            if each.newest_step is not None
            else ""
        )
        + f", and it went on with step {each.next_step:g}"
        for each in stale
    )
    return [finding(Kind.RESUMES_FROM_A_STALE_STEP, _sentence(detail), _numbers(stale))]


def _no_checkpoints(reference: Run, rehearsed: Run) -> list[Finding]:
    if reference.files or any(stay.uploads for run in (reference, rehearsed) for stay in run.stays):
        return []
    return [finding(Kind.NO_CHECKPOINT_WRITTEN, "Neither run left a file in the checkpoint folder.")]


def _differing_metrics(comparisons: Sequence[Comparison]) -> list[Finding]:
    apart = [each for each in comparisons if not each.agree]
    if not apart:
        return []
    detail = ", ".join(f"{each.name} is {each.rehearsed:g} instead of {each.reference:g}" for each in apart)
    return [finding(Kind.METRICS_DIFFER, f"With interruptions {detail}.")]


def _ignored_signals(resumptions: Sequence[Resumption], steps: Steps | None) -> list[Finding]:
    found = []
    for each in _clean(resumptions):
        taken = each.interruption
        ended = steps is not None and each.last_step is not None and each.last_step >= steps.values[-1]
        if taken.killed:
            how = f"still ran {taken.seconds_to_exit:.1f} s after SIGTERM and was killed"
        elif each.steps_in_grace >= _RAN_ON_STEPS and ended:
            how = "trained on to its end after SIGTERM"
        else:
            continue
        how += f", {each.steps_in_grace} steps on" if each.steps_in_grace else ""
        found.append((each, how))
    if not found:
        return []
    detail = "; ".join(f"at interruption {each.number} it {how}" for each, how in found)
    return [finding(Kind.IGNORES_SIGTERM, _sentence(detail), _numbers([each for each, _ in found]))]


def _unseen(resumptions: Sequence[Resumption]) -> list[Finding]:
    """Only where no interruption shows that it resumes, and none that it does not."""
    if not resumptions:
        detail = "It ended before any interruption came; give it more to do."
        return [finding(Kind.RESUME_NOT_SEEN, detail)]
    if any(each.start is not Start.UNKNOWN for each in resumptions):
        return []
    return [
        finding(
            Kind.RESUME_NOT_SEEN,
            "Its log names no steps, and nothing in it tells whether it resumed.",
            _numbers(resumptions),
        )
    ]


def _notes(
    resumptions: Sequence[Resumption],
    rehearsed: Run,
    comparisons: Sequence[Comparison],
    missing: Sequence[str],
) -> list[str]:
    notes = [f"Not interrupted {moment.cut}: the job had ended by then." for moment in rehearsed.missed]
    dies = [each for each in _clean(resumptions) if each.interruption.exit_status == _SIGTERM_STATUS]
    if dies:
        notes.append(
            "It has no handler for SIGTERM and ends at once: in the grace period (120 s at SageMaker) it could save a checkpoint."
        )
    if rehearsed.completed and not comparisons:
        notes.append("No metric was found in both runs to compare; name some with --metric NAME=REGEX.")
    if missing:
        notes.append(f"Only the uninterrupted run told {', '.join(missing)}.")
    return notes


def _leftovers(reference: Run, rehearsed: Run) -> list[str]:
    """Half checkpoints that are still on S3 at the end: harmless where the script copes, but they are restored every time."""
    halves = []
    for name, size in rehearsed.files.items():
        whole = reference.files.get(name)
        temporary = any(f"{mark}/" in f"{name}/" for mark in _TEMPORARY)
        if temporary or (whole is not None and size < whole * 0.6 and _was_torn(name, rehearsed)):
            halves.append(name)
    if not halves:
        return []
    return [
        f"Partial checkpoint files are left on S3, and come back at every start: {', '.join(sorted(halves))}."
    ]


def _was_torn(name: str, run: Run) -> bool:
    return any(
        stay.interruption is not None
        and stay.interruption.moment.torn
        and any(upload.name == name for upload in stay.uploads)
        for stay in run.stays
    )
