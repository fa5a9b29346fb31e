"""Jobs as rows of a table, as JSON, and what there is to say below the table."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow_spot_provider.aws.kinds import TUNING_JOBS
from airflow_spot_provider.aws.ownership import RELEASED, TRY
from airflow_spot_provider.cli.jobs.looking import Seen
from airflow_spot_provider.cli.jobs.standing import JudgedJob, Standing
from airflow_spot_provider.cli.jobs.waiting import key_of
from airflow_spot_provider.cli.terminal import Column, Row
from airflow_spot_provider.training import SpotProgress, outcome_of, progress_of, tuning_progress_of
from airflow_spot_provider.training.lifecycle import instant
from airflow_spot_provider.training.narration import duration
from airflow_spot_provider.training.result import iso

COLUMNS = (
    Column("Task", foldable=True),
    Column("Run", under=True),
    Column("Job", under=True),
    Column("Status"),
    Column("For", under=True),
    Column("Interruptions", right=True),
    Column("MaxWait left", right=True, under=True),
    Column("Its task"),
    Column("Instance", under=True),
)
_MOST_NAMED = 5
_STYLES = {Standing.ORPHAN: "bold red", Standing.ENDED: "dim", Standing.ENDING: "dim"}
_SAID = {
    Standing.ORPHAN: "ORPHAN",
    Standing.UNKNOWN_HERE: "unknown here",
    Standing.NOT_KNOWN: "not known",
}


def row_of(each: JudgedJob, now: datetime) -> Row:
    """A job as a row of :data:`COLUMNS`.

    :param now: by AWS's clock.
    """
    progress = _progress(each)
    dag_id, run_id, task_id, map_index = _key(each)
    index = f"[{map_index}]" if map_index >= 0 else ""
    left = _seconds_until(progress.max_wait_ends, now)
    return Row(
        (
            f"{dag_id}.{task_id}{index}",
            run_id,
            each.job.name,
            _status(each, progress),
            _duration(_seconds_since(_since(each, progress), now)),
            "" if each.job.kind is TUNING_JOBS else str(progress.interruptions),
            "" if each.standing is Standing.ENDED else _duration(left),
            _its_task(each),
            _instances(progress),
        ),
        _STYLES.get(each.standing, ""),
    )


def json_of(each: JudgedJob, now: datetime) -> dict[str, Any]:
    """A job as JSON; docs/cli.md tells the fields, which stay.

    :param now: by AWS's clock.
    """
    progress = _progress(each)
    dag_id, run_id, task_id, map_index = _key(each)
    trial = each.task.identity.trial if each.task else None
    since = _since(each, progress)
    tried = each.job.tags.get(TRY, "")
    return {
        "kind": progress.kind,
        "job_name": each.job.name,
        "job_arn": each.job.description[each.job.kind.arn],
        "region": progress.region,
        "status": progress.status,
        "phase": str(progress.phase),
        "outcome": _outcome(each),
        "since": since,
        "seconds_in_status": _seconds_since(since, now),
        "created": progress.created,
        "interruptions": progress.interruptions,
        "max_wait_ends": progress.max_wait_ends,
        "max_wait_left_seconds": _seconds_until(progress.max_wait_ends, now),
        "managed_spot": progress.managed_spot,
        "instance_type": progress.instance_type,
        "instance_count": progress.instance_count,
        "dag_id": dag_id,
        "run_id": run_id,
        "task_id": task_id,
        "map_index": map_index,
        "try_number": int(tried) if tried.isascii() and tried.isdecimal() else None,
        "trial": None if trial is None else {"study": trial[0], "number": trial[1]},
        "released": each.job.tags.get(RELEASED),
        "task_state": each.task.state if each.task else None,
        "standing": str(each.standing),
        "why": each.why,
    }


def sentences_of(seen: Seen, *, region: str, deployment: str, with_ended: bool) -> list[str]:
    """What there is to say below the table."""
    if not seen.jobs:
        which = "has run since then" if with_ended else "is in progress"
        nothing = (
            f"No job that bears this provider's tags {which} in {region}. Jobs of another account or region are seen with "
            "--conn-id, --profile and --region."
        )
        return [nothing]
    sentences = []
    if orphans := seen.of(Standing.ORPHAN):
        sentences += [f"ORPHAN {each.job.name}: {each.why}" for each in orphans[:_MOST_NAMED]]
        sentences.append(
            f"Nobody waits for {_count(len(orphans))}. To stop orphans, after you say yes: airflow-spot jobs --stop-orphans"
        )
    if unknown := seen.of(Standing.UNKNOWN_HERE):
        here = (
            f"[airflow_spot] deployment is {deployment!r} here"
            if deployment
            else "no [airflow_spot] deployment is set here"
        )
        job = unknown[0].job
        option = "hyper-parameter-tuning-job" if job.kind is TUNING_JOBS else "training-job"
        sentences.append(
            f"Of {_count(len(unknown))} no task is known here: of another Airflow ({here}), of a DAG run that was deleted, or of a sweep whose study "
            "Airflow has forgotten. It is never stopped from here: look in the Airflow that it is of, or, if nobody "
            f"needs it: aws sagemaker stop-{option} --{option}-name {job.name}"
        )
    return sentences


def _progress(each: JudgedJob) -> SpotProgress:
    told = tuning_progress_of if each.job.kind is TUNING_JOBS else progress_of
    return SpotProgress.from_json(told(each.job.description))


def _since(each: JudgedJob, progress: SpotProgress) -> str | None:
    ended = "HyperParameterTuningEndTime" if each.job.kind is TUNING_JOBS else "TrainingEndTime"
    if each.standing is Standing.ENDED and (time := instant(each.job.description.get(ended))):
        return iso(time)
    return progress.since


def _outcome(each: JudgedJob) -> str | None:
    if each.standing is not Standing.ENDED:
        return None
    if each.job.kind is TUNING_JOBS:
        return each.job.status
    return str(outcome_of(each.job.description) or each.job.status)


def _key(each: JudgedJob) -> tuple[str, str, str, int]:
    """The names of Airflow where they are known, and else those that the tags tell."""
    if each.task is None:
        return key_of(each.job)
    identity = each.task.identity
    return identity.dag_id, identity.run_id, identity.task_id, identity.map_index


def _status(each: JudgedJob, progress: SpotProgress) -> str:
    return _outcome(each) or progress.status


def _its_task(each: JudgedJob) -> str:
    said, state = _SAID.get(each.standing), each.task.state or "no state" if each.task else None
    if said is None:
        return state or ""
    return said if state is None else f"{said} ({state})"


def _instances(progress: SpotProgress) -> str:
    count = f"{progress.instance_count} x " if progress.instance_count != 1 else ""
    on_demand = "" if progress.managed_spot else ", on demand"
    return f"{count}{progress.instance_type or 'several'}{on_demand}"


def _seconds_since(time: str | None, now: datetime) -> float | None:
    begun = instant(time)
    return None if begun is None else max(0.0, (now - begun).total_seconds())


def _seconds_until(time: str | None, now: datetime) -> float | None:
    end = instant(time)
    return None if end is None else max(0.0, (end - now).total_seconds())


def _duration(seconds: float | None) -> str:
    return "" if seconds is None else duration(seconds)


def _count(number: int) -> str:
    return "1 job" if number == 1 else f"{number:,} jobs"
