"""A metadata database after some months: ten thousand spot trainings among many more tasks of other kinds."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import select, text

from airflow_spot_provider.training.result import iso
from tests.builders import DescribedJob, a_training_job
from tests.ui import jobs
from tests.ui.metadata import Metadata, run_row, task_row, xcom_row

SPOT_DAGS, RUNS, MEMBERS = 20, 50, 10
OTHER_DAGS, OTHER_TASKS = 100, 10
RESULTS = SPOT_DAGS * RUNS * MEMBERS
RUNNING_RUNS = 2
"""Of each DAG, the newest of which still run."""
_STORIES = 25


def fill(metadata: Metadata, *, runs_of_others: int = 100) -> list[str]:
    """Ten thousand results in 20 DAGs, the newest runs still waiting or training, and a hundred thousand other tasks.

    :param runs_of_others: how many runs each of the 100 other DAGs has.
    :return: the DAGs with spot trainings.
    """
    now = datetime.now(UTC)
    spot = [f"spot_{number:02}" for number in range(SPOT_DAGS)]
    others = [f"etl_{number:03}" for number in range(OTHER_DAGS)]
    metadata.add_dags(*spot, *others)
    metadata.insert(DagRun, _runs(spot, RUNS, now))
    metadata.insert(DagRun, _runs(others, runs_of_others, now))
    numbers = _numbers(metadata)
    members = [("train", index) for index in range(MEMBERS)]
    tasks = [(f"task_{number}", -1) for number in range(OTHER_TASKS)]
    metadata.insert(TaskInstance, _tasks(spot, RUNS, members))
    metadata.insert(TaskInstance, _tasks(others, runs_of_others, tasks))
    metadata.insert(XComModel, _spot_xcoms(spot, numbers, now))
    metadata.insert(XComModel, _other_xcoms(others, runs_of_others, numbers, now))
    if metadata.engine.dialect.name == "postgresql":
        with metadata.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    return spot


def _run_id(number: int) -> str:
    return f"scheduled__{number:05}"


def _when(number: int, now: datetime) -> datetime:
    """The newest run is number 0."""
    return now - timedelta(hours=12 * number + 1)


def _runs(dag_ids: list[str], runs: int, now: datetime) -> Iterator[dict[str, Any]]:
    for dag_id in dag_ids:
        for number in range(runs):
            yield run_row(dag_id, _run_id(number), run_after=_when(number, now), run_type="scheduled")


def _numbers(metadata: Metadata) -> dict[tuple[str, str], int]:
    with metadata.engine.connect() as connection:
        rows = connection.execute(select(DagRun.id, DagRun.dag_id, DagRun.run_id))
        return {(row.dag_id, row.run_id): row.id for row in rows}


def _tasks(dag_ids: list[str], runs: int, members: list[tuple[str, int]]) -> Iterator[dict[str, Any]]:
    for dag_id in dag_ids:
        for number in range(runs):
            waits = dag_id.startswith("spot") and number < RUNNING_RUNS
            for task_id, index in members:
                yield task_row(
                    dag_id, _run_id(number), task_id, index, state="deferred" if waits else "success"
                )


def _story(number: int) -> DescribedJob:
    name = f"job-{number}-{uuid.uuid4().hex[:8]}"
    match number % 5:
        case 0:
            job = a_training_job(name).interrupted(number % 4).completed().billed(5_000 + number, 1_500)
        case 1:
            job = a_training_job(name).completed().billed(900, 880 - number)
        case 2:
            job = a_training_job(name).interrupted(2).max_wait_exceeded().billed(2_000, 600)
        case 3:
            job = a_training_job(name).max_wait_exceeded()
        case _:
            job = a_training_job(name).interrupted(1).failed().billed(700, 210)
    kinds = ("ml.m5.large", "ml.g5.xlarge", "ml.p4d.24xlarge")
    return job.with_checkpoints().having(
        ResourceConfig={"InstanceType": kinds[number % 3], "InstanceCount": 1 + number % 2}
    )


def _spot_xcoms(
    dag_ids: list[str], numbers: dict[tuple[str, str], int], now: datetime
) -> Iterator[dict[str, Any]]:
    ended = [jobs.published(_story(number), created=now) for number in range(_STORIES)]
    live = [
        jobs.published(job.with_checkpoints(), created=now)
        for job in (jobs.waiting(), jobs.training(), jobs.interrupted(), jobs.training())
    ]
    count = 0
    for dag_id in dag_ids:
        for run in range(RUNS):
            when = _when(run, now)
            stories = live if run < RUNNING_RUNS else ended
            for index in range(MEMBERS):
                count += 1
                xcoms = dict(stories[count % len(stories)])
                xcoms["spot_progress"] = {
                    **xcoms["spot_progress"],
                    "job_name": f"{dag_id.replace('_', '-')}-train-{count}",
                    "created": iso(when),
                    "max_wait_ends": iso(when + timedelta(hours=2 if count % 10 else 24)),
                }
                for key, value in xcoms.items():
                    yield xcom_row(
                        numbers[dag_id, _run_id(run)],
                        dag_id,
                        _run_id(run),
                        "train",
                        index,
                        key,
                        value,
                        when + timedelta(minutes=30),
                    )


def _other_xcoms(
    dag_ids: list[str], runs: int, numbers: dict[tuple[str, str], int], now: datetime
) -> Iterator[dict[str, Any]]:
    value = json.loads(json.dumps({"rows": 1_234, "path": "s3://bucket/path", "note": "x" * 300}))
    for dag_id in dag_ids:
        for run in range(runs):
            for number in range(OTHER_TASKS):
                yield xcom_row(
                    numbers[dag_id, _run_id(run)],
                    dag_id,
                    _run_id(run),
                    f"task_{number}",
                    -1,
                    "return_value",
                    value,
                    _when(run, now),
                )
