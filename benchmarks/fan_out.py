"""A fan-out of a hundred mapped trainings under one ``airflow standalone``, wider than the account's spot quota.

The trainings are simulated by the emulator; everything else is real. It says whether every result is what SageMaker describes, how
large the XComs are, and how long a task was with a worker at a stretch. ``make bench-fan-out``, or::

    python -m benchmarks.fan_out --jobs 100 --quota 20
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_spot_provider.demo.local_airflow import LocalAirflow
from airflow_spot_provider.emulator import SageMakerEmulator
from airflow_spot_provider.training import SpotTrainingResult

DAG_ID, RUN_ID, BUCKET = "fan_out", "bench", "bench"
INSTANCE_TYPE = "ml.m5.large"
SPEED = 60.0
LARGEST_XCOM = 8_000
LONGEST_WITH_A_WORKER = 30.0
"""Seconds at a stretch; a training takes longer, and so does a turn."""
LIFECYCLES = ("uninterrupted", "interrupted-once")

DAG_FILE = """
from airflow.sdk import DAG

from airflow_spot_provider.operators.training import SageMakerSpotTrainingOperator
from airflow_spot_provider.training import hyperparameter_samples

CONFIG = {{
    "RoleArn": "arn:aws:iam::123456789012:role/training",
    "AlgorithmSpecification": {{"TrainingImage": "local/image:1", "TrainingInputMode": "File"}},
    "OutputDataConfig": {{"S3OutputPath": "s3://{bucket}/output"}},
    "ResourceConfig": {{"InstanceType": "{instance_type}", "InstanceCount": 1, "VolumeSizeInGB": 1}},
    "StoppingCondition": {{"MaxRuntimeInSeconds": 14_400}},
    "Tags": [
        {{"Key": "emulator:training-seconds", "Value": "{seconds}"}},
        {{"Key": "emulator:lifecycle", "Value": "{{{{ {lifecycles!r}[ti.map_index % 2] }}}}"}},
    ],
}}
SPACE = {{"rate": {{"distribution": "log-uniform", "low": 1e-4, "high": 0.1}}}}

with DAG("{dag_id}", schedule=None, max_active_tasks={jobs}):
    SageMakerSpotTrainingOperator.partial(
        task_id="train",
        config=CONFIG,
        max_wait=36_000,
        checkpoint_s3_uri="s3://{bucket}/checkpoints",
        publish_hyperparameters=["rate"],
        poll_interval=2,
        print_log=False,
    ).expand(hyperparameters=hyperparameter_samples(SPACE, {jobs}, seed=1))
"""


@dataclass
class Watched:
    """What was seen of the task instances while they ran."""

    states: Counter[str] = field(default_factory=Counter)
    most_running: int = 0
    most_deferred: int = 0
    nobody_running: int = 0
    looks: int = 0
    _since: dict[int, float] = field(default_factory=dict)
    with_a_worker: dict[int, float] = field(default_factory=dict)
    """The longest stretch of each member, in seconds; as coarse as the looks."""

    def look(self, members: list[dict[str, Any]], now: float) -> None:
        """Take in the states of all members."""
        states = Counter(str(each["state"]) for each in members)
        self.looks += 1
        self.most_running = max(self.most_running, states["running"])
        self.most_deferred = max(self.most_deferred, states["deferred"])
        self.nobody_running += states["running"] == 0 < states["deferred"]
        for each in members:
            member = each["map_index"]
            if each["state"] == "running":
                stretch = now - self._since.setdefault(member, now)
                self.with_a_worker[member] = max(stretch, self.with_a_worker.get(member, 0.0))
            else:
                self._since.pop(member, None)
        self.states = states


def main() -> int:
    """Run it, and print the figures as a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument(
        "--quota", type=int, default=20, help="spot instances that the account may have at a time"
    )
    parser.add_argument(
        "--training-seconds", type=int, default=2400, help="emulated; a minute passes in a second"
    )
    parser.add_argument(
        "--creates-per-second", type=float, help="real; beyond, CreateTrainingJob is throttled"
    )
    parser.add_argument("--timeout", type=float, default=1800.0, help="seconds")
    parser.add_argument("--output", type=Path, default=Path("build/fan_out.json"))
    options = parser.parse_args()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder, SageMakerEmulator(speed=SPEED) as emulator:
        emulator.client("s3").create_bucket(Bucket=BUCKET)
        emulator.set_quota(f"{INSTANCE_TYPE} for spot training job usage", options.quota)
        if options.creates_per_second:
            rate = {"operation": "CreateTrainingJob", "requests_per_second": options.creates_per_second}
            emulator.set_faults(rate)
        dags = Path(folder) / "dags"
        dags.mkdir()
        (dags / "fan_out.py").write_text(
            DAG_FILE.format(
                bucket=BUCKET,
                instance_type=INSTANCE_TYPE,
                seconds=options.training_seconds,
                lifecycles=LIFECYCLES,
                dag_id=DAG_ID,
                jobs=options.jobs,
            )
        )
        environment = {
            "AIRFLOW_CONN_AWS_DEFAULT": emulator.airflow_connection(),
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": str(options.jobs),
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        with LocalAirflow(Path(folder) / "home", dags, environment=environment) as airflow:
            figures = _measure(airflow, emulator, options)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(figures, indent=2) + "\n")
    print("| figure | measured | wanted |\n| --- | --- | --- |")
    for name, (measured, wanted) in figures["table"].items():
        print(f"| {name} | {measured} | {wanted} |")
    for problem in figures["problems"]:
        print(f"- {problem}", file=sys.stderr)
    return 1 if figures["problems"] else 0


def _measure(
    airflow: LocalAirflow, emulator: SageMakerEmulator, options: argparse.Namespace
) -> dict[str, Any]:
    watched = Watched()
    airflow.trigger(DAG_ID, RUN_ID)
    began = time.monotonic()

    def _is_over() -> bool:
        watched.look(_members(airflow, options.jobs), time.monotonic())
        return airflow.run_state(DAG_ID, RUN_ID) in ("success", "failed")

    airflow.wait_for(_is_over, what="the fan-out to end", timeout=options.timeout)
    took = time.monotonic() - began
    members = _members(airflow, options.jobs)
    sizes, problems = [], []
    for index in range(options.jobs):
        published = _xcoms(airflow, index)
        sizes += [len(json.dumps(value)) for value in published.values()]
        problems += _wrong(emulator, index, published.get("return_value"))
    created = _created(emulator)
    refused = emulator.calls()["CreateTrainingJob"] - created
    longest = max(watched.with_a_worker.values(), default=0.0)
    tries = {each["try_number"] for each in members}
    checks = {
        f"{options.jobs} members, {created} jobs": created == options.jobs,
        f"states {dict(watched.states)}": watched.states == {"success": options.jobs},
        f"try numbers {sorted(tries)}": tries == {1},
        f"largest XCom {max(sizes)}": max(sizes) < LARGEST_XCOM,
        f"longest with a worker {longest:.0f} s": longest < LONGEST_WITH_A_WORKER,
    }
    problems += [what for what, holds in checks.items() if not holds]
    table = {
        "members, jobs, tries of each": (
            f"{options.jobs}, {created}, {max(tries)}",
            f"{options.jobs}, {options.jobs}, 1",
        ),
        "spot quota (jobs at a time)": (options.quota, "-"),
        "results that are not as SageMaker describes the job": (
            sum("member" in each for each in problems),
            0,
        ),
        "largest XCom": (f"{max(sizes):,} bytes", f"< {LARGEST_XCOM:,}"),
        "longest stretch of a task with a worker": (f"{longest:.0f} s", f"< {LONGEST_WITH_A_WORKER:.0f} s"),
        "most tasks with a worker, most deferred": (f"{watched.most_running}, {watched.most_deferred}", "-"),
        "looks at which some waited and none had a worker": (
            f"{watched.nobody_running} of {watched.looks}",
            "-",
        ),
        "submits that were refused": (refused, "-"),
        "the whole fan-out": (f"{took:.0f} s", "-"),
    }
    return {"table": table, "problems": problems}


def _members(airflow: LocalAirflow, jobs: int) -> list[dict[str, Any]]:
    path = f"/dags/{DAG_ID}/dagRuns/{RUN_ID}/taskInstances"
    listed: list[dict[str, Any]] = []
    while len(page := airflow.get(path, limit=100, offset=len(listed))["task_instances"]) == 100:
        listed += page
    return [*listed, *page][:jobs]


def _xcoms(airflow: LocalAirflow, map_index: int) -> dict[str, Any]:
    path = f"/dags/{DAG_ID}/dagRuns/{RUN_ID}/taskInstances/train/xcomEntries"
    keys = [entry["key"] for entry in airflow.get(path, map_index=map_index)["xcom_entries"]]
    return {
        key: airflow.get(f"{path}/{key}", map_index=map_index, deserialize="true")["value"] for key in keys
    }


def _created(emulator: SageMakerEmulator) -> int:
    pages = emulator.client("sagemaker").get_paginator("list_training_jobs").paginate()
    return sum(len(page["TrainingJobSummaries"]) for page in pages)


def _wrong(emulator: SageMakerEmulator, index: int, published: Any) -> list[str]:
    """What of a member's result is not as SageMaker describes its job."""
    if published is None:
        return [f"member {index} published nothing"]
    result = SpotTrainingResult.from_json(published)
    job = emulator.client("sagemaker").describe_training_job(TrainingJobName=result.job_name)
    trained, billed = job["TrainingTimeInSeconds"], job["BillableTimeInSeconds"]
    expected = {
        "outcome": "Completed",
        "training_seconds": trained,
        "billable_seconds": billed,
        "interruptions": index % len(LIFECYCLES),
        "hyperparameters": {"rate": job["HyperParameters"]["rate"]},
        "checkpoint_s3_uri": f"s3://{BUCKET}/checkpoints/{index}",
        "model_artifacts": job["ModelArtifacts"]["S3ModelArtifacts"],
    }
    differ = [
        f"member {index}: {key} is {published[key]!r}, not {value!r}"
        for key, value in expected.items()
        if published[key] != value
    ]
    if abs(published["savings_percent"] - (1 - billed / trained) * 100) > 0.01:
        differ.append(f"member {index}: savings_percent is {published['savings_percent']}")
    return differ


if __name__ == "__main__":
    sys.exit(main())
