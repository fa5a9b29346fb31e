"""Fan-outs on a real Airflow: members wait their turn, one that failed is tried again alone, one round decides on the next."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from airflow_spot_provider.demo.local_airflow import LocalAirflow
from airflow_spot_provider.emulator import SageMakerEmulator

pytestmark = pytest.mark.e2e

QUOTA = "ml.c5.9xlarge for spot training job usage"


class Run:
    """A run of a DAG, asked over the REST API."""

    def __init__(self, airflow: LocalAirflow, dag_id: str, run_id: str) -> None:
        self._airflow = airflow
        self._dag_id, self._run_id = dag_id, run_id

    @property
    def _path(self) -> str:
        return f"/dags/{self._dag_id}/dagRuns/{self._run_id}/taskInstances"

    def start(self) -> str:
        """Start it, and give the state in which it ended."""
        self._airflow.trigger(self._dag_id, self._run_id)
        return self.end()

    def end(self) -> str:
        def _ended() -> str | None:
            state = self._airflow.run_state(self._dag_id, self._run_id)
            return state if state in ("success", "failed") else None

        return str(self._airflow.wait_for(_ended, what="the run to end", timeout=240))

    def members(self, task_id: str) -> list[dict[str, Any]]:
        """The members of a mapped task, by map index."""
        listed = self._airflow.get(self._path, limit=100)["task_instances"]
        return sorted((ti for ti in listed if ti["task_id"] == task_id), key=lambda ti: ti["map_index"])

    def result(self, task_id: str, map_index: int = -1) -> Any:
        """What a task returned."""
        path = f"{self._path}/{task_id}/xcomEntries/return_value"
        return self._airflow.get(path, map_index=map_index, deserialize="true")["value"]

    def results(self, task_id: str) -> list[Any]:
        """What the members of a mapped task returned."""
        return [self.result(task_id, ti["map_index"]) for ti in self.members(task_id)]

    def log(self, task_id: str, map_index: int) -> str:
        path = f"{self._path}/{task_id}/logs/1"
        return json.dumps(self._airflow.get(path, map_index=map_index, full_content="true"))

    def clear(self, task_id: str, map_index: int) -> None:
        """Have one member of a mapped task tried again."""
        body = {"dag_run_id": self._run_id, "task_ids": [[task_id, map_index]], "dry_run": False}
        self._airflow.post(f"/dags/{self._dag_id}/clearTaskInstances", {**body, "only_failed": False})


def test_members_wait_their_turn_and_the_one_that_failed_is_tried_again_alone(
    airflow: LocalAirflow, emulator: SageMakerEmulator, run_id: str, jobs: Any
) -> None:
    emulator.set_quota(QUOTA, 2)
    run = Run(airflow, "e2e_turns", run_id)

    assert run.start() == "failed"

    members, results = run.members("train"), run.results("train")
    assert [each["state"] == "success" for each in members] == [index != 3 for index in range(6)]
    assert Counter(jobs.outcomes()) == {"Completed": 5, "MaxWaitTimeExceeded": 1}
    assert results[3]["outcome"] == "MaxWaitTimeExceeded"
    assert {each["try_number"] for each in members} == {1}  # no retry was spent
    assert all(result["checkpoint_s3_uri"].endswith(f"/{index}") for index, result in enumerate(results))
    assert all(len(json.dumps(result)) < 8_000 for result in results)
    waited = [log for log in (run.log("train", index) for index in range(6)) if "waits its turn" in log]
    assert len(waited) >= 4
    assert all("It is this task's turn" in log for log in waited)

    run.clear("train", 3)

    assert run.end() == "success"
    assert [each["try_number"] for each in run.members("train")] == [1, 1, 1, 2, 1, 1]
    assert Counter(jobs.outcomes()) == {"Completed": 6, "MaxWaitTimeExceeded": 1}


def test_second_round_is_as_wide_as_the_first_one_s_bill_allows(
    airflow: LocalAirflow, run_id: str, jobs: Any
) -> None:
    run = Run(airflow, "hyperparameter_fan_out", run_id)

    assert run.start() == "success"

    report, descriptions = run.result("report"), jobs.descriptions()
    first, second = run.results("first_round"), run.results("second_round")
    assert len(first) == 4
    assert len(second) == report["width"]["jobs"] == len(descriptions) - 4
    billed = sum(job["BillableTimeInSeconds"] for job in descriptions)
    trained = sum(job["TrainingTimeInSeconds"] for job in descriptions)
    assert report["savings_percent"] == pytest.approx((1 - billed / trained) * 100)
    assert report["jobs"] == len(descriptions)
    interrupted = [result["interruptions"] for result in (*first, *second)]
    assert report["interruptions"] == sum(interrupted) >= 2
    best = max(result["metrics"]["accuracy"] for result in (*first, *second))
    assert report["best"]["metrics"]["accuracy"] == best >= 0.85
    assert set(report["best"]["hyperparameters"]) == {"model", "learning-rate"}
    assert (
        f"{sum(result['billable_seconds'] for result in first):,} instance-seconds" in report["width"]["why"]
    )
    prefixes = [job["CheckpointConfig"]["S3Uri"] for job in descriptions]
    assert len(set(prefixes)) == len(prefixes)
