"""Stopping orphans: shown first, confirmed, looked at again one by one, and then stopped as a kill of their task would."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from botocore.exceptions import BotoCoreError, ClientError

from airflow_spot_provider.aws.errors import code_of
from airflow_spot_provider.aws.ownership import TRY, stop_unless_taken_over
from airflow_spot_provider.cli.database import NoDatabase
from airflow_spot_provider.cli.jobs.looking import Looks
from airflow_spot_provider.cli.jobs.standing import JudgedJob, Standing
from airflow_spot_provider.cli.jobs.telling import COLUMNS, json_of, row_of
from airflow_spot_provider.cli.terminal import clean, say, say_json, show
from airflow_spot_provider.hooks.sagemaker_spot import SageMakerSpotHook

Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stopped:
    """What became of an orphan.

    :param result: ``stopped``, ``left`` (it needs no stop any more) or ``failed``.
    :param said: one sentence.
    """

    result: str
    said: str


def stop_orphans(looks: Looks, hook: SageMakerSpotHook, *, sure: bool, as_json: bool, warn: Warn) -> int:
    """Stop the jobs that nobody waits for, and return the exit status.

    :param sure: whether nobody needs to be asked.
    :param as_json: whether to print one JSON list, of the orphans.
    :param warn: is told what goes to standard error.
    """
    seen = looks.all()
    if seen.no_database is not None:
        warn("Without Airflow's metadata database nobody can tell who waits for a job: nothing is stopped.")
        return 1
    orphans = seen.of(Standing.ORPHAN)
    if not orphans:
        say(
            "[]"
            if as_json
            else "There is no orphan: a task waits for each job of this Airflow that is in progress."
        )
        return 0
    if not as_json:
        show(COLUMNS, [row_of(each, seen.now) for each in orphans])
    if not sure and (refused := _refusal(orphans)) is not None:
        status, why = refused
        if as_json:
            say_json([json_of(each, seen.now) for each in orphans])
        warn(why)
        return status
    became: list[tuple[JudgedJob, Stopped]] = []
    for each in orphans:
        became.append((each, stopped := _stop(each, looks, hook)))
        if not as_json:
            say(stopped.said)
    if as_json:
        told = [
            {**json_of(each, seen.now), "result": stopped.result, "said": stopped.said}
            for each, stopped in became
        ]
        say_json(told)
    return 1 if any(stopped.result == "failed" for _, stopped in became) else 0


def _refusal(orphans: list[JudgedJob]) -> tuple[int, str] | None:
    """Ask the person who is there: the exit status, and why nothing is stopped; None after a yes."""
    if not _is_somebody_there():
        return 2, "Nobody is there to confirm: look at the list, then give --yes. Nothing was stopped."
    return None if _is_confirmed(orphans) else (0, "Nothing was stopped.")


def _is_somebody_there() -> bool:
    stdin: TextIO | None = sys.stdin  # a daemon may have none
    return stdin is not None and stdin.isatty()


def _is_confirmed(orphans: list[JudgedJob]) -> bool:
    names = ", ".join(clean(each.job.name) for each in orphans)
    print(f"Stop {names}? Their checkpoints stay. Type yes: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() == "yes"


def _stop(before: JudgedJob, looks: Looks, hook: SageMakerSpotHook) -> Stopped:
    """Stop one, unless a task waits for it again."""
    name = before.job.name
    try:
        now = looks.again(before)
        if now is None or now.task is None or now.standing is not Standing.ORPHAN:
            return Stopped("left", f"{name} is left alone: {_why_left(now)}")
        tried = now.job.tags.get(TRY, "")
        stops = stop_unless_taken_over(
            hook.jobs(now.job.kind),
            name,
            try_number=int(tried) if tried.isascii() and tried.isdecimal() else 0,
            task=now.task.identity,
        )
    except (ClientError, BotoCoreError) as error:
        kind = before.job.kind
        return Stopped(
            "failed",
            f"{name} could not be stopped ({code_of(error)}): it takes sagemaker:Stop{kind.resource}, sagemaker:Describe{kind.resource}, "
            "sagemaker:ListTags and sagemaker:AddTags.",
        )
    except NoDatabase as error:
        return Stopped(
            "failed",
            f"{name} is not stopped, since nobody can tell whether a task waits for it again. {error}",
        )
    if not stops:
        return Stopped("left", f"{name} is left alone: it has ended, or its task has taken it up again.")
    return Stopped("stopped", f"{name} is being stopped; its checkpoints stay.")


def _why_left(now: JudgedJob | None) -> str:
    if now is None:
        return "it is gone."
    if now.standing is Standing.WAITED_FOR:
        return f"its task is {(now.task.state if now.task else None) or 'scheduled'} again, and takes it up."
    return f"it is {now.standing} by now."
