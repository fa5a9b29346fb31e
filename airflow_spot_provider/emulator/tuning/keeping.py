"""Tuning jobs as JSON, and back: for a server that keeps its state."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow_spot_provider.emulator.tuning.completion import Finish
from airflow_spot_provider.emulator.tuning.member import Member
from airflow_spot_provider.emulator.tuning.tuning_job import TuningJob
from airflow_spot_provider.emulator.tuning.tuning_jobs import TuningJobs
from airflow_spot_provider.emulator.tuning.warm_start import WarmStart

_TIMES = ("creation_time", "last_modified_time", "end_time", "convergence_time")
_SUMMARY_TIMES = ("CreationTime", "TrainingStartTime", "TrainingEndTime")


def tuning_job_to_json(job: TuningJob) -> dict[str, Any]:
    """All that a tuning job is; called with its lock held."""
    return {
        "request": job.spec.request,
        "account_id": job.spec.account_id,
        "region": job.spec.region,
        "tags": job.tags,
        "status": job.status,
        "failure_reason": job.failure_reason,
        "finish": None if job.finish is None else [job.finish.status, job.finish.failure_reason],
        **{name: _text(getattr(job, name)) for name in _TIMES},
        "warm_start": {
            "kind": job.warm_start.kind,
            "found": [[dict(values), metric, value] for values, metric, value in job.warm_start.found],
            "best": [[loss, _with_times(summary, _text)] for loss, summary in job.warm_start.best],
        },
        "members": [
            {
                "number": member.number,
                "trial_number": member.trial_number,
                "definition": job.spec.definitions.index(member.definition),
                "values": dict(member.values),
                "training_job_name": member.training_job.training_job_name,
            }
            for member in job.members
        ],
        "in_order_of_ending": [member.number for member in job.in_order_of_ending],
    }


def tuning_job_from_json(kept: Mapping[str, Any], tuning_jobs: TuningJobs) -> TuningJob:
    """The tuning job that was kept; :meth:`TuningJob.take_up` has it go on if it has not ended.

    :param kept: what :func:`tuning_job_to_json` gave.
    :param tuning_jobs: where it goes; its training jobs have to be in the registry already. Those that were deleted are
        missing from it.
    """
    warm = kept["warm_start"]
    job = tuning_jobs.job_of(
        tuning_jobs.spec_of(kept["request"], kept["account_id"], kept["region"]),
        WarmStart(
            warm["kind"],
            [(values, metric, value) for values, metric, value in warm["found"]],
            [(loss, _with_times(summary, datetime.fromisoformat)) for loss, summary in warm["best"]],
        ),
    )
    job.tags = kept["tags"]
    job.status = kept["status"]
    job.failure_reason = kept["failure_reason"]
    job.finish = None if kept["finish"] is None else Finish(*kept["finish"])
    for name in _TIMES:
        setattr(job, name, None if kept[name] is None else datetime.fromisoformat(kept[name]))
    training_jobs = tuning_jobs.registry.of(kept["account_id"], kept["region"])
    job.members = [
        Member(
            entry["number"],
            entry["trial_number"],
            job.spec.definitions[entry["definition"]],
            entry["values"],
            training_jobs[entry["training_job_name"]],
        )
        for entry in kept["members"]
        if entry["training_job_name"] in training_jobs
    ]
    by_number = {member.number: member for member in job.members}
    job.in_order_of_ending = [
        by_number[number] for number in kept["in_order_of_ending"] if number in by_number
    ]
    return job


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _with_times(summary: Mapping[str, Any], turned: Any) -> dict[str, Any]:
    return {name: turned(value) if name in _SUMMARY_TIMES else value for name, value in summary.items()}
