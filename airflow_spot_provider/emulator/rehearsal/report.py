"""The report of a rehearsal: its verdict first, the same for a person and for a program."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from airflow_spot_provider.emulator.rehearsal.facts import Run
from airflow_spot_provider.emulator.rehearsal.findings import Finding, Kind
from airflow_spot_provider.emulator.rehearsal.judgement import Judgement
from airflow_spot_provider.emulator.rehearsal.resumption import Start

_VERDICTS = {
    Kind.RESTARTS_FROM_SCRATCH: "RESTARTS FROM SCRATCH",
    Kind.CORRUPT_CHECKPOINT: "A HALF-WRITTEN CHECKPOINT BREAKS IT",
    Kind.FAILS_ON_RESUME: "FAILS WHEN IT RESUMES",
    Kind.RESUMES_FROM_A_STALE_STEP: "RESUMES FROM A STALE STEP",
    Kind.DID_NOT_FINISH: "DOES NOT FINISH WITH INTERRUPTIONS",
    Kind.NO_CHECKPOINT_WRITTEN: "WRITES NO CHECKPOINT",
    Kind.METRICS_DIFFER: "ENDS WITH OTHER METRICS",
    Kind.IGNORES_SIGTERM: "IGNORES SIGTERM",
    Kind.RESUME_NOT_SEEN: "WAS NOT SEEN TO RESUME",
}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class InterruptionReport(_Part):
    """One interruption, and how the script went on.

    :param number: from 1.
    :param when: where in its work it came.
    :param at_seconds: after so many real seconds of training in all.
    :param torn: without a grace period, in the middle of a checkpoint write.
    :param last_step: the last step that it printed before; None if it prints none.
    :param start: how it began again.
    :param next_step: the first step that it printed after.
    :param said: what its log says of it.
    :param steps_repeated: how many steps it did again.
    :param seconds_lost: of training, done again.
    :param seconds_to_exit: from SIGTERM to the end of its last process; None where there was no grace.
    :param killed: whether it took SIGKILL.
    :param exit_status: as a shell tells it.
    """

    number: int
    when: str
    at_seconds: float
    torn: bool
    last_step: float | None
    start: Start
    next_step: float | None
    said: str | None
    steps_repeated: int | None
    seconds_lost: float | None
    seconds_to_exit: float | None
    killed: bool
    exit_status: int | None


class MetricReport(_Part):
    """The last figure of a metric in both runs."""

    name: str
    reference: float
    rehearsed: float
    agree: bool


class RehearsalReport(_Part):
    """What ``airflow-spot rehearse --json`` prints.

    :param verdict: one line.
    :param passed: whether nothing was found.
    :param script: what was rehearsed.
    :param seed: with which the moments were chosen.
    :param reference_seconds: how long the uninterrupted run trained.
    :param rehearsed_seconds: how long the interrupted one trained in all.
    :param completed: whether the interrupted run came to its end.
    :param step: what the script calls its steps.
    :param interruptions: in order.
    :param metrics: those that both runs told.
    :param tolerance: within which metrics agree.
    :param findings: the worst first.
    :param notes: what is worth knowing, and nothing wrong.
    """

    verdict: str
    passed: bool
    script: str
    seed: int
    reference_seconds: float
    rehearsed_seconds: float
    completed: bool
    step: str | None
    interruptions: tuple[InterruptionReport, ...]
    metrics: tuple[MetricReport, ...]
    tolerance: float
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def report_of(
    judgement: Judgement, reference: Run, rehearsed: Run, *, script: str, seed: int, tolerance: float
) -> RehearsalReport:
    """Put a judgement into words."""
    interruptions = []
    trained = 0.0
    for each, stay in zip(judgement.resumptions, rehearsed.stays, strict=False):
        taken = each.interruption
        torn = taken.moment.torn
        interruptions.append(
            InterruptionReport(
                number=each.number,
                when=taken.moment.cut,
                at_seconds=round(trained + taken.seconds - stay.started, 3),
                torn=torn,
                last_step=each.last_step,
                start=each.start,
                next_step=each.next_step,
                said=each.said,
                steps_repeated=each.steps_repeated,
                seconds_lost=None if each.seconds_lost is None else round(each.seconds_lost, 3),
                seconds_to_exit=None if torn else round(taken.seconds_to_exit, 3),
                killed=taken.killed,
                exit_status=taken.exit_status,
            )
        )
        trained += stay.ended - stay.started
    return RehearsalReport(
        verdict=verdict_of(judgement),
        passed=not judgement.findings,
        script=script,
        seed=seed,
        reference_seconds=round(reference.training_seconds, 3),
        rehearsed_seconds=round(rehearsed.training_seconds, 3),
        completed=rehearsed.completed,
        step=judgement.steps.name if judgement.steps else None,
        interruptions=tuple(interruptions),
        metrics=tuple(MetricReport(**vars(each)) for each in judgement.comparisons),
        tolerance=tolerance,
        findings=judgement.findings,
        notes=judgement.notes,
    )


def verdict_of(judgement: Judgement) -> str:
    """The first line: what is worst, or that it passed."""
    if judgement.findings:
        worst, *others = judgement.findings
        more = f" Also: {', '.join(found.kind for found in others)}." if others else ""
        return f"{_VERDICTS[worst.kind]}: {worst.detail}{more}"
    count = len(judgement.resumptions)
    resumed = f"it resumed after {'its interruption' if count == 1 else f'all {count} interruptions'}"
    seconds = sum(each.seconds_lost or 0.0 for each in judgement.resumptions)
    compared = len(judgement.comparisons)
    metrics = (
        f", and {'its metric agrees' if compared == 1 else f'{compared} metrics agree'}" if compared else ""
    )
    return f"PASSED: {resumed}{metrics}; {seconds:.1f} s of training were done twice."
