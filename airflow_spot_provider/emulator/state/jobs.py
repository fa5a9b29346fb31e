"""Training jobs as JSON, and back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow_spot_provider.emulator.jobs.lifecycles import lifecycle_named
from airflow_spot_provider.emulator.jobs.training_job import TrainingJob
from airflow_spot_provider.emulator.jobs.world import World
from airflow_spot_provider.emulator.spec import JobSpec

_TIMES = ("StartTime", "EndTime")


def job_to_json(job: TrainingJob) -> dict[str, Any]:
    """All that a job is; called with the job standing still."""
    record, usage = job.record, job.usage
    return {
        "request": job.spec.request,
        "account_id": job.spec.account_id,
        "region": job.spec.region,
        "tuning_job_arn": job.spec.tuning_job_arn,
        "lifecycle": job.course.lifecycle.name,
        "stay_number": job.course.stay_number,
        "stays": job.stays.told(),
        "tags": job.tags,
        "runtime": job.runtime,
        "seconds_left": job.work.seconds_left,
        "retries_left": job.retries_left,
        "runs_script": job.runs_script,
        "usage": {
            "zone": usage.zone,
            "since": _text(usage.since),
            "training_seconds": usage.training_seconds,
            "billable_seconds": usage.billable_seconds,
        },
        "record": {
            "creation_time": _text(record.creation_time),
            "last_modified_time": _text(record.last_modified_time),
            "training_start_time": _text(record.training_start_time),
            "training_end_time": _text(record.training_end_time),
            "status": record.status,
            "secondary_status": record.secondary_status,
            "failure_reason": record.failure_reason,
            "stop_reason": record.stop_reason,
            "stopping_since": _text(record.stopping_since),
            "model_artifacts": record.model_artifacts,
            "updates": record.updates,
            "transitions": [
                {name: _text(value) if name in _TIMES else value for name, value in entry.items()}
                for entry in record.transitions
            ],
            "metric_history": {
                name: [[_text(at), value] for at, value in values]
                for name, values in list(record.metric_history.items())
            },
        },
    }


def job_from_json(kept: dict[str, Any], world: World) -> TrainingJob:
    """The job that was kept; it has not been taken up yet."""
    spec = JobSpec(kept["request"], kept["account_id"], kept["region"], kept["tuning_job_arn"])
    job = TrainingJob(spec, lifecycle_named(kept["lifecycle"]), world)
    job.course.stay_number = kept["stay_number"]
    job.stays.restore(kept["stays"])
    job.tags = kept["tags"]
    job.runtime = kept["runtime"]
    job.work.seconds_left = kept["seconds_left"]
    job.retries_left = kept["retries_left"]
    job.runs_script = kept.get("runs_script", False)  # not kept before there was an allowance for scripts
    usage, record = kept["usage"], kept["record"]
    job.usage.zone = usage["zone"]
    job.usage.since = _time(usage["since"])
    job.usage.training_seconds = usage["training_seconds"]
    job.usage.billable_seconds = usage["billable_seconds"]
    for name in ("creation_time", "last_modified_time", "training_start_time", "training_end_time"):
        setattr(job.record, name, _time(record[name]))
    for name in ("status", "secondary_status", "failure_reason", "stop_reason", "model_artifacts", "updates"):
        setattr(job.record, name, record[name])
    job.record.stopping_since = _time(record.get("stopping_since"))
    job.record.transitions = [
        {name: _time(value) if name in _TIMES else value for name, value in entry.items()}
        for entry in record["transitions"]
    ]
    job.record.metric_history = {
        name: [(datetime.fromisoformat(at), value) for at, value in values]
        for name, values in record["metric_history"].items()
    }
    return job


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
