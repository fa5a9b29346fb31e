"""What became of a script's work after each interruption: told from its log and from its checkpoints."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from airflow_spot_provider.emulator.rehearsal.facts import Interruption, Line, Run, Stay
from airflow_spot_provider.emulator.rehearsal.steps import Steps, begins_from_scratch, resumed_at

MIRROR_LAG_SECONDS = 0.8
"""A checkpoint is seen on S3 this long after it was written, at most: the mirror looks twice a second, and a rehearsal ten times."""
_LEAST_LINES = 3
"""So many lines have to come again, or to be missing, before they tell anything."""
_NO_CHECKPOINT = re.compile(r"events\.out\.tfevents|\.(log|txt|csv|tsv|jsonl|out|err)$", re.I)


class Start(StrEnum):
    """How a script began after an interruption."""

    RESUMED = "resumed"
    STALE = "resumed from an old step"
    SCRATCH = "from scratch"
    FAILED = "failed"
    UNKNOWN = "not told by its log"


@dataclass(frozen=True)
class Resumption:
    """One interruption, and how the script went on after it.

    :param number: of the interruption, from 1.
    :param interruption: how its instance went.
    :param start: how it began again.
    :param last_step: the last one that it printed before; None if it prints none.
    :param next_step: the first one that it printed after.
    :param newest_step: the step to which its newest checkpoint belongs at least; None if that is not known.
    :param said: what its log says of resuming, or of starting anew.
    :param steps_repeated: how many steps it did again; None if it prints none.
    :param seconds_lost: of training, done again after it; None if that cannot be told.
    :param steps_in_grace: how many steps it did between SIGTERM and its end.
    """

    number: int
    interruption: Interruption
    start: Start
    last_step: float | None = None
    next_step: float | None = None
    newest_step: float | None = None
    said: str | None = None
    steps_repeated: int | None = None
    seconds_lost: float | None = None
    steps_in_grace: int = 0


def resumptions_of(reference: Run, rehearsed: Run, steps: Steps | None) -> tuple[Resumption, ...]:
    """What became of each interruption.

    :param steps: the counter of the uninterrupted run's log, if it has one.
    """
    return tuple(
        _resumption(number, reference, rehearsed, steps)
        for number, stay in enumerate(rehearsed.stays, start=1)
        if stay.interruption is not None
    )


def _resumption(number: int, reference: Run, run: Run, steps: Steps | None) -> Resumption:
    stay = run.stays[number - 1]
    assert stay.interruption is not None
    after = run.stays[number] if number < len(run.stays) else None
    lines = () if after is None else after.lines
    claim = resumed_at(lines)
    said = claim[0] if claim else begins_from_scratch(lines)
    fails = not run.completed and not run.timed_out and number >= len(run.stays) - 1
    if steps is None:
        start = (
            Start.FAILED
            if fails
            else _start_by_lines(reference, stay, lines, said, resumes=claim is not None)
        )
        lost = _seconds_without_steps(stay, start)
        return Resumption(number, stay.interruption, start, said=said, seconds_lost=lost)

    printed = steps.read(stay.lines)
    last = max((value for _, value in printed), default=None)
    following = steps.read(lines)
    next_step = following[0][1] if following else None
    newest = _newest_step(stay, printed)
    if next_step is None:
        start = _start_without_a_step(steps, last, claim is not None, said, fails=fails)
    else:
        start = _start_by_step(steps, printed, next_step, newest, torn=stay.interruption.moment.torn)
    return Resumption(
        number=number,
        interruption=stay.interruption,
        start=start,
        last_step=last,
        next_step=next_step,
        newest_step=newest,
        said=said,
        steps_repeated=None if next_step is None or last is None else steps.between(next_step, last),
        seconds_lost=None if next_step is None else _seconds_lost(run.stays[:number], steps, next_step),
        steps_in_grace=len({value for seconds, value in printed if seconds > stay.interruption.seconds}),
    )


def _start_by_step(
    steps: Steps,
    printed: Sequence[tuple[float, float]],
    next_step: float,
    newest: float | None,
    *,
    torn: bool,
) -> Start:
    first_of_all = steps.values[0]
    if not printed:
        return Start.RESUMED if next_step > first_of_all else Start.UNKNOWN
    last, began = max(value for _, value in printed), printed[0][1]
    if next_step <= first_of_all:
        # After its very first step there is nothing to be told apart.
        return Start.SCRATCH if last > first_of_all else Start.UNKNOWN
    if next_step < began:
        return Start.STALE  # behind what it had itself begun with
    if newest is not None and not torn and next_step <= newest - steps.spacing:
        return Start.STALE
    return Start.RESUMED


def _start_without_a_step(
    steps: Steps, last: float | None, resumes: bool, said: str | None, *, fails: bool
) -> Start:
    """It printed no step after the interruption: it had done all of them, or it failed, or was interrupted before it could."""
    if fails:
        return Start.FAILED
    if resumes or (said is None and last is not None and last >= steps.values[-1]):
        return Start.RESUMED
    return Start.UNKNOWN


def _newest_step(stay: Stay, printed: Sequence[tuple[float, float]]) -> float | None:
    """The step that had been printed when the newest checkpoint of a stay was written."""
    assert stay.interruption is not None
    seen = [
        min(upload.seconds, stay.interruption.seconds)
        for upload in stay.uploads
        if not _NO_CHECKPOINT.search(upload.name)
    ]
    if not seen:
        return None
    written = max(seen) - MIRROR_LAG_SECONDS
    return max((value for seconds, value in printed if seconds <= written), default=None)


def _seconds_lost(stays: Sequence[Stay], steps: Steps, next_step: float) -> float:
    """The training between the step before the one that a script went on with, and the interruption."""
    lost = 0.0
    for stay in reversed(stays):
        end = stay.ended if stay.interruption is None else stay.interruption.seconds
        printed = steps.read(stay.lines)
        kept = [seconds for seconds, value in printed if value < next_step]
        if kept:
            return lost + max(0.0, end - kept[-1])
        lost += max(0.0, end - stay.started)
        if printed and printed[0][1] <= next_step:
            break  # what came before this stay was lost before
    return lost


def _start_by_lines(
    reference: Run, stay: Stay, after: Sequence[Line], said: str | None, *, resumes: bool
) -> Start:
    """Where no step is printed: whether what the script had printed comes again."""
    if said is not None:
        return Start.RESUMED if resumes else Start.SCRATCH
    known = {line.text for line in reference.lines}
    before = [line.text for line in stay.lines if line.text in known]
    again = {line.text for line in after}
    if len(set(before)) < _LEAST_LINES or not again:
        return Start.UNKNOWN
    repeated = sum(text in again for text in before) / len(before)
    return Start.SCRATCH if repeated >= 0.9 else Start.RESUMED if repeated <= 0.5 else Start.UNKNOWN


def _seconds_without_steps(stay: Stay, start: Start) -> float | None:
    assert stay.interruption is not None
    if start is Start.SCRATCH:
        return max(0.0, stay.interruption.seconds - stay.started)
    seen = [upload.seconds for upload in stay.uploads if not _NO_CHECKPOINT.search(upload.name)]
    if start is Start.RESUMED and seen:
        return max(0.0, stay.interruption.seconds - max(seen))
    return None
