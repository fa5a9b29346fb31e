"""What a rehearsal can find, and what to do about it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Kind(StrEnum):
    """What is wrong with a script. The order is that of a report: what costs most comes first."""

    RESTARTS_FROM_SCRATCH = "restarts-from-scratch"
    CORRUPT_CHECKPOINT = "corrupt-checkpoint"
    FAILS_ON_RESUME = "fails-on-resume"
    RESUMES_FROM_A_STALE_STEP = "resumes-from-a-stale-step"
    DID_NOT_FINISH = "did-not-finish"
    NO_CHECKPOINT_WRITTEN = "no-checkpoint-written"
    METRICS_DIFFER = "metrics-differ"
    IGNORES_SIGTERM = "ignores-sigterm"
    RESUME_NOT_SEEN = "resume-not-seen"


class Severity(StrEnum):
    """An error loses work or gives another model; a warning may."""

    ERROR = "error"
    WARNING = "warning"


ADVICE = {
    Kind.RESTARTS_FROM_SCRATCH: "Look into the checkpoint folder (SM_CHECKPOINT_DIR, /opt/ml/checkpoints at SageMaker) at every start, and go "
    "on from the newest checkpoint in it: weights, optimizer, random numbers, and the step to begin with.",
    Kind.CORRUPT_CHECKPOINT: "Write a checkpoint under a temporary name in the same folder, flush it, and os.replace() it to its own name: then "
    "that name always holds a whole one. When loading, ignore temporary names, and where a checkpoint cannot be read, "
    "say so and take the one before.",
    Kind.FAILS_ON_RESUME: "Run it a second time on the checkpoint folder that it left, and mend what fails there; a checkpoint of the very "
    "last step is one of the cases.",
    Kind.RESUMES_FROM_A_STALE_STEP: "Load the newest checkpoint: compare the numbers in the names as numbers ('step-9' sorts after 'step-10' as text), or keep "
    "one name and os.replace() it; and save the step together with the weights.",
    Kind.DID_NOT_FINISH: "See how much of its work it does over again after each interruption; give it more time with --max-seconds if that is what it "
    "lacked.",
    Kind.NO_CHECKPOINT_WRITTEN: "Save a checkpoint to SM_CHECKPOINT_DIR (/opt/ml/checkpoints at SageMaker) every few minutes; only that folder is mirrored to "
    "S3 and comes back. Links in it are not followed.",
    Kind.METRICS_DIFFER: "Save all that the next step depends on: optimizer, learning-rate schedule, random numbers, the place in the data, best "
    "score so far. If two uninterrupted runs differ too, set the seeds, or allow for it with --tolerance.",
    Kind.IGNORES_SIGTERM: "Handle SIGTERM: finish the step, save a checkpoint, exit. SageMaker kills what still runs after 120 seconds. A shell that "
    "starts the script must exec it, or the signal ends at the shell.",
    Kind.RESUME_NOT_SEEN: "Print the step and what it resumes from (such as 'resumed from step 120'), so that it can be told.",
}
_WARNINGS = frozenset({Kind.IGNORES_SIGTERM, Kind.RESUME_NOT_SEEN})


class Finding(BaseModel):
    """One thing that a rehearsal found.

    :param kind: what.
    :param severity: how bad.
    :param detail: what was seen.
    :param advice: what to change.
    :param interruptions: the numbers of the interruptions after which it was seen, from 1.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind
    severity: Severity
    detail: str
    advice: str
    interruptions: tuple[int, ...] = ()


def finding(kind: Kind, detail: str, interruptions: tuple[int, ...] = ()) -> Finding:
    """A finding with its severity and its advice."""
    severity = Severity.WARNING if kind in _WARNINGS else Severity.ERROR
    return Finding(
        kind=kind, severity=severity, detail=detail, advice=ADVICE[kind], interruptions=interruptions
    )
