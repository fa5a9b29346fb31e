"""A whole rehearsal, from the script to the report."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError

from airflow_spot_provider.emulator.handle import EmulatorError, SageMakerEmulator
from airflow_spot_provider.emulator.rehearsal.exceptions import RehearsalError
from airflow_spot_provider.emulator.rehearsal.facts import Cut, Line, Moment, Run
from airflow_spot_provider.emulator.rehearsal.figures import last_figures
from airflow_spot_provider.emulator.rehearsal.judgement import judge
from airflow_spot_provider.emulator.rehearsal.moments import Timing, planned
from airflow_spot_provider.emulator.rehearsal.report import RehearsalReport, report_of
from airflow_spot_provider.emulator.rehearsal.source import Source
from airflow_spot_provider.emulator.rehearsal.stage import LONGEST_LIMIT_SECONDS, Stage

SPEED = 600.0
"""Waiting for instances takes a fraction of a second here; the script itself runs as it always does."""
_TAIL_LINES = 20
_AT = re.compile(r"(\d+(?:\.\d+)?)(:torn)?")


@dataclass(frozen=True)
class Plan:
    """How a rehearsal is to be held.

    :param interruptions: how many, 1 to 100.
    :param at: instead of that: the seconds of training at which they come, as ``30``, or as ``30:torn`` for one in the middle
        of the newest checkpoint write.
    :param seed: of the moments.
    :param metrics: regular expressions by name; none: what the log and the model's JSON files name.
    :param tolerance: how far two figures may be apart, as a share of the larger one.
    :param grace_seconds: real seconds from SIGTERM to SIGKILL.
    :param max_seconds: real seconds that a run may take.
    :raises RehearsalError: one of them makes no sense.
    """

    interruptions: int = 3
    at: Sequence[str] = ()
    seed: int = 0
    metrics: Mapping[str, str] = field(default_factory=dict)
    tolerance: float = 0.01
    grace_seconds: float = 10.0
    max_seconds: float = 1800.0

    def __post_init__(self) -> None:
        if not 1 <= self.interruptions <= 100:
            raise RehearsalError(f"--interruptions is {self.interruptions}; it takes 1 to 100.")
        if not 0 <= self.tolerance < 1:
            raise RehearsalError(f"--tolerance is {self.tolerance}; it takes a share from 0 to below 1.")
        if not 0 < self.grace_seconds <= 3600:
            raise RehearsalError(f"--grace is {self.grace_seconds}; it takes seconds above 0, up to 3600.")
        if not 0 < self.max_seconds <= LONGEST_LIMIT_SECONDS / 2:
            raise RehearsalError(
                f"--max-seconds is {self.max_seconds}; it takes seconds above 0, up to {LONGEST_LIMIT_SECONDS // 2}."
            )
        for name, regex in self.metrics.items():
            try:
                re.compile(regex)
            except re.error as error:
                raise RehearsalError(
                    f"--metric {name}={regex}: that is no regular expression: {error}"
                ) from error
        for text in self.at:
            if not _AT.fullmatch(text):
                raise RehearsalError(f"--at {text!r} is no number of seconds; give 30, or 30:torn.")

    @property
    def moments(self) -> tuple[Moment, ...]:
        """The interruptions, in order."""
        if not self.at:
            return planned(self.interruptions, self.seed)
        chosen = [
            Moment(Cut.MID_WRITE if torn else Cut.CHOSEN, seconds=float(seconds), torn=bool(torn))
            for seconds, _, torn in (text.partition(":") for text in self.at)
        ]
        return tuple(sorted(chosen, key=lambda moment: moment.seconds or 0.0))

    @property
    def speed(self) -> float:
        """Emulated seconds in a real one: as fast as SageMaker's longest limit allows."""
        return min(SPEED, LONGEST_LIMIT_SECONDS / 2 / self.max_seconds)


def rehearse(source: Source, plan: Plan, tell: Callable[[str], None] = lambda _line: None) -> RehearsalReport:
    """Run a script uninterrupted, then interrupted, and report.

    :param source: the script and what it is given.
    :param plan: how it is to be done.
    :param tell: is given a line for whoever waits, now and then.
    :raises RehearsalError: it could not be held.
    """
    try:
        with SageMakerEmulator(
            speed=plan.speed, seed=plan.seed, grace_seconds=plan.grace_seconds
        ) as emulator:
            stage = Stage(emulator, source, max_seconds=plan.max_seconds, tell=tell)
            stage.upload()
            tell("running it uninterrupted")
            reference = _came_to_its_end(stage.run("uninterrupted"), plan)
            tell(f"done in {reference.training_seconds:.1f} s; running it with interruptions")
            rehearsed = stage.run("interrupted", plan.moments, Timing(reference))
    except EmulatorError as error:
        raise RehearsalError(f"The emulator failed: {error}") from error
    except (BotoCoreError, ClientError) as error:
        raise RehearsalError(f"SageMaker would not take this as a training job: {error}") from error
    if not rehearsed.completed and not any(stay.interruption for stay in rehearsed.stays):
        raise RehearsalError(
            "It came to its end once, and the second time not, before any interruption: "
            f"{rehearsed.failure or 'no reason is known'}",
            _tail(rehearsed.lines),
        )
    judgement = judge(reference, rehearsed, metrics=plan.metrics, tolerance=plan.tolerance)
    return report_of(
        judgement, reference, rehearsed, script=str(source.path), seed=plan.seed, tolerance=plan.tolerance
    )


def _came_to_its_end(reference: Run, plan: Plan) -> Run:
    if not reference.completed:
        raise RehearsalError(
            f"The uninterrupted run did not come to its end: {reference.failure or 'no reason is known'}",
            _tail(reference.lines),
        )
    found = last_figures(reference.lines, plan.metrics)
    for name in plan.metrics:
        if name not in found:
            raise RehearsalError(
                f"--metric {name}={plan.metrics[name]} finds no number in the log of the uninterrupted run.",
                _tail(reference.lines),
            )
    return reference


def _tail(lines: Sequence[Line]) -> list[str]:
    return [line.text for line in lines[-_TAIL_LINES:]]
