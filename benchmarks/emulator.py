"""How the emulator does with many simulated jobs: ``make bench-emulator``.

Prints one JSON object. Nothing here is asserted: machines differ, and what else they do.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow_spot_provider.emulator import SageMakerEmulator

AT_ONCE = 1_000
WEEK = (125, 250, 500)


def _request(number: int, *, work_seconds: int, max_wait: int) -> dict[str, Any]:
    return {
        "TrainingJobName": f"job-{number}",
        "RoleArn": "arn:aws:iam::123456789012:role/training",
        "AlgorithmSpecification": {"TrainingImage": "local/image:1", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "EnableManagedSpotTraining": True,
        "CheckpointConfig": {"S3Uri": f"s3://bucket/checkpoints/{number}"},
        "StoppingCondition": {"MaxRuntimeInSeconds": max_wait // 2, "MaxWaitTimeInSeconds": max_wait},
        "Tags": [
            {"Key": "emulator:training-seconds", "Value": str(work_seconds)},
            {"Key": "emulator:checkpoint-seconds", "Value": "900"},
        ],
    }


def _milliseconds(ask: Callable[[], object]) -> float:
    start = time.perf_counter()
    ask()
    return (time.perf_counter() - start) * 1000


def _p99(values: list[float]) -> float:
    return round(statistics.quantiles(values, n=100)[98], 1)


def _of_process(pid: int) -> tuple[float, float]:
    """CPU seconds and memory (MB) of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return ticks / 100, int(peak.split()[1]) / 1024


def jobs_at_once() -> dict[str, Any]:
    """Many jobs that are interrupted once, all at the same time, on a clock that runs."""
    start = time.perf_counter()
    with SageMakerEmulator(lifecycle="interrupted-once", speed=60) as emulator:
        ready = time.perf_counter() - start
        emulator.client("s3").create_bucket(Bucket="bucket")
        sagemaker = emulator.client("sagemaker")
        for number in range(20):
            sagemaker.create_training_job(**_request(10_000 + number, work_seconds=60, max_wait=86_400))
        cpu, _ = _of_process(emulator.pid)
        begin = time.perf_counter()
        creates = [
            _milliseconds(
                lambda number=number: sagemaker.create_training_job(
                    **_request(number, work_seconds=1200, max_wait=86_400)
                )
            )
            for number in range(AT_ONCE)
        ]
        lists = [_milliseconds(lambda: sagemaker.list_training_jobs(MaxResults=100)) for _ in range(100)]
        describes = [
            _milliseconds(lambda: sagemaker.describe_training_job(TrainingJobName="job-7"))
            for _ in range(100)
        ]
        while sagemaker.list_training_jobs(StatusEquals="InProgress", MaxResults=1)["TrainingJobSummaries"]:
            time.sleep(0.5)
        seconds = time.perf_counter() - begin
        used, megabytes = _of_process(emulator.pid)
    return {
        "jobs": AT_ONCE,
        "start_seconds": round(ready, 2),
        "create_ms_p50": round(statistics.median(creates), 1),
        "create_ms_p99": _p99(creates),
        "list_page_of_100_ms_p50": round(statistics.median(lists), 1),
        "list_page_of_100_ms_p99": _p99(lists),
        "describe_ms_p50": round(statistics.median(describes), 1),
        "cores": round((used - cpu) / seconds, 2),
        "megabytes": round(megabytes),
    }


def week(jobs: int) -> dict[str, Any]:
    """A week of a market with few interruptions for so many jobs, on a stepped clock."""
    with SageMakerEmulator(clock="stepped", lifecycle="random", seed=1) as emulator:
        emulator.client("s3").create_bucket(Bucket="bucket")
        sagemaker = emulator.client("sagemaker")
        start = time.perf_counter()
        for number in range(jobs):
            sagemaker.create_training_job(**_request(number, work_seconds=20_000, max_wait=1_000_000))
        for _ in range(7 * 24):
            emulator.clock.advance(timedelta(hours=1))
        seconds = time.perf_counter() - start
        pages = sagemaker.get_paginator("list_training_jobs").paginate(StatusEquals="Completed")
        completed = sum(len(page["TrainingJobSummaries"]) for page in pages)
    return {"jobs": jobs, "completed": completed, "seconds": round(seconds, 2)}


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    json.dump({"at_once": jobs_at_once(), "weeks": [week(jobs) for jobs in WEEK]}, sys.stdout, indent=2)
    print()
